"""Settings of a client that are wrong: told at once, with what was expected."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from policies import explore, load_policy, utility
from policies import from_spec as spec_of
from router import (
    AsyncClient,
    Catalog,
    ChatCompletion,
    Client,
    ConfigError,
    InvalidParameterError,
    InvalidRequestError,
    RouterError,
    Webhook,
    restrict,
)
from router.testing import AsyncMockTransport, MockTransport, reply

WRONG = [
    ({"now": 5}, "now: expected a function that returns an aware instant, got 5"),
    ({"now": lambda: datetime(2026, 11, 22)}, "now: .* aware instant, such as .* it returned"),
    ({"now": lambda: "today"}, "it returned 'today'"),
    ({"timeout": None}, "timeout: expected seconds above 0, at most 86,400 .a day., got None"),
    ({"timeout": "5"}, "timeout: expected seconds above 0"),
    ({"timeout": float("nan")}, "timeout: expected seconds above 0, .* got nan"),
    ({"timeout": True}, "timeout: expected seconds above 0, .* got True"),
    ({"max_retries": -1}, "max_retries: expected a whole number from 0, got -1"),
    ({"max_retries": 1.5}, "max_retries: expected a whole number from 0, got 1.5"),
    ({"hosts": 3}, "hosts: expected a name, or a list of names, got 3"),
    ({"candidates": [1]}, r"candidates: expected a name, or a list of names, got \[1\]"),
    ({"strict_usage": "no"}, "strict_usage: expected True or False, got 'no'"),
    ({"log_decisions": 1}, "log_decisions: expected True or False, got 1"),
    ({"environ": 5}, "environ: expected a dict of texts by name, got int"),
    ({"keys": {"deepinfra": None}}, "keys: .* by name, got NoneType for 'deepinfra'"),
    ({"keys": "sk-secret"}, "keys: expected a dict of texts by name, got str$"),
    ({"base_urls": {"vllm": 8000}}, "base_urls: .* got int for 'vllm'"),
    ({"tags": ["team"]}, "tags: expected a dict of texts by name, got list"),
    ({"policy": utility}, r"policy: .* got the class utility: call it, utility\(...\)"),
    ({"policy": lambda quotes: None}, "policy: expected a function of quotes and context, got"),
    ({"policy": "fugal"}, "policy: expected a preset .balanced, careful"),
    ({"policy": Path("nowhere.toml")}, "policy: expected a preset .* got 'nowhere.toml'"),
    ({"scorer": "nowhere.npz"}, "scorer: cannot use 'nowhere.npz': there is no such file"),
    ({"scorer": SimpleNamespace}, "scorer: expected a path, or an object with score"),
    ({"verify": lambda: True}, "verify: expected a function of the answer, got"),
    ({"on_warning": Webhook}, "on_warning: expected a function, got <class"),
    ({"ledger": "."}, "ledger: expected a file, '.' is a directory"),
    ({"cache": 5}, "cache: expected a directory or a ResponseCache, got 5"),
    ({"unpriced": "free"}, "unpriced: expected None, 'deny' or 'ceiling', got 'free'"),
    ({"on_ledger_error": "ignore"}, "on_ledger_error: expected 'deny', 'local-lease' or 'allow'"),
]


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(("settings", "says"), WRONG)
def test_a_wrong_setting_is_told_at_once(kind, settings, says):
    """Not at the first request, and never as a bare TypeError or AttributeError of ours."""
    with pytest.raises(ConfigError, match=says) as caught:
        kind(**{"ledger": ":memory:", "environ": {}, **settings})
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("budget", "did you mean 'budgets'"),
        ("polcy", "did you mean 'policy'"),
        ("api_key", r"keys are by host: keys=\{'deepinfra': '...'\}"),
        ("base_url", "addresses are by host: base_urls="),
        ("model", r"create\(\) takes it; candidates= is what"),
        ("xyzzy", r"help\(Client\) lists its settings"),
    ],
)
def test_an_unknown_setting_names_the_one_that_was_meant(setting, says):
    """The error is Python's own, names the public class, and helps."""
    with pytest.raises(TypeError, match=says) as caught:
        Client(**{setting: "x"})
    assert str(caught.value).startswith(f"Client() got an unexpected keyword argument '{setting}'")
    assert "Core" not in str(caught.value)


