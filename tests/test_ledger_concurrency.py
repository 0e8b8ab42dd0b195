"""One ledger file under threads, processes and crashes."""

import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import router
from router.budgets import Hold
from router.errors import BudgetExceededError
from router.ledgers import Record, Reservation, Settlement
from router.ledgers.sqlite import SQLiteLedger
from router.types import Cost, Usage

ROOT = Path(router.__file__).parent.parent
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AMOUNT, FITS = 7, 40
LEASE = timedelta(minutes=10)

CHILD = """
import os, sys, time
from datetime import UTC, datetime, timedelta
from router.budgets import Hold
from router.ledgers import Record, Reservation, Settlement
from router.ledgers.sqlite import SQLiteLedger
from router.errors import BudgetExceededError
from router.types import Cost, Usage

path, name, gate, calls, amount, limit, mode = sys.argv[1:]
now = datetime(2026, 11, 22, 12, tzinfo=UTC)
record = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")
hold = Hold(key="total/UTC/", window_start=now, resets_at=None, limit=int(limit), hard=True,
            name="all")
ledger = SQLiteLedger(path)
print("ready", flush=True)
while not os.path.exists(gate):
    time.sleep(0.001)
admitted = 0
for i in range(int(calls)):
    rid = f"{name}/{i}"
    try:
        ledger.reserve(Reservation(id=rid, at=now, lease_until=now + timedelta(minutes=10),
                                   amount=int(amount), holds=(hold,), record=record))
    except BudgetExceededError:
        continue
    admitted += 1
    if mode == "hang":
        print("reserved", flush=True)
        time.sleep(60)
    cost = Cost(pico=int(amount))
    ledger.settle(rid, Settlement(at=now, usage=Usage(output_tokens=1), cost=cost))
print(admitted)
"""


def hold(limit=AMOUNT * FITS):
    return Hold(
        key="total/UTC/", window_start=NOW, resets_at=None, limit=limit, hard=True, name="all"
    )


def reservation(rid, at=NOW, amount=AMOUNT):
    return Reservation(
        id=rid,
        at=at,
        lease_until=at + LEASE,
        amount=amount,
        holds=(hold(),),
        record=Record(
            request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p"
        ),
    )


def child(path, name, gate, *, calls=1, mode="run"):
    """A process that is ready to reserve and settle, and begins when the file `gate` is there."""
    arguments = (path, name, gate, calls, AMOUNT, AMOUNT * FITS, mode)
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def finished(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return int(out)


def test_threads_admit_exactly_what_fits(tmp_path):
    """Sixteen threads that want 160 calls of a budget for 40 get 40, and spend is exact."""
    ledger = SQLiteLedger(tmp_path / "ledger.sqlite3")
    gate = threading.Barrier(16)

    def work(thread):
        gate.wait()
        admitted = 0
        for i in range(8):
            rid = f"{thread}/{i}"
            try:
                ledger.reserve(reservation(rid))
            except BudgetExceededError:
                continue
            ledger.settle(
                rid, Settlement(at=NOW, usage=Usage(output_tokens=1), cost=Cost(pico=AMOUNT))
            )
            admitted += 1
        return admitted

    with ThreadPoolExecutor(16) as pool:
        admitted = list(pool.map(work, range(16)))
    assert sum(admitted) == FITS
    (balance,) = ledger.balances([hold()])
    assert (balance.spent, balance.reserved) == (AMOUNT * FITS, 0)
    ledger.check()
    ledger.close()


def test_threads_that_settle_the_same_call_book_it_once(tmp_path):
    """When a call is settled from many threads at once, it is one entry."""
    ledger = SQLiteLedger(tmp_path / "ledger.sqlite3")
    ledger.reserve(reservation("r"))
    end = Settlement(at=NOW, usage=Usage(output_tokens=1), cost=Cost(pico=5))
    with ThreadPoolExecutor(8) as pool:
        entries = list(pool.map(lambda _: ledger.settle("r", end), range(16)))
    assert all(entry == entries[0] for entry in entries)
    assert [e.cost for e in ledger.entries()] == [5]
    ledger.close()


def test_processes_admit_exactly_what_fits(tmp_path):
    """Four processes that create the file at the same moment share its budget to the last call."""
    path = tmp_path / "new" / "ledger.sqlite3"
    gate = tmp_path / "gate"
    processes = [child(path, f"p{i}", gate, calls=20) for i in range(4)]
    gate.touch()
    admitted = [finished(process) for process in processes]
    assert sum(admitted) == FITS
    ledger = SQLiteLedger(path)
    (balance,) = ledger.balances([hold()])
    assert (balance.spent, balance.reserved) == (AMOUNT * FITS, 0)
    assert len(list(ledger.entries())) == FITS
    ledger.check()
    ledger.close()


def test_many_connections_create_one_file(tmp_path):
    """However many open a file that is not there yet, one creates it and all can use it."""
    for round_ in range(8):
        path = tmp_path / f"{round_}.sqlite3"
        gate = threading.Barrier(12)

        def work(i, path=path, gate=gate):
            ledger = SQLiteLedger(path)  # a connection of its own, as a process would have
            gate.wait()
            ledger.reserve(reservation(f"r{i}"))
            ledger.close()

        with ThreadPoolExecutor(12) as pool:
            list(pool.map(work, range(12)))
        ledger = SQLiteLedger(path)
        assert ledger.balances([hold()])[0].reserved == 12 * AMOUNT
        ledger.check()
        ledger.close()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that cannot be caught")
def test_a_killed_process_is_charged_after_its_lease(tmp_path):
    """Killed between reserve and settle, a call stays reserved, then counts as lost in full."""
    path = tmp_path / "ledger.sqlite3"
    process = child(path, "victim", tmp_path, mode="hang")
    assert process.stdout.readline() == "reserved\n"
    process.kill()
    process.communicate()
    ledger = SQLiteLedger(path)
    assert ledger.balances([hold()])[0].reserved == AMOUNT
    ledger.reserve(reservation("early", at=NOW + LEASE))
    assert [e.kind for e in ledger.entries()] == []
    late = NOW + LEASE + timedelta(seconds=1)
    ledger.reserve(reservation("late", at=late))
    (lost,) = ledger.entries()
    assert (lost.reservation_id, lost.kind, lost.cost) == ("victim/0", "expire", AMOUNT)
    assert (lost.outcome, lost.estimated, lost.at) == ("lost", True, late)
    (balance,) = ledger.balances([hold()])
    assert (balance.spent, balance.reserved) == (AMOUNT, 2 * AMOUNT)
    ledger.check()
    ledger.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_opens_its_own_connection(tmp_path):
    """A ledger that was used before a fork works on both sides of it."""
    path = tmp_path / "ledger.sqlite3"
    script = (
        "import os, sys\n"
        "from router.ledgers.sqlite import SQLiteLedger\n"
        "ledger = SQLiteLedger(sys.argv[1])\n"
        "assert ledger.balances([]) == []\n"
        "mine = ledger._reader\n"
        "child = os.fork()\n"
        "if not child:\n"
        "    assert list(ledger.entries()) == [] and ledger._reader is not mine\n"
        "    ledger.close()\n"
        "    os._exit(0)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0\n"
        "assert list(ledger.entries()) == [] and ledger._reader is not mine\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
