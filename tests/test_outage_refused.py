"""Rows that a store refuses are no outage: nothing goes past the ledger for them, and in an
outage's backlog they stand in nobody's way."""

import copy
import logging
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.budgets import Balance
from router.errors import BudgetExceededError, CorruptLedgerError, LedgerError
from router.ledgers.failing import is_outage, store_failure
from router.ledgers.outage import Outage
from router.ledgers.sqlite import SQLiteLedger
from router.ledgers.unposted import find_unposted, read_unposted
from tests.leasing import START, Clock, Flaky, hold, reservation, settlement

ALL = hold("all", 100)
SURROGATE = UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed")


def from_(cause, kind=LedgerError):
    error = kind("refused")
    error.__cause__ = cause
    return error


def of_sqlite(code):
    error = sqlite3.OperationalError("as told")
    error.sqlite_errorcode = code
    return from_(error)


class Picky(Flaky):
    """A store that takes no reservation whose id begins with "bad"."""

    error = from_(OverflowError("too large"))

    def __getattr__(self, name):
        method = super().__getattr__(name)
        if name not in {"reserve", "post", "release"}:
            return method

        def call(made, *args, **kwargs):
            bad = getattr(made, "id", made).startswith("bad")
            if bad and self.mode == "up":
                self.asked.append(name)
                raise self.error
            return method(made, *args, **kwargs)

        return call


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store():
    store = Picky()
    yield store
    store.ledger.close()


LEDGERS = []


@pytest.fixture(autouse=True)
def told_of():
    """What is left of a test is no alarm at the end of the process."""
    yield
    while LEDGERS:
        LEDGERS.pop().forget()


def outage(store, clock, mode="allow", **options):
    LEDGERS.append(Outage(store, mode, monotonic=clock.monotonic, **options))
    return LEDGERS[-1]


def call(rid, amount=10):
    return reservation(rid, amount, (ALL,))


def admit(ledger, store, *names):
    """Calls that are served while the store is down."""
    store.mode = "down"
    for rid in names:
        ledger.reserve(call(rid))
        ledger.settle(rid, settlement(7))
    store.mode = "up"


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (from_(ConnectionResetError()), True),
        (from_(PermissionError()), True),
        (from_(from_(TimeoutError())), True),
        (store_failure("away"), True),
        (from_(store_failure("away")), True),
        (copy.copy(store_failure("away")), True),
        *((of_sqlite(code), True) for code in (5, 6, 8, 10, 13, 14, 266, 517)),
        *((of_sqlite(code), False) for code in (0, 1, 17)),
        (from_(sqlite3.OperationalError("of Python's own")), False),
        (LedgerError("no reservation 'x' in this ledger"), False),
        (from_(CorruptLedgerError("damaged")), False),
        (from_(OSError("bad page"), CorruptLedgerError), False),
        (from_(sqlite3.IntegrityError()), False),
        (from_(sqlite3.DataError()), False),
        (from_(sqlite3.InterfaceError()), False),
        (from_(OverflowError()), False),
        (from_(SURROGATE), False),
        (from_(ValueError()), False),
        (ValueError(), False),
    ],
)
def test_what_is_an_outage(error, outage):
    """The store's own failure, however it is handed on; never a row, a rule or a damaged file."""
    assert is_outage(error) is outage


@pytest.mark.parametrize("mode", ["deny", "allow"])
@pytest.mark.parametrize("cause", [OverflowError(), SURROGATE, sqlite3.IntegrityError()])
def test_a_row_that_is_refused_is_refused(store, clock, mode, cause):
    """Nothing is sent for it, nothing is kept of it, and the store goes on being asked."""
    store.error = from_(cause)
    ledger = outage(store, clock, mode)
    with pytest.raises(LedgerError, match="refused"):
        ledger.reserve(call("bad"))
    with pytest.raises(LedgerError, match="refused"):
        ledger.post(call("bad"), settlement(1))
    assert ledger.unposted == 0
    ledger.reserve(call("good"))
    assert store.balance(ALL) == Balance(reserved=10)


def test_a_refused_row_holds_up_nobody(store, clock, caplog):
    """All others are posted, and hard limits hold again; it is told of once, and counted."""
    ledger = outage(store, clock)
    admit(ledger, store, "a", "bad", "b")
    clock.seconds = 10
    with caplog.at_level(logging.WARNING, logger="router"):
        for rid in "cd":
            ledger.reserve(call(rid))
            ledger.settle(rid, settlement(7))
            clock.seconds += 10
        with pytest.raises(BudgetExceededError):
            ledger.reserve(call("e", 90))
    assert [r.message for r in caplog.records][1:] == [
        "call bad of $0.000000 is not in the ledger: refused",
        "the ledger's store answers again, and some calls are refused",
    ]
    assert store.balance(ALL) == Balance(spent=4 * 7)
    assert store.asked.count("post") == 3, "it is tried once"
    assert ledger.unposted == 1
    assert ledger.settle("bad", settlement(7)).cost == 7, "it ended, once"
    with pytest.raises(
        LedgerError, match=r"1 calls of \$0\.000000 are .* refuses them; they are lost"
    ):
        ledger.close()


