"""Prices of one's own fleets that follow how busy they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING

from router.catalog import Catalog
from router.catalog.fleet import BASES, Basis, Fleet, TokenPrices
from router.catalog.rates import RateRow
from router.money import to_usd
from router.selfhost.load import Load

if TYPE_CHECKING:
    from router.catalog.load import Entry

_LEAST = timedelta(minutes=1)
_SLACK = Fraction(1, 20)
_KEPT = 64


@dataclass(frozen=True, slots=True)
class Busy:
    """How busy a fleet is now (a part of its capacity), and what a token costs on either basis."""

    endpoint: str
    utilisation: Fraction
    percent: int
    prices: dict[Basis, TokenPrices]

    @property
    def usd_per_million_tokens(self) -> dict[tuple[str, str], float]:
        """The prices by basis and kind of token, for gauges; money is never counted so."""
        return {
            (basis, kind): float(to_usd(getattr(price, kind)))
            for basis, price in self.prices.items()
            for kind in ("input", "cache_read", "output")
        }


def busy(catalog: Catalog, load: Load, now: datetime) -> Iterator[Busy]:
    """The fleets whose load is known, for metrics and reports."""
    for endpoint, row in catalog.fleets(now).items():
        flow = load.flow(endpoint, now)
        if flow is not None:
            fleet = _fleet(row)
            utilisation = fleet.utilisation(flow)
            percent = fleet.step(utilisation)
            prices = {basis: fleet.prices(basis, percent) for basis in BASES}
            yield Busy(endpoint, utilisation, percent, prices)


def refreshed(catalog: Catalog, load: Load, now: datetime) -> Catalog | None:
    """A catalogue whose fleets cost what they do at the present load; None where that is so.

    The new prices hold from `now` on: a call that began before is billed as it was reserved. A
    price changes at most once a minute, and not for a load within a twentieth of where it was.
    """
    from router.catalog.fleet_rows import UtilisationRow
    from router.catalog.load import read

    changed = [
        {
            "endpoint": found.endpoint,
            "valid_from": now,
            "percent": found.percent,
            "source": "measured",
            "checked": now.date(),
        }
        for found in busy(catalog, load, now)
        if _moved(catalog.fleets(now)[found.endpoint], found, now)
    ]
    if not changed:
        return None
    rest = [e for e in catalog.entries if not isinstance(e.row, UtilisationRow)]
    by_endpoint: dict[str, list[Entry]] = {}
    for entry in catalog.entries:
        if isinstance(entry.row, UtilisationRow):
            by_endpoint.setdefault(entry.row.endpoint, []).append(entry)
    kept = [entry for rows in by_endpoint.values() for entry in rows[-_KEPT:]]
    layer = max(e.layer for e in catalog.entries)
    return Catalog([*rest, *kept, *read(({"utilisation": changed},), layer)])


def _moved(row: RateRow, found: Busy, now: datetime) -> bool:
    """Whether the load is clearly another one than the price in force assumes."""
    step, fleet = row.step(now), _fleet(row)
    assert step is not None
    if step is not row.steps[0] and now - step.start < _LEAST:
        return False
    near = (found.utilisation * (1 + change) for change in (-_SLACK, 0, _SLACK))
    return step.percent not in {fleet.step(utilisation) for utilisation in near}


def _fleet(row: RateRow) -> Fleet:
    assert row.fleet is not None
    return row.fleet.fleet
