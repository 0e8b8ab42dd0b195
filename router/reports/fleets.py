"""One's own GPUs: what was paid for them, what calls took of that, what stood idle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol

from router.money import to_usd
from router.reports.table import Table

_COLUMNS: dict[str, type] = {
    "endpoint": str,
    "calls": int,
    "input_tokens": int,
    "output_tokens": int,
    "in_use": Decimal,
    "rent_usd": Decimal,
    "idle_usd": Decimal,
    "marginal_usd": Decimal,
    "charged_usd": Decimal,
    "amortised_usd_per_mtok": Decimal,
    "marginal_usd_per_mtok": Decimal,
}


class Fleet(Protocol):
    """What `router.selfhost.fleets_costs` says of a fleet; amounts in pico-dollars."""

    @property
    def endpoint(self) -> str: ...
    @property
    def requests(self) -> int: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def utilisation(self) -> Fraction: ...
    @property
    def rent(self) -> int: ...
    @property
    def idle(self) -> int: ...
    @property
    def marginal(self) -> int: ...
    @property
    def charged(self) -> int: ...
    def per_million(self, pico: int) -> Decimal | None:
        """USD per million tokens of an amount."""


@dataclass(frozen=True, slots=True, repr=False)
class Fleets(Table):
    """Each fleet over a span: `rent_usd` is what was paid, `marginal_usd` the GPU time that the
    calls added, `charged_usd` what the ledger billed for them; per million tokens, amortised over
    all the rent and marginal. `in_use` is a part of capacity.
    """

    fleets: tuple[Fleet, ...]

    @property
    def brief(self) -> tuple[str, ...]:
        """The columns that are shown where there is little room."""
        return "endpoint", "calls", "in_use", "rent_usd", "idle_usd", "amortised_usd_per_mtok"

    @property
    def kinds(self) -> Mapping[str, type]:
        """The columns in their order, with their types."""
        return _COLUMNS

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for fleet in self.fleets:
            used = fleet.utilisation
            values = (
                fleet.endpoint,
                fleet.requests,
                fleet.input_tokens,
                fleet.output_tokens,
                (Decimal(used.numerator) / used.denominator).quantize(Decimal("0.000001")),
                *map(to_usd, (fleet.rent, fleet.idle, fleet.marginal, fleet.charged)),
                fleet.per_million(fleet.rent),
                fleet.per_million(fleet.marginal),
            )
            yield dict(zip(_COLUMNS, values, strict=True))

    def __len__(self) -> int:
        return len(self.fleets)


def fleets_from(fleets: Iterable[Fleet]) -> Fleets:
    """The report of what `router.selfhost.fleets_costs` found."""
    return Fleets(tuple(fleets))
