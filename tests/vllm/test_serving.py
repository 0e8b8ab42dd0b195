"""What our command starts, what `doctor` finds on it, and the calls that go there."""

import json
import time

import httpx
import pytest

from router.errors import BadRequestError
from router.transports.vllm.checks import check
from router.transports.vllm.serving import servings

LONG = "The quick brown fox jumps over the lazy dog while seventeen grey owls look on. " * 20
TOOL = {
    "type": "function",
    "function": {"name": "now", "description": "The time", "parameters": {"type": "object"}},
}


def ask(text, system=LONG):
    return [{"role": "system", "content": system}, {"role": "user", "content": text}]


def found_on(server):
    return {f.what: f for f in check("vllm", server.url)}


def load(server):
    return httpx.get(f"{server.url.removesuffix('/v1')}/load").json()["server_load"]


def test_the_doctor_finds_nothing_wrong(server):
    """All that our command gives a server is there, and seen."""
    found = found_on(server)
    assert {f.state for f in found.values()} == {"ok"}, found
    assert found.keys() >= {"version", "prefix cache", "KV cache", "cached tokens", "tool calls"}
    assert "of 32" in found["KV cache"].finding
    assert found["load"].finding == "/load counts open requests"


def test_the_doctor_finds_what_is_missing(server, bare):
    """On a server without these flags each is found, with the flag that mends it."""
    found = found_on(bare)
    for what, flag in (
        ("prefix cache", "--enable-prefix-caching"),
        ("cached tokens", "--enable-prompt-tokens-details"),
        ("tool calls", "--enable-auto-tool-choice"),
        ("load", "--enable-server-load-tracking"),
    ):
        assert found[what].state != "ok", found
        assert flag in found[what].finding
    assert "off: start the server with --enable-prefix-caching" in bare.text


@pytest.mark.filterwarnings("default")  # torch warns of itself when it is imported
def test_every_parser_that_we_name_is_one():
    """The table's parsers and tokenizer modes are those of this vLLM."""
    from vllm.reasoning import ReasoningParserManager
    from vllm.tokenizers.registry import TokenizerRegistry
    from vllm.tool_parsers import ToolParserManager

    for row in servings():
        if row.tools:
            assert ToolParserManager.get_tool_parser(row.tools), row
        if row.reasoning:
            assert ReasoningParserManager.get_reasoning_parser(row.reasoning), row
        modes = dict(zip(row.flags[::2], row.flags[1::2], strict=True))
        if mode := modes.get("--tokenizer-mode"):
            assert mode in {*TokenizerRegistry.tokenizers, "mistral"}, row


def test_cached_tokens_are_seen_and_settled(client):
    """The second time nearly all of the prompt is read from the cache, and billed as that."""
    first, second = (
        client.chat.completions.create(ask("One?"), max_tokens=4, temperature=0).route
        for _ in range(2)
    )
    assert first.usage.cache_read_tokens == 0
    cached, whole = second.usage.cache_read_tokens, second.usage.input_tokens
    assert whole - 33 <= cached < whole
    assert cached % 32 == 0
    pico = (whole - cached) * 1_000_000 + cached * 100_000 + second.usage.output_tokens * 2_000_000
    assert second.cost.pico == pico
    assert second.cost.pico < first.cost.pico / 3
    assert not second.usage.estimated


def test_a_stream_tells_the_same(client, server):
    """Text as it comes, one chunk a token, and the usage that a whole answer has."""
    whole = client.chat.completions.create(ask("Two?"), max_tokens=12, temperature=0)
    with client.chat.completions.create(
        ask("Two?"), max_tokens=12, temperature=0, stream=True
    ) as stream:
        texts = [chunk.text for chunk in stream]
    assert "".join(texts) == whole.text
    assert len([text for text in texts if text]) > 1
    assert stream.route.usage.output_tokens == whole.route.usage.output_tokens
    assert stream.route.usage.input_tokens == whole.route.usage.input_tokens
    assert stream.route.usage.cache_read_tokens > 0
    body = {"model": whole.model, "messages": ask("Two?")}
    counted = httpx.post(f"{server.url.removesuffix('/v1')}/tokenize", json=body).json()
    assert counted["count"] == whole.route.usage.input_tokens


def test_salts_keep_caches_apart(client):
    """A prompt that is warm under one salt is cold under another."""
    cached = [
        client.chat.completions.create(
            ask("Three?", LONG[::-1]), max_tokens=1, extra_body={"cache_salt": salt}
        ).route.usage.cache_read_tokens
        for salt in ("a", "a", "b", "b")
    ]
    assert cached[0] == cached[2] == 0
    assert cached[1] == cached[3] > 0


def test_a_conversation_is_cached_as_expected(client):
    """Turn by turn the index expects what the server then reports, to a block or so."""
    messages, off = ask("Shall we begin?", "Be brief. " + LONG), []
    for turn in range(8):
        reply = client.chat.completions.create(messages, max_tokens=24, temperature=0)
        usage, forecast = reply.route.usage, reply.route.forecast
        if turn:
            assert usage.cache_read_tokens > 0
            off.append(abs(forecast.cache_read_tokens - usage.cache_read_tokens) / 32)
        messages = [
            *messages,
            {"role": "assistant", "content": reply.text},
            {"role": "user", "content": f"And then, part {turn}? Tell me more of the owls."},
        ]
    assert sorted(off)[len(off) // 2] <= 1, off
    assert max(off) <= 3, off


def test_a_stream_that_is_left_is_aborted(client, server):
    """The server stops working for it, and it is charged what came."""
    stream = client.chat.completions.create(ask("Four?"), max_tokens=2000, stream=True)
    with stream:
        for _ in zip(stream, range(5), strict=False):
            pass
    until = time.monotonic() + 20
    while load(server) and time.monotonic() < until:
        time.sleep(0.05)
    assert load(server) == 0
    assert stream.route.usage.estimated
    assert 0 < stream.route.usage.output_tokens < 2000


def test_structured_output_and_tools(client):
    """A schema holds even for a model that babbles; tools are accepted."""
    # Of an object it would write blanks without end, which a schema allows.
    schema = {"enum": ["Paris", "Rome"]}
    asked = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    reply = client.chat.completions.create(ask("Where?"), response_format=asked, max_tokens=20)
    assert json.loads(reply.text) in {"Paris", "Rome"}
    reply = client.chat.completions.create(ask("When?"), tools=[TOOL], max_tokens=4)
    assert reply.route.usage.output_tokens == 4


def test_errors_of_the_server(client, name):
    """They are typed, say what the server says, and bill nothing."""
    body = {"min_p": 7}
    with pytest.raises(BadRequestError, match="min_p") as caught:
        client.chat.completions.create(ask("Five?"), max_tokens=1, extra_body=body)
    assert caught.value.status_code == 400
    with pytest.raises(BadRequestError, match="non-empty string"):
        client.chat.completions.create(ask("Six?"), max_tokens=1, extra_body={"cache_salt": ""})
