"""Budgets as values: limits, names, equality, what is refused; and the holds that follow."""

import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.budgets import Budget, holds_for
from router.errors import ConfigError, InvalidBudgetError
from router.money import MAX_PICO

PICO = 10**12


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_holds_are_those_that_apply():
    """Only matching budgets become holds, each with its window, limit and hardness."""
    budgets = (
        Budget("5", "day", {"team": "search"}, tz="Europe/Berlin"),
        Budget("1", "request"),
        Budget("9", scope={"team": "ads"}),
        Budget("7", "month", hard=False),
    )
    now = utc("2026-11-22T12:00")
    day, request, month = holds_for(budgets, {"team": "search"}, now, "r1")
    assert (day.limit, day.hard) == (5 * PICO, True)
    assert (day.window_start, day.resets_at) == (utc("2026-11-21T23:00"), utc("2026-11-22T23:00"))
    assert request.key == "request/r1"
    assert (month.limit, month.hard) == (7 * PICO, False)
    assert day.name == "$5.000000 a day, team=search"


def test_each_limit_is_a_hold_of_its_own():
    """A budget in dollars, tokens and requests holds three accounts over one window."""
    budget = Budget("5", timedelta(hours=24), tokens=1000, requests=0, warn=(0.8,), quantile=0.9)
    now = utc("2026-11-22T12:00")
    holds = holds_for([budget], {}, now, "r1")
    assert [(h.unit, h.limit) for h in holds] == list(budget.limits)
    assert len({h.key for h in holds}) == 3
    period = budget.period(now)
    for hold in holds:
        assert (hold.window_start, hold.resets_at, hold.since) == (
            period.start,
            None,
            period.since,
        )
        assert (hold.warn, hold.quantile, hold.single) == ((0.8,), 0.9, False)


