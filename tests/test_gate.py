"""The gate: better, worse or undecided, what it would have saved, and never on too little."""

from dataclasses import replace
from decimal import Decimal

import pytest

from policies import cheapest, explore, restrict, utility
from router.errors import ConfigError
from router.tuning.gate import Verdict, gate
from router.tuning.off_policy import estimate
from router.tuning.traffic import Traffic
from router.tuning.verdict import Difference
from tests.offline import blind, traffic

BASE = utility("0.01")
HUGE, SMALL = restrict(cheapest(), "huge"), cheapest()
KNOWN = traffic(1500, explore(BASE, 0.3), seed=5)
LOG = blind(KNOWN)


def test_a_better_policy_is_found_and_what_it_saves():
    """All to the dearest model against utility: surely worth more, surely cheaper."""
    found = gate(LOG, BASE, HUGE, value_usd="0.01")
    assert isinstance(found, Verdict)
    assert found.outcome == "better"
    assert found
    assert found.worth.low > 0 > found.cost.high
    value, low, high = found.saved_usd
    assert low < value < high
    true = 1500 * sum(
        sign * estimate(KNOWN, policy, of="cost").value for policy, sign in ((HUGE, 1), (BASE, -1))
    )
    assert low < true < high
    assert found.spent_usd == LOG.cost_usd
    assert isinstance(found.spent_usd, Decimal)
    assert found.more is None


def test_a_worse_policy_is_found():
    """The other way round."""
    found = gate(LOG, HUGE, BASE, value_usd="0.01")
    assert (found.outcome, bool(found)) == ("worse", False)
    assert found.worth.high < 0


def test_differences_add_up():
    """The difference is the candidate's figure less the present one's, worth is made of both."""
    found = gate(LOG, SMALL, value_usd="0.01")
    for each in (found.quality, found.cost, found.worth):
        assert each.value == pytest.approx(each.candidate - each.present, abs=1e-12)
        assert each.low <= each.value <= each.high
    worth = 0.01 * found.quality.value - found.cost.value
    assert found.worth.value == pytest.approx(worth, rel=1e-9)
    logs = estimate(LOG, None, of="cost")
    assert found.cost.present == pytest.approx(logs.value, rel=1e-9)


def test_the_same_policy_is_never_better():
    """Against itself: no difference, no verdict, and nobody can say what would decide."""
    for log in (LOG, KNOWN):
        found = gate(log, BASE, BASE, value_usd="0.01")
        assert found.outcome == "undecided"
        assert found.worth.value == pytest.approx(0, abs=1e-12)
        assert found.more is None
        assert "it cannot be said" in str(found)


def test_little_data_is_undecided_and_says_how_much_more():
    """Of a true difference: a few hundred requests leave it open, many more settle it."""
    other = utility("0.003")
    early = gate(LOG[:300], other, BASE, value_usd="0.05")
    assert early.outcome == "undecided"
    assert early.more > 0
    assert f"about {early.more:,} more should decide" in str(early)
    assert gate(KNOWN, other, BASE, value_usd="0.05").outcome == "worse"


def test_what_the_log_could_not_show_is_taken_at_its_worst():
    """No exploration: the candidate may be as good or as bad as can be, so nothing is decided."""
    silent = blind(traffic(400, BASE, seed=6))
    found = gate(silent, utility("0.05"), value_usd="0.01")
    assert found.outcome == "undecided"
    assert found.worth.value is None
    assert found.saved_usd[0] is None
    assert found.worth.low < 0 < found.worth.high
    assert any("the log could not have made" in note for note in found.notes)
    assert "between" in str(found)


def test_without_a_value_it_must_be_cheaper_and_as_good():
    """A margin says how much worse is as good; without one the doubt stays."""
    wide = gate(KNOWN, BASE, HUGE, quality_margin=0.5)
    assert (wide.outcome, wide.worth) == ("better", None)
    assert "not worse by more than 0.5" in wide.reason
    assert gate(KNOWN, BASE, HUGE).outcome == "worse"
    dearer = gate(KNOWN, HUGE, BASE)
    assert dearer.outcome == "undecided"
    assert dearer.reason == "not sure to be cheaper"
    assert dearer.more is None
    few = gate(LOG[:200], utility("0.009"), BASE, quality_margin=0.02)
    assert few.outcome == "undecided"
    assert "as good" in few.reason


def test_dearer_and_no_better_is_worse():
    """Money for nothing: the same answers at twice the price."""

    def twice(request):
        outcomes = {
            name: replace(o, score=0.5, cost=o.cost) for name, o in request.outcomes.items()
        }
        return replace(request, outcomes=outcomes, quality=0.5)

    flat = Traffic(map(twice, KNOWN))
    found = gate(flat, HUGE, BASE, quality_margin=0.02)
    assert found.outcome == "worse"
    assert "surely dearer" in found.reason


def test_all_outcomes_known_are_compared_pair_by_pair():
    """Exact means, and a narrower interval than the log alone gives."""
    exact, guess = (gate(log, utility("0.005"), BASE, value_usd="0.01") for log in (KNOWN, LOG))
    assert exact.worth.high - exact.worth.low < (guess.worth.high - guess.worth.low) / 2
    true = [estimate(KNOWN, p, of="cost").value for p in (utility("0.005"), BASE)]
    assert exact.cost.value == pytest.approx(true[0] - true[1])
    logged = gate(KNOWN, BASE, value_usd="0.01")
    assert logged.spent_usd == KNOWN.cost_usd
    assert logged.outcome == "better"  # than the same with 30 % by lot


