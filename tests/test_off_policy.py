"""Estimates of policies that never ran: right where the log can tell, silent where it cannot."""

from dataclasses import replace

import pytest

from policies import Context, Decision, cascade, cheapest, explore, restrict, to_spec, utility
from router.errors import ConfigError
from router.tuning.off_policy import estimate, estimates
from router.tuning.replay import choices
from router.tuning.traffic import Traffic
from tests.offline import NOW, blind, logged, quote, traffic

PAIR = (quote("cheap", 0.6, 10**8), quote("dear", 0.95, 2 * 10**9))
STAGED = cascade("0.01", z=0)
BASE, OTHER = utility("0.01"), utility("0.05")
KNOWN = traffic(1500, explore(BASE, 0.3), seed=3)
LOG = blind(KNOWN)


@pytest.mark.parametrize("of", ["quality", "cost", "worth"])
@pytest.mark.parametrize("policy", [BASE, OTHER, cheapest()], ids=str)
def test_the_interval_holds_what_the_policy_would_have_got(of, policy):
    """Estimated from the log alone, what is known of all outcomes lies inside the interval."""
    true = estimate(KNOWN, policy, of=of, value_usd="0.01")
    assert true.method == "exact"
    for method in ("dr", "snips", "ips"):
        found = estimate(LOG, policy, of=of, method=method, value_usd="0.01")
        assert found.low < true.value < found.high
        assert found.low <= found.value <= found.high
        assert found.bounds == (found.low, found.high)
        assert (found.n, found.support, found.method) == (1500, 1.0, method)
        assert found.unit == ("grade" if of == "quality" else "USD")


def test_the_policy_that_logged_is_what_was_observed():
    """Nothing left to chance: the estimate of the log's own policy is the mean of the log."""
    log = blind(traffic(200, BASE, seed=1))
    for method in ("dr", "snips", "ips"):
        cost = estimate(log, None, of="cost", method=method)
        assert cost.value == pytest.approx(float(log.cost_usd) / 200, rel=1e-12)
        assert cost.effective_n == 200
        quality = estimate(log, BASE, method=method)
        assert quality.value == pytest.approx(sum(r.quality for r in log) / 200, rel=1e-12)


def test_without_exploration_there_is_no_number_for_another_policy():
    """Choices that the log could not have made get bounds, and how to do better is said."""
    known = traffic(300, BASE, seed=2)
    for of in ("quality", "cost", "worth"):
        found = estimate(blind(known), OTHER, of=of, value_usd="0.01")
        true = estimate(known, OTHER, of=of, value_usd="0.01").value
        assert (found.value, found.low, found.high) == (None, None, None)
        assert found.bounds[0] < true < found.bounds[1]
        assert 0 < found.support < 1
        assert "explore(policy, 0.02)" in str(found)
    nothing = estimate(blind(known), restrict(cheapest(), "huge"))
    assert nothing.support < 0.2
    assert nothing.bounds[1] - nothing.bounds[0] > 0.8


def test_what_is_hardly_ever_logged_counts_as_never():
    """One chance in a million is no support among three hundred requests."""
    found = estimate(blind(traffic(300, explore(BASE, 1e-6), seed=2)), OTHER)
    assert found.value is None
    assert found.support < 1


def test_little_exploration_gives_a_wide_interval_not_a_wrong_one():
    """With next to nothing drawn the interval knows what could have been drawn."""
    little = blind(traffic(300, explore(BASE, 0.01), seed=4))
    found = estimate(little, cheapest())
    assert found.effective_n < 10
    assert found.high - found.low > 0.5
    normal = estimate(little, cheapest(), interval="normal")
    assert normal.high - normal.low < (found.high - found.low) / 2


def test_the_direct_method_is_shown_without_an_interval():
    """The model's own word is a number that nothing checks."""
    found = estimate(LOG, OTHER, method="direct")
    assert 0 < found.value < 1
    assert (found.low, found.high, found.bounds) == (None, None, None)
    assert "unchecked" in str(found)


def test_the_doubly_robust_estimate_is_the_narrowest_of_a_far_policy():
    """With quotes that mean something it has less width than weights alone."""
    widths = {}
    for method in ("dr", "snips", "ips"):
        found = estimate(LOG, OTHER, method=method)
        widths[method] = found.high - found.low
    assert widths["dr"] < widths["snips"] < widths["ips"]


def test_clipping_says_what_it_may_hide():
    """Smaller weights, and a note of the bias that they may bring."""
    found = estimate(LOG, OTHER, clip=5)
    assert found.value is not None
    assert any("weights above 5 cut" in note for note in found.notes)
    with pytest.raises(ConfigError, match="clip: expected a largest weight of 1 or more"):
        estimate(LOG, OTHER, clip=0.5)


