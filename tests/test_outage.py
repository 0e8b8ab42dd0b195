"""What becomes of calls while the ledger's store fails: refused, served from slabs, or recorded
afterwards; an answer that is paid for is never lost."""

import logging
import os
import threading

import pytest

from router.budgets import Balance
from router.errors import BudgetExceededError, CorruptLedgerError, LedgerError
from router.ledgers import Settlement
from router.ledgers.lease import LeasedLedger
from router.ledgers.outage import Outage
from router.ledgers.sqlite import SQLiteLedger
from router.ledgers.unposted import Unposted, find_unposted, read_unposted, write_unposted
from router.types import Cost, Usage
from tests.leasing import START, Clock, Flaky, hold, reservation, settlement

ALL = hold("all", 100)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store():
    store = Flaky()
    yield store
    store.ledger.close()


def outage(store, mode, clock, **options):
    return Outage(store, mode, monotonic=clock.monotonic, **options)


def call(rid, amount=10, holds=(ALL,)):
    return reservation(rid, amount, holds)


def by_id(store):
    return {e.reservation_id: (e.kind, e.cost) for e in store.ledger.entries()}


def test_deny_sends_nothing_and_says_why(store, clock):
    """By default a store that fails refuses the call, and one that answers again does not."""
    ledger = outage(store, "deny", clock)
    store.mode = "down"
    with pytest.raises(LedgerError, match="the store is down"):
        ledger.reserve(call("a"))
    store.mode = "up"
    ledger.reserve(call("b"))
    ledger.settle("b", settlement(7))
    ledger.close()
    assert by_id(store) == {"b": ("settle", 7)}


@pytest.mark.parametrize("mode", ["deny", "allow"])
def test_a_reservation_of_which_nobody_knows_is_not_charged(store, clock, mode):
    """The store made it, but its answer was lost: what became of the call is what is booked."""
    ledger = outage(store, mode, clock)
    store.mode = "deaf"
    if mode == "deny":
        with pytest.raises(LedgerError):
            ledger.reserve(call("a"))
    else:
        ledger.reserve(call("a"))
        ledger.settle("a", settlement(3))
    assert store.balance(ALL) == Balance(reserved=10)
    store.mode, clock.seconds = "up", 10
    ledger.balances([ALL])
    assert store.balance(ALL) == Balance(spent=0 if mode == "deny" else 3)
    assert ledger.unposted == store.open() == 0
    ledger.close()


@pytest.mark.parametrize("mode", ["deny", "allow"])
def test_a_settlement_that_fails_is_posted_later(store, clock, mode):
    """The answer is paid for: its settlement waits for the store, and is booked once."""
    ledger = outage(store, mode, clock)
    ledger.reserve(call("a"))
    ledger.reserve(call("b"))
    store.mode = "down"
    entry = ledger.settle("a", settlement(7))
    assert (entry.cost, entry.kind, entry.reserved) == (7, "settle", 10)
    assert ledger.settle("a", settlement(7)) == entry
    with pytest.raises(LedgerError, match="another cost"):
        ledger.settle("a", settlement(8))
    with pytest.raises(LedgerError, match="no longer be released"):
        ledger.release("a", at=START, outcome="failed")
    ledger.release("b", at=START, outcome="failed")
    assert ledger.unposted == 2
    store.mode, clock.seconds = "up", 10
    ledger.balances([ALL])
    assert by_id(store) == {"a": ("settle", 7), "b": ("release", 0)}
    assert [e for e in ledger.entries() if e.reservation_id == "a"] == [entry]
    ledger.close()


