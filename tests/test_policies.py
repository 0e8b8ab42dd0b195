"""Each policy's rule, by quotes made by hand."""

from datetime import UTC, datetime

import pytest

from policies import (
    Context,
    Decision,
    Quote,
    cheapest,
    cheapest_adequate,
    sparing,
    threshold,
    utility,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANY = Context(now=NOW)
CENT = 10**10


def quote(name, quality, cost, **more):
    return Quote(
        name=name, quality=quality, cost=cost, cost_p90=2 * cost, cost_ceiling=9 * cost, **more
    )


SMALL, MIDDLE, LARGE = (
    quote("small", 0.5, CENT // 100),
    quote("middle", 0.8, CENT // 10),
    quote("large", 0.95, CENT),
)
THREE = (LARGE, SMALL, MIDDLE)


@pytest.mark.parametrize(
    ("policy", "ranking", "says"),
    [
        (cheapest(), ("small", "middle", "large"), "cheapest: $0.000100"),
        (
            cheapest_adequate(0.7),
            ("middle", "large", "small"),
            "the cheapest with P(correct) 0.80",
        ),
        (
            cheapest_adequate(0.9),
            ("large", "middle", "small"),
            "the cheapest with P(correct) 0.95",
        ),
        (cheapest_adequate(1.0), ("large", "middle", "small"), "none reaches P(correct) 1;"),
        # 1 cent is above the cap: of the rest none is sure enough, the likeliest goes first
        (
            cheapest_adequate(0.9, max_cost_usd=0.005),
            ("middle", "small", "large"),
            "none reaches",
        ),
        # when all are above the cap, it cannot hold
        (
            cheapest_adequate(0.9, max_cost_usd=1e-9),
            ("large", "middle", "small"),
            "0.95 >= 0.9",
        ),
        # an answer worth a cent: 0.8 c - 0.1 c beats 0.95 c - 1 c
        (utility("0.01"), ("middle", "small", "large"), "the most for the money"),
        (utility("1"), ("large", "middle", "small"), "P(correct) 0.95 for $0.010000"),
        (utility("0.0001"), ("small", "middle", "large"), "P(correct) 0.50"),
        (threshold(0.1), ("large", "middle", "small"), "P(correct) +0.45 over the default small"),
        (
            threshold(0.15, default="middle"),
            ("large", "middle", "small"),
            "+0.15 over the default",
        ),
        (
            threshold(0.2, default="middle"),
            ("middle", "large", "small"),
            "default middle stands: no P(correct) is 0.2 higher",
        ),
        # of several that match the cheapest is the default; a pattern for nobody means all
        (threshold(0.2, default="*l*e*"), ("middle", "large", "small"), "default middle stands"),
        (threshold(0.6, default="huge"), ("small", "large", "middle"), "default small stands"),
    ],
)
def test_choices(policy, ranking, says):
    """Each policy ranks three well-known candidates as its description promises, and says why."""
    decision = policy(THREE, ANY)
    assert decision.ranking == ranking
    assert decision.chosen == ranking[0]
    assert says in decision.reason
    assert decision.rejected.keys() == set(ranking[1:])
    assert all(decision.rejected.values())
    assert decision.policy == str(policy)
    assert decision.escalation == ()
    assert decision.propensity == 1.0


@pytest.mark.parametrize(
    ("policy", "name", "why"),
    [
        (cheapest(), "large", "dearer: $0.010000 against $0.000100"),
        (cheapest_adequate(0.7), "large", "dearer: $0.010000 against $0.001000"),
        (cheapest_adequate(0.7), "small", "P(correct) 0.50 is below 0.7"),
        (cheapest_adequate(0.7, max_cost_usd=0.005), "large", "$0.010000 is above max_cost_usd"),
        (utility("0.01"), "large", "P(correct) +0.15 is not worth $0.009000 more"),
        (utility("0.01"), "small", "saves $0.000900 but P(correct) is 0.30 lower"),
        (threshold(0.1), "small", "the default, but P(correct) is 0.45 lower"),
        (threshold(0.1), "middle", "P(correct) is 0.15 lower"),
        (threshold(0.2, default="middle"), "large", "+0.15 over the default is below 0.2"),
    ],
)
def test_reasons(policy, name, why):
    """Every candidate that was not chosen is told why, with the figures that decided."""
    assert why in policy(THREE, ANY).rejected[name]


def test_utility_explains_the_dominated():
    """A candidate that is dearer and no better is told both."""
    worse = quote("worse", 0.4, CENT)
    assert utility("0.01")([SMALL, worse], ANY).rejected["worse"] == (
        "P(correct) 0.40, no better, at $0.010000"
    )


@pytest.mark.parametrize("policy", [cheapest(), cheapest_adequate(0.5), threshold(), utility()])
def test_ties_are_broken_the_same_way_always(policy):
    """Equals are ranked by name, so that a decision can be repeated."""
    twins = [quote(name, 0.5, CENT) for name in ("b", "a", "c")]
    assert policy(twins, ANY).ranking == ("a", "b", "c")


def test_cheapest_adequate_can_ask_for_certainty():
    """With `z`, so many standard errors are taken off P(correct) before it is compared."""
    shaky = quote("shaky", 0.8, CENT // 10, quality_se=0.1)
    assert cheapest_adequate(0.75)([shaky, LARGE], ANY).chosen == "shaky"
    decision = cheapest_adequate(0.75, z=1)([shaky, LARGE], ANY)
    assert decision.chosen == "large"
    assert decision.rejected["shaky"] == "P(correct) 0.80 - 0.10 is below 0.75"


def test_threshold_wants_a_gain_out_of_the_noise():
    """A gain within `z` standard errors of the difference leaves the default in place."""
    cheap = quote("cheap", 0.5, CENT // 100, quality_se=0.3)
    strong = quote("strong", 0.7, CENT, quality_se=0.4)  # 0.2 +- 0.5
    assert threshold(0.1, z=0.3)([cheap, strong], ANY).chosen == "strong"
    decision = threshold(0.1, z=0.5)([cheap, strong], ANY)
    assert decision.chosen == "cheap"
    assert decision.reason == "default cheap stands: P(correct) +0.20 +- 0.50 is not sure enough"
    assert "not sure enough" in decision.rejected["strong"]


def test_threshold_is_not_tripped_by_floats():
    """0.6 is 0.1 more than 0.5, though 0.6 - 0.5 is less than 0.1 to a computer."""
    assert threshold(0.1)([quote("a", 0.5, 1), quote("b", 0.6, 2)], ANY).chosen == "b"
    assert threshold(0.0)([quote("a", 0.5, 1), quote("b", 0.5, 2)], ANY).chosen == "a"
    tie = threshold(0.0)([quote("a", 0.5, 1), quote("b", 0.6, 3), quote("c", 0.6, 2)], ANY)
    assert tie.ranking == ("c", "b", "a")
    assert "as likely right" in tie.rejected["b"]


@pytest.mark.parametrize(
    ("remaining", "ranking"),
    [
        (None, ("large", "middle", "small")),
        (20 * CENT, ("large", "middle", "small")),
        (20 * CENT - 20, ("middle", "small")),
        (2 * CENT - 20, ("small",)),
        (0, ("small",)),
    ],
)
def test_sparing(remaining, ranking):
    """A twentieth of what is left buys less as it runs low; the cheapest always stays."""
    decision = sparing(utility("1"), 0.05)(THREE, Context(now=NOW, remaining=remaining))
    assert decision.ranking == ranking
    out = {"large", "middle", "small"} - set(ranking)
    assert all("more than 5% of what the budget has left" in decision.rejected[q] for q in out)


@pytest.mark.parametrize("remaining", [0, None])
def test_sparing_passes_all_of_it_on(remaining):
    """The inner policy sees the same context; its name, escalation and chances are kept."""
    seen = []

    def inner(quotes, context):
        seen.append(context)
        return Decision(
            ranking=("small",),
            reason="r",
            rejected={},
            policy="mine",
            escalation=("large",),
            propensities={"small": 0.5},
        )

    context = Context(now=NOW, remaining=remaining, tags={"team": "search"})
    decision = sparing(inner)([SMALL], context)
    assert decision.policy == "sparing(mine, 0.05)"
    assert decision.escalation == ("large",)
    assert decision.propensity == 0.5
    assert seen == [context]
    assert str(sparing(inner)) == "sparing(inner, 0.05)"


NAN = float("nan")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: cheapest_adequate(1.1), "quality"),
        (lambda: cheapest_adequate(NAN), "quality"),
        (lambda: cheapest_adequate("0.5"), "quality"),
        (lambda: cheapest_adequate(quality=True), "quality"),
        (lambda: cheapest_adequate(z=-1), "z"),
        (lambda: cheapest_adequate(0.5, max_cost_usd=0), "max_cost_usd"),
        (lambda: cheapest_adequate(0.5, max_cost_usd=NAN), "max_cost_usd"),
        (lambda: threshold(-0.1), "gain"),
        (lambda: threshold(z=float("inf")), "z"),
        (lambda: threshold(default=3), "default"),
        (lambda: utility("0"), "value_usd"),
        (lambda: utility("-1"), "value_usd"),
        (lambda: utility("NaN"), "value_usd"),
        (lambda: utility(float("inf")), "value_usd"),
        (lambda: utility("a cent"), "value_usd"),
        (lambda: utility("1e999999"), "value_usd"),
        (lambda: utility("1e-999999"), "value_usd"),
        (lambda: utility(value_usd=True), "value_usd"),
        (lambda: utility(wait_usd_per_hour=-1), "wait_usd_per_hour"),
        (lambda: utility(z=10**400), "z"),
        (lambda: utility(default=""), "default"),
        (lambda: sparing(cheapest(), 0), "share"),
        (lambda: sparing(cheapest(), 1.01), "share"),
        (lambda: sparing(cheapest(), NAN), "share"),
        (lambda: sparing("utility"), "policy"),
        (lambda: sparing(utility), "policy"),
    ],
)
def test_bad_parameters_are_refused(make, says):
    """A parameter out of range is an error when the policy is made, and names itself."""
    with pytest.raises(ValueError, match=f"^{says}: expected .*, got"):
        make()


def test_policies_are_values():
    """Equal parameters make equal policies, however they were written; none can be changed."""
    assert utility("0.010", z=1) == utility(0.01, z=1.0)
    assert hash(utility("0.010", z=1)) == hash(utility(0.01, z=1.0))
    assert utility() != utility("0.02")
    assert repr(cheapest_adequate(1)) == "cheapest_adequate(quality=1.0, z=0.0, max_cost_usd=None)"
    assert str(utility("1e2")) == "utility(100)"
    with pytest.raises(AttributeError):
        utility().z = 1
