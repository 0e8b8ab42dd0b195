"""What users get wrong: each gives its own error, says what to do, and costs nothing."""

import re
import sqlite3
from decimal import Decimal

import pytest

from router import Budget, Client
from router.errors import (
    BudgetExceededError,
    CatalogError,
    ConfigError,
    ContextLengthError,
    CorruptLedgerError,
    InvalidBudgetError,
    InvalidRequestError,
    LedgerError,
    MissingKeyError,
    NoCandidateError,
    RetiredModelError,
    UnknownHostError,
    UnknownModelError,
    UnpricedModelError,
)
from router.ledgers.sqlite import SQLiteLedger
from router.testing import FakeClock, MockTransport, reply

HELLO = [{"role": "user", "content": "Hello"}]
MODEL = "deepseek-v3.2@deepinfra"
SPECIALE = "deepseek-v3.2-speciale@azure"
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
UNPRICED = {
    "host": [{"name": "mine", "base_url": "http://localhost:1", "api_key_required": False}],
    "model": [{"name": "secret-weights"}],
    "endpoint": [
        {
            "model": "secret-weights",
            "host": "mine",
            "model_id": "w",
            "context_tokens": 1000,
            "max_output_tokens": 100,
        }
    ],
}


@pytest.fixture
def refused(tmp_path):
    """Runs a call that must be refused: no entry, nothing reserved, no call to the transport."""
    path = tmp_path / "state" / "ledger.sqlite3"

    def run(error, says, messages=HELLO, *, settings=None, **arguments):
        transport = MockTransport(reply("never"))
        given = {
            "transport": transport,
            "ledger": path,
            "keys": {"deepinfra": "k"},
            "environ": {},
            "now": FakeClock(),
        } | (settings or {})
        with pytest.raises(error) as caught, Client(**given) as client:
            client.chat.completions.create(messages, **({"model": MODEL} | arguments))
        assert type(caught.value) is error
        assert re.search(says, str(caught.value), re.DOTALL), str(caught.value)
        assert transport.calls == []
        untouched(path)
        return caught.value

    return run


def untouched(path):
    if not path.exists():
        return
    ledger = SQLiteLedger(path)
    ledger.check()
    assert list(ledger.entries()) == []
    ledger.close()
    db = sqlite3.connect(path)
    for table in ("reservations", "open_reservations", "balances"):
        assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    db.close()


def test_a_good_request_passes(tmp_path):
    """The same settings serve a good request: what is refused below is refused for its fault."""
    transport = MockTransport(reply("Hi"))
    with Client(transport=transport, ledger=tmp_path / "l", keys={"deepinfra": "k"}) as client:
        assert client.chat.completions.create(HELLO, model=MODEL, budget="1").text == "Hi"
    assert len(transport.calls) == 1


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([], "messages: expected at least one, got none"),
        ("Hello", r"messages: expected a list such as \[\{"),
        ([{"role": "user", "content": ""}], "messages: all of them are empty"),
        ([{"role": "robot", "content": "Hi"}], r"messages\[0\]: expected a dict with a role of"),
        (
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}],
            "messages",
        ),
    ],
)
def test_messages(refused, messages, says):
    """Messages that nobody could answer are refused before a candidate is looked for."""
    refused(InvalidRequestError, says, messages)


def test_an_unknown_model(refused):
    """A misspelt model is refused with the nearest names."""
    error = refused(UnknownModelError, "did you mean deepseek-v3.2", model="depseek-v3.2")
    assert "deepseek-v3.2" in error.did_you_mean


def test_a_retired_model(refused):
    """A name that was served once is refused with since when, and what to use now."""
    error = refused(RetiredModelError, "retired at 2026-07-24.*use ", model="deepseek-chat")
    assert error.successor
    assert error.did_you_mean == (error.successor,)


@pytest.mark.parametrize(
    "settings", [{"hosts": ["deepifra"]}, {"keys": {"deepifra": "k"}}, {"base_urls": {"x": "y"}}]
)
def test_an_unknown_host(refused, settings):
    """A misspelt host is refused when the client is made, with those that there are."""
    refused(UnknownHostError, "expected one of the hosts .*deepinfra", settings=settings)


def test_an_unknown_host_in_a_name(refused):
    """The same in the name of a candidate."""
    refused(UnknownHostError, "expected one of the hosts", model="deepseek-v3.2@deepifra")


