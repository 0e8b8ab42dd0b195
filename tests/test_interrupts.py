"""Ctrl-C wherever it falls: the next call goes on, nothing hangs, the books add up."""

import signal
import subprocess
import sys

import pytest

SCRIPT = """
import random, signal, sys, threading, time
from datetime import UTC, datetime, timedelta
from router.budgets import Hold
from router.ledgers import Record, Reservation, Settlement
from router.ledgers.sqlite import SQLiteLedger
from router.types import Cost, Usage

path, threads, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
now = datetime(2026, 11, 22, 12, tzinfo=UTC)
hold = Hold(key="all", window_start=now, resets_at=None, limit=10**15, hard=True, name="all")
record = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")
ledger = SQLiteLedger(path)
ledger.balances([hold])

class Stop(BaseException):
    pass

def interrupt(*_):
    raise Stop

def pair(name, i):
    rid = f"{name}/{i}"
    ledger.reserve(Reservation(id=rid, at=now, lease_until=now + timedelta(hours=1), amount=7,
                               holds=(hold,), record=record))
    ledger.settle(rid, Settlement(at=now, usage=Usage(output_tokens=1), cost=Cost(pico=5)))

end = time.monotonic() + seconds
done = [0] * threads

def work(n):
    while time.monotonic() < end:
        pair(n, done[n])
        done[n] += 1

others = [threading.Thread(target=work, args=(n,)) for n in range(1, threads)]
for thread in others:
    thread.start()
signal.signal(signal.SIGALRM, interrupt)
stopped = i = 0
while time.monotonic() < end:
    i += 1
    try:
        signal.setitimer(signal.ITIMER_REAL, random.uniform(0.00002, 0.002))
        pair("main", i)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Stop:
        stopped += 1
signal.setitimer(signal.ITIMER_REAL, 0)
for thread in others:
    thread.join(20)
    assert not thread.is_alive(), "a caller hangs"
pair("last", 0)
SQLiteLedger(path).reserve(Reservation(id="other", at=now, lease_until=now, amount=0, holds=(),
                                       record=record))  # another connection can write
ledger.check()
settled = {e.reservation_id for e in ledger.entries() if e.kind == "settle"}
for n in range(1, threads):
    assert {f"{n}/{k}" for k in range(done[n])} <= settled
assert stopped > 20, stopped
print("ok")
"""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs interval timers")
@pytest.mark.parametrize("threads", [1, 4])
def test_interrupts_leave_a_ledger_in_order(tmp_path, threads):
    """Alone, or while working for others: every caller goes on and other processes can write."""
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "l.sqlite3"), str(threads), "4"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "ok\n", done.stderr[-2000:]
