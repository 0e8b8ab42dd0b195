"""Errors as objects that travel, and clients that are closed, shared or wrongly made."""

import asyncio
import copy
import gc
import json
import pickle
import traceback
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from calling import KEY, MESSAGES, AsyncCaller, FixedScorer, in_order
from wire import Answer
from wire_bodies import DONE, deepseek, deepseek_stream, event, stream

import router
from router import AsyncClient, Budget, Client, errors
from router.errors import (
    BudgetExceededError,
    ConfigError,
    MissingKeyError,
    ProviderError,
    RouterError,
    ServerError,
)
from router.ledgers.sqlite import SQLiteLedger
from router.testing import AsyncMockTransport, MockTransport, reply

MODEL = "deepseek-v3.2@deepinfra"
AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
KINDS = sorted(
    (
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, RouterError)
    ),
    key=lambda kind: kind.__name__,
)
PROVIDER = {
    "candidate": MODEL,
    "status_code": 503,
    "retry_after": 1.5,
    "provider_request_id": "r-1",
    "billable": True,
}
FIGURES = {
    "budget": "$1 a day",
    "limit": Decimal(1),
    "spent": Decimal("0.5"),
    "reserved": Decimal("0.25"),
    "requested": Decimal("0.3"),
    "resets_at": AT,
    "unit": "usd",
    "account": "day/UTC/team=search",
}
ARGUMENTS = {
    "CatalogError": {"file": "x.toml", "line": 3},
    "UnknownModelError": {"did_you_mean": ("a", "b")},
    "UsageError": {"keys": ("prompt_tokens",)},
    "RetiredModelError": {"retired_at": AT, "successor": "b"},
    "MissingKeyError": {"variable": "X_API_KEY"},
    "InvalidRequestError": {"param": "n"},
    "NoCandidateError": {"reasons": {"m@h": "no"}},
    "ContextLengthError": {"reasons": {"m@h": "long"}},
    "UnpricedModelError": {"reasons": {"m@h": "free?"}},
    "BudgetExceededError": FIGURES,
    "BudgetFrozenError": FIGURES,
    "DeferredError": {**FIGURES, "until": AT},
}


def made_of(kind):
    """An error with all that it can hold."""
    given = PROVIDER if issubclass(kind, ProviderError) else ARGUMENTS.get(kind.__name__, {})
    error = kind("what went wrong", **given)
    error.add_note("tried: m@h")
    return error, given


def pickled_by(protocol):
    """The way of an error through a process pool."""
    return lambda error: pickle.loads(pickle.dumps(error, protocol))  # noqa: TID251 - our own


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "sent",
    [*map(pickled_by, range(pickle.HIGHEST_PROTOCOL + 1)), copy.copy, copy.deepcopy],
)
def test_every_error_survives_a_process_pool(kind, sent):
    """Pickled or copied it is the same: its kind, message, attributes and notes."""
    error, given = made_of(kind)
    came = sent(error)
    assert type(came) is kind
    assert (str(came), came.args, came.__notes__) == (str(error), error.args, ["tried: m@h"])
    assert vars(came) == vars(error)
    assert {name: getattr(came, name) for name in given} == given
    assert isinstance(came, RouterError)


def test_every_attribute_is_tried():
    """The table above names every attribute that an error can have."""
    for kind in KINDS:
        error, given = made_of(kind)
        derived = {"did_you_mean"} if kind is errors.RetiredModelError else set()
        assert vars(error).keys() == given.keys() | derived | {"__notes__"}


def test_the_remainder_is_computed_after_the_journey():
    """A refusal that came out of a worker still says what is left."""
    error, _ = made_of(BudgetExceededError)
    assert pickled_by(5)(error).remaining == Decimal("0.25")


def test_errors_live_where_users_import_them():
    """`__module__` is router, so that a traceback shows the name that an except clause takes."""
    assert len(KINDS) == len({kind.__name__ for kind in KINDS}) > 20
    for kind in KINDS:
        assert kind.__module__ == "router"
        assert getattr(router, kind.__name__) is kind
    shown = "".join(traceback.format_exception(ServerError("no")))
    assert shown.startswith("router.ServerError: no")


