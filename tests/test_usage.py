"""Usage JSON of every provider we know, as recorded or documented, and of any other shape."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_bodies import THINKING_USAGE, V3_USAGE

from router.catalog import Catalog
from router.errors import UsageError
from router.money import to_usd
from router.pricing import cost
from router.types import Usage
from router.usage import merge_usage, parse_usage, to_openai, usage_in

GOLDEN = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in sorted((Path(__file__).parent / "data" / "usage").glob("*.json"))
}


def told(body, after=None):
    return parse_usage(usage_in(body), after=after)


def read(golden):
    """The usage of a golden answer, or of a golden stream, chunk by chunk."""
    usage = None
    for body in golden["chunks"] if golden["stream"] else [golden["raw"]]:
        usage = merge_usage(usage, told(body, after=usage))
    return usage


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name):
    """Each provider's own JSON gives the counts that its documentation says it means."""
    usage = read(GOLDEN[name])
    assert (usage and asdict(usage)) == GOLDEN[name]["expected"]


def test_golden_files_say_where_they_are_from():
    """A golden file without a source proves nothing, and there is one for each shape we claim."""
    assert len(GOLDEN) >= 24
    for golden in GOLDEN.values():
        assert golden["provider"] and len(golden["source"]) > 20
        assert ("chunks" in golden) is golden["stream"] is ("raw" not in golden)
    providers = " ".join(golden["provider"] for golden in GOLDEN.values())
    for claimed in ("deepseek", "openai-responses", "azure", "deepinfra", "openrouter", "bedrock"):
        assert claimed in providers
    for claimed in ("anthropic", "vllm", "sglang", "ollama", "llama.cpp", "gemini", "vertex"):
        assert claimed in providers


@pytest.mark.parametrize("name", GOLDEN)
def test_the_order_of_fields_is_no_matter(name):
    """The same JSON with its fields the other way round means the same."""

    def turned(value):
        if isinstance(value, dict):
            return {key: turned(value[key]) for key in reversed(value)}
        return [turned(v) for v in value] if isinstance(value, list) else value

    golden = GOLDEN[name]
    reversed_ = golden | {key: turned(golden[key]) for key in ("raw", "chunks") if key in golden}
    assert read(reversed_) == read(golden)


@pytest.mark.parametrize(
    "raw",
    [
        V3_USAGE,
        THINKING_USAGE,
        {k: v for k, v in V3_USAGE.items() if k != "prompt_tokens_details"},
        {k: v for k, v in V3_USAGE.items() if not k.startswith("prompt_cache")},
    ],
    ids=["both", "thinking", "top-level", "nested"],
)
def test_each_spelling_costs_what_deepseek_bills(raw):
    """104 x $0.28 + 896 x $0.028 + 200 x $0.42 a million, wherever the hits are told."""
    rates = Catalog.default().rates("deepseek-v3.2@deepseek", datetime(2026, 2, 1, tzinfo=UTC))
    assert cost(parse_usage(raw), rates).usd == Decimal("0.000138208")


def test_what_xai_says_it_charged_is_what_its_counts_cost():
    """Reasoning beside the completion: 9,992 x $1.25 + 128 x $0.20 + 4,308 x $2.50 a million."""
    usage = read(GOLDEN["xai_reasoning_beside"])
    billed = usage.cache_miss_tokens * 1_250_000 + 128 * 200_000 + usage.output_tokens * 2_500_000
    assert usage.reported_cost == billed
    assert to_usd(usage.reported_cost) == Decimal("0.0232856")


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        [],
        [1],
        "x",
        7,
        {"prompt_tokens": None},
        {"total_tokens": 7},
        {"output_tokens": 15},
        {"prompt_n": 31, "predicted_n": 11},
    ],
)
def test_absent_is_not_zero(raw):
    """Without counts there is no usage: it will be counted, not taken for free."""
    assert parse_usage(raw) is None


