"""What holds of the ladder whatever the quotes, the rungs and the policy on it."""

import json
import math
import pickle
from dataclasses import replace
from datetime import UTC, datetime, timedelta

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
    fingerprint,
    from_spec,
    ladder,
    pacing,
    sparing,
    to_spec,
    utility,
)
from router import DecisionRecord

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
NOON = MONDAY + timedelta(hours=12)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
CENT = 10**10
HALF = {"limit": 100 * CENT, "starts": MONDAY, "ends": MONDAY + DAY}


def at(left, **more):
    """At noon of a day's budget of a dollar of which `left` times half a dollar is there."""
    taken = 100 * CENT - round(left * 50 * CENT)
    purse = Purse(taken=taken, **HALF)
    given = {"now": NOON, "remaining": purse.remaining, "purses": (purse,), "verifiable": True}
    return Context(**given | more)


NAMES = st.text("abcd", min_size=1, max_size=2)
COSTS = st.integers(0, 10**12) | st.sampled_from([0, CENT])
LENGTHS = st.floats(0, 1e5)
QUOTES = st.lists(
    st.builds(
        lambda name, cost, p50, p90, **more: Quote(
            name=name,
            cost=cost,
            cost_p90=2 * cost,
            cost_ceiling=9 * cost,
            output_tokens_p50=p50,
            output_tokens_p90=p50 + p90,
            **more,
        ),
        NAMES,
        COSTS,
        LENGTHS,
        LENGTHS,
        quality=st.floats(0, 1),
        self_hosted=st.booleans(),
        max_tokens=st.none() | st.integers(1, 10**5),
        quality_se=st.floats(0, 0.3),
        cheaper_at=st.none() | st.integers(-5, 50).map(lambda h: NOON + h * HOUR),
        cheaper_cost=st.none() | COSTS,
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda q: q.name,
)
SHARE = st.floats(0.01, 1)
EACH = {
    "cheaper": {
        "value_usd": st.none() | st.sampled_from(["0.01", "1"]),
        "strength": st.floats(0.1, 20),
    },
    "shorter": {"quantile": st.floats(0.5, 0.999), "least": st.integers(1, 10**4)},
    "self_hosted": {},
    "defer": {"hours": st.floats(0.1, 99), "saving": SHARE, "impatient": SHARE},
    "refuse": {"share": SHARE},
}
RUNG = st.one_of(
    st.fixed_dictionaries({"do": st.just(do)}, optional={"below": SHARE, **parameters})
    for do, parameters in EACH.items()
)
RUNGS = st.lists(RUNG, min_size=1, max_size=5, unique_by=lambda rung: rung["do"])
INNER = st.sampled_from(
    [
        utility("0.01"),
        cheapest(),
        cheapest_adequate(0.7),
        pacing(),
        cascade(),
        constrained(utility(), deny=["a*"]),
        sparing(explore(utility(), 0.5), 0.1),
    ]
)
LEFT = st.floats(0, 1.5)
PATIENCE = st.sampled_from([0.0, 3600.0, 1e6])


@given(QUOTES, INNER, RUNGS, LEFT, PATIENCE, st.data())
def test_a_decision_is_sound(quotes, inner, rungs, left, patience, data):
    """Names of quotes only, everyone accounted for, no order matters, nothing dearer or longer."""
    policy, context = ladder(inner, rungs), at(left, patience=patience)
    decision, own = policy(quotes, context), inner(quotes, context)
    names = {q.name: q for q in quotes}
    assert policy(data.draw(st.permutations(quotes)), context) == decision
    assert set(decision.ranking) <= set(own.ranking)
    assert len(set(decision.ranking)) == len(decision.ranking)
    assert decision.rejected.keys() == names.keys() - set(decision.ranking[:1])
    assert all(decision.rejected.values())
    assert set(decision.escalation) <= set(decision.ranking[1:])
    assert set(decision.propensities) <= set(decision.ranking) or not decision.ranking
    assert decision.policy == str(policy)
    assert all(step in decision.reason for step in decision.steps)
    if decision.ranking:
        chosen = names[decision.chosen]
        assert chosen.cost <= names[own.chosen].cost
        if decision.max_tokens is not None:
            assert decision.max_tokens < (chosen.max_tokens or math.inf)
    if decision.defer_until is not None:
        assert decision.defer_until > NOON
    asked = (decision.ranking[:1], decision.escalation)
    changed = (*asked, decision.max_tokens, decision.defer_until)
    assert bool(decision.steps) == (changed != (own.ranking[:1], own.escalation, None, None))


@given(QUOTES, INNER, RUNGS, st.floats(1, 1.9), PATIENCE)
def test_on_pace_it_is_the_policy_alone(quotes, inner, rungs, left, patience):
    """With enough left nothing differs but the name."""
    context = at(left, patience=patience)
    own = inner(quotes, context)
    assert ladder(inner, rungs)(quotes, context) == replace(own, policy=f"ladder({own.policy})")
    nothing = replace(context, purses=())
    own = inner(quotes, nothing)
    assert ladder(inner, rungs)(quotes, nothing) == replace(own, policy=f"ladder({own.policy})")


@given(
    QUOTES,
    st.sampled_from([utility(z=0), cheapest(), cheapest_adequate(0.7)]),
    RUNGS,
    LEFT,
    LEFT,
)
def test_tighter_is_never_dearer(quotes, inner, rungs, one, two):
    """With less left the choice costs no more, if `cheaper` comes before `self_hosted`.

    That is for policies that heed no purse themselves, and weigh candidates without noise.
    """
    policy = ladder(inner, sorted(rungs, key=lambda rung: list(EACH).index(rung["do"])))
    costs = {q.name: q.cost for q in quotes}
    tight, loose = (policy(quotes, at(left)) for left in sorted((one, two)))
    if loose.ranking and tight.ranking:
        assert costs[tight.chosen] <= costs[loose.chosen]


@given(RUNGS, INNER, st.none() | st.lists(st.floats(0.1, 9), min_size=24, max_size=24), SHARE)
def test_it_is_a_value(rungs, inner, profile, endless):
    """There and back through spec, JSON, repr and pickle: equal, of the same hash and digits."""
    policy = ladder(inner, rungs, profile and tuple(profile), endless)
    spec = to_spec(policy)
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec
    assert [rung["do"] for rung in spec["rungs"]] == [rung["do"] for rung in rungs]
    for again in (
        from_spec(spec),
        eval(repr(policy)),
        pickle.loads(pickle.dumps(policy)),  # noqa: TID251 - our own bytes
    ):
        assert again == policy
        assert hash(again) == hash(policy)
        assert fingerprint(again) == fingerprint(policy)


@given(QUOTES, INNER, RUNGS, LEFT, PATIENCE)
def test_a_record_replays(quotes, inner, rungs, left, patience):
    """Cap, instant and steps survive the record, and deciding again gives them to the last bit."""
    policy, context = ladder(inner, rungs), at(left, patience=patience)
    record = DecisionRecord(
        request_id="r",
        quotes=tuple(quotes),
        context=context,
        policy=to_spec(policy),
        policy_name="policies.ladder.ladder",
        decision=policy(quotes, context),
    )
    again = DecisionRecord.from_json(record.to_json())
    assert again == record
    assert again.replays()
