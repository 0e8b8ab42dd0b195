"""The default ledger: one SQLite file, safe under threads, processes and power loss.

WAL with synchronous=FULL: a commit that returned is on disk. Callers of one process share
transactions (`router.ledgers.combine`); processes take turns, waiting with jitter.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from router._locks import watch
from router.budgets.holds import Balance, Hold
from router.errors import CorruptLedgerError, LedgerError, RouterError
from router.ledgers import books
from router.ledgers import slabs as slab_rules
from router.ledgers._sqlite.books import Opened, SQLiteBooks
from router.ledgers._sqlite.connect import BUSY_SECONDS, RESTORE, is_busy, open_file
from router.ledgers._sqlite.reading import Reading
from router.ledgers._sqlite.rows import WRONG_ACCOUNTS
from router.ledgers.combine import Combiner, Operation
from router.ledgers.entries import Adjustment, Entry, Grade, Reservation, Settlement
from router.ledgers.notices import Notices

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Task:
    """An operation, and the reservations that it will look for."""

    run: Operation[SQLiteBooks]
    ids: tuple[str, ...]

    def __call__(self, rows: SQLiteBooks) -> Any:
        return self.run(rows)


class SQLiteLedger(Reading):
    """A ledger in the file `path` (created with its directory), or in memory for `":memory:"`.

    Raises:
        LedgerError: the path cannot be created or written.
        CorruptLedgerError: the file is not a ledger, or is damaged; it is left untouched.

    >>> from router import SQLiteLedger
    >>> ledger = SQLiteLedger(":memory:")
    >>> list(ledger.entries())
    []
    """

    def __init__(self, path: str | Path) -> None:
        self.path, self.notices = str(path), Notices()
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        # Readers need not wait for a commit; one in memory has no second connection.
        self._read_lock = self._lock if self.path == ":memory:" else threading.RLock()
        self._reader: sqlite3.Connection | None = None
        self._opened = Opened()
        self._combiner: Combiner[SQLiteBooks] = Combiner(
            self._perform, outages=(sqlite3.OperationalError, RouterError)
        )
        watch(self)

    def reserve(self, reservation: Reservation) -> None:
        """Set the amounts aside in all holds or in none; see `Ledger.reserve`.

        What crashed processes left behind is swept first.
        """
        now = reservation.at

        def operation(rows: SQLiteBooks) -> None:
            books.sweep(rows, now)
            books.reserve(rows, reservation)

        self._submit(operation, reservation.id)

    def settle(self, reservation_id: str, settlement: Settlement) -> Entry:
        """Turn a reservation into spend; see `Ledger.settle`."""
        entry: Entry = self._submit(
            lambda rows: books.settle(rows, reservation_id, settlement), reservation_id
        )
        return entry

    def release(self, reservation_id: str, *, at: datetime, outcome: str) -> None:
        """Return a reservation whose call was not charged; see `Ledger.release`."""
        self._submit(lambda rows: books.release(rows, reservation_id, at, outcome), reservation_id)

    def post(self, reservation: Reservation, settlement: Settlement) -> Entry:
        """Record a call that nobody reserved; see `Ledger.post`."""
        return self.draw(reservation, settlement, {})

    def draw(
        self, reservation: Reservation, settlement: Settlement, slabs: Mapping[str, str]
    ) -> Entry:
        """Record a call that was paid from slabs; see `SlabLedger.draw`."""
        entry: Entry = self._submit(lambda rows: books.post(rows, reservation, settlement, slabs))
        return entry

    def give_back(self, slab_id: str, at: datetime) -> None:
        """Return what is left of a slab; see `SlabLedger.give_back`."""
        self._submit(lambda rows: books.give_back(rows, slab_id, at))

    def extend(self, slab_ids: Sequence[str], lease_until: datetime) -> list[str]:
        """Renew the leases of slabs; see `SlabLedger.extend`."""
        still: list[str] = self._submit(lambda rows: books.extend(rows, slab_ids, lease_until))
        return still

    def exchange(self, asked: slab_rules.Exchange) -> slab_rules.Exchanged:
        """Post what was paid from slabs, and take new ones; see `SlabLedger.exchange`."""
        done: slab_rules.Exchanged = self._submit(lambda rows: slab_rules.exchange(rows, asked))
        return done

    def sweep(self, now: datetime) -> int:
        """Charge every reservation past its lease in full; see `Ledger.sweep`."""
        swept: int = self._submit(lambda rows: books.sweep(rows, now))
        return swept

    def adjust(self, adjustments: Sequence[Adjustment], holds: Sequence[Hold]) -> None:
        """Book changes of budgets, all or none; see `Ledger.adjust`."""
        self._submit(lambda rows: books.adjust(rows, adjustments, holds))

    def warned(self, key: str, window_start: datetime, share: float) -> bool:
        """Whether this caller is the first to warn of this share; see `Ledger.warned`."""
        first: bool = self._submit(
            lambda rows: rows.first_to_warn(key, window_start, share),
        )
        return first

    def grade(self, grades: Iterable[Grade]) -> int:
        """Keep grades of answers, all or none; see `Ledger.grade`."""
        found = tuple(grades)
        new: int = self._submit(lambda rows: rows.grade(found))
        return new

    def balances(self, holds: Sequence[Hold]) -> list[Balance]:
        """The balance of each hold's account in its window."""

        def read(db: sqlite3.Connection) -> list[Balance]:
            rows = SQLiteBooks(db, self._opened)
            return [books.balance_of(rows, hold) for hold in holds]

        return self._read(read)

    def check(self) -> None:
        """Read the whole file and compare the running totals with the entries.

        Raises:
            CorruptLedgerError: damaged pages, or totals that the entries do not add up to.
        """

        def read(db: sqlite3.Connection) -> tuple[str, list[Any]]:
            verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            return verdict, db.execute(WRONG_ACCOUNTS).fetchall()

        verdict, wrong = self._read(read)
        if verdict != "ok" or wrong:
            detail = verdict if verdict != "ok" else f"{len(wrong)} balances differ from entries"
            raise CorruptLedgerError(f"ledger {self.path}: {detail}. {RESTORE}")

    def close(self) -> None:
        """Close the file. A later call opens it again."""
        with self._lock, self._read_lock:
            for connection in (self._reader, self._connection):
                if connection is not None:
                    connection.close()
            self._connection = self._reader = None

    def before_fork(self) -> None:
        """Wait for what is under way, and close the file: a child that closed it would drop the
        parent's locks.
        """
        self._lock.acquire()
        self._read_lock.acquire()
        if self.path != ":memory:":  # that one would be lost; a child gets a copy of it
            self.close()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on."""
        if in_child:
            self._combiner.reset()
        self._read_lock.release()
        self._lock.release()

    def _submit(self, operation: Operation[SQLiteBooks], *ids: str) -> Any:
        """Perform an operation that looks for these reservations, with others that wait."""
        with self._errors():
            return self._combiner.submit(_Task(operation, ids))

    def _perform(self, operations: Sequence[Operation[SQLiteBooks]]) -> list[Any]:
        """Perform operations in one transaction; see `router.ledgers.combine.Perform`."""
        results: list[Any] = []
        with self._lock:
            db = self._db()
            try:
                if db.in_transaction:  # interrupted in the middle of the last one's end
                    db.execute("ROLLBACK")
                _patiently(lambda: db.execute("BEGIN IMMEDIATE"))
                rows = SQLiteBooks(db, self._opened)
                if len(operations) > 1:
                    tasks = [each for each in operations if isinstance(each, _Task)]
                    rows.look_up([rid for task in tasks for rid in task.ids])
                for operation in operations:
                    try:
                        results.append(operation(rows))
                    except RouterError as error:
                        results.append(error)
                rows.write()
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
            rows.committed()
        self.notices.late(rows.late)
        return results

    def _read(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Read what is committed, beside whoever writes."""
        with self._read_lock, self._errors():
            if self._read_lock is self._lock:
                db = self._db()
            elif self._reader is None:
                db = self._reader = open_file(self.path)
            else:
                db = self._reader
            return _patiently(lambda: read(db))

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OverflowError as error:
            raise LedgerError(f"ledger {self.path}: a number is too large for it") from error
        except UnicodeEncodeError as error:
            raise LedgerError(f"ledger {self.path}: a text that is no Unicode text") from error
        except (sqlite3.InterfaceError, sqlite3.ProgrammingError, sqlite3.DataError) as error:
            raise LedgerError(f"ledger {self.path}: refused as it is ({error})") from error
        except sqlite3.OperationalError as error:
            raise LedgerError(
                f"ledger {self.path}: {error}. Check that its directory exists and can be "
                "written, or choose another with Client(ledger=...) or CENTROUTE_LEDGER."
            ) from error
        except sqlite3.DatabaseError as error:
            raise CorruptLedgerError(f"ledger {self.path}: {error}. {RESTORE}") from error

    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_file(self.path)
        return self._connection


def _patiently(call: Callable[[], T]) -> T:
    """While another process holds the file, wait with jitter, so that nobody starves."""
    deadline, pause = time.monotonic() + BUSY_SECONDS, 0.0002
    while True:
        try:
            return call()
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > deadline:
                raise
        time.sleep(random.uniform(0.0, pause))  # noqa: S311 - nothing secret hangs on it
        pause = min(1.5 * pause, 0.003)