@pytest.mark.parametrize("bad", [-1, True, False, "12", float("nan"), float("inf"), [1], {}])
@pytest.mark.parametrize("field", ["prompt_tokens", "completion_tokens"])
def test_what_is_no_count_is_refused(field, bad):
    """A whole that is negative, a boolean, text or no number makes all of it unknown."""
    raw = V3_USAGE | {field: bad}
    assert parse_usage(raw) is None
    with pytest.raises(UsageError, match=field):
        parse_usage(raw, strict=True)


@pytest.mark.parametrize("bad", [-1, True, "12", float("nan"), 1.5])
@pytest.mark.parametrize("place", ["prompt_tokens_details", "completion_tokens_details"])
def test_a_part_that_is_no_count_is_left_out(place, bad):
    """It makes the answer no cheaper, and the usage is estimated."""
    key = "cached_tokens" if place.startswith("prompt") else "reasoning_tokens"
    usage = parse_usage({"prompt_tokens": 9, "completion_tokens": 5, place: {key: bad}})
    assert (usage.input_tokens, usage.output_tokens, usage.estimated) == (9, 5, True)
    assert usage.cache_read_tokens + usage.reasoning_tokens == (2 if bad == 1.5 else 0)


def test_zero_is_zero():
    """A host that reports no tokens is read as it says; whether to believe it is asked later."""
    assert parse_usage({"prompt_tokens": 0, "completion_tokens": 0}) == Usage()


def test_a_hit_of_zero_is_not_overruled_by_the_details():
    """DeepSeek's own field is the billed one when both are there and differ."""
    raw = V3_USAGE | {"prompt_cache_hit_tokens": 0, "prompt_cache_miss_tokens": 1000}
    usage = parse_usage(raw)
    assert (usage.cache_read_tokens, usage.estimated) == (0, True)


def test_a_miss_alone_tells_the_hit():
    """What was not missed was read from the cache."""
    usage = parse_usage(
        {"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_miss_tokens": 4}
    )
    assert usage == Usage(input_tokens=10, cache_read_tokens=6, output_tokens=1)


def test_reasoning_above_output_without_a_total_is_beside_it():
    """It cannot be inside; the dearer reading stands, as estimated."""
    details = {"completion_tokens_details": {"reasoning_tokens": 30}}
    usage = parse_usage({"prompt_tokens": 1, "completion_tokens": 5} | details)
    assert (usage.output_tokens, usage.reasoning_tokens, usage.estimated) == (35, 30, True)


@pytest.mark.parametrize(
    ("fields", "pico"),
    [
        ({"cost": 0.00014}, 140_000_000),
        ({"cost": 1e-13}, 0),
        ({"cost": 0}, 0),
        ({"estimated_cost": 3}, 3 * 10**12),
        ({"cost_in_usd_ticks": 37_756_000}, 3_775_600_000),
        ({"cost": {"total_cost": 1}}, None),
        ({"cost": "0.1"}, None),
        ({"cost": -1}, None),
        ({"cost": True}, None),
        ({"cost": float("nan")}, None),
        ({"cost": 1e300}, None),
        ({"cost": 10**400}, None),
    ],
)
def test_what_the_host_says_it_charged(fields, pico):
    """USD, or xAI's ticks, as pico-dollars; what is no amount is left out and spoils nothing."""
    usage = parse_usage({"prompt_tokens": 1, "completion_tokens": 1} | fields)
    assert usage == Usage(input_tokens=1, output_tokens=1, reported_cost=pico)


def test_an_error_names_fields_and_no_values():
    """What a host sent may hold the prompt: only names are told, and why, and what to do."""
    raw = {"prompt_tokens": "my secret", "note": "zebra", "x" * 500: 1}
    with pytest.raises(UsageError) as caught:
        parse_usage(raw, strict=True)
    said = str(caught.value)
    assert caught.value.keys == ("prompt_tokens", "note", "x" * 40)
    assert "prompt_tokens is no count" in said and "strict_usage" in said
    assert "secret" not in said and "zebra" not in said and len(said) < 400


@pytest.mark.parametrize("raw", [None, "my secret", 7, ["my secret"]])
def test_no_usage_at_all_is_an_error_when_asked_to_be_strict(raw):
    """Absent, or no object: strict says so and shows nothing of it."""
    with pytest.raises(UsageError) as caught:
        parse_usage(raw, strict=True)
    assert "secret" not in str(caught.value) and caught.value.keys == ()


