"""The ledger's statements in SQL. Each runs inside a transaction of its caller."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from router.budgets._rows import ENTRY_SELECT, entry_from_row, micros
from router.budgets.ledger import Balance, Entry, EntryKind, Hold, Settlement
from router.errors import LedgerError


def balances(db: sqlite3.Connection, holds: Sequence[Hold]) -> list[Balance]:
    """The balance of each hold's account in its window."""
    found = []
    for hold in holds:
        row = db.execute(
            "SELECT spent, reserved FROM balances WHERE key = ? AND window_start = ?",
            (hold.key, micros(hold.window_start)),
        ).fetchone()
        found.append(Balance(spent=row[0], reserved=row[1]) if row else Balance())
    return found


def exists(db: sqlite3.Connection, rid: str) -> bool:
    """Whether there is such a reservation."""
    row = db.execute("SELECT 1 FROM reservations WHERE id = ?", (rid,)).fetchone()
    return row is not None


def amount_of(db: sqlite3.Connection, rid: str) -> int:
    """What was reserved, in pico-dollars; LedgerError for an unknown id."""
    row = db.execute("SELECT amount FROM reservations WHERE id = ?", (rid,)).fetchone()
    if row is None:
        raise LedgerError(f"no reservation {rid!r} in this ledger")
    return int(row[0])


def resolution(db: sqlite3.Connection, rid: str) -> Entry | None:
    """How a reservation ended, corrections aside; None while it is open."""
    row = db.execute(
        f"{ENTRY_SELECT} WHERE e.reservation_id = ? AND e.kind <> 'correct'",
        (rid,),
    ).fetchone()
    return entry_from_row(row) if row else None


def last_entry(db: sqlite3.Connection, rid: str) -> Entry:
    """The newest entry of a reservation."""
    row = db.execute(
        f"{ENTRY_SELECT} WHERE e.reservation_id = ? ORDER BY e.seq DESC LIMIT 1",
        (rid,),
    ).fetchone()
    return entry_from_row(row)


def insert_entry(
    db: sqlite3.Connection, rid: str, kind: EntryKind, end: Settlement, cost: int, overage: int
) -> None:
    """Append an entry."""
    values: tuple[Any, ...] = (
        kind,
        micros(end.at),
        rid,
        cost,
        overage,
        end.usage.input_tokens,
        end.usage.cache_read_tokens,
        end.usage.cache_write_tokens,
        end.usage.output_tokens,
        end.usage.reasoning_tokens,
        int(end.usage.estimated),
        end.outcome,
        end.finish_reason,
        end.seconds,
    )
    db.execute(
        "INSERT INTO entries (kind, at, reservation_id, cost, overage, input_tokens, "
        "cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, estimated, "
        f"outcome, finish_reason, seconds) VALUES ({', '.join('?' * len(values))})",
        values,
    )


def move(db: sqlite3.Connection, rid: str, *, spent: int, reserved: int) -> None:
    """Move the running totals of every account that a reservation counts against."""
    # A reservation settles in the window it was made in, however late.
    db.execute(
        "UPDATE balances SET spent = spent + ?, reserved = reserved + ? WHERE (key, window_start) "
        "IN (SELECT key, window_start FROM holds WHERE reservation_id = ?)",
        (spent, reserved, rid),
    )