def test_grades_of_some_and_costs_of_all():
    """Quality rests on the graded requests, cost on all, and worth on both."""
    some = blind(traffic(1500, explore(BASE, 0.3), seed=3, graded=0.4))
    found = estimates(some, OTHER, value_usd="0.01")
    graded = len(some.graded)
    assert (found["quality"].n, found["cost"].n, found["worth"].n) == (graded, 1500, graded)
    worth = 0.01 * found["quality"].value - found["cost"].value
    assert found["worth"].value == pytest.approx(worth, rel=1e-9)
    wide = found["quality"].high - found["quality"].low
    assert wide > 1.2 * (estimate(LOG, OTHER).high - estimate(LOG, OTHER).low)


def test_no_grade_at_all_is_no_estimate():
    """Nothing is known of quality, and that is said; cost is as before."""
    none = blind(traffic(50, explore(BASE, 0.3), graded=0.0))
    found = estimate(none, OTHER)
    assert (found.value, found.bounds, found.n) == (None, None, 0)
    assert "the log does not tell" in str(found)
    assert estimate(none, OTHER, of="cost").value is not None


def test_who_was_graded_is_looked_at():
    """Grades by feedback, and of one candidate more than of others, are told."""
    told = estimate(blind(traffic(300, explore(BASE, 0.3), by="feedback")), OTHER)
    assert any("feedback" in note for note in told.notes)
    tilted = Traffic(
        replace(r, quality=r.quality if r.chosen == "small" or i % 10 == 0 else None)
        for i, r in enumerate(LOG)
    )
    assert any("of the answers of small have grades" in n for n in estimate(tilted, OTHER).notes)
    assert not estimate(tilted, OTHER, of="cost").notes


def test_an_unknown_cost_is_left_out_not_zero():
    """Without a price a request tells nothing of cost, and all of its quality."""
    some = Traffic(replace(r, cost=None if i % 2 else r.cost) for i, r in enumerate(LOG))
    found = estimates(some, OTHER)
    assert (found["cost"].n, found["quality"].n) == (750, 1500)
    assert found["cost"].value == pytest.approx(estimate(LOG, OTHER, of="cost").value, rel=0.4)


def test_a_refused_request_is_wrong_and_free():
    """A policy that answers half gets half, and nobody may leave hard ones out unpunished."""

    def half(quotes, context):
        found = BASE(quotes, context)
        return found if context.draw < 0.5 else replace(found, ranking=())

    for each in (LOG, KNOWN):
        found, whole = estimates(each, half), estimates(each, BASE)
        assert 600 < found["quality"].refused < 900
        share = 1 - found["quality"].refused / 1500
        for of in ("quality", "cost"):
            assert found[of].value == pytest.approx(share * whole[of].value, rel=0.25)
    assert any("it refuses" in note for note in estimate(LOG, half).notes)
    assert "half" in str(estimate(LOG, half))


def test_a_target_that_explores_is_weighed_by_its_chances():
    """A mixture of two policies gets the mixture of what they get."""
    mixed = estimates(LOG, explore(BASE, 0.3))
    logs = estimates(LOG, None)
    for of in ("quality", "cost"):
        assert mixed[of].value == pytest.approx(logs[of].value, rel=1e-9)
    assert mixed["quality"].effective_n == pytest.approx(1500)


def test_choices_are_chances_by_name():
    """One dict for each request: certain, by lot, or None where there is no answer."""
    some = Traffic([*LOG[:3], replace(LOG[3], record=None)])
    sure, lot = choices(some, cheapest()), choices(some, explore(cheapest(), 0.4))
    assert sure == [{"small": 1.0}] * 3 + [None]
    assert lot[0] == pytest.approx({"small": 0.7, "middle": 0.1, "large": 0.1, "huge": 0.1})

    def nobody(quotes, context):
        return replace(BASE(quotes, context), ranking=())

    assert choices(some, nobody) == [None] * 4


def test_requests_without_quotes_are_left_out_and_counted():
    """What was not logged cannot be decided anew; where nothing was, that is an error."""
    some = Traffic([*LOG[:100], *(replace(r, record=None) for r in LOG[100:120])])
    found = estimate(some, OTHER)
    assert found.n == 100
    assert "20 of 120 requests have no quotes" in str(found)
    with pytest.raises(ConfigError, match="log_decisions=True"):
        estimate(some[100:], OTHER)
    with pytest.raises(ConfigError, match="no request has quotes"):
        estimate(Traffic([]), OTHER)