def settings(ledger, **more):
    """Settings of a client that needs nothing of the machine."""
    base = {"keys": {"deepinfra": "k"}, "scorer": FixedScorer(), "policy": in_order}
    return base | {"ledger": ledger, "environ": {}} | more


@pytest.mark.parametrize("streamed", [False, True])
def test_a_closed_client_refuses(streamed):
    """After close a call is a ConfigError: nothing is sent, reserved or left open."""
    ledger, transport = SQLiteLedger(":memory:"), MockTransport(reply("x"))
    reserved = []
    ledger.reserve = reserved.append
    client = Client(transport=transport, **settings(ledger))
    client.close()
    client.close()
    with pytest.raises(ConfigError, match="this client is closed"):
        client.chat.completions.create(MESSAGES, model=MODEL, stream=streamed, budget="1")
    assert (transport.calls, reserved) == ([], [])


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_closed_async_client_refuses(streamed):
    """The same on an event loop."""
    ledger, transport = SQLiteLedger(":memory:"), AsyncMockTransport(reply("x"))
    reserved = []
    ledger.reserve = reserved.append
    client = AsyncClient(transport=transport, **settings(ledger))
    await client.close()
    await client.close()
    with pytest.raises(ConfigError, match="this client is closed"):
        await client.chat.completions.create(MESSAGES, model=MODEL, stream=streamed, budget="1")
    assert (transport.calls, reserved) == ([], [])


@pytest.mark.filterwarnings("ignore:unclosed (transport|<socket):ResourceWarning")
@pytest.mark.parametrize("streamed", [False, True])
def test_an_async_client_outlives_its_loop(wire, tmp_path, clock, caplog, streamed):
    """One client in several asyncio.run calls, as in scripts: a new loop, a new pool, no noise.

    The sockets that a loop leaves when it closes are asyncio's to collect.
    """
    caller = AsyncCaller(wire, tmp_path / "ledger.sqlite3", clock)
    client = AsyncClient(**caller.settings("deepinfra"))
    answer = deepseek_stream if streamed else deepseek

    async def ask():
        made = await client.chat.completions.create(MESSAGES, model=MODEL, stream=streamed)
        return "".join([c.text async for c in made]) if streamed else made.text

    for text in ("one", "two", "three"):
        wire.script("deepinfra", answer(text))
        assert asyncio.run(ask()) == text
    asyncio.run(client.close())
    gc.collect()
    assert [entry.outcome for entry in caller.entries()] == ["ok"] * 3
    assert caplog.text == ""


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": f"Incorrect API key provided: {KEY}"}},
        {"error": {"message": f"bad key {KEY}", "code": 401}},
        {"error": f"who is {KEY}?"},
        {"error": {"message": "x" * 290 + KEY}},
        {"error": {"message": "no", "key": KEY}},
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_key_told_after_the_status_is_not_shown(caller, wire, body, streamed):
    """An error inside a stream, or in a body with status 200, is blotted like any other."""
    piece = json.dumps(body).encode()
    told = stream(event({"content": "one"}), b"data: " + piece + b"\n\n", DONE)
    wire.script("deepinfra", told if streamed else Answer((piece,)))
    asked = caller.ask(stream=streamed, max_retries=0)
    shown = "".join(traceback.format_exception(asked.error)) + repr(asked.error)
    assert isinstance(asked.error, ProviderError)
    assert KEY[:8] not in shown
    assert KEY.encode() not in caller.path.read_bytes()
    if isinstance(body.get("error"), str):
        assert "who is ***?" in shown


