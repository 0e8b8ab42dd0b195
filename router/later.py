"""When a candidate will be cheaper: what waiting would save. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from weakref import WeakKeyDictionary

from router.catalog import Candidate, Catalog
from router.outlook import Forecast
from router.pricing import output_costs

DAY = timedelta(hours=24)
_HOUR = 3600
_MOST = 16
_KEPT = 4096

_Changes: TypeAlias = tuple[datetime, ...]
_changes: WeakKeyDictionary[Catalog, dict[tuple[str, int], _Changes]] = WeakKeyDictionary()
"""Changes of price by endpoint, in the 25 hours from an hour on. A catalogue never changes."""


def cheaper(
    catalog: Catalog, candidate: Candidate, forecast: Forecast, now: datetime
) -> tuple[datetime, int] | None:
    """The first instant within a day at which the expected cost is lower, and that cost.

    None where the price stays, or none is known.
    """
    if forecast.cost is None:
        return None
    tokens = round(forecast.output_tokens.mean)
    for at in _ahead(catalog, candidate, now):
        if now < at <= now + DAY:
            rates = catalog.rates(candidate, at, input_tokens=forecast.input_tokens)
            before = catalog.rates(candidate, now, input_tokens=forecast.input_tokens)
            if rates is None or before is None:
                continue
            inputs = forecast.input_tokens, forecast.cache_read_tokens
            (then,) = output_costs(rates, *inputs, [tokens])
            (today,) = output_costs(before, *inputs, [tokens])
            if then < today:
                return at, -(-forecast.cost * then // today)
    return None


def _ahead(catalog: Catalog, candidate: Candidate, now: datetime) -> _Changes:
    known = _changes.get(catalog)
    if known is None or len(known) > _KEPT:
        known = _changes[catalog] = {}
    hour = int(now.timestamp()) // _HOUR
    key = candidate.endpoint, hour
    if key not in known:
        at = datetime.fromtimestamp(hour * _HOUR, UTC)
        end = at + DAY + timedelta(hours=1)
        found: list[datetime] = []
        while len(found) < _MOST:
            after = catalog.boundary(candidate, at, end)
            if after is None:
                break
            found.append(after)
            at = after
        known[key] = tuple(found)
    return known[key]
