"""What ledgers tell of late lines: with what calls said they cost it is the ledger's total."""

import gc
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import settings as checked
from hypothesis import strategies as st
from leasing import Clock, Flaky, hold, reservation, settlement
from stores import needs_postgres, schema_fixture

from router import SQLiteLedger
from router.errors import LedgerError
from router.ledgers.lease import LeasedLedger
from router.ledgers.notices import Notices, layers
from router.ledgers.outage import Outage

__all__ = ["schema_fixture"]

ALL = (hold("all", 10**9),)


class Told:
    """Who watches a ledger, and keeps what it was told."""

    def __init__(self):
        self.lines, self.failures = [], []

    def tells(self, record):
        return 0

    def late(self, lines):
        self.lines += lines

    def failed(self, operation, action, calls=1):
        self.failures.append((operation, action, calls))

    @property
    def amount(self):
        return sum(line.amount for line in self.lines)


def watched(*ledgers):
    """One who watches all of these, and what they stand before."""
    told = Told()
    for ledger in ledgers:
        for layer in layers(ledger):
            layer.notices.add(told)
    return told


def booked(ledger):
    return sum(entry.cost for entry in ledger.entries())


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["reserve", "settle", "release", "post", "sweep", "wait"]),
        st.integers(0, 2),
        st.integers(0, 60),
        st.integers(0, 1),
    ),
    max_size=40,
)


def play(ledgers, steps, clock, made=None, ended=None):
    """Calls that several processes make, in any order; what those that ended say they cost."""
    made, ended, spent = {} if made is None else made, set() if ended is None else ended, 0
    for what, i, amount, who in steps:
        ledger, rid, now = ledgers[who % len(ledgers)], f"r{i}", clock.now()
        try:
            if what == "reserve" and rid not in made:
                ledger.reserve(reservation(rid, amount, ALL, at=now, lease=30))
                made[rid] = ledger
            elif what == "settle" and rid in made and rid not in ended:
                made[rid].settle(rid, settlement(amount, now))
                spent, _ = spent + amount, ended.add(rid)
            elif what == "release" and rid in made and rid not in ended:
                made[rid].release(rid, at=now, outcome="http_500")
                ended.add(rid)
            elif what == "post" and rid not in made:
                ledger.post(reservation(rid, amount, ALL, at=now), settlement(amount, now))
                spent, made[rid] = spent + amount, ledger
                ended.add(rid)
            elif what == "sweep":
                ledger.sweep(now)
            elif what == "wait":
                clock.seconds += 20 + amount
        except LedgerError:
            if what == "reserve":  # its request is refused, and the next has an id of its own
                made[rid], _ = ledger, ended.add(rid)
            continue
    return spent


@checked(deadline=None, max_examples=60)
@given(STEPS)
def test_spend_and_late_lines_are_the_ledgers_total(tmp_path_factory, steps):
    """Whatever happens to calls of two processes: expiry by either, truths that come late."""
    path = tmp_path_factory.mktemp("late") / "l.sqlite3"
    ledgers, clock = [SQLiteLedger(path), SQLiteLedger(path)], Clock()
    told = watched(*ledgers)
    spent = play(ledgers, steps, clock)
    assert spent + told.amount == booked(ledgers[0])
    for ledger in ledgers:
        ledger.close()


@checked(deadline=None)
@given(STEPS)
def test_the_same_with_slabs(steps):
    """What processes hold and lose, and what is found again of it."""
    store, clock = SQLiteLedger(":memory:"), Clock()
    ledgers = [
        LeasedLedger(store, ttl=20.0, now=clock.now, monotonic=clock.monotonic, background=False)
        for _ in range(2)
    ]
    told = watched(*ledgers)
    spent = play(ledgers, steps, clock)
    for ledger in ledgers:
        ledger.flush()
    assert spent + told.amount == booked(store)
    store.close()


