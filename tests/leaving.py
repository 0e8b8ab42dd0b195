"""Streams that are left before their end, in each of the ways there are, and what they cost."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from calling import FixedScorer, in_order

from router import AsyncClient, Budget, Client
from router.catalog import Catalog
from router.errors import ConnectionFailedError
from router.ledgers.sqlite import SQLiteLedger
from router.testing import FakeClock, MockSource, MockTransport
from router.types import Chunk

INPUT, OUTPUT = 1_000_000, 2_000_000
"""Pico-dollars a token."""
UNREAD = 128
GOES_ON, STOPS, FOREIGN = "m@goes-on", "m@stops", "foreign@stops"
MESSAGES = [{"role": "user", "content": "Which colour has a zebra?"}]
WORD = Chunk(body={}, text=" one")  # one token
BROKE = ConnectionFailedError("it broke", billable=True)
HARD = Budget("1", name="b")


def catalog():
    """Two hosts, one of which stops when it is left; one model is of an unknown vocabulary."""
    limits = {"context_tokens": 10_000, "max_output_tokens": 1_000, "model_id": "m"}
    price = {"source": "test", "checked": "2026-11-22", "input": "1", "output": "2"}
    ends = [GOES_ON, STOPS, FOREIGN]
    hosts = [{"name": "goes-on"}, {"name": "stops", "stops_when_left": True}]
    return Catalog.load(
        {
            "host": [host | {"base_url": "http://localhost:1"} for host in hosts],
            "model": [
                {"name": "m", "modes": ["chat"], "tokenizer": "deepseek-v3"},
                {"name": "foreign", "modes": ["chat"]},
            ],
            "endpoint": [
                dict(zip(("model", "host"), e.split("@"), strict=True)) | limits for e in ends
            ],
            "rate": [{"endpoint": e} | price for e in ends],
        }
    )


def cost(input_tokens, output_tokens):
    return input_tokens * INPUT + output_tokens * OUTPUT


class Waits:
    """An async stream that falls silent after its pieces."""

    def __init__(self, pieces):
        self.source = MockSource(list(pieces))

    async def read(self):
        if (piece := self.source.read()) is None:
            await asyncio.Event().wait()
        return piece

    async def close(self):
        self.source.close()


class AsyncHost:
    def __init__(self, pieces):
        self.pieces = pieces

    async def open(self, call):
        return Waits(self.pieces)

    async def close(self):
        pass


@dataclass
class Left:
    """The only entry, what was counted as input, and the route where there is one."""

    entry: object
    input_tokens: int
    route: object = None
    ceiling: object = None

    @property
    def notes(self):
        return [note for note in self.route.notes if "left before its end" in note]


WAYS = ["closed", "broken", "async closed", "async broken", "cancelled"]


def leave(way, budget, model=GOES_ON, pieces=(WORD,) * 3, **arguments):
    """Read these pieces of a stream and leave it that way; what was charged."""
    ledger = SQLiteLedger(":memory:")
    options = {
        "catalog": catalog(),
        "hosts": ["goes-on", "stops"],
        "ledger": ledger,
        "scorer": FixedScorer(),
        "policy": in_order,
        "now": FakeClock(),
        "budgets": [] if budget is None else [budget],
        "environ": {},
    }
    asked = {"messages": MESSAGES, "model": model, "max_retries": 0} | arguments
    with Client(transport=MockTransport([*pieces, BROKE]), **options) as client:
        forecast = client.plan(MESSAGES, model=model, **arguments).forecasts[model]
        if way in {"closed", "broken"}:
            route = _leave(way, client, pieces, asked)
        else:
            route = asyncio.run(_leave_async(way, options, pieces, asked))
        ledger.check()
        (entry,) = ledger.entries()
        open_ones = ledger._db().execute("SELECT count(*) FROM open_reservations").fetchone()
    assert open_ones == (0,)
    assert (entry.kind, entry.estimated) == ("settle", True)
    assert entry.outcome == {"broken": "connection"}.get(way.split()[-1], way.split()[-1])
    return Left(entry, forecast.input_tokens, route, forecast)


def _leave(way, client, pieces, asked):
    stream = client.chat.completions.create(stream=True, **asked)
    for _ in pieces:
        next(stream)
    if way == "broken":
        with pytest.raises(ConnectionFailedError):
            next(stream)
        return None
    stream.close()
    return stream.route


async def _leave_async(way, options, pieces, asked):
    host = AsyncHost([*pieces, *([BROKE] if way == "async broken" else [])])
    async with AsyncClient(transport=host, **options) as client:
        stream = await client.chat.completions.create(stream=True, **asked)
        for _ in pieces:
            await anext(stream)
        if way == "async closed":
            await stream.close()
            return stream.route
        if way == "async broken":
            with pytest.raises(ConnectionFailedError):
                await anext(stream)
            return None
        reading = asyncio.create_task(anext(stream))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        return None