def test_good_settings_are_not_refused(tmp_path):
    """Callables of any kind, names as tuples and sets, paths as text are taken as before."""

    class Choice:
        def __call__(self, quotes, context, /):
            return utility()(quotes, context)

    def judge(answer, *, strictly=False):
        return 1.0

    for settings in (
        {"policy": Choice(), "verify": judge, "on_warning": print, "hosts": {"replay"}},
        {"policy": Choice().__call__, "candidates": ("deepseek-v2.5",), "max_retries": 0},
        {"policy": "careful", "keys": {}, "tags": None, "base_urls": {"vllm": ["http://a/v1"]}},
        {"ledger": str(tmp_path / "new" / "spend.sqlite3"), "cache": str(tmp_path / "answers")},
        {"now": lambda: datetime(2026, 11, 22, tzinfo=UTC), "timeout": 5, "unpriced": "deny"},
    ):
        Client(**{"ledger": ":memory:", "environ": {}, **settings}).close()


@pytest.mark.parametrize(
    ("kind", "transport", "says"),
    [
        (
            Client,
            3,
            "an object with send, open and close, such as router.testing.Mock.*builtins.int",
        ),
        (Client, MockTransport, r"got router.testing.MockTransport \(a class\)"),
        (Client, AsyncMockTransport(reply()), "is to be awaited: pass it to AsyncClient"),
        (AsyncClient, MockTransport(reply()), "cannot be awaited: pass it to Client"),
    ],
)
def test_a_transport_of_the_wrong_kind(kind, transport, says):
    """One without the methods, a class, or the other client's is refused before any call."""
    with pytest.raises(ConfigError, match=says):
        kind(transport=transport, ledger=":memory:")


async def test_a_plain_method_may_return_what_is_awaited():
    """A transport of one's own that hands calls on is taken, whatever its methods look like."""
    inner = AsyncMockTransport(reply("Hi"))

    class Handing:
        def send(self, call):
            return inner.send(call)

        def open(self, call):
            return inner.open(call)

        def close(self):
            return inner.close()

    async with AsyncClient(
        transport=Handing(), keys={"deepinfra": "k"}, environ={}, ledger=":memory:"
    ) as client:
        made = await client.chat.completions.create(
            [{"role": "user", "content": "Hi"}], model="deepseek-v3.2@deepinfra"
        )
        assert made.text == "Hi"


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: restrict(utility(-1)),
        lambda: explore(utility(), 10),
        lambda: load_policy("nowhere"),
        lambda: spec_of({"policy": "utilty"}),
        lambda: Client(ledger=":memory:").scorer.place("x", {"gsm8k": 93}),
        lambda: Client(ledger=":memory:").scorer.place("x", {"gsm8k": "0.9"}),
        lambda: Client(ledger=":memory:").scorer.place("x", ["gsm8k"]),
        lambda: Client(ledger=":memory:").scorer.rollback(99),
        lambda: Client(ledger=":memory:").scorer.score("a", "m"),
        lambda: Client(ledger=":memory:").scorer.learn("a", "m", 3),
        lambda: Client(ledger=":memory:").scorer.observe("a", "m", -1),
    ],
)
def test_policies_and_scorers_refuse_with_our_errors(wrong):
    """One `except RouterError` has them all, and `except ValueError` as before."""
    with pytest.raises(InvalidParameterError) as caught:
        wrong()
    assert isinstance(caught.value, ConfigError) and isinstance(caught.value, ValueError)
    assert "expected" in str(caught.value)


@pytest.mark.parametrize("at", [None, "2026-11-22", datetime(2026, 11, 22)])
def test_no_instant_is_no_attribute_error(at):
    """A price is asked for at an aware instant; anything else is named."""
    with pytest.raises(InvalidRequestError, match="expected an aware instant such as"):
        Catalog.default().rates("deepseek-v3.2@deepinfra", at)


def test_a_completion_read_from_json_has_no_route():
    """Its answer is whole, and asking for what is not in it is an error of ours."""
    with Client(
        transport=MockTransport(reply("Hi")), keys={"deepinfra": "k"}, ledger=":memory:"
    ) as client:
        made = client.chat.completions.create(
            [{"role": "user", "content": "Hi"}], model="deepseek-v3.2@deepinfra"
        )
    assert made.cost_usd == made.route.total_cost_usd > 0
    again = ChatCompletion.model_validate_json(made.model_dump_json())
    assert again.text == "Hi" and again.usage == made.usage
    for ask in (lambda: again.route, lambda: again.cost_usd):
        with pytest.raises(RouterError, match="a route is no part of its JSON"):
            ask()
