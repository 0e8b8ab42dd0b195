"""Sweeps, the frontier and the choice of a policy, on traffic whose outcomes are known."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import (
    Client,
    ConfigError,
    Context,
    Decision,
    DecisionRecord,
    Quote,
    cascade,
    cheapest,
    cheapest_adequate,
    explore,
    recorded_prompts,
    restrict,
    threshold,
    tuning,
    utility,
)
from router.money import to_pico
from router.testing import FakeClock
from router.tuning import Logged, Measured, Outcome, Traffic
from router.tuning.exact import best, replayed
from router.tuning.hull import hull_of, mixed_quality

MODELS = [
    "mixtral-8x7b-instruct-v0.1@replay",
    "deepseek-v2.5@replay",
    "claude-3-5-sonnet-20241022@replay",
]
NOON = FakeClock().instant


@pytest.fixture(scope="module")
def traffic():
    client = Client(ledger=":memory:", candidates=MODELS, now=FakeClock())
    return tuning.recorded(client, recorded_prompts(source="zeroeval")[:300])


def request(i, outcomes, qualities=None, *, verifiable=False):
    """A request that was quoted these candidates, with what each would make of it."""
    quotes = tuple(
        Quote(
            name=name,
            quality=(qualities or {}).get(name, 0.5),
            cost=outcome.cost,
            cost_p90=outcome.cost,
            cost_ceiling=outcome.cost,
        )
        for name, outcome in outcomes.items()
    )
    context = Context(now=NOON, draw=(i % 100) / 100, verifiable=verifiable)
    decision = cheapest()(quotes, context)
    record = DecisionRecord(
        request_id=f"r{i}",
        quotes=quotes,
        context=context,
        policy={"policy": "cheapest"},
        policy_name="router.cheapest",
        decision=decision,
    )
    return Logged(
        request_id=f"r{i}",
        at=NOON + timedelta(hours=i),
        chosen=decision.chosen,
        served=decision.chosen,
        record=record,
        cost=outcomes[decision.chosen].cost,
        quality=outcomes[decision.chosen].score,
        outcomes=outcomes,
    )


def outcomes(**of):
    return {f"{name}@x": Outcome(score=score, cost=cost) for name, (score, cost) in of.items()}


def point(name, cost, quality):
    usd = Decimal(cost)
    return Measured(
        name=name,
        method="exact",
        requests=1,
        quality=quality,
        quality_low=quality,
        quality_high=quality,
        cost_usd=usd,
        cost_low_usd=usd,
        cost_high_usd=usd,
        total_usd=usd,
    )


def test_an_exact_sweep_looks_outcomes_up(traffic):
    """Quality, cost and total are those of the outcomes of the candidates that are chosen."""
    policy = utility("0.03")
    found = tuning.sweep(traffic, [policy], value_usd="0.03", progress=False)[0]
    chosen = [policy(r.record.quotes, r.record.context).chosen for r in traffic]
    costs = [r.outcomes[name].cost for r, name in zip(traffic, chosen, strict=True)]
    scores = [r.outcomes[name].score for r, name in zip(traffic, chosen, strict=True)]
    assert found.method == "exact"
    assert to_pico(found.total_usd) == sum(costs)
    assert found.quality == pytest.approx(np.mean(scores))
    assert found.quality_low < found.quality < found.quality_high
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.shares[MODELS[1]] == pytest.approx(chosen.count(MODELS[1]) / len(chosen))
    worth = np.mean([0.03 * s - c / 1e12 for s, c in zip(scores, costs, strict=True)])
    assert float(found.worth_usd) == pytest.approx(worth)


def test_refusals_count_as_nothing_for_nothing():
    """A policy that allows nobody gets grade 0, costs nothing, and is counted as refused."""
    traffic = Traffic([request(i, outcomes(a=(1.0, 5))) for i in range(4)])
    found = tuning.sweep(traffic, [restrict(cheapest(), "b@x")], progress=False)[0]
    assert (found.quality, found.total_usd, found.refused) == (0.0, 0, 4)
    assert not found.shares


def test_a_deferral_beyond_patience_is_a_refusal():
    """A request that would be sent later than it may wait is not served."""

    def later(quotes, context):
        return Decision(
            ranking=(quotes[0].name,),
            reason="",
            rejected={},
            policy="later",
            defer_until=context.now + timedelta(hours=1),
        )

    traffic = Traffic([request(0, outcomes(a=(1.0, 5)))])
    assert replayed(traffic, later).refused == 1
    record = traffic[0].record
    patient = replace(record, context=replace(record.context, patience=7200.0))
    assert replayed(Traffic([replace(traffic[0], record=patient)]), later).refused == 0


def test_an_escalation_pays_for_every_stage_where_there_is_a_verifier():
    """A wrong first answer costs both stages and gets the better grade; else the first alone."""
    of = outcomes(a=(0.0, 10**6), b=(1.0, 5 * 10**9))
    policy = cascade("0.01")
    with_one = Traffic([request(0, of, {"a@x": 0.6, "b@x": 0.95}, verifiable=True)])
    found = replayed(with_one, policy)
    assert policy(with_one[0].record.quotes, with_one[0].record.context).escalation == ("b@x",)
    assert (found.quality[0], found.cost[0]) == (1.0, 5_001_000_000)
    without = Traffic([request(0, of, {"a@x": 0.6, "b@x": 0.95})])
    assert replayed(without, policy).cost[0] in {10**6, 5 * 10**9}


def test_a_policy_of_chance_gets_what_it_expects():
    """Exploration is weighed by its propensities, not by one draw."""
    traffic = Traffic([request(i, outcomes(a=(0.0, 0), b=(1.0, 1000))) for i in range(3)])
    found = replayed(traffic, explore(cheapest(), 0.2))
    assert found.quality == pytest.approx([0.1] * 3)
    assert list(found.cost) == [100] * 3
    assert found.chances["b@x"] == pytest.approx(0.3)


def test_the_oracle_takes_the_best_grade_at_its_lowest_cost():
    """Nobody has a better mean grade, and none so good is cheaper."""
    of = [outcomes(a=(1.0, 5), b=(1.0, 9)), outcomes(a=(0.0, 5), b=(0.5, 9))]
    found = best(Traffic(request(i, each) for i, each in enumerate(of)))
    assert list(found.quality) == [1.0, 0.5]
    assert list(found.cost) == [5, 9]


def test_the_frontier_holds_singles_the_oracle_and_the_point(traffic):
    """No policy beats the oracle; singles are those of the candidates; figures agree."""
    found = tuning.frontier(traffic, point=utility("0.03"), progress=False)
    assert [single.name for single in found.singles] == MODELS
    assert all(p.quality <= found.oracle.quality + 1e-9 for p in found.points)
    assert found.regret == pytest.approx(found.oracle.quality - found.point.quality)
    assert found.gain >= -1e-9
    assert found.savings_usd >= Decimal("-1e-12")
    costs = [p.cost_usd for p in found.hull]
    grades = [p.quality for p in found.hull]
    assert costs == sorted(costs)
    assert grades == sorted(grades)
    assert found.quality_at(found.hull[-1].cost_usd) == found.hull[-1].quality
    assert found.cost_at(found.hull[0].quality) == found.hull[0].cost_usd
    assert found.cost_at(1.1) is None
    assert found.quality_at("0") is None
    with pytest.raises(ConfigError, match="cost_usd"):
        found.quality_at("cheap")
    kinds = found.to_frame("pyarrow").column("kind").to_pylist()
    assert kinds.count("single") == 3
    assert {"oracle", "present", "policy"} < set(kinds)
    assert "at the cost of the policy in use" in str(found)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 20)), min_size=1, max_size=25))
def test_nothing_is_above_the_hull(places):
    """Every point is on or below what mixes of the hull's points reach for its cost."""
    points = [point(f"p{i}", cost, good / 20) for i, (cost, good) in enumerate(places)]
    hull = hull_of(points)
    for each in points:
        reached = mixed_quality(hull, each.cost_usd)
        assert reached >= each.quality - 1e-9
    slopes = [(b.quality - a.quality) / float(b.cost_usd - a.cost_usd) for a, b in pairwise(hull)]
    assert all(slope > 0 for slope in slopes)
    assert all(b < a + 1e-9 for a, b in pairwise(slopes))


