"""`AsyncClient.batch`: the same queue, followed by tasks."""

import asyncio

import pytest

from router import AsyncClient, BadRequestError, ConfigError, InvalidRequestError
from tests.batches import AsyncHost, ask, shop

QUESTIONS = [f"question {i}" for i in range(6)]
WRITES = {"writes": True}
AT_ONCE = {"builds_seconds": 0}


async def refuse():
    raise BadRequestError("no")


async def test_one_goes_first_and_alone():
    """Others wait for the first answer; answers stand where their requests stood."""
    host = AsyncHost(seconds=0.02)
    async with AsyncClient(transport=host, **shop(**WRITES)) as client:
        answers = await client.batch([*map(ask, QUESTIONS), ask("Hi", "Be brief.")])
    assert [a.text for a in answers] == [*QUESTIONS, "Hi"]
    assert host.alone(QUESTIONS[0], QUESTIONS[1:])
    assert not host.alone(QUESTIONS[0], ["Hi"])


async def test_time_to_build_is_waited_for():
    """Whole units: two tails, each with the seconds that the cache takes, then all together."""
    host = AsyncHost(seconds=0.02)
    async with AsyncClient(transport=host, **shop(match="units", builds_seconds=0.02)) as client:
        await client.batch(map(ask, QUESTIONS))
    assert host.alone(QUESTIONS[0], QUESTIONS[1:])
    assert host.alone(QUESTIONS[1], QUESTIONS[2:])
    assert not host.alone(QUESTIONS[2], QUESTIONS[3:])


async def test_where_nobody_waits():
    """What shares at once is under way together, as many as were asked for."""
    together = asyncio.Barrier(3)
    host = AsyncHost({"*": together.wait})
    async with AsyncClient(transport=host, **shop(**AT_ONCE)) as client:
        async with asyncio.timeout(20):
            answers = await client.batch(map(ask, QUESTIONS), concurrency=3)
    assert [a.text for a in answers] == QUESTIONS


async def test_one_that_fails_does_not_lose_the_others():
    """A refused request is its error, at its place; another takes the lead."""
    host = AsyncHost({QUESTIONS[0]: refuse}, seconds=0.01)
    async with AsyncClient(transport=host, **shop(**WRITES)) as client:
        answers = await client.batch(map(ask, QUESTIONS))
    assert isinstance(answers[0], BadRequestError)
    assert [a.text for a in answers[1:]] == QUESTIONS[1:]
    assert host.alone(QUESTIONS[1], QUESTIONS[2:])


async def test_nothing_is_sent_where_one_is_wrong():
    """All are checked before any is sent; a closed client sends nothing."""
    host = AsyncHost()
    async with AsyncClient(transport=host, **shop(**AT_ONCE)) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.batch([ask("a"), [{"role": "robot"}]])
        with pytest.raises(InvalidRequestError, match="concurrency"):
            await client.batch([ask("a")], concurrency=0)
        with pytest.raises(InvalidRequestError, match="on_answer: expected a function"):
            await client.batch([ask("a")], on_answer="print")
        assert await client.batch([]) == []
    assert caught.value.__notes__ == ["in requests[1]"]
    assert host.events == []
    with pytest.raises(ConfigError, match="closed"):
        await client.batch([ask("a")])


async def test_answers_are_told_as_they_come():
    """A listener may be a coroutine function; it sees each position once."""
    seen = {}

    async def tell(at, answer):
        await asyncio.sleep(0)
        seen[at] = answer

    async with AsyncClient(transport=AsyncHost({"b": refuse}), **shop(**AT_ONCE)) as client:
        answers = await client.batch(map(ask, "abc"), on_answer=tell)
    assert seen == dict(enumerate(answers))


@pytest.mark.parametrize("awaits", [False, True])
async def test_a_listener_that_fails_costs_no_answer(awaits, caplog):
    """Its error is logged, each time: answers are paid for, and the list holds them all."""

    def full(at, answer):
        raise OSError("disk full")

    async def later(at, answer):
        full(at, answer)

    async with AsyncClient(transport=AsyncHost(), **shop(**AT_ONCE)) as client:
        answers = await client.batch(map(ask, QUESTIONS), on_answer=later if awaits else full)
    assert [a.text for a in answers] == QUESTIONS
    assert caplog.text.count("on_answer failed") == 6


async def test_cancelled_it_settles_what_runs():
    """A batch whose task is cancelled leaves no reservation open, and nothing under way."""
    held, reached = asyncio.Event(), asyncio.Event()

    async def hang():
        reached.set()
        await held.wait()

    host = AsyncHost({QUESTIONS[1]: hang})
    async with AsyncClient(transport=host, budgets="1", **shop(**AT_ONCE)) as client:
        batch = asyncio.create_task(client.batch(map(ask, QUESTIONS), concurrency=2))
        await reached.wait()
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        (status,) = client.budgets.status()
    assert sorted(host.began) == sorted(text for what, text in host.events if what == "end")
    assert status.reserved == 0
    assert status.spent > 0  # the host may have worked: it is charged for what was reserved


async def test_cancelled_while_others_wait():
    """Those that wait for a first answer are ended, too."""
    held, reached = asyncio.Event(), asyncio.Event()

    async def hang():
        reached.set()
        await held.wait()

    host = AsyncHost({QUESTIONS[0]: hang})
    async with AsyncClient(transport=host, **shop(**WRITES)) as client:
        batch = asyncio.create_task(client.batch(map(ask, QUESTIONS)))
        await reached.wait()
        batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
    assert host.began == [QUESTIONS[0]]
