"""The default ledger: one SQLite file, safe under threads, processes and power loss.

WAL with synchronous=FULL: a commit that returned is on disk. Every operation is one
BEGIN IMMEDIATE transaction. `balances` is a running total of `holds` and `entries`.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from router.budgets import _queries as sql
from router.budgets._connect import RESTORE, open_file
from router.budgets._rows import BALANCE_KEYS, ENTRY_SELECT, entry_from_row, micros
from router.budgets.ledger import (
    Balance,
    Entry,
    EntryKind,
    Hold,
    Reservation,
    Settlement,
    exceeded,
)
from router.errors import CorruptLedgerError, LedgerError
from router.types import Cost, Usage


class SQLiteLedger:
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
        self.path = str(path)
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        _ledgers[id(self)] = self

    def reserve(self, reservation: Reservation) -> None:
        """Set the amount aside in all holds or in none; see `Ledger.reserve`.

        What crashed processes left behind is swept first.
        """
        record = json.dumps(asdict(reservation.record), sort_keys=True)
        with self._transaction() as db:
            self._sweep(db, reservation.at)
            known = db.execute(
                "SELECT amount, record FROM reservations WHERE id = ?", (reservation.id,)
            ).fetchone()
            if known:
                if known != (reservation.amount, record):
                    raise LedgerError(f"reservation {reservation.id!r} exists with other contents")
                return
            holds = reservation.holds
            for hold, balance in zip(holds, sql.balances(db, holds), strict=True):
                taken = balance.spent + balance.reserved
                if hold.hard and taken + reservation.amount > hold.limit:
                    raise exceeded(hold, balance, reservation.amount, "this call may cost up to")
            db.execute(
                "INSERT INTO reservations VALUES (?, ?, ?, ?, ?)",
                (
                    reservation.id,
                    micros(reservation.at),
                    micros(reservation.lease_until),
                    reservation.amount,
                    record,
                ),
            )
            db.execute(
                "INSERT INTO open_reservations VALUES (?, ?)",
                (reservation.id, micros(reservation.lease_until)),
            )
            # Several budgets may share an account (a hard limit beside a soft one): moved once.
            for account in dict.fromkeys((h.key, micros(h.window_start)) for h in holds):
                db.execute("INSERT INTO holds VALUES (?, ?, ?)", (reservation.id, *account))
                db.execute(
                    "INSERT INTO balances (key, window_start, reserved) VALUES (?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET reserved = reserved + excluded.reserved",
                    (*account, reservation.amount),
                )

    def settle(self, reservation_id: str, settlement: Settlement) -> Entry:
        """Turn a reservation into spend; see `Ledger.settle`."""
        with self._transaction() as db:
            amount = sql.amount_of(db, reservation_id)
            past = sql.resolution(db, reservation_id)
            if past is None:
                self._resolve(db, reservation_id, "settle", amount, settlement)
            elif past.kind == "settle":
                if (past.cost, past.usage) != (settlement.cost.pico, settlement.usage):
                    raise LedgerError(f"{reservation_id!r} was settled with another cost already")
            else:  # expired or released: the truth arrives late and the difference is booked
                self._correct(db, reservation_id, past, settlement)
            return sql.last_entry(db, reservation_id)

    def release(self, reservation_id: str, *, at: datetime, outcome: str) -> None:
        """Return a reservation whose call was not charged; see `Ledger.release`."""
        nothing = Settlement(at=at, usage=Usage(), cost=Cost(pico=0), outcome=outcome)
        with self._transaction() as db:
            if not sql.exists(db, reservation_id):
                return  # interrupted before it was made: there is nothing to return
            amount = sql.amount_of(db, reservation_id)
            past = sql.resolution(db, reservation_id)
            if past is None:
                self._resolve(db, reservation_id, "release", amount, nothing)
            elif past.kind == "expire":
                self._correct(db, reservation_id, past, nothing)
            elif past.kind == "settle":
                raise LedgerError(f"{reservation_id!r} is settled and can no longer be released")

    def sweep(self, now: datetime) -> int:
        """Charge every reservation past its lease in full; see `Ledger.sweep`."""
        with self._transaction() as db:
            return self._sweep(db, now)

    def balances(self, holds: Sequence[Hold]) -> list[Balance]:
        """The balance of each hold's account in its window."""
        with self._lock, self._errors():
            return sql.balances(self._db(), holds)

    def entries(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Entry]:
        """Entries with since <= at < until, oldest first."""
        low = micros(since) if since else -(2**63)
        high = micros(until) if until else 2**63 - 1
        with self._lock, self._errors():
            rows = self._db().execute(
                f"{ENTRY_SELECT} WHERE e.at >= ? AND e.at < ? ORDER BY e.seq",
                (low, high),
            )
            found = [entry_from_row(row) for row in rows]
        return iter(found)

    def check(self) -> None:
        """Read the whole file and compare the running totals with the entries.

        Raises:
            CorruptLedgerError: damaged pages, or totals that the entries do not add up to.
        """
        with self._lock, self._errors():
            db = self._db()
            verdict = db.execute("PRAGMA quick_check(1)").fetchone()[0]
            wrong = db.execute(BALANCE_KEYS).fetchall()
        if verdict != "ok" or wrong:
            detail = verdict if verdict != "ok" else f"{len(wrong)} balances differ from entries"
            raise CorruptLedgerError(f"ledger {self.path}: {detail}. {RESTORE}")

    def close(self) -> None:
        """Close the file. A later call opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _sweep(self, db: sqlite3.Connection, now: datetime) -> int:
        lost = db.execute(
            "SELECT o.id, r.amount, r.record FROM open_reservations o "
            "JOIN reservations r ON r.id = o.id WHERE o.lease_until < ?",
            (micros(now),),
        ).fetchall()
        for reservation_id, amount, record in lost:
            assumed = Settlement(
                at=now,
                usage=Usage(estimated=True),
                cost=Cost(pico=amount, rates_id=json.loads(record)["rates_id"]),
                outcome="lost",
            )
            self._resolve(db, reservation_id, "expire", amount, assumed)
        return len(lost)

    def _resolve(
        self, db: sqlite3.Connection, rid: str, kind: EntryKind, amount: int, end: Settlement
    ) -> None:
        sql.insert_entry(db, rid, kind, end, end.cost.pico, max(0, end.cost.pico - amount))
        db.execute("DELETE FROM open_reservations WHERE id = ?", (rid,))
        sql.move(db, rid, spent=end.cost.pico, reserved=-amount)

    def _correct(self, db: sqlite3.Connection, rid: str, past: Entry, truth: Settlement) -> None:
        delta = truth.cost.pico - past.cost
        done = db.execute(
            "SELECT cost FROM entries WHERE reservation_id = ? AND kind = 'correct'", (rid,)
        ).fetchone()
        if done:
            if done[0] != delta:
                raise LedgerError(f"{rid!r} was corrected to another cost already")
            return
        sql.insert_entry(db, rid, "correct", truth, delta, 0)
        sql.move(db, rid, spent=delta, reserved=0)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._errors():
            db = self._db()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OverflowError as error:
            raise LedgerError(f"ledger {self.path}: a number is too large for it") from error
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


_ledgers: weakref.WeakValueDictionary[int, SQLiteLedger] = weakref.WeakValueDictionary()
_forking = threading.Lock()
_held: list[SQLiteLedger] = []


def _before_fork() -> None:
    """Close what a child must not inherit: closed there, it would drop the parent's locks.

    The locks are held over the fork, so that no transaction is under way in it.
    """
    _forking.acquire()
    # While we wait for one, another thread may make more of them.
    while more := [x for ref in _ledgers.valuerefs() if (x := ref()) and x not in _held]:
        for ledger in more:
            ledger._lock.acquire()
            _held.append(ledger)
            if ledger.path != ":memory:":  # that one would be lost; a child gets a copy of it
                ledger.close()


def _after_fork() -> None:
    while _held:
        _held.pop()._lock.release()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
