"""A ledger in a PostgreSQL database, for many processes on many machines.

Callers of one process share transactions (`router.ledgers.combine`). A transaction locks the rows
of the accounts that it moves, in one order for all, and no others: budgets that have nothing in
common do not wait for each other. An answer that was lost with its connection is asked for again,
for every operation is idempotent.

A lease ends by the clock of whoever sweeps. A clock that runs ahead ends it early: the call is
charged in full until its settlement corrects that, so nothing is ever overspent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

from router._locks import watch
from router.budgets.holds import Balance, Hold
from router.errors import ConfigError, CorruptLedgerError, RouterError
from router.ledgers import books
from router.ledgers import slabs as slab_rules
from router.ledgers._postgres.books import NotPreparedError, PostgresBooks
from router.ledgers._postgres.doubts import Doubts
from router.ledgers._postgres.load import Session, begin, look
from router.ledgers._postgres.needs import Memory, Needs, Task, result
from router.ledgers._postgres.reading import Reading
from router.ledgers._postgres.statements import statements
from router.ledgers._sqlite.rows import micros
from router.ledgers.combine import Combiner, Operation
from router.ledgers.entries import Adjustment, Entry, Grade, Reservation, Settlement
from router.ledgers.failing import store_failure
from router.ledgers.notices import Notices

try:  # where psycopg is missing, the name can still be imported: `from router import *`
    from router.ledgers._postgres.connect import Link, Server
    from router.ledgers._postgres.patience import CLASHES, OUTAGES, Patience
except ImportError as error:
    _missing: ImportError | None = error
else:
    _missing = None

T = TypeVar("T")

_SWEEP_EVERY = timedelta(seconds=5)
_TRIES = 10
_SWEPT = 256
"""Reservations expired in one transaction."""


class PostgresLedger(Reading):
    """A ledger in the schema `schema` of the database of `conninfo`, a URL or libpq's key words.

    The schema is created and migrated at first use. A server that was reached before is waited
    for up to `timeout` seconds. Connections are this process's own, two of them; a pooler has to
    keep sessions.

    Raises:
        ConfigError: no psycopg, no connection string or no name for a schema.
        LedgerError: from every method: the server cannot be reached or refuses.
    """

    def __init__(self, conninfo: str, *, schema: str = "centroute", timeout: float = 30.0) -> None:
        if _missing is not None:
            raise ConfigError(
                "a ledger in PostgreSQL needs psycopg, which cannot be imported here. Install it: "
                "pip install 'centroute[postgres]'"
            ) from _missing
        server = Server(conninfo, schema)
        self.place, self.notices = server.place, Notices()
        self._doubts = Doubts(self.notices)
        self._texts = statements(schema)
        self._patience = Patience(timeout, server.place)
        # Two connections: to read never has to wait for a commit.
        self._writing, self._reading = Link(server), Link(server)
        self._memory = Memory()
        self._swept: datetime | None = None
        self._sweeping = threading.Lock()
        self._combiner: Combiner[PostgresBooks] = Combiner(
            self._perform, outages=(*OUTAGES, RouterError)
        )
        watch(self)

    def __repr__(self) -> str:
        return f"PostgresLedger({self.place})"

    def reserve(self, reservation: Reservation) -> None:
        """Set the amounts aside in all holds or in none; see `Ledger.reserve`.

        Every few seconds what crashed processes left behind is swept first.
        """
        self._sweep_at_times(reservation.at)
        self._submit(
            Task(
                lambda rows: books.reserve(rows, reservation),
                made=reservation.id,
                holds=reservation.holds,
            )
        )

    def settle(self, reservation_id: str, settlement: Settlement) -> Entry:
        """Turn a reservation into spend; see `Ledger.settle`."""
        entry: Entry = self._submit(
            Task(lambda rows: books.settle(rows, reservation_id, settlement), [reservation_id])
        )
        return entry

    def release(self, reservation_id: str, *, at: datetime, outcome: str) -> None:
        """Return a reservation whose call was not charged; see `Ledger.release`."""
        self._submit(
            Task(lambda rows: books.release(rows, reservation_id, at, outcome), [reservation_id])
        )

    def post(self, reservation: Reservation, settlement: Settlement) -> Entry:
        """Record a call that nobody reserved; see `Ledger.post`."""
        return self.draw(reservation, settlement, {})

    def draw(
        self, reservation: Reservation, settlement: Settlement, slabs: Mapping[str, str]
    ) -> Entry:
        """Record a call that was paid from slabs; see `SlabLedger.draw`."""
        entry: Entry = self._submit(
            Task(
                lambda rows: books.post(rows, reservation, settlement, slabs),
                ids=tuple(slabs.values()),
                made=reservation.id,
                holds=reservation.holds,
            )
        )
        return entry

    def give_back(self, slab_id: str, at: datetime) -> None:
        """Return what is left of a slab; see `SlabLedger.give_back`."""
        self._submit(Task(lambda rows: books.give_back(rows, slab_id, at), [slab_id]))

    def extend(self, slab_ids: Sequence[str], lease_until: datetime) -> list[str]:
        """Renew the leases of slabs; see `SlabLedger.extend`."""
        still: list[str] = self._submit(
            Task(lambda rows: books.extend(rows, slab_ids, lease_until), tuple(slab_ids))
        )
        return still

    def exchange(self, asked: slab_rules.Exchange) -> slab_rules.Exchanged:
        """Post what was paid from slabs, and take new ones; see `SlabLedger.exchange`."""
        if asked.leases:
            self._sweep_at_times(asked.at)
        done: slab_rules.Exchanged = self._submit(
            Task(lambda rows: slab_rules.exchange(rows, asked), asked.ids, holds=asked.holds)
        )
        return done

    def sweep(self, now: datetime) -> int:
        """Charge every reservation past its lease in full; see `Ledger.sweep`."""
        swept, before = 0, [""]
        while True:
            due = [i for (i,) in self._ask("overdue", [micros(now), _SWEPT])]
            if not due or due == before:
                return swept
            # Locked, they are looked at again: another process may sweep the same ones.
            swept += self._submit(Task(lambda rows: books.sweep(rows, now), due))
            before = due

    def adjust(self, adjustments: Sequence[Adjustment], holds: Sequence[Hold]) -> None:
        """Book changes of budgets, all or none; see `Ledger.adjust`."""
        self._submit(
            Task(
                lambda rows: books.adjust(rows, adjustments, holds),
                holds=holds,
                accounts=[(a.key, a.window_start) for a in adjustments],
            )
        )

    def warned(self, key: str, window_start: datetime, share: float) -> bool:
        """Whether this caller is the first to warn of this share; see `Ledger.warned`."""
        caller = uuid4().hex
        first: bool = self._submit(
            Task(lambda rows: rows.first_to_warn(key, window_start, share, caller))
        )
        return first

    def grade(self, grades: Iterable[Grade]) -> int:
        """Keep grades of answers, all or none; see `Ledger.grade`."""
        caller, found = uuid4().hex, tuple(grades)
        if not found:
            return 0
        new: int = self._submit(Task(lambda rows: rows.grade(found, caller)))
        return new

    def balances(self, holds: Sequence[Hold]) -> list[Balance]:
        """The balance of each hold's account in its window."""
        needs = Needs().want_holds(holds)

        def read(session: Session) -> list[Balance]:
            rows = look(session, needs)
            return [books.balance_of(rows, hold) for hold in holds]

        return self._read(read)

    def check(self) -> None:
        """Compare the running totals with the entries, in one snapshot.

        Raises:
            CorruptLedgerError: they do not add up to the totals.
        """
        ((wrong,),) = self._ask("wrong", [])
        if wrong:
            raise CorruptLedgerError(
                f"ledger {self.place}: {wrong} balances differ from entries. It was left as it "
                "is. Restore a copy of it, or name a new schema or database."
            )

    def close(self) -> None:
        """Close the connections. A later call opens them again."""
        for link in (self._writing, self._reading):
            with link.lock:
                link.drop()

    def before_fork(self) -> None:
        """Wait for what is under way, then close the connections."""
        self._sweeping.acquire()
        for link in (self._writing, self._reading):
            link.lock.acquire()
            link.drop()

    def after_fork(self, *, in_child: bool) -> None:
        """Go on."""
        if in_child:
            self._combiner.reset()
            self._doubts = Doubts(self.notices)  # the parent tells its own
        for link in (self._reading, self._writing):
            link.lock.release()
        self._sweeping.release()

    def _sweep_at_times(self, now: datetime) -> None:
        with self._sweeping:
            if self._swept is not None and abs(now - self._swept) < _SWEEP_EVERY:
                return
            before, self._swept = self._swept, now
        try:
            self.sweep(now)
        except BaseException:
            self._swept = before
            raise

    def _submit(self, task: Operation[PostgresBooks]) -> Any:
        with self._patience.errors():
            return self._combiner.submit(task)

    def _perform(self, tasks: Sequence[Operation[PostgresBooks]]) -> list[Any]:
        """Perform tasks in one transaction; see `router.ledgers.combine.Perform`."""
        needs = Needs().want(task for task in tasks if isinstance(task, Task))
        return self._patience.run(lambda: self._transact(tasks, needs))

    def _transact(self, tasks: Sequence[Operation[PostgresBooks]], needs: Needs) -> list[Any]:
        with self._writing.lock:
            for _ in range(_TRIES):
                rows: PostgresBooks | None = None
                session = Session(self._writing.open(), self._texts)
                try:
                    rows = begin(session, needs, self._memory)
                    self._doubts.settle(session)
                    results = [result(task, rows) for task in tasks]
                    changed = session.finish(rows)
                except NotPreparedError as missing:
                    self._writing.undo()
                    needs.add(missing)
                except CLASHES:
                    self._writing.undo()
                    raise
                except BaseException:
                    # Failed or interrupted, who knows at what: a new connection is sound.
                    self._doubts.keep(rows.late if rows else ())
                    self._writing.drop()
                    raise
                else:
                    if changed:
                        self._memory.learn(rows.locked, rows.opened, rows.ended)
                        self.notices.late(rows.late)
                    return results
        raise store_failure(f"ledger {self.place}: its rows change faster than they can be locked")

    def _ask(self, name: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._read(lambda session: session.ask(name, values))

    def _read(self, read: Callable[[Session], T]) -> T:
        def attempt() -> T:
            with self._reading.lock:
                try:
                    return read(Session(self._reading.open(), self._texts))
                except BaseException:
                    self._reading.drop()
                    raise

        with self._patience.errors():
            return self._patience.run(attempt)
