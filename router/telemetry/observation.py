"""An attempt that is being observed, and how it ended: what spans and metrics are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from router.outlook import Forecast
from router.telemetry import names
from router.types import Call, Cost, Usage

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from router.telemetry.instruments import Instruments

_CEILING = "ceiling:"
"""Before the ids of price rows that stand for a price nobody knows (`Catalog.ceiling_rates`)."""


@dataclass(frozen=True, slots=True)
class Observation:
    """An attempt under way: its span and instruments (None: nobody listens), and its labels.

    `reserved` is what was set aside for it, in pico-dollars.
    """

    call: Call
    forecast: Forecast
    labels: Mapping[str, str]
    reserved: int | None
    span: Span | None
    instruments: Instruments | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an attempt ended. `seconds` is how long it took, `first_chunk` (seconds) when a stream's
    first piece came; `texts` are those of a stream, `response` the JSON of a whole answer.
    `booked` says that the ledger has it, now or later: what it did not take is charged in full
    when the lease ends, and counted then.
    """

    seconds: float
    usage: Usage | None = None
    cost: Cost | None = None
    response: Mapping[str, Any] | None = None
    finish_reason: str | None = None
    outcome: str = "ok"
    first_chunk: float | None = None
    texts: Sequence[str] = ()
    booked: bool = True

    @property
    def failed(self) -> bool:
        """Whether it is an error to telemetry; a stream that its reader closed is one, too."""
        return self.outcome != "ok"

    @property
    def priced(self) -> Cost | None:
        """The cost, where its price is known: an unknown one is no amount, and never 0."""
        return self.cost if self.cost is not None and self.cost.rates_id else None

    @property
    def source(self) -> str:
        """Whether the cost is computed from the host's count and its price, or estimated."""
        guessed = self.usage is None or self.usage.estimated
        if guessed or (self.cost is not None and self.cost.rates_id.startswith(_CEILING)):
            return names.ESTIMATED
        return names.COMPUTED