def test_a_refused_row_is_left_in_a_file(tmp_path, clock, caplog):
    """The next process tries it again, posts the others of the file, and leaves the file."""
    store = Picky(tmp_path / "l.sqlite3")
    ledger = outage(store, clock)
    admit(ledger, store, "bad")
    clock.seconds = 10
    with pytest.raises(LedgerError, match=r"1 calls of .* refuses them; they are in .*jsonl"):
        ledger.close()
    assert ledger.unposted == 0
    (left,) = find_unposted(str(tmp_path / "l.sqlite3"))
    assert [c.reservation.id for c in read_unposted(left)] == ["bad"]

    after = outage(store, clock)
    after.reserve(call("a"))
    assert after.unposted == 1
    after.close()  # told of in the log; the file is there still
    assert caplog.text.count("call bad of") == 2
    assert find_unposted(str(tmp_path / "l.sqlite3")) == [left]
    store.ledger.close()

    repaired = outage(SQLiteLedger(tmp_path / "l.sqlite3"), clock)
    assert repaired.balances([ALL]) == [Balance(spent=7, reserved=10)]
    repaired.close()
    assert not left.exists()


@pytest.mark.parametrize(("end", "unposted"), [("settle", 1), ("release", 0)])
def test_a_refused_row_of_a_call_under_way(store, clock, end, unposted):
    """How it ends is what counts: of one that came to nothing, nothing is missing."""
    ledger = outage(store, clock)
    store.mode = "down"
    ledger.reserve(call("bad"))
    store.mode, clock.seconds = "up", 10
    assert ledger.balances([ALL]) == [Balance()]
    assert ledger.unposted == 1
    if end == "settle":
        ledger.settle("bad", settlement(7))
    else:
        ledger.release("bad", at=START, outcome="failed")
    assert ledger.unposted == unposted
    assert store.asked.count("reserve") + store.asked.count("post") == 2


def test_whatever_an_error_is_the_others_are_posted(store, clock):
    """A store of somebody else's may raise what it likes for a row."""
    store.error = TypeError("not for me")
    ledger = outage(store, clock)
    admit(ledger, store, "bad", "a")
    clock.seconds = 10
    assert ledger.balances([ALL]) == [Balance(spent=7)]
    assert ledger.unposted == 1


def test_a_full_disk_is_an_outage(tmp_path, clock):
    """SQLite's own word for it: calls are kept, and posted when there is room again."""
    store = SQLiteLedger(tmp_path / "l.sqlite3")
    ledger = outage(store, clock)
    ledger.reserve(call("a"))
    db = store._db()
    (most,) = db.execute("PRAGMA max_page_count").fetchone()
    db.execute("PRAGMA max_page_count = 1")
    made = [f"r{i}" for i in range(200)]
    for rid in made:
        ledger.reserve(reservation(rid, 0, (ALL,)))
        ledger.settle(rid, settlement(0))
        if ledger.unposted:
            break
    assert ledger.unposted
    db.execute(f"PRAGMA max_page_count = {most}")
    ledger.settle("a", settlement(9))
    clock.seconds = 10
    assert ledger.balances([ALL]) == [Balance(spent=9)]
    assert ledger.unposted == 0
    ledger.close()


def test_a_directory_that_cannot_be_made_is_an_outage(tmp_path, clock):
    """The calls wait for it."""
    (tmp_path / "there").write_text("no directory")
    path = tmp_path / "there" / "l.sqlite3"
    ledger = outage(SQLiteLedger(path), clock)
    ledger.reserve(call("a"))
    ledger.settle("a", settlement(7))
    assert ledger.unposted == 1
    (tmp_path / "there").unlink()
    clock.seconds = 10
    assert ledger.balances([ALL]) == [Balance(spent=7)]
    ledger.close()


@given(st.lists(st.tuples(st.sampled_from(["up", "down"]), st.booleans()), max_size=12))
def test_each_good_call_is_booked_once(calls):
    """However outages and refused rows mix: the ledger has every good call that was admitted."""
    clock, store = Clock(), Picky()
    ledger = outage(store, clock)
    good = bad = 0
    for i, (mode, refused) in enumerate(calls):
        store.mode = mode
        clock.seconds += 10
        rid = f"{'bad' if refused else 'good'}{i}"
        try:
            ledger.reserve(reservation(rid, 1, (ALL,)))
        except LedgerError:
            assert refused and mode == "up"
            continue
        ledger.settle(rid, settlement(1))
        good, bad = good + (not refused), bad + refused
    store.mode = "up"
    clock.seconds += 10
    assert ledger.balances([ALL]) == [Balance(spent=good)]
    assert ledger.unposted == bad
    assert store.open() == 0
    store.ledger.close()
