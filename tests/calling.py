"""Calls through the real clients, the same for both, and what the ledger holds afterwards."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from classifiers.scores import Quantiles, Score
from policies.types import Decision
from router import AsyncClient, Client
from router.ledgers.sqlite import SQLiteLedger

KEY = "sk-5ecre7-0123456789abcdef"
MESSAGES = [
    {"role": "system", "content": "Answer in one word."},
    {"role": "user", "content": "Which colour has the zebra of my grandmother?"},
]


class FixedScorer:
    """Every candidate is as good as the next and answers in at most 400 tokens."""

    def score(self, prompt, profiles, *, tenant=""):
        lengths = Quantiles(p10=50, p50=100, p90=300, p99=400, mean=120)
        none = Quantiles(p10=0, p50=0, p90=0, p99=0, mean=0)
        return {
            profile: Score(0.5, lengths, none, "trained", tokens_basis="route")
            for profile in profiles
        }


def in_order(quotes, context):
    """A policy: the candidates in the order they were asked for."""
    names = tuple(quote.name for quote in quotes)
    return Decision(ranking=names, reason="in order", rejected={}, policy="in-order")


@dataclass
class Asked:
    """What came of a call."""

    completion: object = None
    chunks: list = field(default_factory=list)
    route: object = None
    error: BaseException | None = None

    @property
    def text(self):
        """The whole text, streamed or not."""
        if self.completion is not None:
            return self.completion.text
        return "".join(chunk.text for chunk in self.chunks)


class _Caller:
    def __init__(self, wire, path: Path, clock) -> None:
        self.wire, self.path, self.clock = wire, path, clock

    def settings(self, *hosts, keys=None, **more):
        """Settings of a client of these hosts."""
        return {
            "base_urls": {host: self.wire.url(host) for host in hosts},
            "keys": dict.fromkeys(hosts, KEY) if keys is None else keys,
            "hosts": list(hosts),
            "ledger": self.path,
            "scorer": FixedScorer(),
            "policy": in_order,
            "now": self.clock,
        } | more

    def entries(self):
        """The ledger's entries, after checking that it is sound and holds nothing open."""
        ledger = SQLiteLedger(self.path)
        try:
            ledger.check()
            found = list(ledger.entries())
        finally:
            ledger.close()
        with sqlite3.connect(self.path) as db:
            left = db.execute("SELECT count(*) FROM open_reservations").fetchone()[0]
            reserved = db.execute("SELECT coalesce(sum(reserved), 0) FROM balances").fetchone()[0]
        db.close()
        assert (left, reserved) == (0, 0), "a reservation was left open"
        return found

    def entry(self):
        """The only entry."""
        (entry,) = self.entries()
        return entry


class SyncCaller(_Caller):
    """Through `Client`."""

    def ask(self, *hosts, model="deepseek-v3.2@deepinfra", settings=None, **arguments):
        """One call: a whole answer, or a stream read to its end."""
        asked = Asked()
        with Client(**self.settings(*(hosts or ("deepinfra",)), **(settings or {}))) as client:
            try:
                made = client.chat.completions.create(
                    arguments.pop("messages", MESSAGES), model=model, **arguments
                )
                if arguments.get("stream"):
                    with made as stream:
                        asked.chunks.extend(stream)
                        asked.route = stream.route
                else:
                    asked.completion, asked.route = made, made.route
            except Exception as error:  # noqa: BLE001 - the test looks at it
                asked.error = error
        return asked


class AsyncCaller(_Caller):
    """Through `AsyncClient`."""

    def ask(self, *hosts, model="deepseek-v3.2@deepinfra", settings=None, **arguments):
        """One call: a whole answer, or a stream read to its end."""
        return asyncio.run(self._ask(hosts or ("deepinfra",), model, settings or {}, arguments))

    async def _ask(self, hosts, model, settings, arguments):
        asked = Asked()
        async with AsyncClient(**self.settings(*hosts, **settings)) as client:
            try:
                made = await client.chat.completions.create(
                    arguments.pop("messages", MESSAGES), model=model, **arguments
                )
                if arguments.get("stream"):
                    async with made as stream:
                        async for chunk in stream:
                            asked.chunks.append(chunk)
                        asked.route = stream.route
                else:
                    asked.completion, asked.route = made, made.route
            except Exception as error:  # noqa: BLE001 - the test looks at it
                asked.error = error
        return asked
