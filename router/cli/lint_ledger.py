"""`centroute lint --ledger`: what was expected of caches, what came, and what was lost to what."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from router.catalog import Catalog, Rates
from router.cli.common import require_ledger
from router.cli.output import Output
from router.errors import ConfigError
from router.ledgers import Entry
from router.ledgers.open import open_store
from router.money import to_usd
from router.prompts.causes import FIXES
from router.reports.caching import CacheReport, CacheRow, cache_report

_MILLION = 10**6
_MONTH = 30 * 86400


def lint_ledger(given: argparse.Namespace, catalog: Catalog, out: Output) -> bool:
    """Show the rows of a ledger by route, model and host; whether anything was lost."""
    require_ledger(given.ledger)

    def rates_of(entry: Entry) -> Rates | None:
        record = entry.record
        if not record.rates_id:
            return None
        try:
            return catalog.rates(
                f"{record.model}@{record.host}",
                entry.at,
                input_tokens=entry.usage.input_tokens,
            )
        except ConfigError:  # a candidate of a catalogue that is not given here
            return None

    with closing(open_store(given.ledger)) as ledger:
        found = cache_report(ledger.entries(since=given.since, until=given.until), rates_of)
    share = _share(given, found)
    _tables(found, share, out)
    out.data(
        {
            "first": found.first,
            "last": found.last,
            "millionths_of_a_month": share,
            "rows": [_data(row, share) for row in found.rows],
        }
    )
    return any(row.lost for row in found.rows)


def _tables(found: CacheReport, share: int | None, out: Output) -> None:
    if not found.rows:
        out.line("no answered calls with a usage of the host's in this span")
        return
    out.table(
        "Caches",
        ("route", "model", "host", "requests", "input", "expected", "reported", "lost"),
        [
            (
                *(row.route or "-", row.model, row.host, row.requests, row.input_tokens),
                *(row.forecast_tokens, row.cache_read_tokens, row.lost.total()),
            )
            for row in found.rows
        ],
    )
    lost = [(row, cause) for row in found.rows for cause, _ in row.lost.most_common()]
    shown = [
        (
            *(row.route or "-", row.model, row.host, cause, row.requests_by[cause]),
            row.lost[cause] // row.requests_by[cause],
            "unknown" if (usd := _monthly(row, cause, share)) is None else f"{usd:.2f}",
        )
        for row, cause in lost
    ]
    if not lost:
        return
    columns = ("route", "model", "host", "cause", "requests", "tokens each", "USD a month")
    out.table("Lost", columns, shown, right=("USD a month",))
    for cause in dict.fromkeys(cause for _, cause in lost):
        out.line(f"{cause}: {FIXES.get(cause, 'a cause of a later version')}")


def _data(row: CacheRow, share: int | None) -> dict[str, Any]:
    return {
        "route": row.route,
        "model": row.model,
        "host": row.host,
        "requests": row.requests,
        "input_tokens": row.input_tokens,
        "forecast_cache_read_tokens": row.forecast_tokens,
        "cache_read_tokens": row.cache_read_tokens,
        "lost": [
            {
                "cause": cause,
                "requests": row.requests_by[cause],
                "lost_tokens": tokens,
                "usd": None if cause in row.unpriced else to_usd(row.worth[cause]),
                "usd_a_month": _monthly(row, cause, share),
                "fix": FIXES.get(cause),
            }
            for cause, tokens in row.lost.most_common()
        ],
    }


def _monthly(row: CacheRow, cause: str, share: int | None) -> Any:
    """USD a month at the rate of the span looked at; None where it or a price is not known."""
    if cause in row.unpriced or not share:
        return None
    return to_usd(row.worth[cause] * _MILLION // share)


def _share(given: argparse.Namespace, found: CacheReport) -> int | None:
    """The span looked at, in millionths of a month; None for none."""
    start, end = given.since or found.first, given.until or found.last
    if given.per_month:
        total = sum(row.requests for row in found.rows)
        return max(1, total * _MILLION // given.per_month) if total else None
    if start is None or end is None or end <= start:
        return None
    return max(1, int((end - start).total_seconds()) * _MILLION // _MONTH)
