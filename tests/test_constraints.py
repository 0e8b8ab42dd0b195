from dataclasses import replace
from datetime import UTC, datetime

import pytest

from router.catalog import Catalog
from router.constraints import Obstacle, check_parameters, nobody_left, obstacle
from router.errors import (
    ContextLengthError,
    InvalidRequestError,
    NoCandidateError,
    UnpricedModelError,
)
from router.types import Request

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
REQUEST = Request(id="r", messages=({"role": "user", "content": "Hi"},))
CATALOG = Catalog.default()
ABLE = CATALOG.candidate("deepseek-v3.2@deepinfra", at=NOW)
UNABLE = CATALOG.candidate("deepseek-v3.2-speciale@azure", at=NOW)
RATES = CATALOG.rates(ABLE, NOW)


@pytest.mark.parametrize(
    ("columns", "kind", "reason"),
    [
        ({"tools": (TOOL,)}, "capability", "takes no tools"),
        ({"response_format": {"type": "json_object"}}, "capability", "has no JSON mode"),
        ({"response_format": {"type": "json_schema"}}, "capability", "has no JSON mode"),
        ({"stream": True}, "capability", "does not stream"),
        ({"extra": {"seed": 1, "n": 2}}, "capability", "refuses n, seed in this mode"),
    ],
)
def test_what_a_candidate_cannot_do(columns, kind, reason):
    """V3.2-Speciale takes no tools and no JSON mode; other limits come from the catalogue."""
    limited = replace(UNABLE, streaming=False, refused_fields=frozenset({"seed", "n"}))
    found = obstacle(limited, replace(REQUEST, **columns), 10, RATES, hard=True)
    assert found == Obstacle(kind, reason)


@pytest.mark.parametrize(
    "columns",
    [
        {"tools": (TOOL,)},
        {"response_format": {"type": "json_object"}},
        {"stream": True},
        {"extra": {"seed": 1}},
    ],
)
def test_what_an_able_candidate_can_do(columns):
    """The same requests meet no obstacle at V3.2, and asking for text is none anywhere."""
    assert obstacle(ABLE, replace(REQUEST, **columns), 10, RATES, hard=True) is None
    text = replace(REQUEST, response_format={"type": "text"})
    assert obstacle(UNABLE, text, 10, RATES, hard=True) is None


def test_the_context_holds_prompt_and_answer():
    """A prompt that fills the whole window leaves no room for an answer."""
    window = ABLE.context_tokens
    assert obstacle(ABLE, REQUEST, window - 1, RATES, hard=True) is None
    found = obstacle(ABLE, REQUEST, window, RATES, hard=True)
    assert found.kind == "context"
    assert f"{window:,}" in found.reason


def test_an_unknown_price_is_an_obstacle_only_under_a_hard_budget():
    """Without a limit to hold, a model without a price may be called."""
    assert obstacle(ABLE, REQUEST, 10, None, hard=True).kind == "price"
    assert obstacle(ABLE, REQUEST, 10, None, hard=False) is None


@pytest.mark.parametrize(
    ("kinds", "error", "says"),
    [
        (["context", "context"], ContextLengthError, "1,234 tokens.*Shorten"),
        (["price"], UnpricedModelError, "overlay.*hard=False"),
        (["unfit", "unfit"], NoCandidateError, "DEEPINFRA_API_KEY"),
        (["capability"], NoCandidateError, "no candidate can serve"),
        (["context", "capability"], NoCandidateError, "no candidate can serve"),
        (["price", "context", "unfit"], NoCandidateError, "no candidate can serve"),
        ([], NoCandidateError, "API_KEY.*VLLM_BASE_URL.*replay"),
    ],
)
def test_the_error_when_nobody_is_left(kinds, error, says):
    """One kind of reason has its own error; each says what to do and lists all reasons."""
    obstacles = {f"m{i}@h": Obstacle(kind, f"why {i}") for i, kind in enumerate(kinds)}
    found = nobody_left(obstacles, 1234)
    assert type(found) is error
    with pytest.raises(error, match=says):
        raise found
    assert found.reasons == {name: o.reason for name, o in obstacles.items()}
    assert all(f"{name}: {o.reason}" in str(found) for name, o in obstacles.items())


def test_ordinary_parameters_pass():
    """Limits, labels and tools as they are meant raise nothing."""
    check_parameters(
        replace(
            REQUEST, max_tokens=1, timeout=0.5, max_retries=0, tags={"team": "søk"}, tools=(TOOL,)
        )
    )
    check_parameters(replace(REQUEST, timeout=86_400))


@pytest.mark.parametrize(
    ("columns", "param"),
    [
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -5}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": 86_401}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": "5"}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": 0.5}, "max_retries"),
        ({"max_retries": True}, "max_retries"),
        ({"tags": {"team": 1}}, "tags"),
        ({"tags": {1: "team"}}, "tags"),
        ({"tags": {"": "x"}}, "tags"),
        ({"tags": {"team": "\ud800"}}, "tags"),
        ({"tools": ({"type": "magic"},)}, "tools[0]"),
        ({"tools": (TOOL, "f")}, "tools[1]"),
    ],
)
def test_parameters_nobody_could_serve(columns, param):
    """A parameter out of range is refused before anyone is asked, and names itself."""
    with pytest.raises(InvalidRequestError, match="expected") as caught:
        check_parameters(replace(REQUEST, **columns))
    assert caught.value.param == param
