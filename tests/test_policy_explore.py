"""A share of requests by lot: who is drawn, how often, and what is said of it."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from policies import (
    Context,
    Quote,
    cascade,
    cheapest,
    constrained,
    explore,
    first_of,
    restrict,
    utility,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANY = Context(now=NOW)
CENT = 10**10


def quote(name, quality, cost, **more):
    return Quote(
        name=name, quality=quality, cost=cost, cost_p90=2 * cost, cost_ceiling=9 * cost, **more
    )


HOME = quote("llama@rack", 0.6, 0)
CLOUD = quote("gpt@azure", 0.8, CENT // 10)
THINKER = quote("r1:thinking@deepseek", 0.95, CENT, thinking=True)
THREE = (THINKER, HOME, CLOUD)
NAMES = {q.name for q in THREE}


def at(draw):
    return Context(now=NOW, draw=draw, verifiable=True)


def frequencies(policy, n=20_000):
    """How often each candidate is chosen over evenly spread draws."""
    counts = Counter(policy(THREE, at((i + 0.5) / n)).chosen for i in range(n))
    return {name: counts[name] / n for name in NAMES}


@pytest.mark.parametrize(
    "policy",
    [
        explore(cheapest(), 0.3),
        explore(cheapest(), 1),
        explore(cheapest(), 0.5, max_cost_usd="0.001"),
        explore(explore(cheapest(), 0.4), 0.25),
        explore(explore(utility("1"), 0.5, max_cost_usd="0.001"), 0.2),
        explore(constrained(cheapest(), deny=["rack"]), 0.2),
        constrained(explore(cheapest(), 0.2), deny=["rack"]),
        explore(first_of(restrict(explore(cheapest(), 0.5), "azure"), utility()), 0.2),
    ],
    ids=str,
)
def test_propensities_are_frequencies(policy):
    """The chances that a decision states are those with which candidates are chosen."""
    stated = policy(THREE, at(0.5)).propensities
    assert sum(stated.values()) == pytest.approx(1)
    for name, share in frequencies(policy).items():
        assert share == pytest.approx(stated.get(name, 0.0), abs=2e-3)


def test_by_hand():
    """Three candidates and 30 %: a tenth each, and the rest for the policy's own choice."""
    decision = explore(cheapest(), 0.3)(THREE, at(0.25))
    assert decision.propensities == pytest.approx(
        {"llama@rack": 0.8, "gpt@azure": 0.1, "r1:thinking@deepseek": 0.1}
    )
    assert decision.ranking == ("r1:thinking@deepseek", "llama@rack", "gpt@azure")
    assert decision.propensity == pytest.approx(0.1)
    assert decision.reason == (
        "explored (30 %): r1:thinking@deepseek by lot; else llama@rack: cheapest: $0.000000"
    )
    assert decision.rejected.keys() == {"llama@rack", "gpt@azure"}
    assert "by lot" in decision.rejected["llama@rack"]
    assert decision.policy == "explore(cheapest, 0.3)"


def test_mostly_it_is_the_policy():
    """Above the share the decision is the policy's, with the chances added."""
    decision, plain = explore(cheapest())(THREE, at(0.02)), cheapest()(THREE, ANY)
    assert decision.ranking == plain.ranking
    assert decision.reason == plain.reason
    assert decision.propensity == pytest.approx(0.98 + 0.02 / 3)


def test_the_dear_are_not_drawn():
    """The cap keeps out of the lot, not out of the ranking; with nobody left, no lot."""
    capped = explore(utility("1"), 1.0, max_cost_usd="0.001")
    assert {capped(THREE, at(i / 10)).chosen for i in range(10)} == {"llama@rack", "gpt@azure"}
    priced = (CLOUD, THINKER)
    none = explore(cheapest(), 0.5, max_cost_usd="0.000001")(priced, at(0.1))
    assert (none.chosen, none.propensities) == ("gpt@azure", {})


def test_nobody_is_drawn_from_an_empty_ranking():
    """A policy that allows nobody still allows nobody."""
    decision = explore(constrained(cheapest(), regions=["us"]), 0.5)(THREE, at(0.1))
    assert decision.ranking == ()
    assert decision.policy == "explore(constrained(cheapest), 0.5)"


def test_who_is_drawn_is_not_asked_again():
    """An escalation to the candidate that was drawn first is dropped."""
    quotes = [quote("small", 0.5, CENT // 100), quote("large", 0.9, CENT // 2)]
    policy = explore(cascade(), 0.5)
    assert policy(quotes, at(0.1)).chosen == "large"
    assert policy(quotes, at(0.1)).escalation == ()
    assert policy(quotes, at(0.9)).escalation == ("large",)


def test_bad_parameters():
    """A parameter out of range names itself."""
    with pytest.raises(ValueError, match=r"^share: expected above 0 and at most 1, got 0"):
        explore(cheapest(), 0)
    with pytest.raises(ValueError, match=r"^max_cost_usd: expected .*, got 0"):
        explore(cheapest(), max_cost_usd=0)
    with pytest.raises(ValueError, match=r"^policy: expected .*, got 'frugal'"):
        explore("frugal")
