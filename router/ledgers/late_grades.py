"""Grades that a ledger's store does not take now: kept in memory until it answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Collection, Iterable, KeysView, Sequence
from itertools import islice
from typing import TypeAlias

from router.ledgers.entries import Grade
from router.ledgers.failing import is_outage, store_failure
from router.ledgers.ledger import Ledger

Which: TypeAlias = tuple[str, str, str]
"""Request, candidate and who says so: of these a ledger keeps one grade."""
_log = logging.getLogger("router")


class LateGrades:
    """Up to `most` grades, in the order in which they were given; thread-safe.

    The `Backlog` says when to post them, and leaves them in its file at the end. One that the
    store refuses, or whose request it does not know, stands in no other one's way: it is tried
    once in each process.
    """

    def __init__(self, ledger: Ledger, most: int) -> None:
        self._ledger, self._most = ledger, most
        self._kept: dict[Which, Grade] = {}
        self._aside: set[Which] = set()
        self._filed: set[Which] = set()
        self._lock = threading.Lock()  # never held over a call of the ledger

    @property
    def due(self) -> int:
        """How many are to be posted."""
        return len(self._kept) - len(self._aside)

    def which(self) -> KeysView[Which]:
        """Those that the store does not have."""
        return self._kept.keys()

    def keep(self, grades: Iterable[Grade]) -> int:
        """Remember grades, all or none; how many of them are new here.

        Raises:
            LedgerError: they would be more than `most`.
        """
        with self._lock:
            new: dict[Which, Grade] = {}
            for grade in grades:
                if (key := which(grade)) not in self._kept:
                    new.setdefault(key, grade)
            if len(self._kept) + len(new) > self._most:
                raise store_failure(
                    f"{len(self._kept):,} grades are not in the ledger, whose store does not "
                    "answer: no more are kept"
                )
            self._kept |= new
            return len(new)

    def found(self, grades: Sequence[Grade]) -> set[Which]:
        """Take in grades of a file; which they are."""
        mine = {which(grade): grade for grade in grades}
        with self._lock:
            self._filed |= mine.keys() - self._kept.keys()
            self._kept = mine | self._kept
        return set(mine)

    def post(self, most: int) -> None:
        """Hand on up to `most`: together, or one by one where one of them is refused.

        Raises:
            Exception: as `is_outage` says, the store fails; those that it did not take are kept.
        """
        with self._lock:
            due = ((key, grade) for key, grade in self._kept.items() if key not in self._aside)
            batch = list(islice(due, most))
        if len(batch) > 1:
            try:
                self._ledger.grade([grade for _, grade in batch])
            except Exception as error:
                if is_outage(error):
                    raise
            else:
                self._forget([key for key, _ in batch])
                return
        for key, grade in batch:
            try:
                self._ledger.grade([grade])
            except Exception as error:
                if is_outage(error):
                    raise
                self._refused(key, error)
            else:
                self._forget([key])

    def unfiled(self) -> list[Grade]:
        """Those that are in no file."""
        with self._lock:
            return [grade for key, grade in self._kept.items() if key not in self._filed]

    def leave(self, grades: Iterable[Grade]) -> None:
        """They are in a file now, and no longer ours."""
        self._forget([which(grade) for grade in grades])

    def _refused(self, key: Which, error: Exception) -> None:
        # Not even of an unknown request: another process may post the call later.
        _log.error("a grade of %s by %s is not in the ledger: %s", key[0], key[2], error)
        with self._lock:
            self._aside.add(key)

    def _forget(self, keys: Collection[Which]) -> None:
        with self._lock:
            for key in keys:
                self._kept.pop(key, None)
            self._aside.difference_update(keys)
            self._filed.difference_update(keys)


def which(grade: Grade) -> Which:
    """What a ledger keeps one grade of."""
    return grade.request_id, grade.candidate, grade.by
