"""The price of a budget's money: what it follows, where it stops, and what it does to choices."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import Context, Purse, Quote, pacing, utility

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)
CENT = 10**10


def quote(name, quality, cost):
    return Quote(name=name, quality=quality, cost=cost, cost_p90=2 * cost, cost_ceiling=9 * cost)


THREE = (
    quote("small", 0.5, CENT // 100),
    quote("middle", 0.8, CENT // 10),
    quote("large", 0.95, CENT),
)


def day(taken, limit=1000):
    return Purse(limit=limit, taken=taken, starts=MONDAY, ends=MONDAY + DAY)


@pytest.mark.parametrize(
    ("taken", "hours", "expected"),
    [
        (0, 0, 1.0),
        (500, 12, 1.0),
        (500, 18, 1.0),  # behind the pace: money is never worth less than itself
        (600, 12, math.exp(1)),
        (1000, 12, math.exp(5)),
        (9000, 12, 1000.0),  # a soft budget may be overdrawn; the price has an end
        (600, -5, math.exp(6)),  # before the window and after it: its edges
        (1100, 30, math.exp(1)),
    ],
)
def test_the_price_follows_the_pace(taken, hours, expected):
    """exp(10 x (share taken - share of the day gone)), from 1 to 1000."""
    policy = pacing(strength=10, reserve=0, max_price=1000)
    assert policy.price(day(taken), MONDAY + hours * timedelta(hours=1)) == pytest.approx(expected)


def test_a_reserve_raises_the_price_from_the_start():
    """As if a tenth of the budget were spent before the window begins."""
    assert pacing(strength=10, reserve=0.1).price(day(0), MONDAY) == pytest.approx(math.e)


def test_without_a_window_or_a_limit():
    """An endless budget has no pace; one of nothing is as dear as can be; an empty window over."""
    assert pacing().price(Purse(limit=1, taken=1), MONDAY) == 1.0
    assert pacing().price(day(0, limit=0), MONDAY) == 100.0
    empty = Purse(limit=2, taken=1, starts=MONDAY, ends=MONDAY)
    assert pacing(strength=1, reserve=0).price(empty, MONDAY) == 1.0


def test_a_higher_price_chooses_cheaper():
    """As the day's money goes ahead of the day, choices go down; the reason names the price."""
    policy = pacing("0.1", strength=10, reserve=0)
    for taken, chosen in ((0, "large"), (800, "middle"), (1000, "small")):
        decision = policy(THREE, Context(now=MONDAY + DAY / 2, purses=(day(taken),)))
        assert decision.chosen == chosen
        assert ("a dollar counts as" in decision.reason) == (taken > 500)


def test_the_tightest_of_several_budgets_counts():
    """Of several purses the highest price is paid."""
    policy = pacing("0.1", strength=10, reserve=0)
    context = Context(now=MONDAY + DAY / 2, purses=(day(0), day(1000)))
    assert policy(THREE, context).chosen == "small"


def test_a_budget_without_end_is_spared():
    """No request takes over a twentieth of what is left there; the cheapest stays."""
    policy = pacing("1")
    for limit, ranking in (
        (20 * CENT, ("large", "middle", "small")),
        (19 * CENT, ("middle", "small")),
        (0, ("small",)),
    ):
        purses = (Purse(limit=limit, taken=0),)
        decision = policy(THREE, Context(now=MONDAY, purses=purses))
        assert decision.ranking == ranking
        assert decision.rejected.keys() == {"small", "middle", "large"} - {decision.chosen}
        out = {"small", "middle", "large"} - set(ranking)
        assert all("a budget without end" in decision.rejected[name] for name in out)


def test_without_budgets_it_is_utility():
    """Nothing to pace: the same ranking and the same reasons."""
    paced, plain = (p(THREE, Context(now=MONDAY)) for p in (pacing(), utility()))
    assert (paced.ranking, paced.reason, paced.rejected) == (
        plain.ranking,
        plain.reason,
        plain.rejected,
    )


def test_a_profile_of_the_day():
    """If all requests come from 8 to 16, half of them are over at noon and all at 16."""
    office = [1.0 if 8 <= hour < 16 else 0.0 for hour in range(24)]
    policy = pacing(strength=10, reserve=0, profile=office)
    for hours, gone in ((4, 0.0), (8, 0.0), (9.5, 0.1875), (12, 0.5), (16, 1.0), (20, 1.0)):
        found = policy.price(day(2000), MONDAY + hours * timedelta(hours=1))
        assert found == pytest.approx(min(100.0, math.exp(10 * (2 - gone))))
        found = policy.price(day(1000), MONDAY + hours * timedelta(hours=1))
        assert found == pytest.approx(min(100.0, math.exp(10 * (1 - gone))))


def test_a_profile_of_the_week():
    """Weights of the week start on Monday, UTC; a window that has none goes by the clock."""
    weekdays = [1.0] * 120 + [0.0] * 48
    policy = pacing(strength=1, reserve=0, profile=weekdays)
    week = Purse(limit=10, taken=10, starts=MONDAY, ends=MONDAY + 7 * DAY)
    assert policy.price(week, MONDAY + 2.5 * DAY) == pytest.approx(math.exp(0.5))
    assert policy.price(week, MONDAY + 6 * DAY) == pytest.approx(1.0)
    sunday = Purse(limit=10, taken=10, starts=MONDAY + 6 * DAY, ends=MONDAY + 7 * DAY)
    assert policy.price(sunday, MONDAY + 6.5 * DAY) == pytest.approx(math.exp(0.5))


@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    st.integers(-100, 2000),
    st.lists(st.floats(0, 10), min_size=24, max_size=24).filter(lambda w: sum(w) > 0) | st.none(),
)
def test_the_price_is_a_price(taken, limit, hours, profile):
    """From 1 to the highest, finite, and never lower when more has been taken."""
    policy = pacing(profile=profile)
    month = {"starts": MONDAY, "ends": MONDAY + 30 * DAY}
    now = MONDAY + timedelta(hours=hours)
    price = policy.price(Purse(limit=limit, taken=taken, **month), now)
    assert 1.0 <= price <= 100.0 + 1e-9
    assert policy.price(Purse(limit=limit, taken=taken + 1000, **month), now) >= price


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("strength", 0),
        ("reserve", 1.5),
        ("max_price", 0.5),
        ("profile", (1.0,) * 23),
        ("profile", "even"),
        ("profile", 24),
        ("profile", (-1.0,) * 24),
        ("profile", (0.0,) * 24),
        ("endless_share", 0),
        ("value_usd", "x"),
        ("wait_usd_per_hour", -1),
        ("default", 1),
        ("z", -1),
    ],
)
def test_bad_parameters(parameter, value):
    """A parameter out of range names itself."""
    with pytest.raises(ValueError, match=f"^{parameter}: expected .*, got"):
        pacing(**{parameter: value})
