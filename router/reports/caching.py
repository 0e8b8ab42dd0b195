"""What hosts read from caches against what was expected, and what was lost to which cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from router.catalog import Rates
from router.ledgers import Entry
from router.ledgers.entries import LEASE

_ROUTES = ("route", "feature", "task")
_MILLION = 10**6


@dataclass(slots=True)
class CacheRow:
    """One route at one model and host. Tokens are the host's own, but for those that were lost.

    `lost` has tokens and `worth` pico-dollars by cause, and `requests_by` how many requests;
    `unpriced` of them have no known price, and are not in `worth`.
    """

    route: str
    model: str
    host: str
    requests: int = 0
    input_tokens: int = 0
    forecast_tokens: int = 0
    cache_read_tokens: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    worth: Counter[str] = field(default_factory=Counter)
    requests_by: Counter[str] = field(default_factory=Counter)
    unpriced: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class CacheReport:
    """Rows by route, model and host, and when the first and the last of their requests were."""

    rows: list[CacheRow]
    first: datetime | None
    last: datetime | None


def saved_by(rates: Rates, *, writes: bool = False) -> int:
    """Pico-dollars by which a MILLION tokens are cheaper read from the cache; never below zero."""
    return max(0, (rates.cache_write if writes else rates.input) - rates.cache_read)


def cache_report(
    entries: Iterable[Entry], rates_of: Callable[[Entry], Rates | None]
) -> CacheReport:
    """Answered calls whose host reported its usage, grouped; others say nothing of caches.

    `rates_of` is the price of a call, None where it is not known.
    """
    rows: dict[tuple[str, str, str], CacheRow] = {}
    times = []
    for entry in entries:
        record, usage = entry.record, entry.usage
        told = entry.kind == "settle" and entry.outcome == "ok" and not entry.estimated
        if not told or record.policy == LEASE:
            continue
        times.append(entry.at)
        key = (_route(record.tags), record.model, record.host)
        row = rows.setdefault(key, CacheRow(*key))
        row.requests += 1
        row.input_tokens += usage.input_tokens
        row.forecast_tokens += record.forecast_cache_read_tokens
        row.cache_read_tokens += usage.cache_read_tokens
        if record.cache_lost_tokens and record.cache_lost_to:
            _lose(row, record.cache_lost_to, record.cache_lost_tokens, rates_of(entry))
    found = sorted(rows.values(), key=lambda r: (-r.lost.total(), r.route, r.model, r.host))
    return CacheReport(found, min(times, default=None), max(times, default=None))


def _lose(row: CacheRow, cause: str, tokens: int, rates: Rates | None) -> None:
    row.lost[cause] += tokens
    row.requests_by[cause] += 1
    if rates is None:
        row.unpriced[cause] += 1
    else:
        row.worth[cause] += tokens * saved_by(rates) // _MILLION


def _route(tags: Mapping[str, str]) -> str:
    """The tag that names a kind of traffic; the first that is there counts."""
    return next((f"{name}={tags[name]}" for name in _ROUTES if tags.get(name)), "")