def test_allow_records_afterwards_what_it_admitted(store, clock):
    """Admitted without a reservation: settled, released and unfinished calls all get there."""
    ledger = outage(store, "allow", clock)
    store.mode = "down"
    assert ledger.balances([ALL]) == [Balance()]
    for rid in "abc":
        ledger.reserve(call(rid, 60))
    ledger.settle("a", settlement(50))
    ledger.release("b", at=START, outcome="failed")
    assert not ledger.warned("all", START, 0.8)
    store.mode, clock.seconds = "up", 10
    ledger.reserve(call("d", 10, [hold("other")]))
    assert store.balance(ALL) == Balance(spent=50, reserved=60)  # c is under way
    ledger.settle("c", settlement(40))
    assert ledger.unposted == 0
    assert store.balance(ALL) == Balance(spent=90)
    assert ledger.warned("all", START, 0.8)
    ledger.close()


def test_allow_refuses_what_the_budget_refuses(store, clock):
    """It is for outages only: a limit that the store can tell of holds, and so does damage."""
    ledger = outage(store, "allow", clock)
    with pytest.raises(BudgetExceededError):
        ledger.reserve(call("a", 101))

    def damaged(_):
        raise CorruptLedgerError("damaged") from OSError("bad page")

    store.reserve = damaged
    with pytest.raises(CorruptLedgerError):
        ledger.reserve(call("b"))
    assert ledger.unposted == 0


def test_allow_has_an_end(store, clock):
    """Beyond `most` calls that are not in the ledger none is admitted; none of them is lost."""
    ledger = outage(store, "allow", clock, most=3)
    store.mode = "down"
    for i in range(3):
        ledger.reserve(call(f"r{i}"))
        ledger.settle(f"r{i}", settlement(1))
    with pytest.raises(LedgerError, match="3 calls are not in the ledger"):
        ledger.reserve(call("r3"))
    store.mode, clock.seconds = "up", 10
    ledger.reserve(call("r3"))
    assert store.balance(ALL) == Balance(spent=3, reserved=10)


def test_a_store_that_failed_is_asked_after_a_pause(store, clock):
    """In an outage calls do not wait for the store one by one; the pause grows, up to 5 s."""
    ledger = outage(store, "allow", clock)
    store.mode = "down"
    for i in range(20):
        ledger.reserve(call(f"r{i}"))
    assert len(store.asked) == 1
    for _ in range(600):
        clock.seconds += 0.1
        ledger.balances([ALL])
    assert 15 <= len(store.asked) <= 25


def test_last_balances_are_told_in_an_outage(store, clock):
    """Decisions go on by what was known; with deny an unknown account is an error."""
    ledger = outage(store, "deny", clock)
    ledger.reserve(call("a", 30))
    assert ledger.balances([ALL]) == [Balance(reserved=30)]
    store.mode = "down"
    assert ledger.balances([ALL]) == [Balance(reserved=30)]
    with pytest.raises(LedgerError):
        ledger.balances([ALL, hold("other")])


def test_an_outage_is_logged_at_its_start_and_end_only(store, clock, caplog):
    """Two lines an outage, of which no call is the subject."""
    ledger = outage(store, "allow", clock)
    with caplog.at_level(logging.WARNING, logger="router"):
        store.mode = "down"
        for i in range(5):
            ledger.reserve(call(f"r{i}"))
            ledger.settle(f"r{i}", settlement(1))
            clock.seconds += 10
        store.mode = "up"
        ledger.balances([ALL])
        ledger.balances([ALL])
    assert [r.message for r in caplog.records] == [
        "the ledger's store does not answer: the store is down",
        "the ledger's store answers again, and has every call",
    ]


def test_what_cannot_be_posted_at_the_end_is_posted_by_the_next_process(tmp_path, clock):
    """Closed in an outage: a file holds the calls, and whoever opens the ledger next posts it."""
    path = tmp_path / "ledger.sqlite3"
    store = Flaky(path)
    ledger = outage(store, "allow", clock)
    assert list(tmp_path.iterdir()) == []
    store.mode = "down"
    ledger.reserve(call("a", 60))
    ledger.settle("a", settlement(50, finish_reason="stop", saved=2))
    ledger.reserve(call("b", 30))
    with pytest.raises(LedgerError, match=r"2 calls of \$\S+ are not in the ledger.*jsonl"):
        ledger.close()
    ledger.close()  # they are in the file: nothing more to say
    (left,) = find_unposted(str(path))
    assert left.stat().st_mode & 0o777 == 0o600
    store.ledger.close()

    after = outage(SQLiteLedger(path), "deny", clock)
    assert after.balances([ALL]) == [Balance(spent=50, reserved=30)]
    assert not left.exists()
    after.sweep(START.replace(year=2027))
    assert [(e.reservation_id, e.cost) for e in after.entries()] == [("a", 50), ("b", 30)]
    after.close()


