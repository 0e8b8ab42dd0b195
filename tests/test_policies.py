from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import (
    Context,
    Decision,
    Quote,
    cheapest,
    sparing,
    threshold,
    utility,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANY = Context(now=NOW)
CENT = 10**10


def quote(name, quality, cost):
    return Quote(name=name, quality=quality, cost=cost, cost_p90=2 * cost, cost_ceiling=9 * cost)


SMALL, MIDDLE, LARGE = (
    quote("small", 0.5, CENT // 100),
    quote("middle", 0.8, CENT // 10),
    quote("large", 0.95, CENT),
)
THREE = (LARGE, SMALL, MIDDLE)

POLICIES = {
    "cheapest": cheapest(),
    "floor": cheapest(min_quality=0.6),
    "threshold": threshold(0.7),
    "capped": threshold(0.9, max_cost_usd=0.005),
    "utility": utility("0.01"),
    "sparing": sparing(utility("0.01"), 0.05),
}
every_policy = pytest.mark.parametrize("policy", POLICIES.values(), ids=POLICIES)

QUOTES = st.lists(
    st.builds(
        quote,
        st.text("abcdefgh", min_size=1, max_size=3),
        st.floats(0, 1) | st.sampled_from([0.0, 0.5, 0.7, 1.0]),
        st.integers(0, 10**13) | st.sampled_from([0, CENT, 5 * 10**9]),
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda q: q.name,
)
CONTEXTS = st.builds(Context, now=st.just(NOW), remaining=st.none() | st.integers(0, 10**14))


@pytest.mark.parametrize(
    ("policy", "ranking", "says"),
    [
        (cheapest(), ("small", "middle", "large"), "cheapest: $0.000100"),
        (cheapest(0.6), ("middle", "large", "small"), "at P(correct) 0.80 >= 0.6"),
        (cheapest(0.99), ("large", "middle", "small"), "none reaches P(correct) 0.99"),
        (threshold(0.7), ("middle", "large", "small"), "the cheapest with P(correct) 0.80"),
        (threshold(0.9), ("large", "middle", "small"), "the cheapest with P(correct) 0.95"),
        (threshold(1.0), ("large", "middle", "small"), "none reaches P(correct) 1;"),
        # 1 cent is above the cap: of the rest none is sure enough, the likeliest goes first
        (threshold(0.9, max_cost_usd=0.005), ("middle", "small", "large"), "none reaches"),
        # when all are above the cap, it cannot hold
        (threshold(0.9, max_cost_usd=1e-9), ("large", "middle", "small"), "0.95 >= 0.9"),
        # an answer worth a cent: 0.8 c - 0.1 c beats 0.95 c - 1 c
        (utility("0.01"), ("middle", "small", "large"), "the most for the money"),
        (utility("1"), ("large", "middle", "small"), "P(correct) 0.95 for $0.010000"),
        (utility("0.0001"), ("small", "middle", "large"), "P(correct) 0.50"),
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


@pytest.mark.parametrize(
    ("policy", "name", "why"),
    [
        (cheapest(), "large", "dearer: $0.010000 against $0.000100"),
        (cheapest(0.6), "small", "P(correct) 0.50 is below 0.6"),
        (threshold(0.7), "large", "dearer: $0.010000 against $0.001000"),
        (threshold(0.7), "small", "P(correct) 0.50 is below 0.7"),
        (threshold(0.7, max_cost_usd=0.005), "large", "$0.010000 is above max_cost_usd"),
        (utility("0.01"), "large", "P(correct) +0.15 is not worth $0.009000 more"),
        (utility("0.01"), "small", "saves $0.000900 but P(correct) is 0.30 lower"),
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


@pytest.mark.parametrize("policy", [cheapest(), threshold(0.5), utility()])
def test_ties_are_broken_the_same_way_always(policy):
    """Equals are ranked by name, so that a decision can be repeated."""
    twins = [quote(name, 0.5, CENT) for name in ("b", "a", "c")]
    assert policy(twins, ANY).ranking == ("a", "b", "c")


@every_policy
@given(quotes=QUOTES, context=CONTEXTS, data=st.data())
def test_the_order_of_quotes_does_not_matter(policy, quotes, context, data):
    """The same candidates in any order give the same decision."""
    shuffled = data.draw(st.permutations(quotes))
    assert policy(shuffled, context) == policy(quotes, context)


@every_policy
@given(quotes=QUOTES, context=CONTEXTS)
def test_a_ranking_names_candidates_once(policy, quotes, context):
    """The ranking holds candidates only, each once; everyone else has a reason."""
    decision = policy(quotes, context)
    names = {q.name for q in quotes}
    assert decision.ranking
    assert len(set(decision.ranking)) == len(decision.ranking)
    assert set(decision.ranking) <= names
    assert decision.rejected.keys() == names - {decision.chosen}


@every_policy
@given(quotes=QUOTES, context=CONTEXTS, data=st.data())
def test_a_dominated_candidate_changes_nothing(policy, quotes, context, data):
    """Adding a candidate that is worse and dearer than another one leaves the choice as it is."""
    better = data.draw(st.sampled_from(quotes))
    worse = quote("dominated", better.quality / 2, better.cost + data.draw(st.integers(1, 10**12)))
    assert policy([*quotes, worse], context).chosen == policy(quotes, context).chosen


@given(QUOTES, st.floats(0, 1))
def test_a_threshold_is_kept_when_it_can_be(quotes, quality):
    """If anyone reaches the threshold, the choice does, and no one who does is cheaper."""
    chosen = threshold(quality)(quotes, ANY).chosen
    sure = [q for q in quotes if q.quality >= quality]
    if sure:
        cost = next(q.cost for q in sure if q.name == chosen)
        assert cost == min(q.cost for q in sure)
    else:
        best = next(q.quality for q in quotes if q.name == chosen)
        assert best == max(q.quality for q in quotes)


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


def test_sparing_passes_the_context_on():
    """The inner policy sees the same context, and its name stays in the decision."""
    seen = []

    def inner(quotes, context):
        seen.append(context)
        return Decision(ranking=("small",), reason="r", rejected={}, policy="mine")

    context = Context(now=NOW, remaining=0, tags={"team": "search"})
    assert sparing(inner)([SMALL], context).policy == "sparing(mine, 0.05)"
    assert seen == [context]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: cheapest(-0.1), "min_quality"),
        (lambda: cheapest(float("nan")), "min_quality"),
        (lambda: threshold(1.1), "quality"),
        (lambda: threshold(float("nan")), "quality"),
        (lambda: threshold(0.5, max_cost_usd=0), "max_cost_usd"),
        (lambda: threshold(0.5, max_cost_usd=float("nan")), "max_cost_usd"),
        (lambda: utility("0"), "answer_value_usd"),
        (lambda: utility("-1"), "answer_value_usd"),
        (lambda: utility("NaN"), "answer_value_usd"),
        (lambda: utility(float("inf")), "answer_value_usd"),
        (lambda: utility("a cent"), "answer_value_usd"),
        (lambda: sparing(cheapest(), 0), "share"),
        (lambda: sparing(cheapest(), 1.01), "share"),
        (lambda: sparing(cheapest(), float("nan")), "share"),
    ],
)
def test_bad_parameters_are_refused(make, says):
    """A parameter out of range is an error when the policy is made, and names itself."""
    with pytest.raises(ValueError, match=f"{says}: expected .*, got"):
        make()
