"""Leases of real processes on one file: forks, ends without a close, kill -9."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

import router
from router._clock import utcnow
from router.budgets import Balance
from router.ledgers.sqlite import SQLiteLedger
from tests.leasing import hold

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ROOT = Path(router.__file__).parent.parent
ALL = hold("all", 2000)
PRELUDE = """
import os, sys, threading, time, warnings
from router._clock import utcnow
from router.ledgers.lease import LeasedLedger
from router.ledgers.sqlite import SQLiteLedger
from router.errors import BudgetExceededError, LedgerError
from tests.leasing import hold, reservation, settlement

warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: forking with threads
ALL = hold("all", 2000)
path, name = sys.argv[1:]
ledger = LeasedLedger(SQLiteLedger(path))


def spend(ledger, name, calls, cost=1):
    for i in range(calls):
        now = utcnow()
        ledger.reserve(reservation(f"{name}/{i}", cost, [ALL], at=now))
        ledger.settle(f"{name}/{i}", settlement(cost, now))
"""


def start(script, path, name="p"):
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + script, str(path), name],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, code=0):
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (code, "")
    return out


def test_a_process_that_ends_without_closing_leaves_nothing_behind(tmp_path):
    """At exit its rows are written and its slabs given back."""
    path = tmp_path / "l.sqlite3"
    finish(start('spend(ledger, "a", 50)', path))
    ledger = SQLiteLedger(path)
    assert ledger.balances([ALL]) == [Balance(spent=50)]
    assert sum(e.kind == "settle" for e in ledger.entries()) == 50
    ledger.check()
    ledger.close()


def test_the_thread_writes_and_gives_back_by_itself(tmp_path):
    """No call of ours is needed: soon all is in the file, and the thread ends."""
    script = """
ledger = LeasedLedger(SQLiteLedger(path), seconds=0.1)
spend(ledger, "a", 50)
deadline = time.monotonic() + 60
while threading.active_count() > 1 and time.monotonic() < deadline:
    time.sleep(0.05)
print(threading.active_count(), SQLiteLedger(path).balances([ALL])[0].spent, flush=True)
os._exit(0)
"""
    path = tmp_path / "l.sqlite3"
    assert finish(start(script, path)) == "1 50\n"
    ledger = SQLiteLedger(path)
    assert ledger.balances([ALL]) == [Balance(spent=50)]
    ledger.close()


def test_a_child_has_slabs_of_its_own(tmp_path):
    """After a fork each side spends what it leased itself; nothing is counted twice or lost."""
    script = """
spend(ledger, "before", 50)
ledger.reserve(reservation("open", 10, [ALL], at=utcnow()))
pid = os.fork()
if not pid:
    try:
        ledger.settle("open", settlement(10))
    except LedgerError:
        spend(ledger, "child", 50)
        ledger.close()
        os._exit(0)
    os._exit(1)
spend(ledger, "parent", 50)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
ledger.settle("open", settlement(10, utcnow()))
ledger.close()
"""
    path = tmp_path / "l.sqlite3"
    finish(start(script, path))
    ledger = SQLiteLedger(path)
    assert ledger.balances([ALL]) == [Balance(spent=160)]
    ledger.check()
    ledger.close()


def test_processes_share_a_budget_and_one_is_killed(tmp_path):
    """Four processes of four threads at one limit, one of them killed: it is not passed, what was
    spent is charged, and what the dead one held is charged when its lease ends."""
    script = """
def work(thread):
    try:
        for i in range(100_000):
            spend(ledger, f"{name}/{thread}/{i}", 1)
            os.write(1, b"x")
            time.sleep(0.002)
    except BudgetExceededError:
        pass

threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
ledger.close()
"""
    path = tmp_path / "l.sqlite3"
    processes = [start(script, path, f"p{n}") for n in range(4)]
    os.read(processes[0].stdout.fileno(), 1)
    processes[0].send_signal(signal.SIGKILL)
    killed = 1 + len(finish(processes[0], -signal.SIGKILL))
    others = sum(len(finish(process)) for process in processes[1:])
    ledger = SQLiteLedger(path)
    (balance,) = ledger.balances([ALL])
    assert killed + others <= balance.spent + balance.reserved <= ALL.limit
    written = sum(e.kind == "settle" for e in ledger.entries())
    assert others <= written <= others + killed + 4
    ledger.sweep(utcnow() + timedelta(minutes=5))
    (balance,) = ledger.balances([ALL])
    assert balance.reserved == 0
    assert killed + others <= balance.spent <= ALL.limit
    ledger.check()
    ledger.close()
