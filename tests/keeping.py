"""For the tests of the response cache: kept answers, planted rows, clients that share all."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

from calling import MESSAGES, FixedScorer

from policies import utility
from router import AsyncClient, Client
from router.responses import CachedReply, ResponseCache
from router.testing import AsyncMockTransport, MockTransport, reply

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY, OTHER = "a" * 64, "b" * 64
MODEL = "deepseek-v3.2@deepinfra"


def kept_reply(text="Hello", **changes):
    """An answer as a cache keeps it."""
    answer = reply(text)
    made = CachedReply(
        body=answer.body,
        usage=answer.usage,
        candidate="deepseek-small@h",
        model="deepseek-small",
        mode="chat",
        host="h",
        cost=123_000_000,
        rates_id="row-1",
        finish_reason="stop",
        at=AT,
        quality=0.75,
    )
    return replace(made, **changes)


def filled(path, clock):
    """The directory of a cache with one answer in it, closed."""
    with closing(ResponseCache(path, now=clock)) as cache:
        cache.put(KEY, kept_reply())
    return path


def plant(place, statement, *values):
    """Change the file as an attacker who can write it."""
    with closing(sqlite3.connect(place / "cache.db")) as db, db:
        assert db.execute(statement, values).rowcount != 0


def reader(place, clock, caplog):
    """Reads there with a fresh cache: the answer, its counts, what it says in the log."""

    def read(key=KEY):
        cache = ResponseCache(place, now=clock)
        with caplog.at_level(logging.WARNING, "router"), closing(cache):
            return cache.get(key), cache.stats(), [r.getMessage() for r in caplog.records]

    return read


class _Made:
    """Clients of one ledger, one cache and one transport, and what came of their calls."""

    def __init__(self, tmp_path, clock):
        self.tmp_path, self.clock = tmp_path, clock

    def settings(self, **more):
        return {
            "transport": self.transport,
            "keys": {"deepinfra": "k", "azure": "k"},
            "base_urls": {"azure": "http://localhost:1"},
            "ledger": self.tmp_path / "ledger.sqlite3",
            "cache": self.tmp_path / "cache",
            "scorer": FixedScorer(),
            "policy": utility("0.01"),
            "now": self.clock,
        } | more

    @property
    def calls(self):
        return len(self.transport.calls)

    def entries(self):
        with Client(**self.settings(transport=None)) as client:
            return list(client._core.ledger.entries())


class Sync(_Made):
    def __init__(self, *answers, **parts):
        super().__init__(**parts)
        self.transport = MockTransport(*answers)

    def ask(self, settings=None, **arguments):
        """The text, the route and the chunks of one call."""
        arguments = {"messages": MESSAGES, "model": MODEL} | arguments
        with Client(**self.settings(**settings or {})) as client:
            made = client.chat.completions.create(arguments.pop("messages"), **arguments)
            if not arguments.get("stream"):
                return made.text, made.route, [made]
            with made as stream:
                chunks = list(stream)
            return "".join(c.text for c in chunks), made.route, chunks


class Async(_Made):
    def __init__(self, *answers, **parts):
        super().__init__(**parts)
        self.transport = AsyncMockTransport(*answers)

    def ask(self, settings=None, **arguments):
        """The text, the route and the chunks of one call."""
        return asyncio.run(self._ask(settings or {}, arguments))

    async def _ask(self, settings, arguments):
        arguments = {"messages": MESSAGES, "model": MODEL} | arguments
        async with AsyncClient(**self.settings(**settings)) as client:
            made = await client.chat.completions.create(arguments.pop("messages"), **arguments)
            if not arguments.get("stream"):
                return made.text, made.route, [made]
            async with made as stream:
                chunks = [chunk async for chunk in stream]
            return "".join(c.text for c in chunks), made.route, chunks
