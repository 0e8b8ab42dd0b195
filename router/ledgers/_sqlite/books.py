"""`router.ledgers.view.Books` on a SQLite connection, inside of one transaction.

Rows are read when they are asked for and kept, so that operations of one transaction see each
other; what is new is written at its end, many rows with one statement.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from router.errors import UnknownRequestError
from router.ledgers._sqlite.rows import (
    ADJUSTMENT_COLUMNS,
    ENTRY_COLUMNS,
    ENTRY_SELECT,
    GRADE_COLUMNS,
    adjustment_row,
    entry_from,
    entry_row,
    from_micros,
    grade_row,
    micros,
    own_ids,
    record_from,
    record_text,
)
from router.ledgers.entries import Adjustment, Entry, Grade, Reservation
from router.ledgers.notices import Late, late_in
from router.ledgers.view import Account, Known, Part

_REMEMBERED = 4096
_BALANCE = "SELECT spent, reserved, adjusted FROM balances WHERE key = ? AND window_start = ?"
_RESERVED = "id, at, lease_until, amount, record, tokens, decision"
_WRITES = (
    f"INSERT INTO reservations ({_RESERVED}) VALUES (?,?,?,?,?,?,?)",
    "INSERT INTO holds (reservation_id, key, window_start, unit, amount) VALUES (?,?,?,?,?)",
    "INSERT INTO open_reservations VALUES (?, ?)",
    "INSERT INTO slabs (id) VALUES (?)",
    f"INSERT INTO entries ({ENTRY_COLUMNS}) VALUES ({', '.join('?' * 20)})",
    "DELETE FROM open_reservations WHERE id = ?",
    "UPDATE slabs SET drawn = ? WHERE id = ?",
    f"INSERT INTO adjustments ({ADJUSTMENT_COLUMNS}) VALUES ({', '.join('?' * 10)})",
    "INSERT INTO balances (spent, reserved, adjusted, key, window_start) VALUES (?,?,?,?,?)",
    "UPDATE balances SET spent = ?, reserved = ?, adjusted = ? WHERE key = ? AND window_start = ?",
)
_RESERVATIONS, _HOLDS, _OPEN, _SLABS, _ENTRIES, _CLOSED, _DRAWN, _ADJUSTED, _MADE, _MOVED = range(
    10
)


class Opened:
    """Reservations that this process made and has not resolved: settling need not read them."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Known] = OrderedDict()

    def get(self, reservation_id: str) -> Known | None:
        """The reservation as it was made."""
        return self._known.get(reservation_id)

    def keep(self, known: Known) -> None:
        """Remember one."""
        self._known[known.id] = known
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def drop(self, reservation_id: str) -> None:
        """Forget one."""
        self._known.pop(reservation_id, None)


