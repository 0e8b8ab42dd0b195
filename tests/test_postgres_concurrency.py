"""One account in PostgreSQL under threads, processes and crashes."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from stores import (
    AMOUNT,
    FITS,
    FORK,
    LEASE,
    NOW,
    POSTGRES,
    ROOT,
    Stalled,
    child,
    finished,
    go,
    hold,
    needs_postgres,
    reservation,
    say,
    schema_fixture,
    settlement,
    wait_for_a_waiter,
)

from router.budgets import Balance
from router.errors import BudgetExceededError, LedgerError

__all__ = ["schema_fixture"]
pytestmark = needs_postgres


def test_threads_admit_exactly_what_fits(schema):
    """Sixteen threads that want 128 calls of a budget for 40 get 40, and spend is exact."""
    ledger = schema.ledger()

    def work(thread):
        admitted = 0
        for i in range(8):
            try:
                ledger.reserve(reservation(f"{thread}/{i}"))
            except BudgetExceededError:
                continue
            ledger.settle(f"{thread}/{i}", settlement())
            admitted += 1
        return admitted

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(work, range(16))) == FITS
    assert ledger.balances([hold()]) == [Balance(spent=AMOUNT * FITS)]
    ledger.check()


def test_processes_admit_exactly_what_fits(schema):
    """Four processes of four threads that set the schema up at once share it to the last call."""
    processes = [child(schema, f"p{i}", threads=4, calls=5) for i in range(4)]
    for process in processes:
        go(process)
    assert sum(map(finished, processes)) == FITS
    ledger = schema.ledger()
    assert ledger.balances([hold()]) == [Balance(spent=AMOUNT * FITS)]
    assert len(list(ledger.entries())) == FITS
    ledger.check()


@pytest.mark.parametrize("holds", [(hold(),), ()], ids=["a budget", "no budget"])
def test_the_same_calls_from_many_connections(schema, holds):
    """Made, settled and corrected by several processes at once, a call is booked once."""
    ledgers = [schema.ledger() for _ in range(4)]
    gate = threading.Barrier(4, timeout=60)

    def work(ledger):
        found = []
        for i in range(6):
            gate.wait()
            ledger.reserve(reservation(f"r{i}", holds=holds))
            gate.wait()
            found.append(ledger.settle(f"r{i}", settlement(5)))
            gate.wait()
            ledger.post(reservation(f"p{i}", holds=holds), settlement(3))
            gate.wait()
            ledger.reserve(reservation(f"l{i}", holds=holds))
            ledger.release(f"l{i}", at=NOW, outcome="x")
            gate.wait()
            found.append(ledger.settle(f"l{i}", settlement(2)))
        return found

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(work, ledgers))
    assert all(answer == answers[0] for answer in answers)
    assert sum(e.cost for e in ledgers[0].entries()) == 6 * (5 + 3 + 2)
    assert len(list(ledgers[0].entries())) == 6 * 4
    ledgers[0].check()


def test_overlapping_accounts_in_opposite_order(schema):
    """Calls that hold the same accounts in opposite order wait for each other, never in a circle.

    New accounts among them, and each in a batch with others.
    """
    before = say("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    ledgers = [schema.ledger() for _ in range(4)]

    def work(number):
        ledger = ledgers[number % 4]
        for i in range(12):
            keys = [f"a{i}", "b", f"c{i}", "d"]
            holds = tuple(hold(key, 10**9) for key in (keys if number % 2 else keys[::-1]))
            rid = f"{number}/{i}"
            ledger.reserve(reservation(rid, holds=holds))
            ledger.settle(rid, settlement())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert ledgers[0].balances([hold("b"), hold("c3")]) == [
        Balance(spent=8 * 12 * AMOUNT),
        Balance(spent=8 * AMOUNT),
    ]
    for ledger in ledgers:
        ledger.check()
        ledger.close()  # a session tells its statistics at its end
    after = say("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert after == before


def test_a_new_bucket_is_seen_by_who_waits(schema, monkeypatch):
    """Two processes spend from one rolling window in different buckets: only one of them fits.

    The second waits while the first adds a bucket that did not exist when the waiting began.
    """
    first, second = schema.ledger(), schema.ledger()

    def rolling(minute):
        start = NOW + timedelta(minutes=minute)
        return hold("rolling", AMOUNT, window_start=start, since=start - timedelta(hours=1))

    second.reserve(reservation("soft", amount=0, holds=(rolling(2),)))
    stalled = Stalled(monkeypatch, first)
    with ThreadPoolExecutor(2) as pool:
        one = pool.submit(first.reserve, reservation("a", holds=(rolling(1),)))
        assert stalled.locked.wait(60)
        two = pool.submit(second.reserve, reservation("b", holds=(rolling(2),)))
        wait_for_a_waiter(schema)
        stalled.go.set()
        one.result()
        with pytest.raises(BudgetExceededError):
            two.result()
    assert first.balances([rolling(2)]) == [Balance(reserved=AMOUNT)]
    # What ends in an old bucket counts in all windows that it is part of.
    second.settle("a", settlement(3))
    second.reserve(reservation("c", amount=4, holds=(rolling(3),)))
    with pytest.raises(BudgetExceededError):
        first.reserve(reservation("d", amount=1, holds=(rolling(4),)))
    first.reserve(reservation("e", amount=3, holds=(rolling(62),)))
    first.check()


def test_accounts_that_differ_do_not_wait(schema, monkeypatch):
    """While one process holds an account, others use theirs, and anyone reads."""
    first, second = schema.ledger(), schema.ledger()
    second.reserve(reservation("warm", holds=(hold("other"),)))
    stalled = Stalled(monkeypatch, first)
    with ThreadPoolExecutor(1) as pool:
        one = pool.submit(first.reserve, reservation("a"))
        assert stalled.locked.wait(60)
        second.reserve(reservation("b", holds=(hold("other"),)))
        assert first.balances([hold(), hold("other")]) == [
            Balance(),
            Balance(reserved=2 * AMOUNT),
        ]
        stalled.go.set()
        one.result()


def test_who_stops_between_lock_and_commit_loses_its_turn(schema, monkeypatch):
    """A process that hangs with the lock is cut off; when it wakes up it asks again."""
    first, second = schema.ledger(), schema.ledger()
    fits_one = (hold(limit=AMOUNT),)
    first._writing.open().execute("SET idle_in_transaction_session_timeout = '100ms'")
    stalled = Stalled(monkeypatch, first)
    with ThreadPoolExecutor(1) as pool:
        one = pool.submit(first.reserve, reservation("a", holds=fits_one))
        assert stalled.locked.wait(60)
        second.reserve(reservation("b", holds=fits_one))
        stalled.go.set()
        with pytest.raises(BudgetExceededError):
            one.result()
    assert first.balances(fits_one) == [Balance(reserved=AMOUNT)]


def test_killed_while_it_holds_the_lock(schema):
    """Killed between lock and commit, a process leaves no lock and no trace of its call."""
    process = child(schema, "victim", mode="stall")
    go(process)
    assert process.stdout.readline() == "locked\n"
    process.kill()
    process.communicate()
    ledger = schema.ledger()
    ledger.reserve(reservation("next"))
    assert ledger.balances([hold()]) == [Balance(reserved=AMOUNT)]
    assert ledger.sweep(NOW + 2 * LEASE) == 1
    ledger.check()


def test_killed_between_reserve_and_settle(schema):
    """Killed in the middle of a call, its money stays set aside, then counts as lost in full."""
    process = child(schema, "victim", mode="hang")
    go(process)
    assert process.stdout.readline() == "reserved\n"
    process.kill()
    process.communicate()
    ledger = schema.ledger()
    assert ledger.balances([hold()]) == [Balance(reserved=AMOUNT)]
    ledger.reserve(reservation("late", at=NOW + 2 * LEASE))
    (lost,) = ledger.entries()
    assert (lost.reservation_id, lost.kind, lost.cost) == ("victim/0/0", "expire", AMOUNT)
    # It was not dead after all: the truth corrects what was assumed.
    assert ledger.settle("victim/0/0", settlement(2)).cost == 2 - AMOUNT
    assert ledger.balances([hold()]) == [Balance(spent=2, reserved=AMOUNT)]
    ledger.check()


def test_a_refused_call_does_not_spoil_its_batch(schema, monkeypatch):
    """Of calls that share a transaction, one that is refused or wrong fails alone."""
    ledger = schema.ledger()
    stalled = Stalled(monkeypatch, ledger)
    with ThreadPoolExecutor(8) as pool:
        one = pool.submit(ledger.reserve, reservation("first"))
        assert stalled.locked.wait(60)
        good = [pool.submit(ledger.reserve, reservation(f"good{i}")) for i in range(3)]
        bad = [
            pool.submit(ledger.reserve, reservation("dear", amount=10**6)),
            pool.submit(ledger.settle, "ghost", settlement()),
            pool.submit(ledger.reserve, reservation("zero\0byte")),
        ]
        while len(ledger._combiner._queue) < 6:
            time.sleep(0.001)
        stalled.go.set()
        one.result()
        for future in good:
            future.result()
        errors = [type(future.exception()) for future in bad]
    assert errors == [BudgetExceededError, LedgerError, LedgerError]
    assert ledger.balances([hold()]) == [Balance(reserved=4 * AMOUNT)]
    ledger.check()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_while_threads_spend(schema):
    """Parent and child each go on with connections of their own, and the sum is exact."""
    done = subprocess.run(
        [sys.executable, "-c", FORK, POSTGRES, schema.name],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    ledger = schema.ledger()
    assert ledger.balances([hold()]) == [Balance(spent=3 * 20 * 2)]
    ledger.check()
