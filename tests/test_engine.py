"""A `vllm.LLM` in this process as a transport, here with a stand-in for it."""

import asyncio
import sys
import threading
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import pytest

from router.catalog import Catalog
from router.errors import (
    BadRequestError,
    ConfigError,
    ProviderTimeoutError,
    ServerError,
)
from router.testing import FakeClock
from router.transports.access import Access
from router.transports.base import AsyncByKind, ByKind
from router.transports.live import async_transport, sync_transport
from router.transports.vllm.engine import AsyncEngineTransport, EngineTransport, engine_rows
from router.types import Call, Request

V32 = "deepseek-ai/DeepSeek-V3.2"
MESSAGES = ({"role": "user", "content": "What is the capital of France, if I may ask you?"},)
TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


class Engine:
    """Stands in for `vllm.LLM`: its `chat`, `model_config` and tokenizer."""

    def __init__(self, model=V32, text="Paris.", finish="stop", cached=32, defaults=None):
        self.model_config = SimpleNamespace(
            served_model_name=[model],
            model=f"/srv/{model}",
            max_model_len=4096,
            get_diff_sampling_param=lambda: dict(defaults or {}),
        )
        self.seen = []
        self.active = self.most_active = 0
        self.error = None
        self.leftover = False
        self._text, self._finish, self._cached = text, finish, cached

    def get_tokenizer(self):
        return "tokenizer"

    def chat(self, **arguments):
        self.seen.append(arguments)
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        try:
            if self.error is not None:
                raise self.error
            threading.Event().wait(0.005)
        finally:
            self.active -= 1
        answer = SimpleNamespace(
            text=self._text, token_ids=(1, 2, 3), finish_reason=self._finish, stop_reason=None
        )
        output = SimpleNamespace(
            prompt_token_ids=list(range(40)), num_cached_tokens=self._cached, outputs=[answer]
        )
        stale = SimpleNamespace(outputs=[SimpleNamespace(text="another's")])
        return [stale, output] if self.leftover else [output]


class VLLMClientError(Exception):
    """vLLM's kind of error for requests that are at fault."""


class VLLMValidationError(VLLMClientError):
    """One of them."""


class Params(SimpleNamespace):
    """Stands in for `vllm.SamplingParams`."""

    @classmethod
    def from_optional(cls, **fields):
        if fields.get("temperature", 0) < 0:
            raise VLLMValidationError("temperature must be non-negative")
        return cls(**fields)


@pytest.fixture(autouse=True)
def vllm(monkeypatch):
    """Stands in for the package; its parsers are added by the tests that need them."""
    package = ModuleType("vllm")
    package.SamplingParams = Params
    sampling = ModuleType("vllm.sampling_params")
    sampling.StructuredOutputsParams = SimpleNamespace
    monkeypatch.setitem(sys.modules, "vllm", package)
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", sampling)
    for name in ("vllm.reasoning", "vllm.tool_parsers"):
        monkeypatch.setitem(sys.modules, name, None)
    return package


@pytest.fixture
def parsers(monkeypatch):
    """Parsers that split at "</think>" and at "CALL"."""

    class Reasoning:
        def __init__(self, tokenizer, chat_template_kwargs):
            self.thinking = chat_template_kwargs.get("thinking")

        def extract_reasoning(self, text, request):
            reasoning, _, content = text.rpartition("</think>")
            return (reasoning, content) if self.thinking else (None, text)

    class Tools:
        def __init__(self, tokenizer, tools):
            self.tools = tools

        def extract_tool_calls(self, text, request):
            content, called, name = text.partition("CALL ")
            dumped = {
                "id": "call_1",
                "type": "function",
                "function": {"name": name, "arguments": "{}"},
            }
            call = SimpleNamespace(model_dump=lambda include: dumped)
            return SimpleNamespace(
                tools_called=bool(called), tool_calls=[call], content=content or None
            )

    def module(name, **members):
        made = ModuleType(name)
        vars(made).update(members)
        monkeypatch.setitem(sys.modules, name, made)

    manager = SimpleNamespace(
        get_reasoning_parser=lambda name: {"deepseek_v3": Reasoning}[name],
        get_tool_parser=lambda name: {"deepseek_v32": Tools}[name],
    )
    module("vllm.reasoning", ReasoningParserManager=manager)
    module("vllm.tool_parsers", ToolParserManager=manager)
    request = SimpleNamespace(model_validate=lambda fields: SimpleNamespace(**fields))
    for part in ("entrypoints", "entrypoints.openai", "entrypoints.openai.chat_completion"):
        module(f"vllm.{part}")
    module("vllm.entrypoints.openai.chat_completion.protocol", ChatCompletionRequest=request)


def call_of(candidate="deepseek-v3.2@vllm", max_tokens=50, timeout=60.0, **request):
    """A call as the flow makes it."""
    extra = request.pop("extra", {})
    return Call(
        request=Request(id="r1", messages=MESSAGES, extra=extra, **request),
        candidate=replace(
            Catalog.default().candidate(candidate, at=FakeClock()()), host="engine", kind="engine"
        ),
        max_tokens=max_tokens,
        timeout=timeout,
        input_tokens=40,
    )


