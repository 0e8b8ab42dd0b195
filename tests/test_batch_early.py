"""What a batch gives before its end: to its listener, to whom interrupts it; prices on the way."""

import asyncio
import contextvars
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import router.batch
from router import AsyncClient, BadRequestError, Client, ConfigError, InvalidRequestError
from router.testing import FakeClock
from tests.batches import AsyncHost, Host, ask, shop

QUESTIONS = [f"question {i}" for i in range(6)]
WRITES = {"writes": True}
AT_ONCE = {"builds_seconds": 0}


def interrupt():
    """What Ctrl-C does: the main thread is told."""
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


def test_answers_are_told_as_they_come():
    """`on_answer` sees each position once, answer or error, in the caller's context."""

    def refuse():
        raise BadRequestError("no")

    mine: contextvars.ContextVar[str] = contextvars.ContextVar("mine")
    mine.set("caller's")
    seen = {}
    with Client(transport=Host({"b": refuse}), **shop(**AT_ONCE)) as client:
        answers = client.batch(
            map(ask, "abc"), on_answer=lambda at, answer: seen.update({at: (answer, mine.get())})
        )
    assert seen == {at: (answer, "caller's") for at, answer in enumerate(answers)}


def test_a_listener_that_fails_costs_no_answer(caplog):
    """Its error is logged, each time: answers are paid for, and the list holds them all."""

    def full(at, answer):
        raise OSError("disk full")

    with Client(transport=Host(), **shop(**AT_ONCE)) as client:
        answers = client.batch(map(ask, QUESTIONS), on_answer=full)
    assert [a.text for a in answers] == QUESTIONS
    assert caplog.text.count("on_answer failed") == 6
    assert caplog.text.count("OSError: disk full") == 6


def test_a_listener_is_a_plain_function(caplog):
    """Refused before anything is sent; one that turns out to await is said to be unheard."""

    async def tell(at, made):
        raise AssertionError("nobody awaits it")

    host = Host()
    with Client(transport=host, **shop(**AT_ONCE)) as client:
        with pytest.raises(ConfigError, match="on_answer: only AsyncClient awaits a listener"):
            client.batch([ask("a")], on_answer=tell)
        with pytest.raises(InvalidRequestError, match="on_answer: expected a function, got list"):
            client.batch([ask("a")], on_answer=[])
        assert host.events == []
        (answer,) = client.batch([ask("a")], on_answer=lambda at, made: tell(at, made=made))
    assert answer.text == "a"
    assert "on_answer: only AsyncClient awaits a listener" in caplog.text


def test_a_listener_may_leave():
    """SystemExit out of a thread ends the batch: nothing more is sent, what came is with it."""

    def leave(at, answer):
        raise SystemExit(3)

    host = Host()
    with Client(transport=host, budgets="1", **shop(**AT_ONCE)) as client:
        with pytest.raises(SystemExit) as caught:
            client.batch(map(ask, QUESTIONS), concurrency=1, on_answer=leave)
        assert client.budgets.status()[0].reserved == 0
    assert len(host.began) == 1
    assert [a and a.text for a in caught.value.answers] == [QUESTIONS[0], *[None] * 5]


def test_an_interrupt_settles_what_runs():
    """Ctrl-C: nothing more is sent, what was under way is answered, charged, told, kept."""
    host = Host({QUESTIONS[1]: interrupt}, seconds=0.02)
    seen = []
    with Client(transport=host, budgets="1", **shop(**AT_ONCE)) as client:
        with pytest.raises(KeyboardInterrupt) as caught:
            client.batch(
                map(ask, QUESTIONS * 10), concurrency=2, on_answer=lambda at, _: seen.append(at)
            )
        (status,) = client.budgets.status()
    assert 2 <= len(host.began) < 60
    assert len(seen) == len(host.began)
    assert sorted(host.began) == sorted(text for what, text in host.events if what == "end")
    assert status.reserved == 0
    assert status.spent > 0
    answers = caught.value.answers
    assert len(answers) == 60
    assert {at for at, answer in enumerate(answers) if answer is not None} == set(seen)
    assert all(answers[at].text == (QUESTIONS * 10)[at] for at in seen)
    assert caught.value.__notes__ == [
        f"{len(seen)} of 60 answers came before; .answers holds them"
    ]


