"""Packed decision records: no bit is lost, little room is taken, old texts are read for ever."""

import base64
import hashlib
import math
import string
import struct
import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.types import Context, Decision, Purse, Quote
from router import Client, DecisionRecord, explore, utility
from router.packing import pack, unpack

KEPT = Path(__file__).parent / "data" / "decisions"
BASE64 = set(string.ascii_letters + string.digits + "+/")
HEX = "0123456789abcdef"
MODELS = [
    "deepseek-v3.2@deepinfra",
    "deepseek-v3.2:thinking@deepinfra",
    "deepseek-v3.2-speciale@azure",
    "deepseek-flash@deepseek",
    "deepseek-v4-pro:thinking@deepseek",
]


def by_draws(lists):
    """Quotes whose draws are such lists, and whose error is the spread of them, or beside it."""
    made = []
    for i, draws in enumerate(lists):
        mean = math.fsum(draws) / len(draws)
        spread = math.sqrt(math.fsum((p - mean) ** 2 for p in draws) / len(draws))
        made.append(quote(f"m{i}@h", quality_draws=tuple(draws), quality_se=spread))
    return made


def quote(name, **given):
    known = {"quality": 0.5, "cost": 1_000, "cost_p90": 2_000, "cost_ceiling": 3_000}
    return Quote(name=name, **known | given)


def record(*quotes, **given):
    """A record of these quotes, chosen in their order."""
    names = [q.name for q in quotes]
    known = {
        "request_id": "r",
        "quotes": quotes,
        "context": Context(now=datetime(2026, 11, 22, 12, tzinfo=UTC)),
        "policy": None,
        "policy_name": "mine",
        "decision": Decision(
            ranking=tuple(names), reason="first", rejected=dict.fromkeys(names[1:], "later"),
            policy="mine",
        ),
    }  # fmt: skip
    return DecisionRecord(**known | given)


def assert_same(again, made):
    """Equal in value, in type and in every bit, and in order."""
    assert again.to_json() == made.to_json()
    assert list(map(shown, again.quotes)) == list(map(shown, made.quotes))
    for ours, theirs in zip(again.quotes, made.quotes, strict=True):
        assert [bits(p) for p in ours.quality_draws] == [bits(p) for p in theirs.quality_draws]
        assert bits(ours.quality_se) == bits(theirs.quality_se)


def shown(q):
    """All of a quote but its instant, whose `fold` is nothing that JSON keeps."""
    return repr(replace(q, cheaper_at=None))


def bits(number):
    return struct.pack("<d", number)


floats = st.floats(allow_nan=False)
shares = st.one_of(st.floats(0, 1), st.floats(0, 1, width=32), st.sampled_from([0.0, -0.0, 1.0]))
money = st.one_of(st.integers(-(10**20), 10**20), st.integers(0, 50).map(lambda n: n * 10**7))
texts = st.one_of(
    st.text(max_size=8),
    st.text(HEX, min_size=2, max_size=32),
    st.sampled_from(["\ud800", "\0", "é"]),
)
names = st.one_of(texts, st.sampled_from(MODELS))
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))])
instants = st.datetimes(timezones=zones)
purses = st.builds(
    Purse, limit=money, taken=money, starts=st.none() | instants, ends=st.none() | instants
)


@st.composite
def quotes_(draw):
    """Columns are all the same, of few kinds, missing here and there, or all different."""
    count = draw(st.integers(0, 6))
    called = draw(st.lists(names, min_size=count, max_size=count, unique=count < 6))

    def column(values):
        few = draw(st.lists(values, min_size=1, max_size=draw(st.integers(1, 6))))
        return [draw(st.sampled_from(few)) for _ in range(count)]

    columns = {
        "quality": shares,
        "cost": money,
        "cost_p90": money,
        "cost_ceiling": money,
        "self_hosted": st.booleans(),
        "quality_se": floats,
        "base_quality": st.none() | shares,
        "base_cost": st.none() | money,
        "seconds": st.none() | floats,
        "region": texts,
        "quality_draws": st.lists(shares, min_size=3, max_size=3).map(tuple)
        | st.lists(floats, max_size=4).map(tuple),
        "output_tokens_p50": floats | st.integers(0, 9),
        "max_tokens": st.none() | st.integers(0, 10**6),
        "cheaper_at": st.none() | instants,
        "leaving": st.just(0) | money,
    }
    made = {name: column(values) for name, values in columns.items()}
    return tuple(
        Quote(name=name, **{key: values[i] for key, values in made.items()})
        for i, name in enumerate(called)
    )


records = st.builds(
    DecisionRecord,
    request_id=texts,
    quotes=quotes_(),
    context=st.builds(
        Context,
        now=instants,
        remaining=st.none() | money,
        tags=st.dictionaries(texts, texts, max_size=3),
        purses=st.lists(purses, max_size=2).map(tuple),
        draw=shares,
    ),
    policy=st.none() | st.just({"policy": "utility", "value_usd": "0.01", "profile": [0.1]}),
    policy_name=texts,
    decision=st.builds(
        Decision,
        ranking=st.lists(names, max_size=3).map(tuple),
        reason=texts,
        rejected=st.dictionaries(names, texts, max_size=3),
        policy=texts,
        escalation=st.lists(names, max_size=3).map(tuple),
        propensities=st.dictionaries(names, shares | st.integers(0, 1), max_size=3),
        max_tokens=st.none() | st.integers(),
        defer_until=st.none() | instants,
        steps=st.lists(texts, max_size=2).map(tuple),
    ),
    obstacles=st.dictionaries(names, texts, max_size=2),
    rates=st.dictionaries(
        names, texts | st.sampled_from([f"{name}/2026-01-01" for name in MODELS]), max_size=3
    ),
    versions=st.dictionaries(texts, texts, max_size=2),
    format=st.just("decision/1"),
)


