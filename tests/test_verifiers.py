"""Verifiers, sync and async: who is asked, on what, and what happens when they fail."""

import asyncio
import threading

import pytest
from learning import ASK, LARGE, SMALL, ask, is_right, rate, stages
from learning import staged as client

from router import AsyncClient, Client
from router.errors import ConfigError
from router.testing import reply


@pytest.fixture(params=[Client, AsyncClient])
def cls(request):
    return request.param


@pytest.mark.parametrize(
    ("verdict", "says"),
    [
        (ZeroDivisionError("oops"), "the verifier failed: ZeroDivisionError"),
        (None, "got NoneType"),
        ("yes", "got str"),
        (1.5, "got float"),
        (float("nan"), "got float"),
        (-1, "got int"),
    ],
)
def test_a_verifier_that_fails(cls, verdict, says):
    """Its error is contained: the answer is returned with a note, and nothing is learned."""

    def verify(answer):
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    made = client(reply("what"), cls=cls, verify=verify)
    found = ask(made)
    assert (found.text, found.route.verified) == ("what", None)
    assert says in found.route.notes[-1]
    assert made.scorer.told == []
    assert [a.outcome for a in found.route.attempts] == ["ok"]
    rate(made, found.route, 1.0)  # so the caller may still say
    assert len(made.scorer.told) == 1


def test_of_one_call(cls):
    """`verify=` of a call goes before the client's; False turns it off, for the policy, too."""
    seen = []

    def spy(quotes, context):
        seen.append(context.verifiable)
        return stages(SMALL)(quotes, context)

    made = client(reply("x"), cls=cls, verify=is_right, policy=spy)
    assert ask(made).route.verified == 0.0
    assert ask(made, verify=lambda c: 0.75).route.verified == 0.75
    assert ask(made, verify=False).route.verified is None
    assert ask(client(reply("x"), cls=cls, policy=spy)).route.verified is None
    assert seen == [True, True, False, False]
    with pytest.raises(ConfigError, match="verify: expected a function"):
        ask(made, verify="yes")
    with pytest.raises(ConfigError, match="verify: expected a function"):
        client(reply("x"), cls=cls, verify="yes")


def test_streams_are_not_verified():
    """What the caller has read cannot be taken back."""
    made = client(reply("wrong words"), verify=is_right)
    with made.chat.completions.create(ASK, stream=True) as stream:
        assert "".join(chunk.text for chunk in stream) == "wrong words"
    assert stream.route.verified is None
    assert stream.route.record.context.verifiable is False
    assert stream.route.record.context.streaming is True
    made.feedback(stream.route.request_id, 0.0)
    assert made.scorer.told[0][1:3] == ("small", 0.0)


def test_what_a_verifier_sees(cls):
    """An ordinary completion, with the route of the attempt it came from."""
    seen = []
    made = client(
        reply("wrong"), reply("right"), cls=cls, verify=lambda c: seen.append(c) or is_right(c)
    )
    ask(made)
    first, second = seen
    assert (first.text, first.route.candidate, second.route.candidate) == ("wrong", SMALL, LARGE)
    assert first.route.cost.pico > 0
    assert [a.outcome for a in second.route.attempts] == ["rejected", "ok"]
    assert first.usage.completion_tokens == 5


def test_verifiers_that_await():
    """A coroutine function runs on the loop, any other one in a thread; both are waited for."""
    where = []

    async def judge(answer):
        await asyncio.sleep(0)
        where.append(threading.current_thread())
        return is_right(answer)

    def plain(answer):
        where.append(threading.current_thread())
        return True

    class Judge:
        async def __call__(self, answer):
            return 0.625

    made = client(reply("wrong"), reply("right"), cls=AsyncClient, verify=judge)
    assert ask(made).route.candidate == LARGE
    assert ask(client(reply("x"), cls=AsyncClient, verify=plain)).route.verified == 1.0
    assert ask(client(reply("x"), cls=AsyncClient, verify=Judge())).route.verified == 0.625
    assert where[0] is where[1] is threading.main_thread()
    assert where[2] is not threading.main_thread()
    with pytest.raises(ConfigError, match="only AsyncClient awaits"):
        client(reply("x"), verify=judge)
    with pytest.raises(ConfigError, match="only AsyncClient awaits"):
        ask(client(reply("x")), verify=judge)
    noted = ask(client(reply("x"), verify=Judge())).route
    assert (noted.verified, "only AsyncClient awaits" in noted.notes[-1]) == (None, True)


def test_a_cancelled_verifier_cancels_the_call():
    """Cancellation passes; what was answered is settled by then."""

    reached = asyncio.Event()

    async def forever(answer):
        reached.set()
        await asyncio.sleep(3600)

    made = client(reply("x"), cls=AsyncClient, verify=forever, budgets="1")

    async def run():
        task = asyncio.create_task(made.chat.completions.create(ASK))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert [e.outcome for e in made.kept.entries()] == ["ok"]
    assert made.budgets.status()[0].reserved == 0


@pytest.mark.parametrize("failure", [ZeroDivisionError("secret"), None, "yes"])
def test_a_verifier_that_fails_is_logged_once(cls, failure, caplog):
    """A cascade with a broken verifier must not look healthy; the log tells no prompt."""

    def verify(answer):
        if isinstance(failure, Exception):
            raise failure
        return failure

    verify.__qualname__ = f"verify of {cls.__name__} {failure!r}"  # told once for each
    made = client(reply("a"), reply("b"), cls=cls, verify=verify)
    ask(made)
    ask(made)
    lines = [r.getMessage() for r in caplog.records if "without its verification" in r.message]
    assert len(lines) == 1
    assert (type(failure).__name__ in lines[0]) and (verify.__qualname__ in lines[0])
    assert "route.notes" in lines[0]
    made = client(reply("a"), cls=cls, verify=lambda answer: True)
    ask(made)
    assert sum("without its verification" in r.message for r in caplog.records) == 1