@pytest.mark.parametrize(
    ("settings", "model"),
    [
        ({"keys": {}}, MODEL),
        ({"keys": {}, "hosts": ["deepinfra"]}, "auto"),
        ({"keys": {"novita": "k"}}, MODEL),
        ({"keys": {}, "environ": {"DEEPINFRA_API_KEY": ""}}, MODEL),
    ],
)
def test_no_key(refused, settings, model):
    """A host without its key is refused with the variable to set."""
    error = refused(MissingKeyError, "set DEEPINFRA_API_KEY", settings=settings, model=model)
    assert error.variable == "DEEPINFRA_API_KEY"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('[[rate]]\nendpoint = "deepseek-v3.2@deepinfra"\ninput = ', 3, "expected TOML"),
        ("\n[[rates]]\nx = 1\n", 2, r"expected one of \[\[host\]\]"),
        (
            f'[[rate]]\nendpoint = "{MODEL}"\ninput = 0.5\noutput = "1"\nsource = "s"\n',
            3,
            'write rates as strings, "0.5" not 0.5',
        ),
        (
            f'[[rate]]\nendpoint = "{MODEL}"\ninput = "1"\noutput = "-2"\nsource = "s"\n',
            4,
            "expected a rate of zero or more",
        ),
    ],
)
def test_a_bad_overlay(refused, tmp_path, text, line, says):
    """A catalogue file that cannot be used is refused with its name, the line, and the remedy."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    error = refused(CatalogError, says, settings={"catalog": path})
    assert str(error).startswith(f"{path}:{line}: ")
    assert (error.file, error.line) == (str(path), line)


@pytest.mark.parametrize("limit", ["NaN", float("nan"), "-1", "-0.000001", "lots", None, "1e-13"])
def test_a_bad_budget(refused, limit):
    """A limit that is no amount is refused, in a client, in a call and by itself."""
    says = "Budget limit: (expected|amounts)"
    refused(InvalidBudgetError, says, settings={"budgets": [limit]})
    refused(InvalidBudgetError, says, budget=[limit])
    with pytest.raises(InvalidBudgetError, match=says):
        Budget(limit)


def test_a_prompt_over_every_window(refused):
    """A prompt that no context holds is refused with its length and each window."""
    long = [{"role": "user", "content": "zebra " * 200_000}]
    error = refused(ContextLengthError, "Shorten it, or add a model", long)
    assert error.reasons.keys() == {MODEL}
    assert "163,840" in error.reasons[MODEL]


def test_tools_with_no_candidate(refused):
    """Tools that no candidate takes are refused with who was asked."""
    settings = {"keys": {"azure": "k"}, "base_urls": {"azure": "http://localhost:1"}}
    error = refused(
        NoCandidateError, "takes no tools", settings=settings, model=SPECIALE, tools=[TOOL]
    )
    assert error.reasons == {SPECIALE: "takes no tools"}


def test_an_unpriced_model_under_a_hard_budget(refused):
    """Unknown is not free: a price or a soft budget is what helps, and the error says so."""
    settings = {"catalog": UNPRICED, "budgets": "1"}
    error = refused(
        UnpricedModelError,
        "catalogue overlay.*hard=False",
        settings=settings,
        model="secret-weights",
    )
    assert error.reasons.keys() == {"secret-weights@mine"}


@pytest.mark.parametrize("budget", ["0", "0.0000001", [Budget("5"), Budget("0", "day")]])
def test_nothing_affordable(refused, budget):
    """A budget that holds too little is refused before anything is sent, with all amounts."""
    error = refused(BudgetExceededError, "needs .*Nothing was sent", budget=budget)
    assert error.spent == error.reserved == 0
    assert error.requested > error.remaining == error.limit
    assert isinstance(error.requested, Decimal)


def test_an_unwritable_ledger(refused, tmp_path):
    """Without a ledger a budget cannot hold: nothing is sent, and the error names the path."""
    (tmp_path / "file").write_text("x")
    path = tmp_path / "file" / "ledger.sqlite3"
    for budget in ("1", None):
        refused(
            LedgerError,
            f"{path}.*choose another file with Client",
            settings={"ledger": path},
            budget=budget,
        )
    assert (tmp_path / "file").read_text() == "x"


def test_a_corrupt_ledger(refused, tmp_path):
    """A file that is no ledger is refused, left as it was, and nothing is sent."""
    path = tmp_path / "notes.txt"
    path.write_bytes(b"my notes " * 1000)
    for budget in ("1", None):
        refused(
            CorruptLedgerError,
            f"{path}.*left as it is.*name a new file",
            settings={"ledger": path},
            budget=budget,
        )
    assert path.read_bytes() == b"my notes " * 1000


@pytest.mark.parametrize("policy", ["balancd", "/no/such/policy.toml"])
def test_an_unknown_policy(refused, policy):
    """A policy that is neither a preset nor a file is refused with the presets."""
    refused(ConfigError, "policy: expected a preset .balanced", settings={"policy": policy})


@pytest.mark.parametrize(
    ("arguments", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"max_retries": -1}, "max_retries"),
        ({"model": ""}, "model"),
        ({"model": []}, "model"),
        ({"model": 5}, "model"),
        ({"tags": {"team": 5}}, "tags"),
        ({"tags": "team"}, "tags"),
        ({"tools": 5}, "tools"),
        ({"tools": [{"name": "f"}]}, "tools[0]"),
        ({"tools": [TOOL | {"x": {1}}]}, "tools[0]"),
        ({"response_format": "json"}, "response_format"),
        ({"extra_body": "x"}, "extra_body"),
        ({"extra_body": {"max_tokens": 5}}, "extra_body"),
        ({"extra_body": {"n": 5}}, "extra_body"),
    ],
)
def test_bad_arguments(refused, arguments, param):
    """An argument of the wrong kind or size is refused by name, with what was expected."""
    assert refused(InvalidRequestError, f"^{re.escape(param)}: ", **arguments).param == param


def test_an_argument_that_there_is_not(refused):
    """A misspelt argument is a TypeError, as of any function, and says where others belong."""
    refused(TypeError, "'temprature'.*extra_body", temprature=1)
