"""Between ledger rows in SQLite and the values of `router.budgets.ledger`."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from router.budgets.ledger import Entry, Record
from router.types import Usage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

ENTRY_SELECT = (
    "SELECT e.kind, e.at, e.reservation_id, r.record, e.input_tokens, e.cache_read_tokens, "
    "e.cache_write_tokens, e.output_tokens, e.reasoning_tokens, e.estimated, e.cost, r.amount, "
    "e.overage, e.outcome, e.finish_reason, e.seconds "
    "FROM entries e JOIN reservations r ON r.id = e.reservation_id"
)

BALANCE_KEYS = """
    SELECT a.key, a.window_start
    FROM (SELECT key, window_start FROM balances UNION SELECT key, window_start FROM holds) a
    LEFT JOIN balances b ON b.key = a.key AND b.window_start = a.window_start
    LEFT JOIN holds h ON h.key = a.key AND h.window_start = a.window_start
    LEFT JOIN (SELECT reservation_id, sum(cost) AS cost FROM entries GROUP BY reservation_id) e
        ON e.reservation_id = h.reservation_id
    LEFT JOIN (SELECT o.id, r.amount FROM open_reservations o JOIN reservations r ON r.id = o.id) o
        ON o.id = h.reservation_id
    GROUP BY a.key, a.window_start
    HAVING coalesce(b.spent, 0) <> coalesce(sum(e.cost), 0)
        OR coalesce(b.reserved, 0) <> coalesce(sum(o.amount), 0)
"""
"""Accounts whose running totals differ from what entries and open reservations add up to."""


def micros(instant: datetime) -> int:
    """An aware instant as microseconds since 1970, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(value: int) -> datetime:
    """The aware UTC instant of `micros`."""
    return _EPOCH + value * _MICROSECOND


def entry_from_row(row: tuple[Any, ...]) -> Entry:
    """An entry from a row of `ENTRY_SELECT`."""
    kind, at, rid, record, inp, read, write, out, reasoning, estimated, *rest = row
    cost, amount, overage, outcome, finish_reason, seconds = rest
    return Entry(
        kind=kind,
        at=from_micros(at),
        reservation_id=rid,
        record=Record(**json.loads(record)),
        usage=Usage(
            input_tokens=inp,
            cache_read_tokens=read,
            cache_write_tokens=write,
            output_tokens=out,
            reasoning_tokens=reasoning,
            estimated=bool(estimated),
        ),
        cost=cost,
        reserved=amount,
        overage=overage,
        outcome=outcome,
        finish_reason=finish_reason,
        seconds=seconds,
    )
