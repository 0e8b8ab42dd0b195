"""What one's own server serves and the catalogue does not list: its price, and what it can do."""

import logging
import re

import pytest
from wire_bodies import vllm_models

from router import Catalog, CatalogError, Client, NoCandidateError, UnpricedModelError
from router.money import to_usd
from router.testing import MockTransport, reply
from router.transports.discovery import overlay_for

ASK = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
JSON = {"type": "json_object"}


def price(endpoint):
    return {
        "rate": [
            {
                "endpoint": endpoint,
                "input": "0.10",
                "output": "0.40",
                "source": "our own",
                "checked": "2026-11-22",
            }
        ]
    }


@pytest.fixture
def shop(wire, clock):
    """Clients of a llama.cpp server that serves `Smol.gguf`."""

    def make(**settings):
        wire.models("llamacpp", vllm_models(**{"Smol.gguf": 4096}))
        return Client(
            base_urls={"llamacpp": wire.url("llamacpp")},
            ledger=":memory:",
            now=clock,
            transport=MockTransport(*[reply("{}", input_tokens=10, output_tokens=5)] * 3),
            **settings,
        )

    return make


def test_a_rate_alone_is_enough(shop):
    """A row with its endpoint's name prices a model that only its server knows."""
    with shop(catalog=price("smol.gguf@llamacpp"), budgets="1") as client:
        made = client.chat.completions.create(ASK)
        assert made.route.candidate == "smol.gguf@llamacpp"
        assert made.route.cost.usd == to_usd(10 * 100_000 + 5 * 400_000)


def test_the_refusal_says_what_to_write(shop):
    """What the error of a model without a price shows is an overlay that works."""
    with shop(budgets="1") as client, pytest.raises(UnpricedModelError) as caught:
        client.chat.completions.create(ASK)
    written = re.search(r"Client\(catalog=(\{.*?\})\)", str(caught.value))[1]
    with shop(budgets="1", catalog=eval(written)) as client:
        assert client.chat.completions.create(ASK).route.cost.pico > 0


def test_a_rate_of_nothing_is_told(shop, caplog):
    """A misspelt endpoint at one's own server is known when it has said what it serves."""
    with (
        caplog.at_level(logging.WARNING, logger="router"),
        shop(catalog=price("smoll@llamacpp")) as client,
    ):
        client.candidates()
        client.candidates()
    (line,) = [r.getMessage() for r in caplog.records if "smoll@llamacpp" in r.getMessage()]
    assert "smol.gguf@llamacpp" in line


@pytest.mark.parametrize("endpoint", ["smol@deepinfra", "smol@nohost", "smol@replay"])
def test_a_rate_elsewhere_needs_its_endpoint(endpoint):
    """No other host is asked what it serves: there a strange endpoint is a mistake."""
    with pytest.raises(CatalogError, match=r"expected the name of a \[\[endpoint\]\] row"):
        Catalog.default().overlay(price(endpoint))


@pytest.mark.parametrize("host", ["llamacpp", "vllm", "sglang", "ollama"])
def test_what_is_found_writes_json(host):
    """These servers hold any model to a JSON schema; Speciale has no JSON mode anywhere."""
    catalog = Catalog.default()
    found = catalog.overlay(overlay_for(host, {"Smol": 99, "my/speciale-x": 99}, catalog))
    assert found.models["smol"].json_mode
    assert not found.models["speciale-x"].json_mode


def test_a_model_that_is_found_takes_json(shop):
    """A discovered llama.cpp model is asked for JSON without a word in the catalogue."""
    with shop() as client:
        assert client.chat.completions.create(ASK, response_format=JSON).text == "{}"


def test_a_server_that_takes_tools(shop):
    """Whether it does is not known: the refusal shows the row that says so, and that row works."""
    with shop() as client, pytest.raises(NoCandidateError, match="takes no tools") as caught:
        client.chat.completions.create(ASK, tools=[TOOL])
    written = re.search(r"Client\(catalog=(\{.*\})\)", str(caught.value))[1]
    with shop(catalog=eval(written)) as client:
        assert client.chat.completions.create(ASK, tools=[TOOL]).text == "{}"
        assert client.chat.completions.create(ASK, response_format=JSON).text == "{}"