counts = st.one_of(
    st.none(),
    st.integers(-5, 40),
    st.integers(0, 10**30),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([1.0, 12.0, True, "7", ""]),
)


def keys_of(value):
    if isinstance(value, list):
        return {key for inner in value for key in keys_of(inner)}
    return set(value) | keys_of(list(value.values())) if isinstance(value, dict) else set()


KNOWN = [usage_in((golden.get("chunks") or [golden.get("raw")])[-1]) for golden in GOLDEN.values()]
KNOWN = [usage for usage in KNOWN if usage is not None]
KEYS = st.sampled_from(sorted(keys_of(KNOWN)))
details = counts | st.dictionaries(KEYS, counts, max_size=4)
rows = st.lists(st.fixed_dictionaries({"ttl": st.just("1h"), "inputTokens": counts}), max_size=2)
changes = st.dictionaries(KEYS, details | rows, max_size=4)
likely = st.tuples(st.sampled_from(KNOWN), changes).map(lambda both: both[0] | both[1])
whole = st.integers(0, 50)
plausible = st.fixed_dictionaries(
    {"prompt_tokens": whole, "completion_tokens": whole},
    optional={
        "total_tokens": st.integers(0, 200),
        "prompt_cache_hit_tokens": whole,
        "prompt_cache_miss_tokens": whole,
        "prompt_tokens_details": st.fixed_dictionaries({"cached_tokens": whole}),
        "completion_tokens_details": st.fixed_dictionaries({"reasoning_tokens": whole}),
    },
)
json_values = st.recursive(
    counts | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


@given(likely | plausible | json_values)
def test_the_invariants_hold_for_any_shape(raw):
    """Nothing a host sends raises; parts never exceed their wholes; nothing is negative."""
    usage = parse_usage(raw)
    if usage is not None:
        assert usage.cache_read_tokens + usage.cache_miss_tokens == usage.input_tokens
        assert 0 <= usage.cache_read_tokens + usage.cache_write_tokens <= usage.input_tokens
        assert 0 <= usage.cache_write_1h_tokens <= usage.cache_write_tokens
        assert 0 <= usage.reasoning_tokens <= usage.output_tokens
    if isinstance(raw, dict):
        assert parse_usage(dict(reversed(raw.items()))) == usage
        usage_in(raw)
        usage_in({"choices": [raw], "message": raw, "timings": raw})


@given(likely | plausible | json_values)
def test_strict_raises_exactly_where_something_was_repaired(raw):
    """Strict or not, a usage is the same; strict refuses what is None or estimated."""
    usage = parse_usage(raw)
    if usage is None or usage.estimated:
        with pytest.raises(UsageError):
            parse_usage(raw, strict=True)
    else:
        assert parse_usage(raw, strict=True) == usage


@given(plausible | likely)
def test_openai_shape_and_back(raw):
    """What users read in OpenAI's words means the same, and adds up."""
    usage = parse_usage(raw)
    if usage is not None:
        same = replace(usage, estimated=False, reported_cost=None)
        assert parse_usage(to_openai(usage), strict=True) == same
        assert to_openai(usage)["total_tokens"] == usage.input_tokens + usage.output_tokens


token_counts = st.integers(0, 3)
usages = st.none() | st.builds(
    Usage, input_tokens=token_counts, output_tokens=token_counts, estimated=st.booleans()
)


@given(usages, usages)
def test_merging_keeps_the_last_word_and_forgets_nothing(first, second):
    """Input and output each: the last count that is not zero stands, zeros erase nothing."""
    merged = merge_usage(first, second)
    if first is None or second is None:
        assert merged == (first or second)
        return
    assert merged.input_tokens == (second.input_tokens or first.input_tokens)
    assert merged.output_tokens == (second.output_tokens or first.output_tokens)
    if second.input_tokens and second.output_tokens:
        assert merged == second
    assert merge_usage(merged, Usage()) == merged
