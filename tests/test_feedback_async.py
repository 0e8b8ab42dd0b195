"""Feedback on an event loop: it stops nobody, and is given wholly or not at all."""

import asyncio
import threading

import pytest
from learning import ASK, Learning, models

from router import AlreadyGradedError, AsyncClient, ConfigError, LedgerError, SQLiteLedger
from router.testing import AsyncMockTransport, FakeClock, reply


class Slow(SQLiteLedger):
    """A ledger that takes its time over a grade: `entered` and `go` say when."""

    def __init__(self, path=":memory:"):
        super().__init__(path)
        self.entered, self.go = threading.Event(), threading.Event()
        self.error = None

    def grade(self, grades):
        self.entered.set()
        assert self.go.wait(10)
        if self.error is not None:
            raise self.error
        return super().grade(grades)


def client(ledger, scorer=None):
    return AsyncClient(
        transport=AsyncMockTransport(reply("Blue")),
        catalog=models("small"),
        candidates=["small@h"],
        base_urls={"h": "http://localhost:1"},
        policy="frugal",
        scorer=scorer or Learning(),
        ledger=ledger,
        now=FakeClock(),
    )


async def answered(made):
    return (await made.chat.completions.create(ASK)).route.request_id


async def until(event):
    """Wait for an event of another thread; the loop has to turn for that."""
    assert await asyncio.to_thread(event.wait, 10)


def test_the_loop_turns_while_the_ledger_works():
    """While a grade waits for the ledger, other requests are answered."""

    async def run():
        ledger = Slow()
        async with client(ledger) as made:
            first = await answered(made)
            giving = asyncio.create_task(made.feedback(first, 1.0))
            await until(ledger.entered)
            await answered(made)
            assert not giving.done()
            ledger.go.set()
            assert await giving is None
        assert len(made.scorer.told) == len(list(ledger.grades())) == 1

    asyncio.run(run())


@pytest.mark.parametrize("times", [1, 3])
def test_cancelled_it_is_kept_and_learned(times):
    """However often it is cancelled: what the ledger has begun is ended, then it is raised."""

    async def run():
        ledger = Slow()
        async with client(ledger) as made:
            first = await answered(made)
            giving = asyncio.create_task(made.feedback(first, 0.25))
            await until(ledger.entered)
            for _ in range(times):
                giving.cancel()
                await asyncio.sleep(0)
            assert not giving.done()
            ledger.go.set()
            with pytest.raises(asyncio.CancelledError):
                await giving
            assert [g for _, _, g, _ in made.scorer.told] == [0.25]
            with pytest.raises(AlreadyGradedError, match="graded by feedback"):
                await made.feedback(first, 1.0)
        assert [g.score for g in ledger.grades()] == [0.25]

    asyncio.run(run())


def test_cancelled_while_the_ledger_fails_nothing_is_given():
    """Neither graded in memory nor learned: the next try is a first one."""

    async def run():
        ledger = Slow()
        async with client(ledger) as made:
            first = await answered(made)
            ledger.error = LedgerError("away")
            giving = asyncio.create_task(made.feedback(first, 0.25))
            await until(ledger.entered)
            giving.cancel()
            ledger.go.set()
            with pytest.raises(asyncio.CancelledError):
                await giving
            assert made.scorer.told == []
            ledger.error = None
            await made.feedback(first, 0.75)
            assert [g for _, _, g, _ in made.scorer.told] == [0.75]
        assert [g.score for g in ledger.grades()] == [0.75]

    asyncio.run(run())


def test_the_loop_turns_while_the_client_closes():
    """Closing waits for a grade that the ledger has begun, and stops nobody else meanwhile."""

    async def run():
        ledger = Slow()
        made = client(ledger)
        giving = asyncio.create_task(made.feedback(await answered(made), 1.0))
        await until(ledger.entered)
        closing = asyncio.create_task(made.close())
        while made._executor._shutdown is False:  # noqa: ASYNC110 - a thread says it to nobody
            await asyncio.sleep(0.001)
        assert not closing.done()
        ledger.go.set()
        await asyncio.gather(giving, closing)
        assert [g.score for g in ledger.grades()] == [1.0]
        ledger.close()

    asyncio.run(run())


def test_cancelled_before_it_begins_nothing_is_given():
    """A task that is cancelled before its first step asks nobody."""

    async def run():
        ledger = Slow()
        async with client(ledger) as made:
            first = await answered(made)
            giving = asyncio.create_task(made.feedback(first, 0.25))
            giving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await giving
            assert not ledger.entered.is_set()
            ledger.go.set()
            await made.feedback(first, 1.0)
        assert [g.score for g in ledger.grades()] == [1.0]

    asyncio.run(run())


def test_many_at_once_are_each_heard_once(tmp_path):
    """Of all who grade the same answers at once, one is heard for each."""

    async def run():
        ledger = SQLiteLedger(tmp_path / "ledger.sqlite3")
        async with client(ledger) as made:
            ids = [await answered(made) for _ in range(12)]
            given = await asyncio.gather(
                *(made.feedback(one, 1.0) for one in ids * 3), return_exceptions=True
            )
            assert [type(g) for g in given].count(AlreadyGradedError) == 24
            assert given.count(None) == len(made.scorer.told) == 12
        assert sorted(g.request_id for g in ledger.grades()) == sorted(ids)
        ledger.close()

    asyncio.run(run())


def test_errors_are_those_of_the_client():
    """A failing ledger's error arrives as it is; a closed client says so before it asks."""

    async def run():
        ledger = Slow()
        ledger.go.set()
        made = client(ledger)
        first = await answered(made)
        ledger.error = LedgerError("away")
        with pytest.raises(LedgerError, match="away"):
            await made.feedback(first, 1.0)
        await made.close()
        with pytest.raises(ConfigError, match="closed"):
            await made.feedback(first, 1.0)
        assert made.scorer.told == []

    asyncio.run(run())
