"""A process forks while a ledger or a client is in use: both sides go on, and nothing is lost."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import router
from router.budgets import Hold
from router.ledgers.sqlite import SQLiteLedger

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ROOT = Path(router.__file__).parent.parent
HOLD = Hold(
    key="total/UTC/",
    window_start=datetime(2026, 11, 22, 12, tzinfo=UTC),
    resets_at=None,
    limit=10**12,
    hard=True,
    name="all",
)

PRELUDE = """
import multiprocessing, os, subprocess, sys, threading, time, warnings
from datetime import UTC, datetime, timedelta
from router.budgets import Hold
from router.ledgers import Record, Reservation, Settlement
from router.ledgers.sqlite import SQLiteLedger
from router.types import Cost, Usage

warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: forking with threads
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOLD = Hold(key="total/UTC/", window_start=NOW, resets_at=None, limit=10**12, hard=True,
            name="all")
RECORD = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")


def spend(ledger, name, calls, pause=0.0):
    for i in range(calls):
        rid = f"{name}/{i}"
        ledger.reserve(Reservation(id=rid, at=NOW, lease_until=NOW + timedelta(minutes=10),
                                   amount=10, holds=(HOLD,), record=RECORD))
        ledger.settle(rid, Settlement(at=NOW, usage=Usage(output_tokens=1), cost=Cost(pico=7)))
        time.sleep(pause)


def in_child(work):
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        os._exit(0)
    except BaseException as error:
        print(repr(error), file=sys.stderr, flush=True)
        os._exit(1)


def reap(pid):
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


path, prelude = sys.argv[1:]
ledger = SQLiteLedger(path)
"""


def run(script, path):
    """Run `script` after the prelude, in an interpreter of its own; a hang is a failure."""
    with subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, str(path), PRELUDE],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # its children, too
            pytest.fail("a process hangs")
    assert (process.returncode, err) == (0, "")
    return out


def booked(path):
    """How many calls each side has booked, after the whole file was checked."""
    ledger = SQLiteLedger(path)
    ledger.check()
    names = [entry.reservation_id.split("/")[0] for entry in ledger.entries()]
    (balance,) = ledger.balances([HOLD])
    ledger.close()
    assert (balance.spent, balance.reserved) == (7 * len(names), 0)
    return {name: names.count(name) for name in sorted(set(names))}


def test_both_sides_of_a_fork_go_on(tmp_path):
    """Parent and child settle at once through the ledger they share: every call is booked."""
    path = tmp_path / "ledger.sqlite3"
    run(
        """
spend(ledger, "before", 5)
child = in_child(lambda: spend(ledger, "child", 25, 0.002))
spend(ledger, "parent", 25, 0.002)
reap(child)
ledger.check()
""",
        path,
    )
    assert booked(path) == {"before": 5, "child": 25, "parent": 25}


def test_a_parent_that_closes_takes_nothing_from_its_child(tmp_path):
    """The parent closes while the child writes, and a third process comes and goes.

    SQLite's locks belong to a process. With an inherited connection the child would hold none:
    the others would take themselves for the last and delete the log that it writes to.
    """
    path = tmp_path / "ledger.sqlite3"
    run(
        """
spend(ledger, "before", 1)
started, closed = os.pipe(), os.pipe()
def work():
    spend(ledger, "child/early", 10)
    os.write(started[1], b"x")
    os.read(closed[0], 1)
    spend(ledger, "child/late", 40, 0.01)
child = in_child(work)
spend(ledger, "parent", 5)
os.read(started[0], 1)
ledger.close()
os.write(closed[1], b"x")
stranger = '''
for i in range(20):
    spend(ledger, f"stranger/{i}", 1, 0.01)
    ledger.close()
'''
subprocess.run([sys.executable, "-c", prelude + stranger, path, prelude], check=True)
reap(child)
""",
        path,
    )
    assert booked(path) == {"before": 1, "child": 50, "parent": 5, "stranger": 20}


def test_a_child_that_ends_takes_nothing_from_its_parent(tmp_path):
    """A child closes what it inherited and ends: the parent's next calls are on the file."""
    path = tmp_path / "ledger.sqlite3"
    run(
        """
spend(ledger, "before", 1)
def work():
    ledger.close()
    SQLiteLedger(path).check()
for i in range(3):
    child = in_child(work)
    spend(ledger, f"parent/{i}", 10)
    reap(child)
other = "SQLiteLedger(path).check(); spend(ledger, 'other', 10); ledger.close()"
subprocess.run([sys.executable, "-c", prelude + other, path, prelude], check=True)
spend(ledger, "after", 10)
""",
        path,
    )
    assert booked(path) == {"after": 10, "before": 1, "other": 10, "parent": 30}


def test_a_pool_of_forked_workers_books_every_call(tmp_path):
    """multiprocessing's workers inherit a ledger in use; the parent spends beside them."""
    path = tmp_path / "ledger.sqlite3"
    run(
        """
def work(name):
    spend(ledger, name, 10)
    return name

spend(ledger, "before", 1)
with multiprocessing.get_context("fork").Pool(3) as pool:
    waiting = pool.map_async(work, [f"worker/{i}" for i in range(6)], chunksize=1)
    spend(ledger, "parent", 20)
    assert len(waiting.get(20)) == 6
    pool.close()
    pool.join()
""",
        path,
    )
    assert booked(path) == {"before": 1, "parent": 20, "worker": 60}


