"""`MockTransport`: answers of all kinds, functions of the call among them."""

from __future__ import annotations

import pytest

from router import AsyncClient, Client, ConfigError, ServerError
from router.testing import AsyncMockTransport, MockTransport, chunks, reply

MODEL = "deepseek-v3.2@deepinfra"
SETTINGS = {"keys": {"deepinfra": "k"}, "environ": {}, "ledger": ":memory:", "max_retries": 0}


def ask(client, text, **more):
    return client.chat.completions.create([{"role": "user", "content": text}], model=MODEL, **more)


def shout(call):
    return reply(call.request.messages[-1]["content"].upper(), input_tokens=len("hello"))


def test_a_function_answers_each_call_anew():
    """It sees the call, and what it returns is settled like any answer."""
    transport = MockTransport(shout)
    with Client(transport=transport, **SETTINGS) as client:
        assert [ask(client, text).text for text in ("one", "two")] == ["ONE", "TWO"]
        assert ask(client, "three").route.usage.input_tokens == 5
    assert [call.request.messages[-1]["content"] for call in transport.calls] == [
        "one",
        "two",
        "three",
    ]


def test_a_function_answers_streams_too():
    """A whole answer comes word by word; chunks come as they are."""
    with Client(transport=MockTransport(shout), **SETTINGS) as client:
        with ask(client, "one two", stream=True) as stream:
            assert [chunk.text for chunk in stream if chunk.text] == ["ONE ", "TWO"]
        assert stream.cost_usd == stream.route.total_cost_usd
    broken = [*chunks(reply("a b"))[:1], ServerError("gone", status_code=500)]
    with (
        Client(transport=MockTransport(lambda call: list(broken)), **SETTINGS) as client,
        pytest.raises(ServerError, match="gone"),
    ):
        list(ask(client, "x", stream=True))


def test_a_function_may_fail_by_returning_or_raising():
    """Either way the call fails as a host's would, and the queue goes on."""

    def fail(call):
        raise ServerError("raised", status_code=503)

    transport = MockTransport(fail, lambda call: ServerError("returned"), reply("well"))
    with Client(transport=transport, **SETTINGS) as client:
        for said in ("raised", "returned"):
            with pytest.raises(ServerError, match=said):
                ask(client, "x")
        assert ask(client, "x").text == "well"


async def test_a_coroutine_function_is_awaited():
    """An `AsyncClient` takes both kinds, whole and streamed."""

    async def later(call):
        return shout(call)

    transport = AsyncMockTransport(later, shout, reply("last"))
    transport.enqueue(later)
    async with AsyncClient(transport=transport, **SETTINGS) as client:
        found = [(await ask(client, text)).text for text in ("one", "two", "three")]
        async with await ask(client, "four five", stream=True) as stream:
            streamed = [chunk.text async for chunk in stream]
    assert found == ["ONE", "TWO", "last"] and "".join(streamed) == "FOUR FIVE"
    assert len(transport.calls) == 4


@pytest.mark.parametrize("kind", [MockTransport, AsyncMockTransport])
@pytest.mark.parametrize("answer", ["Paris", None, 5, ServerError])
def test_what_is_no_answer_is_refused_when_it_is_queued(kind, answer):
    """Not at the call, where it would look like a failure of the code under test."""
    with pytest.raises(ConfigError, match=r"MockTransport: expected reply\(...\), an error"):
        kind(answer)
    with pytest.raises(ConfigError, match="a function of the call that returns one of these"):
        kind().enqueue(answer)


def test_what_nobody_would_await_is_refused():
    """A coroutine function is for the transport of an `AsyncClient`."""

    async def later(call):
        return reply("never")

    with pytest.raises(ConfigError, match="only AsyncMockTransport awaits"):
        MockTransport(reply("Hi"), later)


def test_a_function_that_returns_no_answer_is_named():
    """The error says what came instead."""
    with pytest.raises(ConfigError, match="returns one of these; got str"):
        MockTransport(lambda call: "Paris").send(None)
