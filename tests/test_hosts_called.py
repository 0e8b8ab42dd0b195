"""Hosts, keys and budgets that would silently change nothing are refused when a client is made."""

import pytest

from router import (
    Budget,
    Client,
    ConfigError,
    InvalidBudgetError,
    MissingKeyError,
    NoCandidateError,
    UnknownHostError,
    UnknownModelError,
)

ASK = [{"role": "user", "content": "Hi"}]
OWN = {
    "host": [{"name": "openai", "base_url": "https://example.org/v1", "api_key_env": "MY_KEY"}],
    "endpoint": [
        {
            "model": "deepseek-v3.2",
            "host": "openai",
            "model_id": "v32",
            "context_tokens": 1000,
            "max_output_tokens": 100,
        }
    ],
}


def client(**settings):
    return Client(**{"ledger": ":memory:", "environ": {}, **settings})


@pytest.mark.parametrize("host", ["openai", "anthropic", "google", "quoted", "vertex", "bedrock"])
@pytest.mark.parametrize("setting", ["keys", "base_urls", "hosts"])
def test_a_host_that_is_only_a_price(host, setting):
    """Its key is refused: a recording would answer otherwise, and the caller think it was live."""
    given = {"keys": {host: "k"}, "base_urls": {host: "http://x"}, "hosts": ["replay", host]}
    with pytest.raises(UnknownHostError, match="only for its prices") as caught:
        client(**{setting: given[setting]})
    assert host in str(caught.value)
    assert "deepinfra" in str(caught.value)
    assert "[[host]]" in str(caught.value)


def test_a_price_only_host_that_an_overlay_calls():
    """With an address and endpoints of its own it is a host as any other."""
    made = client(catalog=OWN, keys={"openai": "k"})
    assert "deepseek-v3.2@openai" in {c.name for c in made.candidates()}


@pytest.mark.parametrize(
    ("settings", "variable"),
    [
        ({"keys": {"vllm": "k"}}, "VLLM_BASE_URL"),
        ({"keys": {"azure": "k"}}, "AZURE_AI_ENDPOINT"),
        ({"keys": {"deepinfra": ""}}, "DEEPINFRA_API_KEY"),
        ({"base_urls": {"deepinfra": "http://localhost:1"}}, "DEEPINFRA_API_KEY"),
        ({"base_urls": {"vllm": []}}, "VLLM_BASE_URL"),
    ],
)
def test_a_host_that_is_half_configured(settings, variable):
    """Who names a host and misses a half of it does not mean recordings."""
    with pytest.raises(MissingKeyError, match=variable) as caught:
        client(**settings).chat.completions.create(ASK)
    assert caught.value.variable == variable


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://x", "//u:secret@x"])
def test_a_base_url_without_its_scheme(url):
    """It is said so before anything is sent; what may be a password is not shown."""
    with pytest.raises(NoCandidateError, match="no http:// or https:// before it") as own:
        client(base_urls={"vllm": url}).chat.completions.create(ASK)
    with pytest.raises(ConfigError, match="expected one such as https://") as caught:
        client(base_urls={"deepinfra": url}, keys={"deepinfra": "k"}).chat.completions.create(ASK)
    assert "secret" not in f"{own.value} {caught.value}"


@pytest.mark.parametrize("setting", ["hosts", "candidates"])
def test_none_to_choose_from(setting):
    """An empty list is no choice, and not the same as no list."""
    with pytest.raises(ConfigError, match=f"{setting}: expected at least one, got none"):
        client(**{setting: []})


def test_near_names_can_be_called():
    """A baseline is no answer to a misspelt model, but it is to the name of a price."""
    made = client()
    with pytest.raises(UnknownModelError) as caught:
        made.chat.completions.create(ASK, model="gpt-4o")
    assert not any(name.startswith("gpt-5") for name in caught.value.did_you_mean)
    with pytest.raises(UnknownModelError) as caught:
        made.catalog.rates("gpt-55@openai", made._core.now())
    assert "gpt-5@openai" in caught.value.did_you_mean


@pytest.mark.parametrize("model", [None, 3, ["auto"]])
def test_candidates_of_no_name(model):
    """`candidates` takes one name."""
    with pytest.raises(ConfigError, match="model: expected a name"):
        client().candidates(model)


def test_a_prompt_for_a_name():
    """What is too long for a name is not repeated."""
    with pytest.raises(UnknownModelError, match="got a text of 5,000 characters") as caught:
        client().chat.completions.create(ASK, model="secret" + "x" * 4994)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("scope", "says"),
    [
        ({"model": "deepseek-v32"}, "perhaps .*deepseek-v3.2"),
        ({"model": "gpt-5"}, "expected a model that can be called"),
        ({"model": "deepseek-v3.2:thinking"}, "expected a model"),
        ({"host": "deepifra"}, "perhaps deepinfra"),
        ({"host": "openai"}, "expected a host that can be called"),
        ({"mode": "fast"}, "one of chat, thinking"),
        ({"candidate": "deepseek-v3.2"}, "perhaps .*deepseek-v3.2@"),
        ({"team": "a", "candidate": "deepseek-v3.2@openai"}, "expected a candidate"),
    ],
)
def test_a_budget_that_would_never_hold(scope, says):
    """A misspelt scope is a limit that nobody keeps to: refused, in a client and in a call."""
    with pytest.raises(InvalidBudgetError, match=f"would never hold: .*{says}"):
        client(budgets=Budget("1", "day", scope))
    with pytest.raises(InvalidBudgetError, match="would never hold"):
        client().plan(ASK, budget=Budget("1", "day", scope))


@pytest.mark.parametrize(
    "scope",
    [
        {"model": "*", "host": "*", "mode": "*", "candidate": "*"},
        {"model": "deepseek-v3.2", "mode": "thinking", "host": "deepinfra"},
        {"candidate": "deepseek-v3.2:thinking@deepinfra"},
        {"candidate": "deepseek-v2.5@replay", "modle": "any tag"},
    ],
)
def test_a_budget_that_may_hold(scope):
    """Names of the catalogue pass, as does any tag: only the caller knows those."""
    assert client(budgets=Budget("1", "day", scope))


def test_a_budget_of_a_model_yet_to_be_found():
    """With one's own server configured any model may be served; its host is known all the same."""
    own = {"base_urls": {"vllm": "http://127.0.0.1:1"}}
    assert client(budgets=Budget("1", "day", {"model": "mine", "host": "vllm"}), **own)
    with pytest.raises(InvalidBudgetError, match="perhaps vllm"):
        client(budgets=Budget("1", "day", {"model": "mine", "host": "vlm"}), **own)