def test_a_budget_is_kept_where_it_is_chosen_and_told_on_the_rest(traffic):
    """The choice keeps to the budget on its own part; the figures are those of the other."""
    found = tuning.choose(traffic, budget_usd="0.0005", progress=False)
    assert found.fitted.cost_usd <= Decimal("0.0005")
    assert found.fitted.requests + found.held_out.requests == len(traffic)
    assert found.figures is found.held_out
    assert found.met == (found.held_out.cost_usd <= Decimal("0.0005"))
    everyone = tuning.sweep(traffic.split(0.5)[0], tuning.family(utility), progress=False)
    within = [p.quality for p in everyone if p.cost_usd <= Decimal("0.0005")]
    assert found.fitted.quality >= max(within)


def test_a_floor_is_kept_by_its_lower_bound_where_asked(traffic):
    """`sure` asks the interval to keep the floor, and costs more than the mean alone."""
    mean = tuning.choose(traffic, quality_floor=0.69, held_out=0, progress=False)
    sure = tuning.choose(traffic, quality_floor=0.69, sure=True, held_out=0, progress=False)
    assert mean.fitted.quality >= 0.69
    assert sure.fitted.quality_low >= 0.69
    assert sure.fitted.cost_usd >= mean.fitted.cost_usd
    assert mean.held_out is None
    assert mean.figures is mean.fitted