@pytest.mark.parametrize("chance", [0.0, -0.1, 1.5, float("nan"), None])
def test_a_chance_that_is_none_is_an_error(chance):
    """Zero, negative, above one, not a number, missing."""
    bad = Traffic([replace(LOG[0], propensity=chance)])
    with pytest.raises(ConfigError, match="propensity: expected above 0 and at most 1"):
        estimate(bad, OTHER)


def test_a_log_at_odds_with_itself_is_an_error():
    """The chance, the choice and the grade are those of one decision."""
    with pytest.raises(ConfigError, match="by its decision record"):
        estimate(Traffic([replace(LOG[0], propensity=0.5)]), OTHER)
    with pytest.raises(ConfigError, match="chosen is 'nobody'"):
        estimate(Traffic([replace(LOG[0], chosen="nobody")]), OTHER)
    with pytest.raises(ConfigError, match="quality: expected 0 to 1, got 3"):
        estimate(Traffic([replace(LOG[0], quality=3.0)]), OTHER)


def test_chances_must_add_up():
    """Half of a distribution is none, in the log or in the target."""

    def lame(quotes, context):
        return replace(BASE(quotes, context), propensities={"small": 0.5, "huge": 0.2})

    with pytest.raises(ConfigError, match=r"add up to 1.*of the policy"):
        estimate(LOG, lame)
    request = LOG[0]
    found = replace(request.record.decision, propensities={request.chosen: 0.4})
    bad = replace(request, propensity=0.4, record=replace(request.record, decision=found))
    with pytest.raises(ConfigError, match=r"add up to 1.*of the log"):
        estimate(Traffic([bad]), OTHER)


def test_a_policy_chooses_among_the_quotes():
    """A name without a quote is a slip, not a choice without support."""

    def stray(quotes, context):
        return Decision(ranking=("elsewhere",), reason="", rejected={}, policy="stray")

    with pytest.raises(ConfigError, match="'elsewhere' was chosen, and has no quote"):
        estimate(LOG, stray)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"of": "speed"}, "of: expected one of quality, cost, worth"),
        ({"method": "magic"}, "method: expected one of dr, snips, ips, direct"),
        ({"interval": "wide"}, "interval: expected one of design"),
        ({"confidence": 95}, "confidence: expected between 0 and 1"),
        ({"of": "worth"}, "value_usd: expected what a right answer is worth"),
        ({"value_usd": "much"}, "value_usd: expected an amount above 0"),
        ({"value_usd": -1}, "value_usd: expected an amount above 0"),
    ],
)
def test_arguments_are_checked(arguments, says):
    """Each slip says what was expected."""
    with pytest.raises(ConfigError, match=says):
        estimate(LOG, OTHER, **arguments)


def test_a_second_stage_is_another_action():
    """What came of one model alone does not tell what a cascade that begins with it gets."""
    seen = Context(now=NOW, verifiable=True)
    log = Traffic(logged(STAGED, PAIR, i=i, context=seen) for i in range(40))
    assert log[0].record.decision.escalation == ("dear",)
    assert estimate(blind(log), STAGED).support == 1.0
    assert estimate(blind(log), cheapest()).support == 0.0
    assert estimate(log, STAGED).method == "exact"


def test_what_was_drawn_beside_a_cascade_keeps_its_chances():
    """A candidate drawn by lot has no second stage, and the cascade keeps its own chance."""
    policy = explore(STAGED, 0.5)
    rows = []
    for i in range(40):
        seen = Context(now=NOW, verifiable=True, draw=(i + 0.5) / 40)
        row = logged(policy, PAIR, i=i, context=seen)
        rows.append(replace(row, record=replace(row.record, policy=to_spec(policy))))
    log = blind(Traffic(rows))
    assert {r.chosen for r in log} == {"cheap", "dear"}
    found = estimate(log, STAGED)
    assert found.support == 1.0
    assert found.effective_n == pytest.approx(30)  # each has chance 0.75
    assert estimate(log, policy).effective_n == pytest.approx(40)
    assert estimate(log, cheapest()).support == 0.0  # never asked alone
    assert estimate(log, restrict(cheapest(), "dear")).effective_n == pytest.approx(10)


def test_it_reads_well():
    """As text, as HTML, as a row of a table; money by its unit."""
    found = estimate(LOG, OTHER, of="cost")
    assert str(found).startswith("cost of utility(0.05): $0.00")
    assert "95 %" in str(found)
    html = found._repr_html_()
    assert html.startswith("<table>")
    assert "$0.00" in html
    row = found.row()
    assert (row["of"], row["policy"], row["value"]) == ("cost", "utility(0.05)", found.value)
    assert "notes" not in row
    assert estimate(LOG, OTHER).row()["bound_low"] <= 1
