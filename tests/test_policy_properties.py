"""What holds of every policy, whatever the quotes."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import (
    Context,
    Purse,
    Quote,
    cascade,
    cheapest,
    cheapest_adequate,
    constrained,
    explore,
    first_of,
    load_policy,
    pacing,
    presets,
    restrict,
    sparing,
    threshold,
    utility,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CENT = 10**10
PLAIN = {
    "cheapest": cheapest(),
    "adequate": cheapest_adequate(0.7),
    "capped": cheapest_adequate(0.9, max_cost_usd=0.005),
    "threshold": threshold(0.1),
    "utility": utility("0.01"),
    "waiting": utility("0.01", wait_usd_per_hour=2, z=0),
    "pacing": pacing("0.01"),
    "cascade": cascade("0.01"),
    "sparing": sparing(utility("0.01"), 0.05),
}
ALL = PLAIN | {
    "declared": utility("0.01", default="a*"),
    "sure": cheapest_adequate(0.7, z=1),
    "to-default": threshold(0.0, default="*b"),
    "rules": constrained(utility(), regions=["eu"], deny=["a"]),
    "targets": constrained(
        cascade(), max_seconds=5, max_cost_usd="0.01", quality_floors={"team=x": 0.8}
    ),
    "explore": explore(utility(), 0.5),
    "twice": explore(explore(cascade(), 0.5, max_cost_usd="0.005"), 0.5),
    "restrict": restrict(cheapest(), "a*", "*b", thinking=False, min_quality=0.3),
    "first": first_of(restrict(explore(cheapest(), 0.5), self_hosted=True), pacing()),
    **{name: load_policy(name) for name in presets()},
}
every_policy = pytest.mark.parametrize("policy", ALL.values(), ids=ALL)
every_plain_policy = pytest.mark.parametrize("policy", PLAIN.values(), ids=PLAIN)

EXACT, UNKNOWN = st.just(0.0), st.none()
CHANCE = st.floats(0, 1) | st.sampled_from([0.0, 0.5, 0.7, 1.0])
COST = st.integers(0, 10**13) | st.sampled_from([0, CENT, 5 * 10**9])


def quotes_of(se=EXACT, base=UNKNOWN):
    one = st.builds(
        lambda name, quality, cost, **more: Quote(
            name=name, quality=quality, cost=cost, cost_p90=2 * cost, cost_ceiling=9 * cost, **more
        ),
        st.text("abcdefgh", min_size=1, max_size=3),
        CHANCE,
        COST,
        quality_se=se,
        base_quality=base,
        seconds=st.none() | st.floats(0, 100),
        self_hosted=st.booleans(),
        thinking=st.booleans(),
        region=st.sampled_from(["", "eu", "us"]),
    )
    return st.lists(one, min_size=1, max_size=8, unique_by=lambda q: q.name)


QUOTES = quotes_of()
NOISY = quotes_of(se=st.floats(0, 0.5), base=st.none() | CHANCE)
WINDOW = {"starts": NOW - timedelta(hours=6), "ends": NOW + timedelta(hours=18)}
PURSES = st.lists(
    st.builds(Purse, limit=st.integers(0, 10**14), taken=st.integers(0, 10**14))
    | st.builds(
        lambda limit, taken: Purse(limit=limit, taken=taken, **WINDOW),
        st.integers(0, 10**14),
        st.integers(0, 10**14),
    ),
    max_size=2,
).map(tuple)
CONTEXTS = st.builds(
    Context,
    now=st.just(NOW),
    remaining=st.none() | st.integers(0, 10**14),
    tags=st.sampled_from([{}, {"team": "x"}]),
    purses=PURSES,
    draw=st.floats(0, 1, exclude_max=True),
    streaming=st.booleans(),
    verifiable=st.booleans(),
)


@every_policy
@given(quotes=NOISY, context=CONTEXTS, data=st.data())
def test_the_order_of_quotes_does_not_matter(policy, quotes, context, data):
    """The same candidates in any order give the same decision, every time."""
    shuffled = data.draw(st.permutations(quotes))
    assert policy(shuffled, context) == policy(quotes, context) == policy(quotes, context)


@every_policy
@given(quotes=NOISY, context=CONTEXTS)
def test_a_decision_accounts_for_everyone(policy, quotes, context):
    """A ranking holds candidates only, each once; everyone but the chosen has a reason."""
    decision = policy(quotes, context)
    names = {q.name for q in quotes}
    assert len(set(decision.ranking)) == len(decision.ranking)
    assert set(decision.ranking) <= names
    assert decision.rejected.keys() == names - set(decision.ranking[:1])
    assert all(decision.rejected.values())
    assert decision.reason
    assert decision.policy == str(policy)
    assert set(decision.escalation) <= set(decision.ranking[1:])
    told = " ".join([decision.reason, *decision.rejected.values()])
    assert not {"nan", "inf"} & set(told.replace("$", "").replace(",", "").split())


@every_policy
@given(quotes=NOISY, context=CONTEXTS)
def test_propensities_are_chances(policy, quotes, context):
    """They are of the ranking's names and add up to 1, and the chosen one's is above 0."""
    decision = policy(quotes, context)
    if decision.propensities:
        assert set(decision.propensities) <= set(decision.ranking)
        assert math.isclose(sum(decision.propensities.values()), 1.0)
        assert all(0 <= chance <= 1 + 1e-9 for chance in decision.propensities.values())
        assert decision.propensity > 0


@every_plain_policy
@given(quotes=QUOTES, context=CONTEXTS, data=st.data())
def test_a_dominated_candidate_changes_nothing(policy, quotes, context, data):
    """Adding a candidate that is worse, dearer and slower than another one changes no choice."""
    better = data.draw(st.sampled_from(quotes))
    cost = better.cost + data.draw(st.integers(1, 10**12))
    worse = replace(
        better,
        name="dominated",
        quality=better.quality / 2,
        cost=cost,
        seconds=(better.seconds or 0.0) + 1,
    )
    alone = replace(context, verifiable=False)
    assert policy([*quotes, worse], alone).chosen == policy(quotes, alone).chosen


@given(QUOTES, CHANCE)
def test_an_adequate_candidate_is_found_when_there_is_one(quotes, quality):
    """If anyone reaches the quality, the choice does, and no one who does is cheaper."""
    context = Context(now=NOW)
    chosen = cheapest_adequate(quality)(quotes, context).chosen
    sure = [q for q in quotes if q.quality >= quality]
    if sure:
        cost = next(q.cost for q in sure if q.name == chosen)
        assert cost == min(q.cost for q in sure)
    else:
        best = next(q.quality for q in quotes if q.name == chosen)
        assert best == max(q.quality for q in quotes)


def worth(quote, value=CENT, second=0.0):
    return quote.quality * value - quote.cost - second * (quote.seconds or 0.0)


@given(quotes_of(base=st.none() | CHANCE), st.sampled_from([None, "a*", "b"]), st.floats(0, 5))
def test_without_noise_utility_is_an_argmax(quotes, default, z):
    """When every standard error is 0, no default and no `z` matter to what is gained."""
    chosen = utility(default=default, z=z)(quotes, Context(now=NOW)).chosen
    best = max(map(worth, quotes))
    assert worth(next(q for q in quotes if q.name == chosen)) == best


@given(NOISY, st.floats(0, 3))
def test_the_guard_holds(quotes, z):
    """A candidate other than the default gains more than `z` errors; else the default stands."""
    chosen_name = utility(z=z)(quotes, Context(now=NOW)).chosen
    chosen = next(q for q in quotes if q.name == chosen_name)

    def before(quote):
        known = quote.quality if quote.base_quality is None else quote.base_quality
        return known * CENT - quote.cost

    default = min(quotes, key=lambda q: (-before(q), q.cost, q.name))
    passing = [
        q
        for q in quotes
        if worth(q) > worth(default)
        and worth(q) - worth(default) > z * CENT * math.hypot(q.quality_se, default.quality_se)
    ]
    if passing:
        assert worth(chosen) == max(map(worth, passing))
    else:
        assert chosen == default


@given(NOISY, CONTEXTS, st.floats(0, 3))
def test_the_best_is_never_passed_over_without_a_word(quotes, context, z):
    """Where a better estimate does not win, the reason says that the default stands."""
    decision = utility(z=z)(quotes, context)
    chosen = next(q for q in quotes if q.name == decision.chosen)
    default_stands = decision.reason.startswith(f"default {chosen.name} stands: ")
    if default_stands:
        assert max(map(worth, quotes)) > worth(chosen)


@given(QUOTES, CONTEXTS)
def test_a_cascade_is_worth_no_less_than_one_alone(quotes, context):
    """Two stages are taken only for a gain: with `z=0` the first stage alone is no better."""
    decision = cascade(z=0)(quotes, replace(context, verifiable=True, streaming=False))
    single = utility(z=0)(quotes, context)
    if not decision.escalation:
        assert decision.ranking == single.ranking


@given(QUOTES, CONTEXTS)
def test_rules_are_never_broken(quotes, context):
    """Nobody outside of the rules is in the ranking, as a choice, fallback or second stage."""
    policy = constrained(explore(cascade(), 0.5), regions=["eu"], deny=["a*"])
    decision = policy(quotes, context)
    lawful = {q.name for q in quotes if q.region == "eu" and not q.name.startswith("a")}
    assert set(decision.ranking) == lawful
    assert set(decision.escalation) <= lawful