def test_a_budget_for_a_month_counts_the_requests_of_one():
    """One request an hour for ten days is 720 a month: 72 dollars are ten cents for each."""
    of = outcomes(a=(0.5, 10**9), b=(1.0, 2 * 10**11))
    traffic = Traffic([request(i, of, {"a@x": 0.5, "b@x": 0.9}) for i in range(241)])
    found = tuning.choose(
        traffic, tuning.family(utility, ["0.001", "10"]), budget_usd="72", per="month"
    )
    assert found.fitted.shares == {"a@x": 1.0}
    dearer = tuning.choose(
        traffic, tuning.family(utility, ["0.001", "10"]), budget_usd="150", per="month"
    )
    assert dearer.fitted.shares == {"b@x": 1.0}
    with pytest.raises(ConfigError, match="less than a day"):
        tuning.choose(traffic[:20], budget_usd="1", per="month")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "one of budget_usd and quality_floor"),
        ({"budget_usd": "1", "quality_floor": 0.5}, "one of budget_usd and quality_floor"),
        ({"budget_usd": "0"}, "above 0"),
        ({"budget_usd": "x"}, "budget_usd"),
        ({"quality_floor": 2}, "quality_floor"),
        ({"quality_floor": 0.5, "held_out": 1}, "held_out"),
        ({"quality_floor": 1.0}, "no policy meets quality at least 1; the nearest is"),
        ({"budget_usd": "0.000000000001"}, "no policy meets at most"),
    ],
)
def test_a_target_that_cannot_be_met_is_refused(traffic, arguments, words):
    """The error says what was expected, or who comes nearest."""
    with pytest.raises(ConfigError, match=words):
        tuning.choose(traffic, progress=False, **arguments)


def test_families_have_sensible_values_or_ones_own():
    """Defaults fit the policy; a function makes a family; bad values are refused at once."""
    assert len(tuning.family(utility)) == 37
    assert tuning.family(threshold).parameter == "gain"
    assert max(tuning.family(cheapest_adequate).values) < 1
    own = tuning.family(lambda share: explore(cheapest(), share), [0.1, 0.2], parameter="share")
    assert [policy.share for policy in own] == [0.1, 0.2]
    with pytest.raises(ConfigError, match="values"):
        tuning.family(threshold, [2])
    with pytest.raises(ConfigError, match="at least one"):
        tuning.family(utility, [])


def test_policies_are_named_and_checked(traffic):
    """Names are a policy's words or one's own; doubles, none and non-policies are refused."""
    found = tuning.sweep(traffic[:5], {"mine": cheapest()}, progress=False)
    assert found.named("mine").name == "mine"
    with pytest.raises(ConfigError, match="expected one of mine"):
        found.named("other")
    for policies, words in (
        ([cheapest(), cheapest()], "two are called 'cheapest'"),
        ([], "at least one"),
        ({"x": 3}, "expected a policy"),
    ):
        with pytest.raises(ConfigError, match=words):
            tuning.sweep(traffic[:5], policies)
    with pytest.raises(ConfigError, match="expected requests"):
        tuning.sweep(Traffic([]), [cheapest()])
    with pytest.raises(ConfigError, match="confidence"):
        tuning.sweep(traffic[:5], [cheapest()], confidence=1)


def test_one_request_has_no_interval_and_the_table_says_so():
    """The interval of a single request is unknown, never zero wide."""
    found = tuning.sweep(Traffic([request(0, outcomes(a=(1.0, 5)))]), [cheapest()])
    assert (found[0].quality_low, found[0].quality_high) == (0.0, 1.0)
    assert found[0].cost_low_usd is None
    frame = found.to_frame()
    assert list(frame["name"]) == ["cheapest"]
    assert frame["share:a@x"][0] == 1.0
    assert frame["cost_low_usd"].isna().all()
