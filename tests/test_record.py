"""Decision records: exact as JSON, replayed to the last bit, and without a word of the prompt."""

import json
import pickle
from copy import deepcopy
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning import Learning, models

from policies import (
    cascade,
    cheapest,
    cheapest_adequate,
    constrained,
    explore,
    first_of,
    load_policy,
    pacing,
    presets,
    restrict,
    sparing,
    threshold,
    utility,
)
from policies.types import Context, Decision, Purse, Quote
from router import Budget, Client, DecisionRecord, RecordError, SQLiteLedger
from router.cli import main
from router.testing import FakeClock, MockTransport, reply

SECRET = "What would my grandmother's zebra have said to Wittgenstein?"
ASK = [
    {"role": "system", "content": "Answer as a zebra named Xylophone."},
    {"role": "user", "content": SECRET},
]
SHIPPED = [
    cheapest(),
    cheapest_adequate(0.6, z=0.5),
    threshold(0.05, default="small"),
    utility("0.03", wait_usd_per_hour="3"),
    cascade("0.05"),
    pacing("0.05", profile=(1.0,) * 24),
    constrained(utility(), regions=("eu",), quality_floors={"feature=x": 0.7}),
    explore(utility(), 0.5),
    explore(explore(cheapest(), 0.3), 0.4),
    first_of(restrict(cheapest(), self_hosted=True), utility()),
    sparing(explore(cascade(), 0.1), 0.2),
]


def mine(quotes, context):
    """A policy of the user's own."""
    return cheapest()(quotes, context)


def client(policy="balanced", **settings):
    right = {"small": 0.6, "large": 0.7, "huge": 0.95}
    given = {
        "catalog": models("small", "large", "huge"),
        "candidates": ["small@h", "large@h", "huge@h"],
        "base_urls": {"h": "http://localhost:1"},
        "policy": policy,
        "scorer": Learning(right, draws=(0.4, 0.55, 0.6)),
        "budgets": [Budget("1", "day"), Budget("3"), Budget("0.02", "request")],
        "tags": {"feature": "x"},
        "ledger": SQLiteLedger(":memory:"),
        "now": FakeClock(),
    } | settings
    return Client(transport=MockTransport(reply("Hm")), **given)


numbers = st.floats(allow_nan=False, allow_infinity=False)
shares = st.floats(0, 1)
money = st.integers(-(10**20), 10**20)
texts = st.text(max_size=8)
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])
instants = st.datetimes(timezones=zones)
quotes_ = st.builds(
    Quote,
    name=texts,
    quality=shares,
    cost=money,
    cost_p90=money,
    cost_ceiling=money,
    self_hosted=st.booleans(),
    quality_se=numbers,
    base_quality=st.none() | shares,
    seconds=st.none() | numbers,
    thinking=st.booleans(),
    region=texts,
    basis=texts,
    quality_draws=st.lists(shares, max_size=4).map(tuple),
)
purses = st.builds(
    Purse, limit=money, taken=money, starts=st.none() | instants, ends=st.none() | instants
)
contexts = st.builds(
    Context,
    now=instants,
    remaining=st.none() | money,
    tags=st.dictionaries(texts, texts, max_size=3),
    purses=st.lists(purses, max_size=3).map(tuple),
    draw=shares,
    streaming=st.booleans(),
    verifiable=st.booleans(),
)
names = st.lists(texts, max_size=3).map(tuple)
decisions = st.builds(
    Decision,
    ranking=names,
    reason=texts,
    rejected=st.dictionaries(texts, texts, max_size=3),
    policy=texts,
    escalation=names,
    propensities=st.dictionaries(texts, numbers, max_size=3),
)
records = st.builds(
    DecisionRecord,
    request_id=texts,
    quotes=st.lists(quotes_, max_size=3).map(tuple),
    context=contexts,
    policy=st.none() | st.just({"policy": "utility", "value_usd": "0.01", "profile": [0.1]}),
    policy_name=texts,
    decision=decisions,
    obstacles=st.dictionaries(texts, texts, max_size=2),
    rates=st.dictionaries(texts, texts, max_size=2),
    versions=st.dictionaries(texts, texts, max_size=2),
    format=st.just("decision/1"),
)


@given(records)
def test_json_round_trip_is_exact(record):
    """Equal, to the type and the last bit: `repr` shows every float in full."""
    again = DecisionRecord.from_json(record.to_json())
    assert again == record
    assert again.to_json() == record.to_json()
    for ours, theirs in zip(record.quotes, again.quotes, strict=True):
        assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("policy", [*SHIPPED, *presets()], ids=str)
@pytest.mark.parametrize("verify", [None, bool])
def test_every_shipped_policy_replays(policy, verify):
    """From JSON alone, in the same words and the same numbers, whatever the draw."""
    made = client(policy, verify=verify)
    for _ in range(5):
        plan = made.plan(ASK)
        again = DecisionRecord.from_json(plan.record.to_json())
        assert again.replays()
        assert again.replay() == plan.decision
        given = load_policy(policy) if isinstance(policy, str) else policy
        assert again.replay(given) == plan.decision


def test_a_policy_of_ones_own_must_be_handed_in():
    """A record holds its name only; also where one of ours wraps it."""
    record = client(mine).plan(ASK).record
    assert (record.policy, record.policy_name) == (None, f"{__name__}.mine")
    assert record.versions["policy"] == f"{__name__}.mine"
    with pytest.raises(
        RecordError, match=r"mine is, or holds, a callable of your own.*hand it in"
    ):
        record.replay()
    assert record.replays(mine)
    assert record.replays(lambda q, c: mine(list(q), c))
    assert not record.replays(utility("5", z=0.0))
    wrapped = client(sparing(mine)).plan(ASK).record
    assert (wrapped.policy, wrapped.policy_name) == (None, "router.sparing")
    with pytest.raises(RecordError):
        wrapped.replays()


