"""The rule of `utility` where estimates are noisy, and where waiting has a price."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from policies import Context, Quote, utility
from policies._ranking import noise

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANY = Context(now=NOW)
CENT = 10**10


def quote(name, quality, cost, **more):
    return Quote(
        name=name, quality=quality, cost=cost, cost_p90=2 * cost, cost_ceiling=9 * cost, **more
    )


def noisy(name, quality, base, cost, se=0.1):
    return quote(name, quality, cost, quality_se=se, base_quality=base)


def test_utility_keeps_what_one_would_choose_without_reading():
    """A gain on this prompt within the noise is no reason to leave the usual candidate."""
    usual = noisy("usual", 0.70, 0.80, CENT // 100)
    other = noisy("other", 0.74, 0.60, CENT // 100)
    decision = utility()([usual, other], ANY)
    assert decision.chosen == "usual"
    assert decision.reason == ("default usual stands: P(correct) +0.04 +- 0.14 is not sure enough")
    assert decision.rejected["other"] == "P(correct) +0.04 +- 0.14 is not sure enough"
    assert utility(z=0)([usual, other], ANY).chosen == "other"
    assert utility(z=0.2)([usual, other], ANY).chosen == "other"
    assert utility(default="other")([usual, other], ANY).chosen == "other"


def test_utility_guards_the_way_to_a_cheaper_candidate_too():
    """Saving money on an unsure estimate is guarded on the same terms as spending it."""
    dear = noisy("dear", 0.80, 0.90, CENT // 10)
    cheap = noisy("cheap", 0.72, 0.50, CENT // 100)
    decision = utility()([dear, cheap], ANY)
    assert decision.chosen == "dear"
    assert decision.reason.endswith(
        "dear stands: P(correct) -0.08 +- 0.14 is not sure enough to save $0.000900"
    )


def test_utility_takes_a_surer_gain_over_a_larger_one():
    """Of those that clear the guard the best is taken; one that does not is passed over."""
    usual = noisy("usual", 0.5, 0.9, 0, se=0.0)
    wild = noisy("wild", 0.9, 0.1, 0, se=0.9)
    solid = noisy("solid", 0.7, 0.1, 0, se=0.01)
    decision = utility()([usual, wild, solid], ANY)
    assert decision.ranking == ("solid", "wild", "usual")
    assert "not sure enough" in decision.rejected["wild"]


def test_a_declared_default_may_be_a_pattern():
    """Of several that match, the one with the best utility before reading is the default."""
    quotes = [
        noisy("a@home", 0.6, 0.5, 0),
        noisy("b@home", 0.5, 0.6, 0),
        noisy("c@away", 0.65, 0.9, 0),
    ]
    assert utility(default="*@home", z=2)(quotes, ANY).chosen == "b@home"
    assert utility(default="home", z=2)(quotes, ANY).chosen == "b@home"
    assert utility(z=2)(quotes, ANY).chosen == "c@away"
    assert utility(default="nobody", z=2)(quotes, ANY).chosen == "c@away"


def test_waiting_has_its_price():
    """A dollar a minute makes the faster one the better one; an unknown time costs nothing."""
    slow = quote("slow", 0.9, CENT // 100, seconds=30.0)
    fast = quote("fast", 0.8, CENT // 100, seconds=1.0)
    assert utility("0.01")([slow, fast], ANY).chosen == "slow"
    impatient = utility("0.01", wait_usd_per_hour=1)  # 29 s are worth 0.8 cents
    decision = impatient([slow, fast], ANY)
    assert decision.chosen == "fast"
    assert decision.rejected["slow"] == "P(correct) +0.10 is not worth 29.0 s more"
    unknown = quote("unknown", 0.8, CENT // 50)
    assert impatient([slow, unknown], ANY).chosen == "unknown"
    same = quote("same", 0.8, CENT // 200, seconds=30.0)
    assert "takes 29.0 s longer" in impatient([fast, same], ANY).rejected["same"]


def test_a_tie_that_only_rounding_makes():
    """A difference too small for floats to see is a tie, and is called one."""
    a, b = quote("a", 0.5, 10**15), quote("b", 0.5 + 2e-16, 10**15)
    decision = utility()([b, a], ANY)
    assert decision.chosen == "a"
    assert decision.rejected["b"] == "as good for the money, later in the order"


def test_paired_draws_cancel_what_two_candidates_have_in_common():
    common = (-0.2, -0.1, 0.0, 0.1, 0.2)

    def drawn(name, quality, sign):
        draws = tuple(quality + sign * c for c in common)
        return quote(name, quality, CENT, quality_se=0.1, quality_draws=draws)

    cheap, strong, apart = drawn("cheap", 0.5, 1), drawn("strong", 0.7, 1), drawn("apart", 0.7, -1)
    assert noise(cheap, strong) == pytest.approx(0.0, abs=1e-12)
    assert noise(cheap, apart) == pytest.approx(2 * 0.15811388, rel=1e-6)
    alone = replace(strong, quality_draws=())
    assert noise(cheap, alone) == pytest.approx(math.hypot(0.1, 0.1))