@pytest.mark.parametrize("key", ["k", "e", "role", "EMPTY"])
@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("EMPTY keys are ok; the role of k", {}),
        ("error", {}),
        ('a "error": the k of EMPTY role', {}),
        ("EMPTY keys are ok; the role of k", {"error": None}),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_short_key_does_not_spoil_answers(caller, wire, key, text, fields, streamed):
    """One's own server takes any key, "k" say: letters of answers are not taken for it."""
    piece = event({"content": text}, **fields)
    whole = json.dumps({"choices": [{"message": {"content": text}}]} | fields).encode()
    wire.script(
        "deepinfra",
        stream(piece, event({}, finish="stop"), DONE) if streamed else Answer((whole,)),
    )
    asked = caller.ask(stream=streamed, settings={"keys": {"deepinfra": key}})
    assert asked.error is None
    assert asked.text == text


def test_a_missing_key_names_the_other_hosts():
    """A model that several hosts serve: the error names the variable of each."""
    client = Client(hosts=["deepinfra", "novita"], ledger=":memory:", environ={})
    with pytest.raises(MissingKeyError) as caught:
        client.candidates("deepseek-v3.2")
    assert "Other hosts of it: " in str(caught.value)
    for host, variable in {"deepinfra": "DEEPINFRA_API_KEY", "novita": "NOVITA_API_KEY"}.items():
        named = f"host {host!r} is not configured: set {variable}" in str(caught.value)
        assert named or f"{host} ({variable})" in str(caught.value)
    with pytest.raises(MissingKeyError) as alone:
        client.candidates(MODEL)
    assert alone.value.variable == "DEEPINFRA_API_KEY"
    assert "Other hosts" not in str(alone.value)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"policy": 5}, "policy: expected a preset, a file or a callable, got 5"),
        ({"ledger": 5}, "ledger: expected a path, a URL or a ledger, got int"),
        ({"keys": {"deepinfra": 5}}, "keys: expected a dict of texts"),
        ({"keys": "sk-secret"}, "keys: expected a dict of texts"),
        ({"base_urls": {"vllm": None}}, "base_urls: expected a dict of texts"),
        ({"tags": {"team": 1}}, "tags: expected a dict of texts"),
        ({"catalog": 5}, "catalog: expected a file, a mapping or a catalogue, got 5"),
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused_at_once(kind, setting, says):
    """A client that could not work is not made; no key is shown."""
    with pytest.raises(ConfigError, match=says) as caught:
        kind(**{"ledger": ":memory:", "environ": {}} | setting)
    assert "sk-secret" not in str(caught.value)


def test_no_budgets_are_no_budgets():
    """`budgets=None`, as a setting that is not set, is the same as none."""
    client = Client(transport=MockTransport(reply("x")), **settings(":memory:", budgets=None))
    assert client.budgets.status() == []
    made = client.chat.completions.create(MESSAGES, model=MODEL)
    assert made.route.cost.pico > 0
    client.close()


def test_budgets_are_values():
    """Equal limits are equal however they are written; every other field tells them apart."""
    scope = {"team": "search", "user": "*"}
    same = [Budget(limit, "day", scope) for limit in ("1", "1.0", 1, 1.0, Decimal("1.00"))]
    same.append(Budget("1", "day", dict(reversed(scope.items()))))
    assert len(set(same)) == 1
    assert all(budget == same[0] for budget in same)
    others = [
        Budget("1.01", "day", scope),
        Budget("1", "week", scope),
        Budget("1", "day", {"team": "search"}),
        Budget("1", "day", scope, tz="Europe/Berlin"),
        Budget("1", "day", scope, hard=False),
    ]
    assert len({same[0], *others}) == 6


def test_a_report_takes_one_name_or_several(clock):
    """`by="model"` is one grouping, not one for each letter."""
    client = Client(transport=MockTransport(reply("x")), **settings(":memory:", now=clock))
    for _ in range(2):
        client.chat.completions.create(MESSAGES, model=MODEL)
    by_name, by_list = client.report(by="model"), client.report(by=["model"])
    assert by_name == by_list
    assert [(row["model"], row["requests"]) for row in by_name] == [("deepseek-v3.2", 2)]
    client.close()
