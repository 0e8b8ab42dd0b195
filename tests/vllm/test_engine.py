"""The engine transport with a real `vllm.LLM` in this process."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from router import Client
from router.catalog import Catalog
from router.errors import BadRequestError
from router.transports.vllm.engine import AsyncEngineTransport, EngineTransport, engine_rows
from router.transports.vllm.parsers import Parsers
from router.transports.vllm.serving import Serving
from router.types import Call, Request

# torch and vLLM warn of themselves.
pytestmark = pytest.mark.filterwarnings("default")
SYSTEM = "You know every owl of the forest by name, and count them when you are asked to. " * 12
TOOL = {
    "type": "function",
    "function": {"name": "now", "description": "The time", "parameters": {"type": "object"}},
}


def call_of(text, *, max_tokens=8, tools=(), **extra):
    listed = Catalog.default().candidate(
        "mixtral-8x7b-instruct-v0.1@vllm", at=datetime(2026, 11, 22, tzinfo=UTC)
    )
    messages = ({"role": "system", "content": SYSTEM}, {"role": "user", "content": text})
    response_format = extra.pop("response_format", None)
    return Call(
        request=Request(
            id="r",
            messages=messages,
            tools=tools,
            response_format=response_format,
            extra={"temperature": 0} | extra,
        ),
        candidate=replace(listed, host="engine", kind="engine"),
        max_tokens=max_tokens,
        timeout=60.0,
        input_tokens=1,
    )


@pytest.fixture(scope="module")
def transport(llm):
    return EngineTransport(llm)


def test_answers_and_what_was_cached(transport):
    """Tokens are the engine's own; the same prompt again is read from its cache."""
    first = transport.send(call_of("Who is it?"))
    again = transport.send(call_of("Who is it?"))
    assert first.body["choices"][0]["message"] == again.body["choices"][0]["message"]
    assert first.usage.output_tokens == 8
    assert first.finish_reason == "length"
    assert first.usage.cache_read_tokens == 0
    assert again.usage.input_tokens == first.usage.input_tokens > 100
    assert again.usage.cache_read_tokens >= again.usage.input_tokens - 33


def test_structured_output_stop_and_seed(transport):
    """Fields of a call are honoured by the engine."""
    # Of an object the model would write blanks without end, which a schema allows.
    schema = {"enum": ["barn", "tawny"]}
    asked = {"type": "json_schema", "json_schema": {"name": "owl", "schema": schema}}
    reply = transport.send(call_of("Which?", response_format=asked))
    assert json.loads(reply.body["choices"][0]["message"]["content"]) in {"barn", "tawny"}
    assert reply.finish_reason == "stop"
    texts = [
        transport.send(call_of("Sing!", temperature=1.5, seed=seed)).body["choices"][0]["message"]
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]
    with pytest.raises(BadRequestError, match="temperature"):
        transport.send(call_of("No.", temperature=-1))


def test_a_prompt_that_is_too_long(transport):
    """A bad request in the engine's words, without the prompt; the next call works."""
    with pytest.raises(BadRequestError) as caught:
        transport.send(call_of("Hoo! " * 5000))
    assert "Hoo! Hoo!" not in str(caught.value)
    assert not caught.value.billable
    assert transport.send(call_of("Still there?")).usage.output_tokens == 8


def test_tools_reach_the_prompt(transport):
    """With a tool the prompt is longer by its description."""
    plain = transport.send(call_of("When?", max_tokens=1)).usage.input_tokens
    tools = transport.send(call_of("When?", max_tokens=1, tools=(TOOL,))).usage.input_tokens
    assert tools > plain + 20


def test_tool_calls_and_reasoning_by_vllms_own_parsers(llm):
    """What its server would tell apart in a text, we do, by the same parsers."""
    parsers = Parsers(llm, Serving(tools="hermes", reasoning="qwen3"))
    text = 'Let me see.</think><tool_call>\n{"name": "now", "arguments": {"at": 1}}\n</tool_call>'
    message, called = parsers.message(text, call_of("When?", tools=(TOOL,)))
    assert called
    assert message["reasoning_content"] == "Let me see."
    function = message["tool_calls"][0]["function"]
    assert (function["name"], json.loads(function["arguments"])) == ("now", {"at": 1})


async def test_on_an_event_loop(llm):
    """Several at once wait for each other, and all are answered."""
    transport = AsyncEngineTransport(llm)
    replies = await asyncio.gather(*(transport.send(call_of(f"Owl {i}?")) for i in range(3)))
    assert [reply.usage.output_tokens for reply in replies] == [8, 8, 8]


def test_its_rows_are_a_catalogue(llm):
    """Named by its directory, with its own context, and no price until one is given."""
    (endpoint,) = engine_rows(llm, Catalog.default())["endpoint"]
    assert endpoint["context_tokens"] == 2048
    assert endpoint["model"] == "smol-moe"
    assert endpoint["unpriced"]


def test_a_client_of_it(llm):
    """The host "engine": asked like any other, what was cached is seen, no price is none."""
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Who am I?"}]
    with Client(engine=llm, ledger=":memory:", environ={}) as client:
        first, second = (
            client.chat.completions.create(messages, max_tokens=4, temperature=0).route
            for _ in range(2)
        )
    assert first.candidate == second.candidate == "smol-moe@engine"
    assert second.usage.cache_read_tokens >= second.usage.input_tokens - 33
    assert abs(second.forecast.cache_read_tokens - second.usage.cache_read_tokens) <= 32
    assert second.cost is None
