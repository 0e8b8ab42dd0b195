"""Processes that die at a chosen step of a call, as `kill -9` or a power cut would end them.

Run as a script it is a nursery: it loads the library once, and forks a child for each line on its
standard input. Nothing of this is in the library: effects, transport, statements of SQLite and
round trips to PostgreSQL are watched from outside.
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

import router
from policies import cheapest
from router import AsyncClient, Budget, Client
from router._drive import Drive
from router._drive_async import AsyncDrive
from router.budgets import Reservation, Settlement, holds_for
from router.errors import ConnectionFailedError, RateLimitError
from router.testing import MockTransport, chunks, reply
from router.types import Cost, Usage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LATE = NOW + timedelta(days=1)
LIMIT = "1"
INPUT, OUTPUT = 1_000_000, 2_000_000
"""Prices of `rate()` in pico-dollars a token."""
ANSWER = reply("one two three four", input_tokens=12, output_tokens=4)
WHOLE = 12 * INPUT + 4 * OUTPUT
"""What the provider bills for the whole answer, in pico-dollars."""


def budget():
    """One account for each case."""
    return Budget(LIMIT, "total", {"case": "*"})


def hold(case):
    """The budget's hold for a case."""
    return holds_for([budget()], {"case": case}, NOW, "")[0]


def open_ledger(at):
    """The ledger at a path, or at a URL with the name of a schema behind "#"."""
    if at.startswith("postgresql://"):
        from router.budgets.postgres import PostgresLedger

        url, _, schema = at.partition("#")
        return PostgresLedger(url, schema=schema)
    from router.budgets.sqlite import SQLiteLedger

    return SQLiteLedger(at)


FAILS = {
    "refused": (RateLimitError,),
    "lost answer": (ConnectionFailedError,),
    "interrupted": (KeyboardInterrupt,),
}
"""What calls of a scenario end with, where they do not end well."""
CACHED = ("kept answer", "cached answer")
"""Scenarios with a response cache: it is empty, or has the answer."""


class Steps:
    """The steps that were reached; at number `kill_at` (from 1) the process is killed."""

    def __init__(self, kill_at):
        self.kill_at = kill_at
        self.names = []
        self.doing = None
        """The effect that is being obeyed: whose statements are steps."""

    def reach(self, name):
        self.names.append(name)
        if len(self.names) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def statement(self, sql):
        """Called by SQLite before it executes a statement."""
        if self.doing and not sql.startswith(("SELECT", "PRAGMA", "--")):
            self.reach(f"{self.doing}: {' '.join(sql.split()[:3])}")

    def watch(self, method):
        """`Drive._obey` or `AsyncDrive._obey`, with a step before and after each effect."""
        steps = self

        def before(effect):
            name = type(effect).__name__.lower()
            steps.reach(f"before {name}")
            steps.doing = name
            return name

        def after(name):
            steps.doing = None
            steps.reach(f"after {name}")

        if asyncio.iscoroutinefunction(method):

            async def obey(drive, effect):
                name = before(effect)
                try:
                    return await method(drive, effect)
                finally:
                    after(name)
        else:

            def obey(drive, effect):
                name = before(effect)
                try:
                    return method(drive, effect)
                finally:
                    after(name)

        return obey


class Provider:
    """A transport to a host that writes down what it bills before it tells."""

    def __init__(self, steps, books, scenario):
        self.steps, self.books, self.scenario = steps, books, scenario

    def bill(self, pico):
        os.write(self.books, b"%d\n" % pico)

    def _out(self, billed):
        self.steps.reach("the request goes out")
        if self.scenario == "refused":
            raise RateLimitError("busy", candidate="m@h", status_code=429)
        self.bill(billed)
        self.steps.reach("the request is out")

    def send(self, call):
        self._out(WHOLE)
        if self.scenario == "lost answer":
            raise ConnectionFailedError("broke", candidate="m@h", billable=True)
        if self.scenario == "interrupted":
            raise KeyboardInterrupt
        self.steps.reach("the answer is here")
        return ANSWER

    def open(self, call):
        self._out(12 * INPUT)
        self.steps.reach("the stream is open")
        return Source(self)

    def close(self):
        pass


class Source:
    """Its stream: a token a chunk, then the usage."""

    def __init__(self, provider):
        self.provider, self.left = provider, chunks(ANSWER)

    def read(self):
        if not self.left:
            return None
        chunk = self.left.pop(0)
        if chunk.text:
            self.provider.bill(OUTPUT)
        self.provider.steps.reach("a chunk is here" if chunk.text else "the usage is here")
        return chunk

    def close(self):
        pass


class AsyncProvider:
    """The same for an event loop."""

    def __init__(self, provider):
        self.provider = provider

    async def send(self, call):
        return self.provider.send(call)

    async def close(self):
        pass


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
    if scenario not in {"stream", "closed stream"}:
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
    record = router.budgets.Record(
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
    provider = Provider(steps, books, given["scenario"])
    with contextlib.suppress(*FAILS.get(given["scenario"], ())):
        run(given["scenario"], given["case"], ledger, provider, steps, given["cache"])
    ledger.close()
    Path(given["names"]).write_text(json.dumps(steps.names), encoding="utf-8")


def watch_round_trips(steps):
    """A step before and after each exchange with PostgreSQL."""
    import psycopg

    wait = psycopg.Connection.wait

    def watched(connection, *positional, **named):
        if not steps.doing:
            return wait(connection, *positional, **named)
        steps.reach(f"{steps.doing}: round trip")
        answer = wait(connection, *positional, **named)
        steps.reach(f"{steps.doing}: answered")
        return answer

    psycopg.Connection.wait = watched


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
