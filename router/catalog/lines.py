"""A candidate with its price and where that comes from, as the catalogue is listed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from router.catalog.candidate import Candidate
from router.catalog.missing import gone
from router.catalog.pricelist import STANDARD, Pricelist
from router.catalog.rates import Rates

if TYPE_CHECKING:
    from router.catalog.schema import Endpoint


@dataclass(frozen=True, slots=True)
class Line:
    """A row of `Catalog.describe()`. `rates` is None where the price is unknown."""

    candidate: Candidate
    rates: Rates | None
    source: str
    checked: date | None
    retires_at: datetime | None
    note: str


def line_of(candidate: Candidate, endpoint: Endpoint, prices: Pricelist, now: datetime) -> Line:
    """The line of a candidate at an instant; `note` says why it has no price, or is not called."""
    rates = prices.rates(now, None, 0, STANDARD)
    if gone(candidate, now):
        note = "retired" + (f", use {endpoint.successor}" if endpoint.successor else "")
    else:
        use = {"reference": "baseline only", "unsupported": "cannot be called yet"}
        why = prices.why_unknown(now) or endpoint.unpriced or "price unknown"
        said = (use.get(candidate.kind, ""), why if rates is None else "")
        note = "; ".join(filter(None, said))
    source, checked = endpoint.source, endpoint.checked
    if rates is not None:
        source, checked = rates.source, rates.checked
    return Line(candidate, rates, source, checked, endpoint.retires_at, note)
