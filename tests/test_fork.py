"""A ledger that is in use when its process forks: both sides go on, and nothing is lost."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import router
from router.budgets import Hold
from router.budgets.sqlite import SQLiteLedger

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
from router.budgets import Hold, Record, Reservation, Settlement
from router.budgets.sqlite import SQLiteLedger
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


def reap(*pids):
    for pid in pids:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


path = sys.argv[1]
ledger = SQLiteLedger(path)
"""


def run(script, path):
    """Run `script` after the prelude, in an interpreter of its own; a hang is a failure."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + script, str(path)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def booked(path):
    """How many calls each side has booked, after the whole file was checked."""
    ledger = SQLiteLedger(path)
    ledger.check()
    names = [entry.reservation_id.split("/")[0] for entry in ledger.entries()]
    (balance,) = ledger.balances([HOLD])
    ledger.close()
    assert (balance.spent, balance.reserved) == (7 * len(names), 0)
    return {name: names.count(name) for name in dict.fromkeys(sorted(names))}


def test_both_sides_of_a_fork_go_on(tmp_path):
    """Parent and child settle in turn through the ledger they share: every call is booked."""
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

    SQLite's locks belong to a process: with an inherited connection the child would hold none,
    the others would each take themselves for the last one and delete the log that it writes to.
    """
    path = tmp_path / "ledger.sqlite3"
    run(
        """
spend(ledger, "before", 1)
opened, closed = os.pipe(), os.pipe()
def work():
    spend(ledger, "child", 10)
    os.write(opened[1], b"x")
    os.read(closed[0], 1)
    spend(ledger, "child/late", 40, 0.01)
child = in_child(work)
spend(ledger, "parent", 5)
os.read(opened[0], 1)
ledger.close()
os.write(closed[1], b"x")
stranger = f"ledger = SQLiteLedger({path!r})\\nfor i in range(20):\\n"
stranger += "    spend(ledger, f'stranger/{i}', 1)\\n    ledger.close()\\n    time.sleep(0.01)\\n"
subprocess.run([sys.executable, "-c", PRELUDE + stranger, path], check=True)
reap(child)
""",
        path,
    )
    assert booked(path) == {"before": 1, "child": 50, "parent": 5, "stranger": 20}