def test_an_answer_with_its_usage():
    """Tokens are those of the engine, cached ones included; the body has OpenAI's shape."""
    engine = Engine()
    reply = EngineTransport(engine).send(call_of())
    assert reply.body["choices"][0]["message"]["content"] == "Paris."
    assert reply.body["object"] == "chat.completion"
    usage = reply.usage
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (40, 32, 3)
    assert not usage.estimated
    assert reply.finish_reason == "stop"
    (seen,) = engine.seen
    assert seen["messages"] == [dict(m) for m in MESSAGES]
    assert seen["use_tqdm"] is False
    assert seen["sampling_params"].max_tokens == 50


def test_an_engine_that_does_not_tell_what_was_cached():
    """Nothing told is nothing cached."""
    assert EngineTransport(Engine(cached=None)).send(call_of()).usage.cache_read_tokens == 0


def test_sampling_is_the_calls_and_else_the_models():
    """The model's own defaults hold where the call says nothing, as on vLLM's server."""
    engine = Engine(defaults={"temperature": 0.6, "top_p": 0.95, "max_tokens": 7})
    fields = {
        "temperature": 0,
        "stop": ["\n"],
        "seed": 7,
        "user": "u",
        "parallel_tool_calls": True,
    }
    EngineTransport(engine).send(call_of(extra=fields))
    assert vars(engine.seen[0]["sampling_params"]) == {
        "temperature": 0,
        "top_p": 0.95,
        "stop": ["\n"],
        "seed": 7,
        "max_tokens": 50,
        "skip_special_tokens": True,
    }


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}},
            {"json": SCHEMA},
        ),
        ({"response_format": {"type": "json_object"}}, {"json_object": True}),
        ({"extra": {"guided_choice": ["yes", "no"]}}, {"choice": ["yes", "no"]}),
        ({"extra": {"structured_outputs": {"regex": "a+"}}}, {"regex": "a+"}),
    ],
)
def test_structured_output(asked, wanted):
    """What an answer must look like goes to the engine in its own words."""
    engine = Engine()
    EngineTransport(engine).send(call_of(**asked))
    assert vars(engine.seen[0]["sampling_params"].structured_outputs) == wanted


def test_plain_text_is_no_structured_output():
    engine = Engine()
    EngineTransport(engine).send(call_of(response_format={"type": "text"}))
    assert not hasattr(engine.seen[0]["sampling_params"], "structured_outputs")


@pytest.mark.parametrize(
    ("request_fields", "says"),
    [
        ({"extra": {"logprobs": True}}, "gives no logprobs"),
        ({"extra": {"cache_salt": "a", "priority": 1}}, "does not take cache_salt, priority"),
        ({"tools": (TOOL,), "tool_choice": "required"}, "tool_choice 'auto' or 'none' only"),
        ({"extra": {"temperature": -1}}, "temperature must be non-negative"),
    ],
)
def test_what_an_engine_cannot_do_is_refused(request_fields, says):
    """Nothing is left out silently, and nothing is generated."""
    engine = Engine()
    with pytest.raises(BadRequestError, match=says) as caught:
        EngineTransport(engine).send(call_of(**request_fields))
    assert caught.value.status_code == 400
    assert not caught.value.billable
    assert not engine.seen


def test_errors_are_typed_and_show_no_prompt():
    """A refusal by the engine is a bad request, any other failure the server's."""
    engine = Engine()
    transport = EngineTransport(engine)
    engine.error = ValueError("The prompt (length 5000) is longer than 4096 tokens")
    with pytest.raises(BadRequestError, match="longer than 4096"):
        transport.send(call_of())
    engine.error = ValueError(f"cannot read {MESSAGES[0]['content']!r}")
    with pytest.raises(BadRequestError, match="repeats the prompt"):
        transport.send(call_of())
    engine.error = VLLMValidationError("No")
    with pytest.raises(BadRequestError, match="No"):
        transport.send(call_of())
    engine.error = RuntimeError(MESSAGES[0]["content"])
    with pytest.raises(ServerError, match=r"the engine failed \(RuntimeError\)") as caught:
        transport.send(call_of())
    assert "capital" not in str(caught.value)
    engine.error = None
    assert transport.send(call_of()).finish_reason == "stop"


def test_what_an_interrupted_call_left_behind_is_not_the_answer():
    """An engine finishes it with the next call."""
    engine = Engine()
    engine.leftover = True
    assert EngineTransport(engine).send(call_of()).body["choices"][0]["message"] == {
        "role": "assistant",
        "content": "Paris.",
    }


def test_an_interrupt_passes_through():
    """Ctrl-C is not an error of the engine; the next call can be made."""
    engine = Engine()
    transport = EngineTransport(engine)
    engine.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        transport.send(call_of())
    engine.error = None
    transport.send(call_of())


