"""`router.ledgers.view.Books` on rows that a transaction has locked and read already.

Operations change them in memory, so that those of one transaction see each other; what changed
is written at its end, many rows with one statement.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias

from router.errors import UnknownRequestError
from router.ledgers._sqlite.rows import (
    ENTRY_COLUMNS,
    adjustment_row,
    entry_from,
    entry_row,
    grade_row,
    micros,
    own_ids,
    record_from,
    record_text,
)
from router.ledgers.entries import Adjustment, Entry, Grade, Reservation
from router.ledgers.notices import Late, late_in
from router.ledgers.view import Account, Known, Part

Ask: TypeAlias = Callable[[str, Sequence[Any]], list[tuple[Any, ...]]]
"""Runs a named statement in the transaction: its rows."""

_WRITES = ("add", "hold", "open", "slab", "append", "adjust")
_SECONDS = ENTRY_COLUMNS.split(", ").index("seconds")


class NotPreparedError(Exception):
    """An operation touched what is not locked: another try, with this among its needs."""

    def __init__(self, *, at: tuple[str, datetime] | None = None, rid: str = "") -> None:
        super().__init__("not locked")
        self.at, self.rid = at, rid


@dataclass(slots=True)
class Loaded:
    """What was read: see `router.ledgers._postgres.load`.

    `asked` are the reservations that were looked for, `parts` what each set aside where, `state`
    the row of each that is there, and `remembered` those that this process made.
    """

    accounts: dict[tuple[str, datetime], tuple[int, int, int]] = field(default_factory=dict)
    buckets: dict[str, list[Account]] = field(default_factory=dict)
    frozen: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    parts: dict[str, tuple[Part, ...]] = field(default_factory=dict)
    remembered: dict[str, Known] = field(default_factory=dict)
    state: dict[str, tuple[Any, ...]] = field(default_factory=dict)


class PostgresBooks:
    """The rows of one transaction; `writes` are the statements for what changed."""

    def __init__(self, ask: Ask, loaded: Loaded) -> None:
        self._ask, self._loaded = ask, loaded
        self._accounts = {at: Account(*at, *sums) for at, sums in loaded.accounts.items()}
        self._known: dict[str, Known] = {}
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _WRITES}
        self._leases: dict[str, int] = {}
        self._drawn: dict[str, int] = {}
        self._freezes: dict[str, bool] = {}
        self._warned = False
        self.locked = loaded.accounts.keys()
        self.opened: list[Known] = []
        self.ended: list[str] = []
        self.late: list[Late] = []

    def account(self, key: str, window_start: datetime) -> Account:
        found = self._accounts.get((key, window_start))
        if found is None:
            raise NotPreparedError(at=(key, window_start))
        return found

    def buckets(self, key: str, since: datetime) -> Iterable[Account]:
        if key not in self._loaded.buckets:
            raise NotPreparedError(at=(key, since))
        # Those that are locked may have changed in this transaction.
        found = {a.window_start: a for a in self._loaded.buckets[key]}
        found |= {start: a for (k, start), a in self._accounts.items() if k == key}
        return [a for start, a in found.items() if start >= since]

    def frozen(self, key: str) -> bool:
        return self._freezes.get(key, key in self._loaded.frozen)

    def freeze(self, key: str, frozen: bool) -> None:
        self._freezes[key] = frozen

    def known(self, reservation_id: str) -> Known | None:
        if not reservation_id or reservation_id in self._known:
            return self._known.get(reservation_id)
        if reservation_id not in self._loaded.asked:
            raise NotPreparedError(rid=reservation_id)
        found = self._read(reservation_id)
        if found is not None:
            self._known[reservation_id] = found
        return found

    def add(self, known: Known, reservation: Reservation, *, is_open: bool) -> None:
        self._known[known.id] = known
        rows, lease = self._rows, micros(reservation.lease_until)
        at, record = micros(reservation.at), record_text(known.record)
        decision = reservation.decision or None
        rows["add"].append((known.id, at, lease, known.amount, record, known.tokens, decision))
        for part in known.parts:
            start = micros(part.window_start)
            rows["hold"].append((known.id, part.key, start, part.unit, part.amount))
        if is_open:
            rows["open"].append((known.id, lease))
            self.opened.append(replace(known))
        if known.slab:
            rows["slab"].append((known.id, 0))

    def close(self, known: Known) -> None:
        self.ended.append(known.id)

    def drew(self, slab: Known) -> None:
        self._drawn[slab.id] = slab.drawn

    def extend(self, known: Known, lease_until: datetime) -> None:
        self._leases[known.id] = micros(lease_until)

    def append(self, entry: Entry) -> None:
        row = list(entry_row(entry))
        row[_SECONDS] = float(entry.seconds)  # an array is of one type
        self._rows["append"].append(tuple(row))
        self.late += late_in(entry, self._known)

    def adjust(self, adjustment: Adjustment) -> None:
        self._rows["adjust"].append(adjustment_row(adjustment))

    def adjusted(self, adjustment_id: str) -> bool:
        booked = any(row[0] == adjustment_id for row in self._rows["adjust"])
        return booked or bool(self._ask("adjusted", [adjustment_id]))

    def overdue(self, now: datetime) -> Iterable[Known]:
        rows = self._loaded.state.items()
        due = [i for i, row in rows if row[-1] is not None and row[-1] < micros(now)]
        known = [self.known(i) for i in due if i not in self._leases]
        return [k for k in known if k is not None and k.past is None]

    def first_to_warn(self, key: str, window_start: datetime, share: float, caller: str) -> bool:
        """See `Ledger.warned`. `caller` tells whether it was us, before a reply was lost."""
        row = [key, micros(window_start), share]
        self._ask("warn", [*row, caller])
        self._warned = True
        return self._ask("who_warned", row) == [(caller,)]

    def grade(self, grades: Sequence[Grade], caller: str) -> int:
        """See `Ledger.grade`. `caller` tells what was ours, before a reply was lost."""
        made = {known.record.request_id for known in self._known.values()}
        asked = sorted({grade.request_id for grade in grades})
        wanted = [(rid, *own_ids(rid)) for rid in asked if rid not in made]
        if wanted and (gone := self._ask("unknown", [list(c) for c in zip(*wanted, strict=True)])):
            raise UnknownRequestError(f"the ledger has no request {gone[0][0]!r}")
        rows = sorted((*grade_row(grade), caller) for grade in grades)
        self._ask("grade", [list(column) for column in zip(*rows, strict=True)])
        self._warned = True
        return int(self._ask("graded", [caller, asked])[0][0])

    def writes(self) -> Iterator[tuple[str, Sequence[Any]]]:
        """Names of statements and their values; nothing when nothing changed."""
        for name, rows in self._rows.items():
            if rows:
                # In one order, so that two transactions with the same new rows cannot block.
                yield name, [list(c) for c in zip(*_ordered(name, rows), strict=True)]
        if self.ended:
            yield "close", [self.ended]
        if self._drawn:
            yield "draw", _columns(self._drawn)
        if self._leases:
            yield "extend", _columns(self._leases)
        moved = [row for at, a in self._accounts.items() if any((row := self._change(at, a))[2:])]
        if moved:
            yield "move", [list(column) for column in zip(*moved, strict=True)]
        for name, frozen in (("freeze", True), ("unfreeze", False)):
            if keys := sorted(key for key, is_ in self._freezes.items() if is_ == frozen):
                yield name, [keys]

    @property
    def warned(self) -> bool:
        """Whether something was written already."""
        return self._warned

    def _change(self, at: tuple[str, datetime], account: Account) -> tuple[Any, ...]:
        spent, reserved, adjusted = self._loaded.accounts[at]
        return (
            account.key,
            micros(account.window_start),
            account.spent - spent,
            account.reserved - reserved,
            account.adjusted - adjusted,
        )

    def _read(self, reservation_id: str) -> Known | None:
        row = self._loaded.state.get(reservation_id)
        if row is None:
            return None
        if reservation_id not in self._loaded.parts:
            raise NotPreparedError(rid=reservation_id)
        _, amount, tokens, record, drawn, lease = row
        known = self._loaded.remembered.get(reservation_id)
        if known is not None:
            known.drawn = drawn or 0
        known = known or Known(
            id=reservation_id,
            amount=amount,
            tokens=tokens,
            record=record_from(record),
            parts=self._loaded.parts[reservation_id],
            slab=drawn is not None,
            drawn=drawn or 0,
        )
        if lease is None:
            lines = [entry_from(r[:-1]) for r in self._ask("ended", [reservation_id])]
            known.past = _sum([line for line in lines if line.kind != "correct"])
            known.corrected = _sum([line for line in lines if line.kind == "correct"])
        return known


def _ordered(name: str, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    # Lines keep the order in which they were booked.
    return rows if name in {"append", "adjust"} else sorted(rows)


def _columns(values: Mapping[str, int]) -> list[list[Any]]:
    return [list(values), list(values.values())]


def _sum(lines: Sequence[Entry]) -> Entry | None:
    if not lines:
        return None
    return replace(
        lines[-1],
        cost=sum(line.cost for line in lines),
        tokens=sum(line.tokens for line in lines),
        requests=sum(line.requests for line in lines),
    )