def test_an_interrupt_while_others_wait_for_the_first():
    """Those that wait for a warm-up never start."""
    host = Host({QUESTIONS[0]: interrupt}, seconds=0.02)
    with (
        Client(transport=host, **shop(**WRITES)) as client,
        pytest.raises(KeyboardInterrupt),
    ):
        client.batch(map(ask, QUESTIONS))
    assert host.began[0] == QUESTIONS[0]
    assert len(host.began) < len(QUESTIONS)


def test_an_interrupt_while_threads_start(monkeypatch):
    """Those that have started end as they would later: the batch is not sent without a reader."""

    class Interrupted(ThreadPoolExecutor):
        def submit(self, *arguments, **settings):
            if self._threads:
                raise KeyboardInterrupt
            return super().submit(*arguments, **settings)

    monkeypatch.setattr(router.batch, "ThreadPoolExecutor", Interrupted)
    host = Host(seconds=0.01)
    with (
        Client(transport=host, **shop(**AT_ONCE)) as client,
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        client.batch(map(ask, QUESTIONS * 50))
    assert len(host.began) < 10
    assert sum(a is not None for a in caught.value.answers) == len(host.began)


@pytest.mark.parametrize("limit", [False, True])
async def test_cancelled_it_gives_what_came(limit):
    """The answers that came are with the CancelledError, also of a task, and of a time limit."""
    reached = asyncio.Event()

    async def hang():
        reached.set()
        await asyncio.Event().wait()

    async with AsyncClient(transport=AsyncHost({QUESTIONS[2]: hang}), **shop(**AT_ONCE)) as client:
        batch = client.batch(map(ask, QUESTIONS), concurrency=1)
        if limit:
            with pytest.raises(TimeoutError) as late:
                async with asyncio.timeout(None) as until:
                    task = asyncio.create_task(reached.wait())
                    task.add_done_callback(lambda _: until.reschedule(0))
                    await batch
            error = late.value.__cause__
        else:
            task = asyncio.create_task(batch)
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
            error = caught.value
    assert [a and a.text for a in error.answers] == [*QUESTIONS[:2], *[None] * 4]


LIMITS = {"context_tokens": 10_000, "max_output_tokens": 4_000}
FLEET = {
    "host": [{"name": "h", "base_url": "http://localhost:1", "self_hosted": True}],
    "model": [{"name": "m", "tokenizer": "deepseek-v3"}],
    "endpoint": [{"model": "m", "host": "h", "model_id": "m", **LIMITS}],
    "fleet": [
        {
            "endpoint": "m@h",
            "gpus": 1,
            "usd_per_gpu_hour": "3.60",
            "utilisation": 45,
            "curve": [{"output": 100}],
            "source": "measured",
            "checked": "2026-11-22",
        }
    ],
}


def fleet(clock):
    return {
        "catalog": FLEET,
        "candidates": "m@h",
        "keys": {"h": "k"},
        "base_urls": {"h": "http://localhost:1,http://localhost:2"},
        "ledger": ":memory:",
        "now": clock,
    }


def passing(host, clock):
    """The host with an answer each minute: far less than the fleet can do."""

    class Passing(host):
        def note(self, what, text):
            if what == "end":
                clock.advance(60)
            super().note(what, text)

    return Passing()


def test_prices_change_while_a_batch_runs():
    """A fleet's price follows its load: of a long batch the last pay the new one."""
    clock = FakeClock()
    with Client(transport=passing(Host, clock), **fleet(clock)) as client:
        answers = client.batch(map(ask, QUESTIONS * 4), concurrency=1)
    ids = [answer.route.cost.rates_id for answer in answers]
    assert ids[0].endswith("@45%")
    assert not ids[-1].endswith("@45%")


async def test_prices_change_while_an_async_batch_runs():
    """The same on an event loop."""
    clock = FakeClock()
    async with AsyncClient(transport=passing(AsyncHost, clock), **fleet(clock)) as client:
        answers = await client.batch(map(ask, QUESTIONS * 4), concurrency=1)
    ids = [answer.route.cost.rates_id for answer in answers]
    assert ids[0].endswith("@45%")
    assert not ids[-1].endswith("@45%")
