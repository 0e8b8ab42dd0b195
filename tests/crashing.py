"""Processes that die at a chosen step of a call, as `kill -9` or a power cut would end them.

Run as a script it is a nursery: it loads the library once, and forks a child for each line on its
standard input. The steps are those of `crash_steps.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from calling import FixedScorer, in_order
from catalogs import rate, small
from crash_steps import ANSWER, WHOLE, AsyncProvider, Provider, Steps, watch_round_trips

import router
from policies import cheapest
from router import AsyncClient, Budget, Client
from router._drive import Drive
from router._drive_async import AsyncDrive
from router.budgets import holds_for
from router.errors import ConnectionFailedError, RateLimitError
from router.ledgers import Reservation, Settlement
from router.ledgers.lease import LeasedLedger
from router.testing import MockTransport
from router.types import Cost, Usage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATE = NOW + timedelta(days=1)
LIMIT = "1"


def budget():
    """One account for each case."""
    return Budget(LIMIT, "total", {"case": "*"})


def hold(case):
    """The budget's hold for a case."""
    return holds_for([budget()], {"case": case}, NOW, "")[0]


def open_ledger(at):
    """The ledger at a path, or at a URL with the name of a schema behind "#"."""
    if at.startswith("postgresql://"):
        from router.ledgers.postgres import PostgresLedger

        url, _, schema = at.partition("#")
        return PostgresLedger(url, schema=schema)
    from router.ledgers.sqlite import SQLiteLedger

    return SQLiteLedger(at)


FAILS = {
    "refused": (RateLimitError,),
    "lost answer": (ConnectionFailedError,),
    "interrupted": (KeyboardInterrupt,),
}
"""What calls of a scenario end with, where they do not end well."""
CACHED = ("kept answer", "cached answer")
"""Scenarios with a response cache: it is empty, or has the answer."""


def settings(ledger):
    return {
        "catalog": small(rate(), endpoint={"max_output_tokens": 50}),
        "keys": {"h": "k"},
        "base_urls": {"h": "http://127.0.0.1:9"},
        "ledger": ledger,
        "budgets": budget(),
        "scorer": FixedScorer(),
        "policy": in_order,
        "now": lambda: NOW,
        "max_retries": 0,
    }


def arguments(case, **more):
    return {
        "messages": [{"role": "user", "content": "Which colour has the zebra?"}],
        "model": "m@h",
        "max_tokens": 20,
        "tags": {"case": case},
    } | more


def run(scenario, case, ledger, provider, steps, cache):
    """Play a scenario; those of the response cache have it in the directory `cache`."""
    if scenario == "sweep":
        return _obeyed(steps, "sweep", lambda: ledger.sweep(LATE))
    if scenario == "late settle":
        truth = Settlement(at=LATE, usage=Usage(input_tokens=12), cost=Cost(pico=WHOLE))
        return _obeyed(steps, "settle", lambda: ledger.settle(case, truth))
    if scenario == "async answer":
        return asyncio.run(_awaited(case, ledger, provider))
    # Under a policy that is not the library's, the tag `case` would make it another request.
    more = {"cache": cache, "policy": cheapest()} if scenario in CACHED else {}
    client = Client(transport=provider, **settings(ledger) | more)
    if "stream" not in scenario:
        return client.chat.completions.create(**arguments(case))
    with client.chat.completions.create(**arguments(case, stream=True)) as stream:
        steps.reach("the caller has the stream")
        for i, _ in enumerate(stream):
            steps.reach("the caller has a chunk")
            if scenario == "closed stream" and i == 1:
                break
    return None


async def _awaited(case, ledger, provider):
    client = AsyncClient(transport=AsyncProvider(provider), **settings(ledger))
    await client.chat.completions.create(**arguments(case))


def _obeyed(steps, name, work):
    steps.reach(f"before {name}")
    steps.doing = name
    work()
    steps.doing = None
    steps.reach(f"after {name}")


def prepare(scenario, case, ledger):
    """What a scenario finds in the ledger."""
    if scenario in {"sweep", "late settle"}:
        ledger.reserve(reservation(case))
    if scenario == "late settle":
        ledger.sweep(LATE)


def reservation(case):
    """One that nobody resolves."""
    record = router.ledgers.Record(
        request_id=case,
        candidate="m@h",
        model="m",
        mode="chat",
        host="h",
        policy="p",
        tags={"case": case},
    )
    return Reservation(
        id=case,
        at=NOW,
        lease_until=NOW + timedelta(minutes=10),
        amount=2 * WHOLE,
        holds=(hold(case),),
        record=record,
    )


def child(given):
    """Play the scenario to its end or to its death; tell the steps that were reached."""
    steps = Steps(given["kill_at"])
    connect = sqlite3.connect

    def traced(*positional, **named):
        connection = connect(*positional, **named)
        connection.set_trace_callback(steps.statement)
        return connection

    sqlite3.connect = traced
    if given["ledger"].startswith("postgresql://"):
        watch_round_trips(steps)
    Drive._obey = steps.watch(Drive._obey)
    AsyncDrive._obey = steps.watch(AsyncDrive._obey)
    books = os.open(given["books"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    ledger = open_ledger(given["ledger"])
    ledger.balances([hold(given["case"])])  # set up before the steps are counted
    if given["scenario"].startswith("leased"):
        # Without its thread: the same steps each time.
        ledger = LeasedLedger(ledger, now=lambda: NOW, background=False)
    provider = Provider(steps, books, given["scenario"])
    with contextlib.suppress(*FAILS.get(given["scenario"], ())):
        run(given["scenario"], given["case"], ledger, provider, steps, given["cache"])
    if given["scenario"].startswith("leased"):
        _obeyed(steps, "close", ledger.close)  # rows and what is left of slabs go to the store
    ledger.close()
    Path(given["names"]).write_text(json.dumps(steps.names), encoding="utf-8")


class Nursery:
    """Forks a child for each case, from a process without threads of its own."""

    def __init__(self, ledger, scratch):
        self.ledger, self.scratch = ledger, scratch
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__))],
            cwd=Path(router.__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def play(self, scenario, case, kill_at=0, *, cache="-"):
        """The steps that were reached by a child that lived (None if it was killed), and the
        pico-dollars that the provider bills.
        """
        if scenario == "cached answer":
            self.play("kept answer", f"{case}-before", cache=cache)
        names, books = self.scratch / "names", self.scratch / "books"
        for file in (names, books):
            file.unlink(missing_ok=True)
        given = {
            "scenario": scenario,
            "case": case,
            "kill_at": kill_at,
            "ledger": self.ledger,
            "names": str(names),
            "books": str(books),
            "cache": str(self.scratch / f"cache-{cache}"),
        }
        self._process.stdin.write(json.dumps(given) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        assert status == (-signal.SIGKILL if kill_at else 0), f"{scenario}, {kill_at}: {status}"
        reached = None if kill_at else json.loads(names.read_text(encoding="utf-8"))
        return reached, sum(map(int, books.read_text(encoding="utf-8").split()))

    def close(self):
        """End it."""
        self._process.communicate(timeout=30)


def main():
    # What every child needs is loaded once: the vocabulary, and what the first call imports.
    with Client(transport=MockTransport(ANSWER), **settings(":memory:")) as client:
        client.chat.completions.create(**arguments("warm"))
    gc.freeze()
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            try:
                child(json.loads(line))
                os._exit(0)
            except BaseException:  # noqa: BLE001 - a child never goes on as its parent
                sys.excepthook(*sys.exc_info())
                os._exit(1)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
