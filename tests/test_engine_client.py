"""`Client(engine=...)`: a `vllm.LLM` in this process as one more host, here a stand-in for it."""

import asyncio
import sys
from types import ModuleType, SimpleNamespace

import pytest

from router import AsyncClient, Client
from router.errors import ConfigError, MissingKeyError
from router.testing import FakeClock

MESSAGES = [{"role": "user", "content": "What is the capital of France?"}]


class Engine:
    """Answers as `vllm.LLM.chat` does; what was asked before is cached in blocks of 16."""

    def __init__(self, model="deepseek-ai/DeepSeek-V3.2"):
        self.model_config = SimpleNamespace(model=model, max_model_len=4096)
        self.seen = []

    def chat(self, messages, sampling_params, **arguments):
        text = str(messages)
        cached = max((len(s) for s in self.seen if text.startswith(s[:-1])), default=0)
        self.seen.append(text)
        answer = SimpleNamespace(
            text="Paris.", token_ids=(1, 2, 3), finish_reason="stop", stop_reason=None
        )
        ids = list(range(len(text)))
        return [SimpleNamespace(prompt_token_ids=ids, num_cached_tokens=cached, outputs=[answer])]


@pytest.fixture(autouse=True)
def vllm(monkeypatch):
    """Stands in for what is needed of the package."""
    package, sampling = ModuleType("vllm"), ModuleType("vllm.sampling_params")
    package.SamplingParams = SimpleNamespace(from_optional=lambda **given: given)
    sampling.StructuredOutputsParams = SimpleNamespace
    monkeypatch.setitem(sys.modules, "vllm", package)
    monkeypatch.setitem(sys.modules, "vllm.sampling_params", sampling)


@pytest.fixture
def settings():
    return {"ledger": ":memory:", "now": FakeClock(), "environ": {}}


PRICE = {
    "endpoint": "my-moe@engine",
    "input": "1.00",
    "output": "2.00",
    "source": "made up",
    "checked": "2026-11-22",
}


def test_it_answers_without_keys_and_addresses(settings):
    """Both modes of a model that the catalogue has for vLLM are candidates; usage is settled."""
    with Client(engine=Engine(), **settings) as client:
        assert [c.name for c in client.candidates()] == [
            *("deepseek-v3.2@engine", "deepseek-v3.2:thinking@engine")
        ]
        reply = client.chat.completions.create(MESSAGES, model="deepseek-v3.2@engine")
        assert (reply.text, reply.route.host) == ("Paris.", "engine")
        assert reply.route.usage.output_tokens == 3
        assert not reply.route.usage.estimated
        assert reply.route.cost is None
        (row,) = client.report(by=["model", "host"])
        assert (row["host"], row["requests"]) == ("engine", 1)


def test_with_a_price_it_is_budgeted(settings):
    """A hard budget refuses what has no price, and charges what has one."""
    rows = {"rate": [PRICE]}
    with Client(engine=Engine("/srv/My MoE"), catalog=rows, budgets="1.00", **settings) as client:
        route = client.chat.completions.create(MESSAGES).route
        assert route.candidate == "my-moe@engine"
        assert route.cost.pico == route.usage.input_tokens * 1_000_000 + 3 * 2_000_000
        assert client.budgets.status()[0].spent == route.cost.usd


def test_a_stream(settings):
    """The whole answer is one piece; the route is there afterwards."""
    with (
        Client(engine=Engine("/srv/My MoE"), **settings) as client,
        client.chat.completions.create(MESSAGES, stream=True) as stream,
    ):
        assert [chunk.text for chunk in stream] == ["Paris.", ""]
        assert stream.route.usage.output_tokens == 3


def test_on_an_event_loop(settings):
    """`AsyncClient` takes it as well."""

    async def ask():
        async with AsyncClient(engine=Engine("/srv/My MoE"), **settings) as client:
            calls = (client.chat.completions.create(MESSAGES) for _ in range(3))
            return [reply.text for reply in await asyncio.gather(*calls)]

    assert asyncio.run(ask()) == ["Paris."] * 3


def test_without_an_engine_there_is_no_such_host(settings):
    """And what is none is refused when the client is made."""
    with pytest.raises(ConfigError, match=r"engine: expected a vllm\.LLM"):
        Client(engine="my-moe", **settings)
    with Client(**settings) as client, pytest.raises((ConfigError, MissingKeyError)):
        client.chat.completions.create(MESSAGES, model="deepseek-v3.2@engine")