def test_a_file_that_cannot_be_read_is_left_as_it_is(tmp_path, clock, caplog):
    """Somebody else's bytes cost no call, and are not thrown away."""
    path = tmp_path / "ledger.sqlite3"
    planted = tmp_path / "ledger.sqlite3.unposted-1-x.jsonl"
    planted.write_text('{"reservation": {}}\n')
    ledger = outage(SQLiteLedger(path), "deny", clock)
    ledger.reserve(call("a"))
    ledger.close()
    assert planted.exists()
    assert "cannot be read" in caplog.text


def test_a_call_in_a_file_is_the_same_call(tmp_path):
    """Every field comes back as it was written."""
    full = hold("k", 5, resets_at=START, since=START, warn=(0.5, 0.8), quantile=0.9, amount=3)
    made = reservation("r", 12, [ALL, full], tokens=7)
    usage = Usage(input_tokens=9, cache_read_tokens=3, output_tokens=2, reported_cost=4)
    end = Settlement(
        at=START, usage=usage, cost=Cost(pico=11, rates_id="x"), tokens=5, seconds=0.5
    )
    calls = [Unposted(made, end), Unposted(made, None)]
    path = write_unposted(str(tmp_path / "l"), calls)
    assert list(read_unposted(path)) == calls


def test_local_lease_spends_its_slabs_while_the_store_is_down(store, clock):
    """No store is needed while the slab lasts, then the call is refused; the limit holds."""
    leased = LeasedLedger(store, now=clock.now, monotonic=clock.monotonic, background=False)
    ledger = outage(leased, "local-lease", clock)
    for i in range(7):  # some spending, so that the slab is for more than one call
        ledger.reserve(call(f"r{i}", 5))
        ledger.settle(f"r{i}", settlement(5))
    store.mode = "down"
    admitted = 0
    with pytest.raises(LedgerError, match="the store is down"):
        for i in range(100):
            ledger.reserve(call(f"s{i}", 1))
            ledger.settle(f"s{i}", settlement(1))
            admitted += 1
    assert admitted >= 1
    store.mode = "up"
    clock.seconds += 10
    ledger.close()
    assert store.balance(ALL) == Balance(spent=35 + admitted)
    assert store.open() == 0


def test_threads_lose_nothing_in_an_outage(store, clock):
    """Sixteen threads, a store that comes and goes: what they spent is what is booked."""
    ledger = outage(store, "allow", clock)

    def work(name):
        for i in range(20):
            rid = f"{name}/{i}"
            ledger.reserve(call(rid, 1, [hold("all", 10**9)]))
            ledger.settle(rid, settlement(1))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for i, thread in enumerate(threads):
        store.mode = "down" if i % 2 else "up"
        clock.seconds += 1
        thread.start()
    for thread in threads:
        thread.join()
    store.mode, clock.seconds = "up", 10**6
    ledger.close()
    assert store.balance(hold("all")) == Balance(spent=320)
    assert store.open() == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_does_not_post_what_is_its_parents(store, clock):
    """After a fork the unposted calls are the parent's only."""
    ledger = outage(store, "allow", clock)
    store.mode = "down"
    ledger.reserve(call("a"))
    pid = os.fork()
    if not pid:
        os._exit(ledger.unposted)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ledger.unposted == 1
    store.mode = "up"
    ledger.close()
