"""What a ledger file has, row by row."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from router.ledgers._sqlite.rows import (
    ADJUSTMENT_SELECT,
    DECISIONS,
    ENTRY_SELECT,
    GRADE_SELECT,
    adjustment_from,
    entry_from,
    grade_from,
    micros,
)
from router.ledgers.entries import Adjustment, Entry, Grade

T = TypeVar("T")


class Reading:
    """The readers of `SQLiteLedger`."""

    def entries(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Entry]:
        """Entries with since <= at < until, oldest first."""
        rows = self._between(
            f"{ENTRY_SELECT} WHERE e.at >= ? AND e.at < ? ORDER BY e.seq", since, until
        )
        return iter([entry_from(row) for row in rows])

    def adjustments(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Adjustment]:
        """Changes of budgets with since <= at < until, oldest first."""
        rows = self._between(
            f"{ADJUSTMENT_SELECT} WHERE at >= ? AND at < ? ORDER BY seq", since, until
        )
        return iter([adjustment_from(row) for row in rows])

    def decisions(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[tuple[str, str]]:
        """Request ids with their packed decision records; see `Ledger.decisions`."""
        found = self._between(DECISIONS, since, until)
        return ((rid.rpartition("/")[0], packed) for rid, packed in found)

    def grades(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Grade]:
        """Grades with since <= at < until, in the order in which they were given."""
        select = f"{GRADE_SELECT} WHERE at >= ? AND at < ? ORDER BY seq"
        return map(grade_from, self._between(select, since, until))

    def _between(
        self, select: str, since: datetime | None, until: datetime | None
    ) -> list[tuple[Any, ...]]:
        low = micros(since) if since else -(2**63)
        high = micros(until) if until else 2**63 - 1
        return self._read(lambda db: db.execute(select, (low, high)).fetchall())

    def _read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        raise NotImplementedError
