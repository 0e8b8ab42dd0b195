"""Grades that a ledger's store does not take now: kept in memory until it answers."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress

from router.errors import UnknownRequestError
from router.ledgers.entries import Grade
from router.ledgers.ledger import Ledger


class LateGrades:
    """Up to `most` grades, in the order in which they were given; thread-safe."""

    def __init__(self, ledger: Ledger, most: int) -> None:
        self._ledger, self._most = ledger, most
        self._kept: deque[Grade] = deque()
        self._posting = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, grades: Iterable[Grade]) -> None:
        """Remember grades; beyond `most`, the oldest are forgotten."""
        for grade in grades:
            if len(self._kept) >= self._most:
                self._kept.popleft()
            self._kept.append(grade)

    def post(self) -> None:
        """Hand them on; those of requests that the store does not know are dropped.

        Raises:
            LedgerError: the store does not take them; they are kept.
        """
        with self._posting:
            while self._kept:
                with suppress(UnknownRequestError):
                    self._ledger.grade([self._kept[0]])
                self._kept.popleft()