def test_several_candidates_share_the_confidence():
    """Each verdict is surer, so that all hold together."""
    alone = gate(LOG, SMALL, BASE, value_usd="0.01")
    several = gate(LOG, [SMALL, HUGE, utility("0.02")], BASE, value_usd="0.01")
    assert [v.candidate for v in several] == ["cheapest", str(HUGE), "utility(0.02)"]
    assert several[0].confidence == pytest.approx(1 - 0.05 / 3)
    assert several[0].worth.high - several[0].worth.low > alone.worth.high - alone.worth.low
    with pytest.raises(ConfigError, match="expected a policy or several, got none"):
        gate(LOG, [])


def test_for_daily_looks_there_are_wider_intervals():
    """`sequential=True` holds at all looks, and pays with width."""
    once = gate(LOG, SMALL, BASE, value_usd="0.01")
    daily = gate(LOG, SMALL, BASE, value_usd="0.01", sequential=True)
    assert (once.interval, daily.interval) == ("design", "sequence")
    assert daily.worth.low < once.worth.low
    assert daily.worth.high > once.worth.high


def canary(share):
    """Half a log of one policy and half of another, told apart by a tag."""
    rows = []
    for i, (one, other) in enumerate(zip(traffic(800, HUGE), traffic(800, BASE), strict=True)):
        yes = i % 100 < 100 * share
        rows.append(replace(one if yes else other, tags={"canary": "yes" if yes else "no"}))
    return blind(Traffic(rows))


def test_a_canary_by_lot_is_a_difference_of_means():
    """By tag or by the policy's words; it needs no decision records."""
    log = Traffic(replace(r, record=None) for r in canary(0.5))
    found = gate(log, arms=("tag", "canary", "yes"), value_usd="0.01")
    assert found.outcome == "worse"
    assert (found.candidate, found.present, found.n) == ("canary=yes", "the rest", 800)
    means = {
        side: [r.cost / 1e12 for r in log if r.tags["canary"] == side] for side in ("yes", "no")
    }
    assert found.cost.candidate == pytest.approx(sum(means["yes"]) / 400)
    assert found.cost.value == pytest.approx(sum(means["yes"]) / 400 - sum(means["no"]) / 400)
    assert any("chance alone decided" in note for note in found.notes)
    words = log[0].policy
    by_words = gate(log, arms=("policy", words), value_usd="0.01")
    assert by_words.worth == replace(found.worth)


@pytest.mark.parametrize(
    ("arms", "says"),
    [
        (("tag", "canary"), "arms: expected"),
        (("team", "a", "b"), "arms: expected"),
        (("tag", "canary", "maybe"), "two requests or more on either side, got 0 with"),
    ],
)
def test_arms_are_checked(arms, says):
    """A slip in the words, and a side with nobody in it."""
    with pytest.raises(ConfigError, match=says):
        gate(canary(0.5), arms=arms)


def test_arguments_are_checked():
    """Nothing to compare, too much, margins and confidences that are none."""
    with pytest.raises(ConfigError, match="candidate: expected a policy to compare"):
        gate(LOG)
    with pytest.raises(ConfigError, match="arms: expected no policies beside it"):
        gate(canary(0.5), BASE, arms=("tag", "canary", "yes"))
    with pytest.raises(ConfigError, match="quality_margin: expected 0 to below 1"):
        gate(LOG, BASE, quality_margin=2)
    with pytest.raises(ConfigError, match="confidence"):
        gate(LOG, BASE, confidence=95)
    with pytest.raises(ConfigError, match="value_usd"):
        gate(LOG, BASE, value_usd="free")


def test_no_grades_decide_nothing():
    """Cheaper alone is not better."""
    ungraded = Traffic(replace(r, quality=None) for r in LOG)
    for value in (None, "0.01"):
        found = gate(ungraded, SMALL, HUGE, value_usd=value)
        assert found.outcome == "undecided"
        assert found.quality is None
        assert "grade" in found.reason
        assert found.saved_usd[1] > 0


def test_it_reads_well():
    """A sentence first, then the figures, in text and in HTML."""
    found = gate(LOG, SMALL, BASE, value_usd="0.01")
    assert (
        str(found).splitlines()[0].startswith(f"{found.outcome}: cheapest against utility(0.01)")
    )
    assert "over 1,500 requests, which would have cost $" in str(found)
    assert "<table>" in found._repr_html_()
    assert "+$0.001000" in str(
        Difference(of="cost", value=0.001, low=-1.0, high=1.0, candidate=None, present=None, n=1)
    )


def test_more_follows_the_root_of_the_number():
    """Twice as far from zero as the value: four times the requests."""
    one = Difference(
        of="cost", value=-0.01, low=-0.03, high=0.01, candidate=0.0, present=0.01, n=100
    )
    assert one.more(100, 0.0) == 300
    assert one.more(100, -0.01) is None
    assert replace(one, value=None).more(100, 0.0) is None
    assert replace(one, value=-1e-9).more(100, 0.0) is None