def test_what_is_recorded():
    """The quotes, the context with its purses and draw, versions, rates, and who was out."""
    made = client(candidates=["small@h", "huge@h"], budgets=[Budget("1", "day"), Budget("0.02")])
    plan = made.plan(ASK, tags={"tenant": "t"}, budget="0.01")
    record = plan.record
    assert [q.name for q in record.quotes] == ["small@h"]
    assert record.obstacles.keys() == {"huge@h"}
    assert "the budget has" in record.obstacles["huge@h"]
    assert record.decision == plan.decision
    assert record.rates == {"small@h": plan.forecasts["small@h"].rates_id}
    assert record.context.tags == {"feature": "x", "tenant": "t"}
    day = datetime(2026, 11, 22, tzinfo=UTC)
    assert record.context.purses == (
        Purse(limit=10**12, taken=0, starts=day, ends=day + timedelta(days=1)),
        Purse(limit=2 * 10**10, taken=0),
    )
    assert 0 <= record.context.draw < 1
    assert record.policy["policy"] == "sparing"
    assert record.versions["scorer"] == "test+0"
    assert record.versions["catalog"] == made.catalog.version
    assert record.versions["router"].count(".") == 2
    assert len(record.versions["policy"]) == 12


def test_the_prompt_is_not_in_it():
    """Not a word of it, in the text or the system prompt."""
    text = client().chat.completions.create(ASK).route.record.to_json()
    for word in ("Wittgenstein", "zebra", "Xylophone", "grandmother"):
        assert word not in text


def test_routes_and_plans_travel():
    """Pickled or copied they carry the record, not the policy or the catalogue."""
    made = client(lambda *seen: mine(*seen))  # noqa: PLW0108 - cannot be pickled
    route = made.chat.completions.create(ASK).route
    record = route.record
    for again in (pickle.loads(pickle.dumps(route)), deepcopy(route)):  # noqa: TID251
        assert again == route
        assert again.record == record
    assert len(pickle.dumps(route)) < 10_000
    plan = made.plan(ASK)
    assert pickle.loads(pickle.dumps(plan)).record == plan.record  # noqa: TID251
    assert asdict(route)["candidate"] == route.candidate
    with pytest.raises(RecordError, match="made by hand"):
        _ = replace(route, grounds=None).record
    assert "grounds" not in repr(plan)


def test_the_record_stands_when_the_scorer_learns_on():
    """The version is the one that scored, even if the record is made later."""
    made = client()
    first = made.chat.completions.create(ASK).route
    made.feedback(first.request_id, score=True)
    assert first.record.versions["scorer"] == "test+0"
    assert made.plan(ASK).record.versions["scorer"] == "test+1"


def test_without_a_price_no_policy_was_asked():
    """The first one asked for is taken: that replays as it is."""
    rows = models("small", "large")
    del rows["rate"]
    record = client(catalog=rows, candidates=["small@h", "large@h"], budgets=()).plan(ASK).record
    assert record.quotes == ()
    assert record.decision.policy == "unpriced"
    assert DecisionRecord.from_json(record.to_json()).replays()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "got no JSON"),
        ("{", "got no JSON"),
        ("[]", "got list"),
        ("{}", "format: expected 'decision/1', got None"),
        ('{"format": "decision/2"}', "got 'decision/2'"),
        ('{"format": "decision/1"}', "KeyError: 'quotes'"),
        ('{"format": "decision/1", "quotes": 3}', "TypeError"),
        ('{"format": "decision/1", "quotes": [{}]}', "TypeError"),
    ],
)
def test_what_is_no_record(text, says):
    """A typed error that says what was expected."""
    with pytest.raises(RecordError, match=r"expected") as caught:
        DecisionRecord.from_json(text)
    assert says in str(caught.value)


def test_records_that_were_changed():
    """Another decision, an unknown field, a policy of another version."""
    record = client("frugal").plan(ASK).record
    row = json.loads(record.to_json())
    row["decision"]["reason"] += "!"
    assert not DecisionRecord.from_json(json.dumps(row)).replays()
    row["quotes"][0]["mood"] = "good"
    with pytest.raises(RecordError, match="mood"):
        DecisionRecord.from_json(json.dumps(row))
    with pytest.raises(RecordError, match="policy: expected one of"):
        replace(record, policy={"policy": "oracle"}).replay()
    nudged = replace(record.quotes[0], cost=record.quotes[0].cost + 10**9)
    assert not replace(record, quotes=(nudged, *record.quotes[1:])).replays()


def test_on_the_command_line(tmp_path, capsys):
    """`replay` prints the decision, and fails if it comes out another."""
    path = tmp_path / "record.json"
    record = client().plan(ASK).record
    path.write_text(record.to_json())
    assert main(["replay", str(path)]) == 0
    out = capsys.readouterr().out
    assert record.decision.chosen in out
    assert "the same decision" in out
    other = "careful" if record.decision.chosen != "huge@h" else "frugal"
    assert main(["replay", str(path), "--policy", other]) == 1
    assert f"recorded: {record.decision.chosen}" in capsys.readouterr().out
    assert main(["replay", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["same"] is True
    for arguments in (["nowhere.json"], [str(path), "--policy", "nonsense"]):
        assert main(["replay", *arguments]) == 1
        assert "ConfigError" in capsys.readouterr().err
    path.write_text(client(mine).plan(ASK).record.to_json())
    assert main(["replay", str(path)]) == 1
    assert "RecordError" in capsys.readouterr().err
