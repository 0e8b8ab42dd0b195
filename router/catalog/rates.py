"""What an endpoint charges at an instant, as a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from router.errors import InvalidRequestError

if TYPE_CHECKING:
    from router.catalog.fleet_rows import FleetRow
    from router.catalog.prices import Exchange, Rate
    from router.catalog.steps import Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Quoted prices in pico-dollars (1e-12 USD) per MILLION tokens, at one instant.

    `cache_read` equals `input` where the host quotes no cached price, `cache_write` likewise;
    `cache_write_1h`, for a cache that keeps an hour, equals `cache_write`. `per_request` is
    pico-dollars a request. `id` names the price: "deepseek-v3.2@deepinfra/2025-12-01", with
    "#peak", "#batch", "#>200000", "#amortised@45%" and the like behind it. `decided_by` says
    which instant of a request decides its window, "" where that is not published; `uncertain` is
    True where the list of holidays has ended. `exchange` names the row that converted from
    `currency`.
    """

    id: str
    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    output: int
    per_request: int = 0
    window: str
    service_tier: str = "standard"
    above_input_tokens: int = 0
    currency: str = "USD"
    exchange: str = ""
    decided_by: str = ""
    uncertain: bool = False
    source: str
    checked: date
    valid_from: datetime
    known_since: datetime


@dataclass(frozen=True, slots=True)
class RateRow:
    """A rate row and the layer (overlay) it came with.

    Of a `fleet`, `rate` is what follows from the utilisation that it assumes, and `steps` what
    followed from that and from those measured, in order.
    """

    rate: Rate
    layer: int
    fleet: FleetRow | None = None
    steps: tuple[Step, ...] = ()

    @property
    def rank(self) -> tuple[int, datetime, datetime, bool]:
        """Of the rows in force the one of the highest rank counts; of equals what was quoted."""
        return self.layer, self.rate.valid_from, self.rate.known, self.fleet is None

    def step(self, at: datetime) -> Step | None:
        """The last step that had come into force at `at`; None where there is no fleet."""
        if not self.steps:
            return None
        past = [step for step in self.steps if step.start <= at]
        return past[-1] if past else self.steps[0]


@dataclass(frozen=True, slots=True)
class ExchangeRow:
    """An exchange row and the layer (overlay) it came with."""

    exchange: Exchange
    layer: int

    @property
    def rank(self) -> tuple[int, datetime]:
        """Of the rows in force the one of the highest rank counts."""
        return self.layer, self.exchange.valid_from


def dearest_of(rates: Sequence[Rates]) -> Rates:
    """The first of them with the highest of each price of all; uncertain if any of them is."""
    return replace(
        rates[0],
        input=max(r.input for r in rates),
        cache_read=max(r.cache_read for r in rates),
        cache_write=max(r.cache_write for r in rates),
        cache_write_1h=max(r.cache_write_1h for r in rates),
        output=max(r.output for r in rates),
        per_request=max(r.per_request for r in rates),
        uncertain=any(r.uncertain for r in rates),
    )


def aware(at: datetime) -> datetime:
    """`at` in UTC.

    Raises:
        InvalidRequestError: without an offset, or no instant.
    """
    if not isinstance(at, datetime) or at.tzinfo is None:
        raise InvalidRequestError(
            f"expected an aware instant such as datetime(2026, 11, 21, tzinfo=UTC), got {at!r}",
            param="at",
        )
    return at.astimezone(UTC)


def stamp(at: datetime) -> str:
    """An instant as rate ids have it: "2025-12-01", or "2026-08-16T16:00Z"."""
    midnight = at.hour == at.minute == at.second == 0
    return at.strftime("%Y-%m-%d" if midnight else "%Y-%m-%dT%H:%MZ")


def names_of(rows: Sequence[RateRow]) -> dict[int, str]:
    """What rate ids call each row: its start, and what tells it from others of that start."""
    names: dict[int, str] = {}
    layers: dict[datetime, int] = {}
    for row in rows:
        rate = row.rate
        name = f"{rate.endpoint}/{stamp(rate.valid_from)}"
        before = layers.get(rate.valid_from)
        if before is not None:
            overlay = before != row.layer
            name += f"+{row.layer}" if overlay else f"~{stamp(rate.known)}"
        layers[rate.valid_from] = row.layer
        names[id(row)] = name
    return names
