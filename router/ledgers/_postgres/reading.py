"""What a ledger on a server has, row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from router.ledgers._sqlite.rows import adjustment_from, entry_from, grade_from, micros
from router.ledgers.entries import Adjustment, Entry, Grade

_PAGE = 2000
"""Entries read at a time."""


class Reading:
    """The readers of `PostgresLedger`."""

    def entries(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Entry]:
        """Entries with since <= at < until that are there now, oldest first, page by page."""
        span = _span(since, until)
        ((first, last),) = self._ask("entries_span", span)
        return self._pages(first, last, span)

    def adjustments(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Adjustment]:
        """Changes of budgets with since <= at < until, oldest first."""
        return map(adjustment_from, self._ask("adjustments", _span(since, until)))

    def decisions(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[tuple[str, str]]:
        """Request ids with their packed decision records; see `Ledger.decisions`."""
        found = self._ask("decisions", _span(since, until))
        return ((rid.rpartition("/")[0], packed) for rid, packed in found)

    def grades(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Grade]:
        """Grades with since <= at < until, in the order in which they were given."""
        return map(grade_from, self._ask("grades", _span(since, until)))

    def _pages(self, first: int | None, last: int | None, span: list[int]) -> Iterator[Entry]:
        while first is not None and last is not None and first <= last:
            rows = self._ask("entries", [first, last, *span, _PAGE])
            for row in rows:
                yield entry_from(row[:-1])
            first = rows[-1][-1] + 1 if len(rows) == _PAGE else None

    def _ask(self, name: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        raise NotImplementedError


def _span(since: datetime | None, until: datetime | None) -> list[int]:
    return [micros(since) if since else -(2**63), micros(until) if until else 2**63 - 1]
