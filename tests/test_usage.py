"""Usage JSON of every provider we know, as recorded, and of any other shape."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_bodies import THINKING_USAGE, V3_USAGE, VLLM_PLAIN_USAGE, VLLM_USAGE

from router.types import Usage
from router.usage import parse_usage, to_openai

V4_USAGE = {
    "prompt_tokens": 129_152,
    "completion_tokens": 812,
    "total_tokens": 129_964,
    "prompt_tokens_details": {"cached_tokens": 128_128},
    "completion_tokens_details": {"reasoning_tokens": 700},
    "prompt_cache_hit_tokens": 128_128,
    "prompt_cache_miss_tokens": 1024,
}
OPENAI_USAGE = {
    "prompt_tokens": 1117,
    "completion_tokens": 46,
    "total_tokens": 1163,
    "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 0},
    "completion_tokens_details": {
        "reasoning_tokens": 32,
        "audio_tokens": 0,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
}
OPENROUTER_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 10,
    "total_tokens": 110,
    "cost": 0.00014,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (V3_USAGE, (1000, 896, 0, 200, 0)),
        (THINKING_USAGE, (1000, 896, 0, 200, 150)),
        (V4_USAGE, (129_152, 128_128, 0, 812, 700)),
        (VLLM_USAGE, (37, 32, 0, 8, 0)),
        (VLLM_USAGE | {"prompt_tokens_details": None}, (37, 0, 0, 8, 0)),
        (VLLM_PLAIN_USAGE, (37, 0, 0, 4, 0)),
        (OPENAI_USAGE, (1117, 1024, 0, 46, 32)),
        (OPENROUTER_USAGE, (100, 60, 30, 10, 0)),
    ],
    ids=["v3", "v3-thinking", "v4", "vllm", "vllm-null", "vllm-plain", "openai", "openrouter"],
)
def test_golden_shapes(raw, expected):
    """Each recorded shape gives input, cache reads, cache writes, output and reasoning."""
    usage = parse_usage(raw)
    assert (
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    ) == expected
    assert not usage.estimated


@pytest.mark.parametrize(
    "raw", [None, {}, {"prompt_tokens": None}, {"total_tokens": 7}, [], [1], "x", 7]
)
def test_absent_is_not_zero(raw):
    """Without counts there is no usage: it will be counted, not taken for free."""
    assert parse_usage(raw) is None


def test_zero_is_zero():
    """A host that reports no tokens is believed."""
    assert parse_usage({"prompt_tokens": 0, "completion_tokens": 0}) == Usage()


def test_a_hit_of_zero_is_not_overruled_by_the_details():
    """DeepSeek's own field is the billed one when both are there and differ."""
    raw = V3_USAGE | {"prompt_cache_hit_tokens": 0, "prompt_cache_miss_tokens": 1000}
    assert parse_usage(raw).cache_read_tokens == 0


def test_details_alone_are_enough():
    """A gateway that drops DeepSeek's fields keeps the hits in prompt_tokens_details."""
    raw = {k: v for k, v in V3_USAGE.items() if not k.startswith("prompt_cache")}
    assert parse_usage(raw).cache_read_tokens == 896


counts = st.one_of(
    st.none(),
    st.integers(-5, 10**9),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=3),
    st.booleans(),
)
details = st.one_of(
    st.none(),
    st.text(max_size=2),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(
        st.sampled_from(["cached_tokens", "cache_write_tokens", "reasoning_tokens"]), counts
    ),
)
shapes = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": counts,
        "completion_tokens": counts,
        "prompt_cache_hit_tokens": counts,
        "prompt_cache_miss_tokens": counts,
        "prompt_tokens_details": details,
        "completion_tokens_details": details,
    },
)


@given(shapes)
def test_the_invariants_hold_for_any_shape(raw):
    """Parts never exceed their wholes and nothing is negative, whatever a host sends."""
    usage = parse_usage(raw)
    if usage is None:
        assert None in {raw.get("prompt_tokens"), raw.get("completion_tokens")}
        return
    assert usage.cache_read_tokens + usage.cache_miss_tokens == usage.input_tokens
    assert 0 <= usage.cache_read_tokens + usage.cache_write_tokens <= usage.input_tokens
    assert 0 <= usage.reasoning_tokens <= usage.output_tokens


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7))
def test_openai_shape_and_back(input_tokens, cached, output_tokens, reasoning):
    """What users read in OpenAI's words means the same."""
    usage = Usage(
        input_tokens=input_tokens,
        cache_read_tokens=min(cached, input_tokens),
        output_tokens=output_tokens,
        reasoning_tokens=min(reasoning, output_tokens),
    )
    assert parse_usage(to_openai(usage)) == usage
    assert to_openai(usage)["total_tokens"] == input_tokens + output_tokens
