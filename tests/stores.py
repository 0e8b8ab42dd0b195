"""PostgreSQL for tests: a schema for each test, cases of the other store, processes that spend."""

import importlib.util
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

import router
from router.budgets import Hold
from router.ledgers import Record, Reservation, Settlement
from router.types import Cost, Usage

ROOT = Path(router.__file__).parent.parent

# Read now: later a fixture hides it.
POSTGRES = os.environ.get("CENTROUTE_TEST_POSTGRES", "")
DATA = os.environ.get("CENTROUTE_TEST_POSTGRES_DATA", "")

needs_postgres = pytest.mark.skipif(
    not POSTGRES, reason="needs a server: make test-postgres, or CENTROUTE_TEST_POSTGRES"
)


def say(statement, *values):
    """Run one statement on a connection of its own; its rows."""
    import psycopg

    with psycopg.connect(POSTGRES, autocommit=True) as db:
        cursor = db.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


class Schema:
    """A schema of its own, dropped at the end, and the ledgers that were opened on it."""

    def __init__(self):
        self.name = f"t{uuid4().hex[:12]}"
        self._ledgers = []

    def ledger(self, kind=None, **options):
        """A ledger with connections of its own, as another process would have."""
        from router.ledgers.postgres import PostgresLedger

        found = (kind or PostgresLedger)(POSTGRES, schema=self.name, **options)
        self._ledgers.append(found)
        return found

    def drop(self):
        for ledger in self._ledgers:
            ledger.close()
        say(f"DROP SCHEMA IF EXISTS {self.name} CASCADE")


@pytest.fixture(name="schema")
def schema_fixture():
    """A schema for one test."""
    found = Schema()
    yield found
    found.drop()


def borrowed(module):
    """Another module of tests, loaded once more."""
    path = Path(__file__).with_name(f"{module}.py")
    spec = importlib.util.spec_from_file_location(f"borrowed_{module}", path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def cases(module, *, without):
    """Tests of another module by name, to be run with the fixtures of the one that asks."""
    tests = {n: test for n, test in vars(borrowed(module)).items() if n.startswith("test_")}
    assert without <= tests.keys(), f"gone from {module}: {without - tests.keys()}"
    return {name: test for name, test in tests.items() if name not in without}


NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LEASE = timedelta(minutes=10)
AMOUNT, FITS = 7, 40
RECORD = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")

CHILD = """
import sys, threading, time
from datetime import UTC, datetime, timedelta
from router.budgets import Hold
from router.ledgers import Record, Reservation, Settlement
from router.ledgers._postgres import load
from router.ledgers.postgres import PostgresLedger
from router.errors import BudgetExceededError
from router.types import Cost, Usage

address, schema, name, threads, calls, amount, limit, mode = sys.argv[1:]
now = datetime(2026, 11, 22, 12, tzinfo=UTC)
record = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")
hold = Hold(key="k", window_start=now, resets_at=None, limit=int(limit), hard=True, name="all")
ledger = PostgresLedger(address, schema=schema)
admitted = []

if mode == "stall":
    def stall(session, rows):
        print("locked", flush=True)
        time.sleep(60)
    load.Session.finish = stall


def work(thread):
    for i in range(int(calls)):
        rid = f"{name}/{thread}/{i}"
        try:
            ledger.reserve(Reservation(id=rid, at=now, lease_until=now + timedelta(minutes=10),
                                       amount=int(amount), holds=(hold,), record=record))
        except BudgetExceededError:
            continue
        admitted.append(rid)
        if mode == "hang":
            print("reserved", flush=True)
            time.sleep(60)
        cost = Cost(pico=int(amount))
        ledger.settle(rid, Settlement(at=now, usage=Usage(output_tokens=1), cost=cost))


print("ready", flush=True)
sys.stdin.readline()
pool = [threading.Thread(target=work, args=(t,)) for t in range(int(threads))]
for t in pool: t.start()
for t in pool: t.join()
ledger.close()
print(len(admitted))
"""

FORK = """
import os, sys, threading, warnings
from datetime import UTC, datetime, timedelta
from router.budgets import Hold
from router.ledgers import Record, Reservation, Settlement
from router.ledgers.postgres import PostgresLedger
from router.types import Cost, Usage

warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: forking with threads
now = datetime(2026, 11, 22, 12, tzinfo=UTC)
record = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")
hold = Hold(key="k", window_start=now, resets_at=None, limit=10**9, hard=True, name="all")
ledger = PostgresLedger(sys.argv[1], schema=sys.argv[2])


def spend(name):
    for i in range(20):
        rid = f"{name}/{i}"
        ledger.reserve(Reservation(id=rid, at=now, lease_until=now + timedelta(minutes=10),
                                   amount=9, holds=(hold,), record=record))
        ledger.settle(rid, Settlement(at=now, usage=Usage(output_tokens=1), cost=Cost(pico=2)))
        ledger.balances([hold])


threads = [threading.Thread(target=spend, args=(f"t{i}",)) for i in range(2)]
for t in threads: t.start()
ledger.balances([hold])
child = os.fork()
if not child:
    spend("child")
    ledger.close()
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
for t in threads: t.join()
ledger.close()
"""


def hold(key="k", limit=AMOUNT * FITS, **columns):
    columns = {"window_start": NOW, "resets_at": None, "hard": True, "name": key} | columns
    return Hold(key=key, limit=limit, **columns)


def reservation(rid, *, at=NOW, amount=AMOUNT, holds=None):
    holds = (hold(),) if holds is None else holds
    return Reservation(
        id=rid, at=at, lease_until=at + LEASE, amount=amount, holds=holds, record=RECORD
    )


def settlement(cost=AMOUNT):
    return Settlement(at=NOW, usage=Usage(output_tokens=1), cost=Cost(pico=cost))


def child(schema, name, *, threads=1, calls=1, mode="run"):
    """A process that reserves and settles as soon as it gets a line."""
    arguments = (POSTGRES, schema.name, name, threads, calls, AMOUNT, AMOUNT * FITS, mode)
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def go(process):
    process.stdin.write("\n")
    process.stdin.flush()


def finished(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return int(out)


def wait_for_a_waiter(schema):
    """Until some session waits for a lock on this schema's rows."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
        if say(waits, f"%{schema.name}.%"):
            return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


class Stalled:
    """Stops the first transaction of a ledger between its lock and its commit."""

    def __init__(self, monkeypatch, ledger):
        from router.ledgers._postgres.load import Session

        self.locked, self.go = threading.Event(), threading.Event()
        finish, mine = Session.finish, ledger

        def stop(session, rows):
            if session.db is mine._writing._db and not self.locked.is_set():
                self.locked.set()
                assert self.go.wait(60)
            return finish(session, rows)

        monkeypatch.setattr(Session, "finish", stop)