class SQLiteBooks:
    """The rows of a ledger file; `write` writes what changed."""

    def __init__(self, db: sqlite3.Connection, opened: Opened) -> None:
        self._db, self._opened = db, opened
        self._accounts: dict[tuple[str, datetime], Account] = {}
        self._loaded: dict[tuple[str, datetime], tuple[int, int, int] | None] = {}
        self._known: dict[str, Known] = {}
        self._rows: tuple[list[tuple[Any, ...]], ...] = tuple([] for _ in _WRITES)
        self._kept: list[Known] = []
        self._dropped: list[str] = []
        self._swept: datetime | None = None
        self._frozen: set[str] | None = None
        self._looked: dict[str, bool | None] = {}
        self.late: list[Late] = []

    def look_up(self, ids: list[str]) -> None:
        """Look for these reservations with one statement: each gives other threads a turn."""
        marks = ", ".join("?" * len(ids))
        self._looked = dict.fromkeys(ids)
        self._looked |= self._db.execute(
            "SELECT r.id, o.id IS NOT NULL FROM reservations r "
            f"LEFT JOIN open_reservations o ON o.id = r.id WHERE r.id IN ({marks})",
            ids,
        )

    def account(self, key: str, window_start: datetime) -> Account:
        at = key, window_start
        account = self._accounts.get(at)
        if account is None:
            row = self._db.execute(_BALANCE, (key, micros(window_start))).fetchone()
            account = self._accounts[at] = Account(key, window_start, *(row or ()))
            self._loaded[at] = row
        return account

    def buckets(self, key: str, since: datetime) -> Iterable[Account]:
        rows = self._db.execute(
            "SELECT window_start FROM balances WHERE key = ? AND window_start >= ?",
            (key, micros(since)),
        )
        for (start,) in rows.fetchall():
            self.account(key, from_micros(start))
        return [a for (k, start), a in self._accounts.items() if k == key and start >= since]

    def frozen(self, key: str) -> bool:
        if self._frozen is None:  # there are few of them
            self._frozen = {found for (found,) in self._db.execute("SELECT key FROM frozen")}
        return key in self._frozen

    def freeze(self, key: str, frozen: bool) -> None:
        self._frozen = None
        if frozen:
            self._db.execute("INSERT INTO frozen VALUES (?) ON CONFLICT DO NOTHING", (key,))
        else:
            self._db.execute("DELETE FROM frozen WHERE key = ?", (key,))

    def known(self, reservation_id: str) -> Known | None:
        found = self._known.get(reservation_id)
        if found is not None:
            return found
        if reservation_id in self._looked and self._looked[reservation_id] is None:
            return None
        ours = self._opened.get(reservation_id)
        if ours is not None and self._is_open(reservation_id):
            # A copy: what this transaction does to it may come to nothing.
            found = ours.copy()
        else:
            found = self._read(reservation_id)
        if found is not None:
            self._known[reservation_id] = found
        return found

    def add(self, known: Known, reservation: Reservation, *, is_open: bool) -> None:
        self._known[known.id] = known
        rows, lease = self._rows, micros(reservation.lease_until)
        rows[_RESERVATIONS].append(
            (
                known.id,
                micros(reservation.at),
                lease,
                known.amount,
                record_text(known.record),
                known.tokens,
                reservation.decision or None,
            )
        )
        for part in known.parts:
            start = micros(part.window_start)
            rows[_HOLDS].append((known.id, part.key, start, part.unit, part.amount))
        if is_open:
            rows[_OPEN].append((known.id, lease))
            if not known.slab:
                self._kept.append(known.copy())
        if known.slab:
            rows[_SLABS].append((known.id,))

    def close(self, known: Known) -> None:
        self._rows[_CLOSED].append((known.id,))
        self._dropped.append(known.id)

    def drew(self, slab: Known) -> None:
        self._rows[_DRAWN].append((slab.drawn, slab.id))

    def extend(self, known: Known, lease_until: datetime) -> None:
        lease = micros(lease_until)
        self._db.execute(
            "UPDATE open_reservations SET lease_until = ? WHERE id = ?", (lease, known.id)
        )

    def append(self, entry: Entry) -> None:
        self._rows[_ENTRIES].append(entry_row(entry))
        self.late += late_in(entry, self._known)

    def adjust(self, adjustment: Adjustment) -> None:
        self._rows[_ADJUSTED].append(adjustment_row(adjustment))

    def adjusted(self, adjustment_id: str) -> bool:
        row = self._db.execute("SELECT 1 FROM adjustments WHERE id = ?", (adjustment_id,))
        booked = any(row[0] == adjustment_id for row in self._rows[_ADJUSTED])
        return booked or row.fetchone() is not None

    def overdue(self, now: datetime) -> Iterable[Known]:
        if self._swept is not None and now <= self._swept:
            return ()
        self._swept = now
        rows = self._db.execute(
            "SELECT id FROM open_reservations WHERE lease_until < ?", (micros(now),)
        )
        known = [self.known(rid) for (rid,) in rows.fetchall()]
        return [k for k in known if k is not None and k.past is None]

    def first_to_warn(self, key: str, window_start: datetime, share: float) -> bool:
        """See `Ledger.warned`."""
        made = self._db.execute(
            "INSERT INTO warnings VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (key, micros(window_start), share),
        )
        return made.rowcount == 1

    def grade(self, grades: Sequence[Grade]) -> int:
        """See `Ledger.grade`."""
        made = {known.record.request_id for known in self._known.values()}
        for rid in {grade.request_id for grade in grades} - made:
            found = "SELECT 1 FROM reservations WHERE id >= ? AND id < ? LIMIT 1"
            if self._db.execute(found, own_ids(rid)).fetchone() is None:
                raise UnknownRequestError(f"the ledger has no request {rid!r}")
        new = f"INSERT INTO grades ({GRADE_COLUMNS}) VALUES (?,?,?,?,?) ON CONFLICT DO NOTHING"
        return sum(self._db.execute(new, grade_row(grade)).rowcount for grade in grades)

    def write(self) -> None:
        """Write all that changed."""
        rows = self._rows
        for at, account in self._accounts.items():
            values = account.spent, account.reserved, account.adjusted
            before = self._loaded[at]
            if values != (before or (0, 0, 0)):
                row = (*values, account.key, micros(account.window_start))
                rows[_MADE if before is None else _MOVED].append(row)
        for statement, many in zip(_WRITES, rows, strict=True):
            if len(many) == 1:
                self._db.execute(statement, many[0])
            elif many:
                self._db.executemany(statement, many)

    def committed(self) -> None:
        """The transaction holds: remember what it opened."""
        for known in self._kept:
            self._opened.keep(known)
        for rid in self._dropped:
            self._opened.drop(rid)

    def _is_open(self, reservation_id: str) -> bool:
        looked = self._looked.get(reservation_id)
        if looked is not None:
            return bool(looked)
        row = self._db.execute("SELECT 1 FROM open_reservations WHERE id = ?", (reservation_id,))
        return row.fetchone() is not None

    def _read(self, reservation_id: str) -> Known | None:
        row = self._db.execute(
            "SELECT r.amount, r.tokens, r.record, s.drawn FROM reservations r "
            "LEFT JOIN slabs s ON s.id = r.id WHERE r.id = ?",
            (reservation_id,),
        ).fetchone()
        if row is None:
            return None
        amount, tokens, record, drawn = row
        parts = self._db.execute(
            "SELECT key, window_start, unit, coalesce(amount, ?) FROM holds "
            "WHERE reservation_id = ?",
            (amount, reservation_id),
        )
        known = Known(
            id=reservation_id,
            amount=amount,
            tokens=tokens,
            record=record_from(record),
            parts=tuple(Part(key, from_micros(at), unit, n) for key, at, unit, n in parts),
            slab=drawn is not None,
            drawn=drawn or 0,
        )
        if not self._is_open(reservation_id):
            known.past = self._entry(reservation_id, "<>")
            if known.past is None:
                return known
            known.corrected = self._entry(reservation_id, "=")
        return known

    def _entry(self, reservation_id: str, is_correction: str) -> Entry | None:
        """How it ended, or the sum of its corrections."""
        rows = self._db.execute(
            f"{ENTRY_SELECT} WHERE e.reservation_id = ? AND e.kind {is_correction} 'correct' "
            "ORDER BY e.seq",
            (reservation_id,),
        )
        found = [entry_from(row) for row in rows]
        if not found:
            return None
        return replace(
            found[-1],
            cost=sum(e.cost for e in found),
            tokens=sum(e.tokens for e in found),
            requests=sum(e.requests for e in found),
        )