@pytest.mark.parametrize(
    ("arguments", "limits"),
    [
        ({"limit": "5"}, (("usd", 5 * PICO),)),
        ({"limit": 0.1}, (("usd", PICO // 10),)),
        ({"limit": Decimal("0.000000000001")}, (("usd", 1),)),
        ({"tokens": 7}, (("tokens", 7),)),
        ({"requests": 0}, (("requests", 0),)),
        (
            {"requests": MAX_PICO, "tokens": 2, "limit": 1},
            (("usd", PICO), ("tokens", 2), ("requests", MAX_PICO)),
        ),
    ],
)
def test_limits(arguments, limits):
    """Dollars as pico-dollars, tokens and requests as they are; what is not given is no limit."""
    budget = Budget(**arguments)
    assert budget.limits == limits
    assert budget.limit_pico == dict(limits).get("usd")


@pytest.mark.parametrize(
    ("budget", "words"),
    [
        (Budget("5.00", "day", {"team": "search"}), "$5.000000 a day, team=search"),
        (Budget("5.00", "hour"), "$5.000000 an hour"),
        (Budget("0.002", "request"), "$0.002000 a request"),
        (Budget("5"), "$5.000000 in all"),
        (Budget(tokens=1_000_000, window="day"), "1,000,000 tokens a day"),
        (Budget(requests=100, window="rolling 1d"), "100 requests in any 24h"),
        (Budget(requests=1, tokens=1), "1 token and 1 request in all"),
        (
            Budget("5", "month", {"org": "acme/*"}, tokens=9, requests=8),
            "$5.000000 and 9 tokens and 8 requests a month, org=acme/*",
        ),
    ],
)
def test_a_budget_in_words(budget, words):
    """Without a name of its own a budget is named by what it says; with one, it has both."""
    assert budget.name == budget.words == words
    named = replace(budget, name="the search team")
    assert (named.name, named.words) == ("the search team", words)


def test_a_changed_budget_is_named_anew():
    """A copy with another limit does not carry the old limit in its name, nor lose a given one."""
    budget = Budget("5", "day", tokens=7)
    assert replace(budget, limit="10").name == "$10.000000 and 7 tokens a day"
    assert replace(budget, limit=None).name == "7 tokens a day"
    assert replace(Budget("5", name="mine"), limit="10").name == "mine"


def test_equal_budgets_are_equal_however_written():
    """Amounts, windows and shares mean the same in any spelling; each field makes a difference."""
    budget = Budget("5.0", "rolling 24h", {"a": "1", "b": "2"}, warn=(0.8, 1.0))
    same = Budget(Decimal(5), timedelta(days=1), {"b": "2", "a": "1"}, warn=[1, 0.8, 1])
    assert replace(same, name="") == replace(budget, scope={"b": "2", "a": "1"})
    assert hash(same) == hash(budget)
    assert same.warn == (0.8, 1.0)
    others = [
        {"limit": "5.1"},
        {"tokens": 1},
        {"requests": 1},
        {"window": "day"},
        {"scope": {}},
        {"tz": "Europe/Berlin"},
        {"hard": False},
        {"warn": ()},
        {"quantile": 0.9},
        {"name": "x"},
    ]
    assert len({budget, *(replace(budget, **other) for other in others)}) == len(others) + 1


def test_a_budget_survives_a_process_boundary():
    """A budget that was pickled is the same budget, its derived parts included."""
    budget = Budget("5", "rolling 90m", {"org": "a/*"}, tokens=3, warn=(0.5,))
    back = pickle.loads(pickle.dumps(budget))  # noqa: TID251 - our own
    now = utc("2026-11-22T12:00")
    assert (back, hash(back), back.name) == (budget, hash(budget), budget.name)
    assert back.period(now) == budget.period(now)
    assert replace(back, tokens=None).name == "$5.000000 in any 90m, org=a/*"


@given(st.integers(0, MAX_PICO))
def test_every_amount_is_kept_to_the_last_digit(pico):
    """Whatever a ledger can hold can be a limit, exactly."""
    with_limit = Budget(Decimal(pico).scaleb(-12), tokens=pico, requests=pico)
    assert with_limit.limits == (("usd", pico), ("tokens", pico), ("requests", pico))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"limit": "NaN"}, "limit.*finite"),
        ({"limit": float("inf")}, "limit.*finite"),
        ({"limit": "-0.01"}, "limit.*0 USD or more"),
        ({"limit": -5}, "limit.*0 USD or more"),
        ({"limit": "five"}, "limit.*expected an amount"),
        ({"limit": ""}, "limit.*expected an amount"),
        ({"limit": True}, "limit.*expected an amount"),
        ({"limit": [0, [5], 0]}, "limit.*expected an amount"),
        ({"limit": None}, "limit.*expected an amount in USD, or tokens=..., or requests"),
        ({}, "limit.*expected an amount in USD, or tokens=..., or requests"),
        ({"limit": "1e20"}, "limit.*end at"),
        ({"limit": "0.0000000000001"}, "limit.*12 decimals"),
        ({"limit": "1", "window": "fortnight"}, "window: expected request, hour, day"),
        ({"limit": "1", "window": None}, "window: expected"),
        ({"limit": "1", "tz": "Berlin"}, "tz: expected an IANA zone"),
        ({"limit": "1", "scope": "team"}, "scope: expected tag names"),
        ({"limit": "1", "hard": "no"}, "hard: expected True or False"),
        ({"limit": "1", "hard": None}, "hard: expected True or False"),
        ({"tokens": -1}, "tokens: expected a whole number from 0"),
        ({"tokens": True}, "tokens: expected a whole number"),
        ({"tokens": 1.0}, "tokens: expected a whole number"),
        ({"tokens": "1"}, "tokens: expected a whole number"),
        ({"tokens": 2**63}, "tokens: expected a whole number from 0 to 9223372036854775807"),
        ({"requests": -1}, "requests: expected a whole number"),
        ({"requests": False}, "requests: expected a whole number"),
        ({"limit": "1", "warn": 0.8}, "warn: expected shares"),
        ({"limit": "1", "warn": "0.8"}, "warn: expected shares"),
        ({"limit": "1", "warn": (0,)}, "warn: expected shares"),
        ({"limit": "1", "warn": (-0.5,)}, "warn: expected shares"),
        ({"limit": "1", "warn": (80,)}, "warn: expected shares"),
        ({"limit": "1", "warn": (True,)}, "warn: expected shares"),
        ({"limit": "1", "warn": (float("nan"),)}, "warn: expected shares"),
        ({"limit": "1", "warn": ("0.8",)}, "warn: expected shares"),
        ({"limit": "1", "quantile": 0.4}, "quantile: expected None"),
        ({"limit": "1", "quantile": 1}, "quantile: expected None"),
        ({"limit": "1", "quantile": True}, "quantile: expected None"),
        ({"limit": "1", "quantile": "0.9"}, "quantile: expected None"),
        ({"limit": "1", "quantile": float("nan")}, "quantile: expected None"),
        ({"limit": "1", "name": None}, "name: expected one line of text"),
        ({"limit": "1", "name": 5}, "name: expected one line of text"),
        ({"limit": "1", "name": "two\nlines"}, "name: expected one line of text"),
    ],
)
def test_bad_budgets_are_refused(arguments, says):
    """What makes no sense as a budget is refused when it is made, with what was expected."""
    with pytest.raises(InvalidBudgetError, match=says) as caught:
        Budget(**arguments)
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, ValueError)


def test_zero_is_a_limit():
    """A budget of nothing is allowed: it refuses everything that costs anything."""
    assert Budget("0").limit_pico == 0
    assert Budget(requests=0).limits == (("requests", 0),)