@given(records)
def test_nothing_is_lost(made):
    """Whatever a record holds comes back, to the type and the last bit, as one word of text."""
    text = pack(made)
    assert set(text.rstrip("=")) <= BASE64
    assert unpack(text) == made
    assert_same(unpack(text), made)


@given(st.lists(st.lists(shares, min_size=1, max_size=6), min_size=1, max_size=5))
def test_errors_that_are_computed_are_exact(lists):
    """A spread that is added up in another way, as newer Pythons do, is kept to the bit."""
    made = record(*by_draws(lists))
    assert_same(unpack(pack(made)), made)


@pytest.mark.parametrize(
    "quotes",
    [
        [quote("a", quality=0.0), quote("b", quality=-0.0)],
        [quote("a", quality=-0.0), quote("b", quality=-0.0)],
        [quote("a", quality=math.inf), quote("b", quality=1e-320)],
        [quote("a", quality=1), quote("b", quality=1.0)],
        [quote("a", cost=1), quote("b", cost=True)],
        [quote("a", self_hosted=0), quote("b", self_hosted=False)],
        [quote("a", seconds=None), quote("b", seconds=0.0), quote("c", seconds=-0.0)],
        [quote("a", quality_draws=(0.5,)), quote("b", quality_draws=(0.5, 0.1))],
        [quote("a", quality_draws=(0.0, 0.1)), quote("b", quality_draws=(-0.0, 0.1))],
        [quote("a", quality_draws=(1e300,)), quote("b", quality_draws=(0.1,))],
        [quote("a", quality_draws=(0.5,), quality_se=-0.0)],
        [quote("a", cost=-(10**30)), quote("b", cost=10**30)],
    ],
)
def test_what_looks_equal_is_kept_apart(quotes):
    """Signs of zeros, whole floats, small and huge numbers, missing ones."""
    made = record(*quotes)
    assert pack(made).startswith("2")
    assert_same(unpack(pack(made)), made)


def test_not_a_number_stays_one():
    """As it does in JSON; it is equal to nothing, so texts are compared."""
    made = record(quote("a", quality=math.nan, quality_draws=(math.nan, 0.5)), quote("b"))
    assert repr(unpack(pack(made))) == repr(made)


@pytest.mark.parametrize("request_id", ["", "0", "00ff", "00FF", "0 0f", "f" * 33, "é"])
def test_ids_in_hex_and_others(request_id):
    """Only what is exactly the hex of bytes is kept as bytes."""
    assert unpack(pack(record(quote("a"), request_id=request_id))).request_id == request_id


@pytest.mark.parametrize("row", ["", "/1", "=1", "m@h", "m@h/1", "m:t@h/1", "m@hh/1", "=m@h/1"])
def test_ids_of_prices_are_whole_again(row):
    """Also those that do not begin with their endpoint."""
    assert unpack(pack(record(quote("m:t@h"), rates={"m:t@h": row}))).rates == {"m:t@h": row}


def test_two_quotes_of_one_name_are_kept_as_before():
    """What the layout cannot say is said in JSON."""
    made = record(quote("a"), quote("a", cost=7))
    assert pack(made).startswith("e")
    assert_same(unpack(pack(made)), made)


@pytest.mark.parametrize("many", [2_000, 2_001])
def test_more_names_than_any_portfolio_has_are_kept_as_before(many):
    """A text of now names at most 2,000 candidates; of more the record is whole as well."""
    made = record(*(quote(f"m{i}@h") for i in range(many)))
    text = pack(made)
    assert text[0] == ("2" if many == 2_000 else "e")
    assert_same(unpack(text), made)


@pytest.mark.parametrize("version", ["first", "second"])
def test_texts_of_old_are_read(version):
    """Byte for byte what earlier versions wrote: it is read for ever, and decides as it did."""
    text = (KEPT / f"{version}.txt").read_text().strip()
    made = DecisionRecord.from_json((KEPT / "record.json").read_text())
    again = unpack(text)
    assert_same(again, made)
    assert again == made
    assert again.replays()


def test_the_words_never_change():
    """All texts of the second version rest on them: better words are a third version."""
    words = files("router.packing").joinpath("words.txt").read_bytes().rstrip()
    assert hashlib.sha256(words).hexdigest() == (
        "bde5907527e440666b23c3f1b6dcc01c168900449185b2e7d539129bcca2428d"
    )


def test_a_text_is_small():
    """Less than half of what the first version took, for five candidates."""
    made = Client(ledger=":memory:", policy=explore(utility("0.01"), 0.1)).plan(
        [{"role": "user", "content": "Prove that there are infinitely many primes."}], model=MODELS
    )
    first = base64.b64encode(zlib.compress(made.record.to_json().encode(), 6))
    assert len(made.record.quotes) == len(MODELS)
    assert len(pack(made.record)) < len(first) / 2


def test_a_policy_is_described_once():
    """Plans of one policy share its spec; another policy has its own."""
    client = Client(ledger=":memory:", policy=utility("0.02"))
    ask = [{"role": "user", "content": "Hi"}]
    one, two = (client.plan(ask, model=MODELS[:1]).record for _ in range(2))
    other = Client(ledger=":memory:", policy=utility("0.03")).plan(ask, model=MODELS[:1]).record
    assert one.policy == two.policy != other.policy
    assert one.versions["policy"] == two.versions["policy"] != other.versions["policy"]
