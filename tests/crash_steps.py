"""Steps of a call at which its process can be killed, and a provider that keeps books.

Nothing of this is in the library: effects, transport, statements of SQLite and round trips to
PostgreSQL are watched from outside.
"""

from __future__ import annotations

import asyncio
import os
import signal

from router.errors import ConnectionFailedError, RateLimitError
from router.testing import chunks, reply

INPUT, OUTPUT = 1_000_000, 2_000_000
"""Prices of `catalogs.rate()` in pico-dollars a token."""
ANSWER = reply("one two three four", input_tokens=12, output_tokens=4)
WHOLE = 12 * INPUT + 4 * OUTPUT
"""What the provider bills for the whole answer, in pico-dollars."""


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