@checked(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["up", "down", "deaf"]), STEPS), max_size=4))
@pytest.mark.parametrize("mode", ["deny", "allow"])
def test_the_same_in_an_outage(mode, spells):
    """Calls that are admitted without a reservation, and ends that are written late, or twice."""
    store, clock = Flaky(), Clock()
    ledgers = [Outage(store, mode, monotonic=clock.monotonic) for _ in range(2)]
    told, spent, made, ended = watched(*ledgers), 0, {}, set()
    for store.mode, steps in spells:
        spent += play(ledgers, steps, clock, made, ended)
    store.mode = "up"
    for ledger in ledgers:
        ledger.close()
    assert spent + told.amount == booked(store.ledger)
    assert [ledger.waiting() for ledger in ledgers] == [(0, 0), (0, 0)]
    store.ledger.close()


def test_who_watches_is_not_kept_alive():
    """A ledger outlives its clients; the next of them is told."""
    notices, first, second = Notices(), Told(), Told()
    for each in (first, second, first):
        notices.add(each)
    notices.failed("reserve", "refused")
    assert (first.failures, second.failures) == ([("reserve", "refused", 1)], [])
    del first, each
    gc.collect()
    notices.failed("settle", "kept", 2)
    assert second.failures == [("settle", "kept", 2)]


def test_layers():
    """What a ledger stands before; one that names itself does not hang."""
    store = SQLiteLedger(":memory:")
    leased = LeasedLedger(store, background=False)
    outer = Outage(leased, "local-lease")
    assert list(layers(outer)) == [outer, leased, store]

    class Self:
        @property
        def ledger(self):
            return self

    assert len(list(layers(Self()))) == 3


@needs_postgres
def test_on_a_server(schema):
    """Two processes of one server: lines of either are told once, by whoever booked them."""
    ledgers, clock = [schema.ledger(), schema.ledger()], Clock()
    told = watched(*ledgers)
    steps = [("reserve", i, 40, i % 2) for i in range(4)]
    steps += [("wait", 0, 60, 0), ("sweep", 0, 0, 0), ("sweep", 0, 0, 1)]
    steps += [("settle", 0, 7, 0), ("settle", 1, 50, 1), ("release", 2, 0, 0)]
    spent = play(ledgers, steps, clock)
    assert [line.amount for line in told.lines].count(40) == 4
    assert sorted(line.amount for line in told.lines) == [-40] * 3 + [40] * 4
    assert spent + told.amount == booked(ledgers[0]) == 7 + 50 + 40


@needs_postgres
@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("how", ["sweep", "settle", "after a while"])
def test_a_commit_that_was_not_answered(schema, monkeypatch, held, how):
    """Its late lines are told once, whether the transaction held or not, by whoever comes next."""
    from psycopg import OperationalError

    from router.ledgers._postgres.load import Session

    ledger, clock, broken = schema.ledger(timeout=0.2), Clock(), []
    told = watched(ledger)
    ledger.reserve(reservation("a", 40, ALL, at=clock.now(), lease=30))
    clock.seconds += 60
    if how == "settle":
        ledger.sweep(clock.now())
    finish, most = Session.finish, 1 if how != "after a while" else 10**6

    def finish_unanswered(session, rows):
        if rows.late and len(broken) < most:
            broken.append(1)
            if held:
                finish(session, rows)
            raise OperationalError("server closed the connection unexpectedly")
        return finish(session, rows)

    monkeypatch.setattr(Session, "finish", finish_unanswered)
    if how == "settle":
        ledger.settle("a", settlement(7, clock.now()))
        assert [line.amount for line in told.lines] == [40, -40]
        assert booked(ledger) == 7
    elif how == "sweep":
        ledger.sweep(clock.now())
    else:
        with suppress(LedgerError):
            ledger.sweep(clock.now())
        monkeypatch.undo()
        ledger.reserve(reservation("b", 1, ALL, at=clock.now(), lease=30))
        ledger.sweep(clock.now())
    assert broken
    if how != "settle":
        assert [line.amount for line in told.lines] == [40]
        assert booked(ledger) == 40