def test_a_fork_beside_a_thread_that_writes_does_not_hang_the_child(tmp_path):
    """Another thread is in a transaction at the moment of the fork: the child can use the ledger.

    A lock that was copied while held would stay locked in the child, where its owner is not.
    """
    path = tmp_path / "ledger.sqlite3"
    out = run(
        """
spend(ledger, "before", 1)
inside = threading.Event()
def slowly():
    def operation(rows):
        inside.set()
        time.sleep(0.3)
        rows.account("total/UTC/", NOW).adjusted += 0
    ledger._submit(operation)
    print("committed", flush=True)
thread = threading.Thread(target=slowly)
thread.start()
inside.wait()
child = in_child(lambda: spend(ledger, "child", 3))
reap(child)
thread.join()
spend(ledger, "after", 2)
""",
        path,
    )
    assert out == "committed\n"
    assert booked(path) == {"after": 2, "before": 1, "child": 3}


def test_forks_amid_threads_that_never_stop_writing(tmp_path):
    """However a fork falls among the writes of two threads, no call of either side is lost."""
    path = tmp_path / "ledger.sqlite3"
    run(
        """
def work(name):
    spend(ledger, f"thread/{name}", 60)
threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
for thread in threads:
    thread.start()
children = [in_child(lambda: spend(ledger, f"child/{i}", 5)) for i in range(6)]
for child in children:
    reap(child)
for thread in threads:
    thread.join()
""",
        path,
    )
    assert booked(path) == {"child": 30, "thread": 120}


def test_a_ledger_in_memory_survives_in_the_parent():
    """It cannot be opened again, so it stays open: the child works on a copy of its own."""
    run(
        """
def names(ledger):
    return [entry.reservation_id.split("/")[0] for entry in ledger.entries()]
spend(ledger, "before", 2)
def work():
    assert names(ledger) == ["before", "before"]
    spend(ledger, "child", 3)
    assert names(ledger)[2:] == ["child"] * 3
    ledger.check()
    ledger.close()
reap(in_child(work))
spend(ledger, "after", 1)
assert names(ledger) == ["before", "before", "after"], names(ledger)
assert ledger.balances([HOLD])[0].spent == 21
ledger.check()
""",
        ":memory:",
    )


def test_a_ledger_made_during_a_fork_locks_nobody_out(tmp_path):
    """While the fork waits for one ledger, a thread makes another: both can be used after."""
    path = tmp_path / "ledger.sqlite3"
    run(
        """
spend(ledger, "before", 1)
inside, made = threading.Event(), []
def busy():
    def operation(rows):
        inside.set()
        time.sleep(0.3)  # the fork waits for this transaction
        made.extend(SQLiteLedger(path) for _ in range(20))
    ledger._submit(operation)
    # what the fork holds back can be had again after it, by any thread
    for i, other in enumerate((ledger, *made)):
        spend(other, f"thread/{i}", 1)
thread = threading.Thread(target=busy, daemon=True)
thread.start()
inside.wait()
child = in_child(lambda: spend(ledger, "child", 1))
reap(child)
thread.join(5)
assert not thread.is_alive(), "a ledger is locked for good"
""",
        path,
    )
    assert booked(path) == {"before": 1, "child": 1, "thread": 21}


CLIENT = """
from router import Client, tokens
from router.testing import MockTransport, reply

MESSAGES = [{"role": "user", "content": "hello world " * 200}]
MODEL = "deepseek-v3.2@deepinfra"

def ask(client, times=1):
    for _ in range(times):
        answer = client.chat.completions.create(MESSAGES, model=MODEL)
        assert answer.choices[0].message.content == "ok"

def made():
    return Client(transport=MockTransport(*[reply("ok")] * 40), keys={"deepinfra": "t"},
                  ledger=":memory:")

client = made()
"""


@pytest.mark.parametrize(
    "owner",
    [
        "client._core",
        "client._core.upkeep.load",
        "client._core.services().drift",
        "tokens._pieces",
    ],
)
def test_a_lock_that_a_thread_holds_at_a_fork_does_not_hang_the_child(owner):
    """The thread is not in the child and can never let go there: the child has its own locks."""
    run(
        CLIENT
        + f"""
ask(client)
owner = {owner}
inside, go = threading.Event(), threading.Event()
def hold():
    with owner._lock:
        inside.set()
        go.wait()
thread = threading.Thread(target=hold)
thread.start()
inside.wait()
reap(in_child(lambda: ask(client, 2)))
go.set()
thread.join()
ask(client, 2)
""",
        ":memory:",
    )


def test_a_fork_while_a_client_asks_its_servers():
    """A thread waits for the network in a client's first call: the child does not wait for it, and
    asks anew.
    """
    run(
        CLIENT
        + """
found, parent = client._core.portfolio.discover, os.getpid()
inside, go = threading.Event(), threading.Event()
def discover():
    if os.getpid() == parent:
        inside.set()
        go.wait()
    found()
client._core.portfolio.discover = discover
thread = threading.Thread(target=lambda: ask(client))
thread.start()
inside.wait()
reap(in_child(lambda: ask(client, 2)))
go.set()
thread.join()
ask(client, 2)
""",
        ":memory:",
    )


def test_forks_amid_threads_that_never_stop_asking():
    """However a fork falls among the calls of two threads, each child can use the client.

    All is imported before: a fork amid an import is Python's own to mend.
    """
    run(
        CLIENT
        + """
ask(client)
threads = [threading.Thread(target=ask, args=(client, 15)) for _ in range(2)]
for thread in threads:
    thread.start()
for _ in range(4):
    reap(in_child(lambda: ask(client, 2)))
for thread in threads:
    thread.join()
""",
        ":memory:",
    )
