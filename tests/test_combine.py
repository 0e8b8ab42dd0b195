"""Many callers, one transaction: nothing is lost, doubled, reordered or left waiting."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from router.ledgers.combine import Combiner


class Store:
    """Performs operations on a list; every batch is written down."""

    def __init__(self, slow=0.0):
        self.batches, self.log, self.slow = [], [], slow
        self.fails = {}

    def __call__(self, operations):
        number = len(self.batches)
        self.batches.append(len(operations))
        time.sleep(self.slow)
        if number in self.fails:
            raise self.fails[number]
        results = []
        for operation in operations:
            try:
                results.append(operation(self.log))
            except ValueError as error:
                results.append(error)
        return results


class OutageError(Exception):
    pass


def noting(value):
    def operation(log):
        log.append(value)
        return value

    return operation


def refused(log):
    raise ValueError("no")


def test_every_caller_gets_its_own_result():
    """Sixteen threads of fifty operations: each is performed once, and answered with its own."""
    store = Store(slow=0.0005)
    combiner = Combiner(store)

    def work(thread):
        return [combiner.submit(noting((thread, i))) for i in range(50)]

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(work, range(16)))
    assert found == [[(thread, i) for i in range(50)] for thread in range(16)]
    assert sorted(store.log) == [(thread, i) for thread in range(16) for i in range(50)]
    assert sum(store.batches) == 800 and len(store.batches) < 800
    for thread in range(16):  # in the order in which each caller came
        assert [i for t, i in store.log if t == thread] == list(range(50))


def test_who_waits_shares_the_next_transaction():
    """While one transaction is under way, all who come are one batch after it."""
    store = Store(slow=0.05)
    combiner = Combiner(store)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(combiner.submit, noting(0))
        time.sleep(0.02)
        rest = [pool.submit(combiner.submit, noting(i)) for i in range(1, 9)]
        assert [f.result(5) for f in (first, *rest)] == list(range(9))
    assert store.batches == [1, 8]


def test_a_refusal_is_for_its_caller_alone():
    """An operation that raises does so where it was submitted; the others of the batch stand."""
    combiner = Combiner(Store(slow=0.02))
    with ThreadPoolExecutor(6) as pool:
        futures = [pool.submit(combiner.submit, noting(i) if i % 2 else refused) for i in range(6)]
    for i, future in enumerate(futures):
        if i % 2:
            assert future.result() == i
        else:
            with pytest.raises(ValueError, match="no"):
                future.result()


def test_one_that_spoils_a_transaction_does_not_spoil_the_others():
    """When a batch fails as a whole, each is tried alone: only the spoiler fails."""
    store = Store(slow=0.02)
    combiner = Combiner(store)

    def spoil(log):
        raise KeyError("bad row")  # not an answer for one: it breaks the transaction

    with ThreadPoolExecutor(5) as pool:
        futures = [pool.submit(combiner.submit, noting(i) if i != 2 else spoil) for i in range(5)]
    for i, future in enumerate(futures):
        if i == 2:
            with pytest.raises(KeyError):
                future.result()
        else:
            assert future.result() == i


def test_an_outage_is_told_to_all_at_once():
    """When the store itself fails, nobody is tried alone: all get the error, then it goes on."""
    store = Store(slow=0.05)
    store.fails = {1: OutageError("disk full")}
    combiner = Combiner(store, outages=(OutageError,))
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(combiner.submit, noting(0))
        time.sleep(0.02)
        rest = [pool.submit(combiner.submit, noting(i)) for i in range(1, 5)]
        assert first.result(5) == 0
        for future in rest:
            with pytest.raises(OutageError):
                future.result(5)
    assert store.batches == [1, 4] and store.log == [0]
    assert combiner.submit(noting(9)) == 9


def test_an_interrupted_leader_hands_over():
    """Ctrl-C in the thread that works for others: nothing of theirs is lost or left waiting."""
    store = Store(slow=0.05)
    store.fails = {1: KeyboardInterrupt()}
    combiner = Combiner(store)
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(combiner.submit, noting(0))
        time.sleep(0.02)
        rest = [pool.submit(combiner.submit, noting(i)) for i in range(1, 5)]
        outcomes = [f.exception(5) for f in (first, *rest)]
    # The first hands the lead to one of the rest; it is interrupted, the others get their answers.
    assert [type(o) for o in outcomes].count(KeyboardInterrupt) == 1
    assert outcomes.count(None) == 4
    assert combiner.submit(noting(9)) == 9
    assert sorted(store.log) == [0, 1, 2, 3, 4, 9]  # the interrupted one's, too: see `submit`


CTRL_C = """
import os, signal, sys, threading, time
from router.ledgers.combine import Combiner
signal.signal(signal.SIGINT, signal.default_int_handler)
log, gate = [], threading.Event()
combiner = Combiner(lambda operations: [operation(log) for operation in operations])
def slow(log):
    gate.wait(10)
    log.append("slow")
first = threading.Thread(target=combiner.submit, args=(slow,))
first.start()
threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    combiner.submit(lambda log: log.append("left"))
except KeyboardInterrupt:
    log.append("interrupted")
gate.set()
first.join(10)
combiner.submit(lambda log: log.append("next"))
print(log)
"""


def test_an_interrupted_waiter_leaves_no_hole():
    """Ctrl-C while waiting: the caller goes at once; its operation comes before later ones."""
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "['interrupted', 'slow', 'left', 'next']\n"