def test_one_call_at_a_time():
    """An engine is not made for several threads."""
    engine = Engine()
    transport = EngineTransport(engine)
    threads = [threading.Thread(target=transport.send, args=(call_of(),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(engine.seen), engine.most_active) == (8, 1)


def test_a_busy_engine():
    """Who waits longer than its timeout is given up, unbilled."""
    transport = EngineTransport(Engine())
    with transport._lock, pytest.raises(ProviderTimeoutError, match="busy") as caught:
        transport.send(call_of(timeout=0.01))
    assert not caught.value.billable


def test_a_stream_is_one_piece_and_its_end():
    """The text, then the usage; reading on gives nothing."""
    source = EngineTransport(Engine(finish="length")).open(call_of(stream=True))
    piece, end = source.read(), source.read()
    assert (piece.text, piece.finish_reason, piece.usage) == ("Paris.", None, None)
    assert (end.text, end.finish_reason, end.usage.output_tokens) == ("", "length", 3)
    assert piece.body["object"] == end.body["object"] == "chat.completion.chunk"
    assert source.read() is None
    source.close()


async def test_on_an_event_loop():
    """The same answers, and the loop goes on meanwhile."""
    engine = Engine()
    transport = AsyncEngineTransport(engine)
    replies = await asyncio.gather(*(transport.send(call_of()) for _ in range(3)))
    assert [r.usage.output_tokens for r in replies] == [3, 3, 3]
    assert engine.most_active == 1
    source = await transport.open(call_of(stream=True))
    assert (await source.read()).text == "Paris."
    assert (await source.read()).usage.cache_read_tokens == 32
    assert await source.read() is None
    await source.close()
    await transport.close()


def test_reasoning_and_tool_calls_are_told_apart(parsers):
    """By vLLM's parsers for the model; special tokens stay in the text for them to see."""
    engine = Engine(text="Let me see.</think>CALL now")
    reply = EngineTransport(engine).send(call_of("deepseek-v3.2:thinking@vllm", tools=(TOOL,)))
    choice = reply.body["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["reasoning_content"] == "Let me see."
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"][0]["function"]["name"] == "now"
    (seen,) = engine.seen
    assert seen["chat_template_kwargs"] == {"thinking": True}
    assert seen["tools"] == [TOOL]
    assert seen["sampling_params"].skip_special_tokens is False


def test_without_tools_none_are_looked_for(parsers):
    """Text that looks like a call is text; with tool_choice "none" no tools are shown at all."""
    engine = Engine(text="CALL now")
    transport = EngineTransport(engine)
    for request in ({}, {"tools": (TOOL,), "tool_choice": "none"}):
        message = transport.send(call_of(**request)).body["choices"][0]["message"]
        assert message["content"] == "CALL now"
        assert "tool_calls" not in message
    assert engine.seen[1]["tools"] is None


def test_an_answer_is_kept_where_the_parsers_fail():
    """Here they cannot even be loaded: the text is the answer as it is."""
    engine = Engine(text="Let me see.</think>CALL now")
    reply = EngineTransport(engine).send(call_of("deepseek-v3.2:thinking@vllm", tools=(TOOL,)))
    assert reply.body["choices"][0]["message"]["content"] == "Let me see.</think>CALL now"


@pytest.mark.parametrize("llm", [None, "model", object(), SimpleNamespace(chat=print)])
def test_what_is_no_engine_is_refused(llm):
    with pytest.raises(ConfigError, match=r"engine: expected a vllm\.LLM"):
        EngineTransport(llm)


def test_the_rows_of_a_listed_model():
    """A model that the catalogue has for vLLM keeps its modes and options; its context is real."""
    rows = engine_rows(Engine(), Catalog.default())
    (host,), (endpoint,) = rows["host"], rows["endpoint"]
    assert (host["name"], host["kind"], host["self_hosted"]) == ("engine", "engine", True)
    assert not rows["model"]
    assert (endpoint["model"], endpoint["host"]) == ("deepseek-v3.2", "engine")
    assert endpoint["context_tokens"] == 4096
    assert endpoint["options"]["thinking"]["request_extra"] == {
        "chat_template_kwargs": {"thinking": True}
    }
    assert endpoint["unpriced"]


def test_the_rows_of_another_model():
    """It comes as a server's unknown models do: named by its id, without a price."""
    rows = engine_rows(Engine(model="/srv/models/My MoE"), Catalog.default())
    assert [m["name"] for m in rows["model"]] == ["my-moe"]
    assert rows["endpoint"][0]["model_id"] == "/srv/models/My MoE"
    assert rows["endpoint"][0]["unpriced"]


def test_the_transports_of_a_client():
    """Calls of its kind go to the engine, all others where they went."""
    engine = Engine()
    transport = sync_transport(Access(), engine)
    assert isinstance(transport, ByKind)
    assert transport.send(call_of()).usage.input_tokens == 40
    transport.close()
    assert isinstance(async_transport(Access(), engine), AsyncByKind)
    assert asyncio.run(async_transport(Access(), engine).send(call_of())).finish_reason == "stop"
