"""Figures of sweeps, frontiers and gates: one mechanism for each, and no luck sold as gain."""

from dataclasses import replace

import numpy as np
import pytest

from policies import Context, cascade, cheapest, explore, restrict, utility
from router import ConfigError, tuning
from router.tuning import Measured, Outcome, Traffic, replay
from router.tuning.exact import replayed
from router.tuning.measure import mean_of, measure
from router.tuning.plots import frontier_figure
from tests.offline import NOW, blind, logged, quote, traffic

BASE = utility("0.01")
KNOWN = traffic(600, explore(BASE, 0.3), seed=8)
LOG = blind(KNOWN)
PAIR = (quote("cheap", 0.6, 10**8), quote("dear", 0.95, 2 * 10**9))
ENDS = {"cheap": Outcome(score=0.0, cost=10**8), "dear": Outcome(score=1.0, cost=2 * 10**9)}


def climbing(draws):
    """Requests that a cascade climbs: the cheap answer is wrong, and a verifier says so."""
    for i, draw in enumerate(draws):
        context = Context(now=NOW, verifiable=True, draw=draw)
        yield logged(cheapest(), PAIR, i=i, outcomes=ENDS, context=context)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_cascade_that_explores_climbs_whatever_lot_was_drawn(share):
    """What it is expected to get is the same for every draw of the log: it is no draw's own."""
    policy = explore(cascade("0.01", z=0), share)
    draws = [0.0, share / 4, share * 0.9, share + 0.01, 0.99]
    found = replayed(Traffic(climbing(draws)), policy)
    own = 1 - share / 2  # the cheap one first, and then the dear one
    undrawn = policy(PAIR, Context(now=NOW, verifiable=True, draw=0.99))
    assert (undrawn.chosen, undrawn.escalation) == ("cheap", ("dear",))
    assert undrawn.propensities["cheap"] == pytest.approx(own)
    assert found.quality == pytest.approx([1.0] * 5)
    assert list(found.cost) == [round(own * 10**8 + 2 * 10**9)] * 5


def test_a_replay_on_a_log_has_the_same_stages():
    """The estimate's actions are those of the exact replay, drawn by lot or not."""
    policy = explore(cascade("0.01", z=0), 0.5)
    found = replay.cases(blind(Traffic(climbing([0.1, 0.9]))), [policy])
    assert set(found.names) == {"cheap", "cheap > dear", "dear"}
    assert found.shares(0) == pytest.approx({"cheap": 0.75, "dear": 0.25})


def test_a_sweep_of_known_outcomes_has_the_intervals_of_an_estimate():
    """Quality, cost and worth: one source for both, to the pico-dollar."""
    for policy in (BASE, restrict(cheapest(), "huge")):
        for rows in (KNOWN[:5], KNOWN):
            found = tuning.sweep(rows, [policy], value_usd="0.01", progress=False)[0]
            for of in ("quality", "cost", "worth"):
                same = tuning.estimate(rows, policy, of=of, value_usd="0.01")
                name = of if of == "quality" else f"{of}_usd"
                ends = [name.replace(of, f"{of}_{end}") for end in ("low", "high")]
                for mine, theirs in zip([name, *ends], ("value", "low", "high"), strict=True):
                    value = float(getattr(found, mine))
                    assert value == pytest.approx(getattr(same, theirs), abs=1e-12), (of, mine)


@pytest.mark.parametrize("n", [5, 20, 100])
def test_few_known_outcomes_cover_the_truth(n):
    """Of 300 draws of a model that is right 19 times in 20, at least 93 % hold that."""
    chance = np.random.default_rng(n)
    held = 0
    for _ in range(300):
        found = mean_of((chance.random(n) < 0.95).astype(float), 0.95)
        held += found.low <= 0.95 <= found.high
    assert held >= 0.93 * 300


def test_a_dozen_right_answers_are_not_sure_to_be_right():
    """`sure=True` asks for a lower bound, and twelve requests have none of 0.99."""
    right = Traffic(r for r in KNOWN if r.outcomes["huge"].score == 1)[:12]
    found = measure(right, restrict(cheapest(), "huge"))
    assert found.quality == 1.0
    assert found.quality_low < 0.9
    with pytest.raises(ConfigError, match=r"no policy meets quality at least 0\.99, surely"):
        tuning.choose(right, quality_floor=0.99, sure=True, progress=False)


def test_what_the_luckiest_estimate_would_gain_is_not_told():
    """On logs: no gain, no savings, and where to find them; with known outcomes both."""
    found = tuning.frontier(LOG, progress=False)
    assert (found.gain, found.savings_usd, found.regret) == (None, None, None)
    assert "the luckiest" in found.caution
    assert "tuning.choose" in found.caution
    for said in (str(found), found._repr_html_()):
        assert found.caution in said
    assert "on the frontier" not in str(found)
    legend = [text.get_text() for text in found.plot().axes[0].get_legend().get_texts()]
    assert "luckiest estimates: choose, then gate" in legend
    exact = tuning.frontier(KNOWN, point=BASE, progress=False)
    assert exact.caution == ""
    assert exact.gain >= 0
    assert "in use: in use" not in str(exact)


def test_what_is_not_told_is_counted_not_listed():
    """Three names and a number, and one request is one."""
    silent = blind(traffic(40, BASE, seed=6))
    found = tuning.frontier(silent, progress=False)
    assert len(found.untold) > 10
    line = next(each for each in str(found).splitlines() if "not told" in each)
    assert line.endswith(f"and {len(found.untold) - 3} more")
    assert str(tuning.frontier(KNOWN[:1], progress=False)).startswith("1 request\n")


@pytest.mark.parametrize("value", ["-1", "0", "NaN", "much"])
def test_a_value_that_is_none_is_refused(value):
    """A sweep takes what an estimate takes."""
    with pytest.raises(ConfigError, match="value_usd"):
        tuning.sweep(KNOWN[:5], [BASE], value_usd=value, progress=False)


def test_who_explores_already_is_not_told_to():
    """Advice fits the log: one that left something to chance needs more of it."""
    rare = blind(traffic(300, explore(BASE, 1e-6), seed=2))
    silent = blind(traffic(300, BASE, seed=2))
    other = utility("0.05")
    for log, explores in ((rare, True), (silent, False)):
        for said in (str(tuning.estimate(log, other)), str(tuning.gate(log, other))):
            assert ("explore(policy, 0.02)" in said) is not explores
            assert ("larger share by lot" in said) is explores


def test_a_policy_is_replayed_once_on_a_log():
    """Shares and estimates rest on the same replay."""
    asked = []

    def counting(quotes, context):
        asked.append(context)
        return BASE(quotes, context)

    found = tuning.sweep(LOG, {"counting": counting}, progress=False)[0]
    assert len(asked) == len(LOG)
    chosen = [BASE(r.record.quotes, r.record.context).chosen for r in LOG]
    shares = {name: chosen.count(name) / len(LOG) for name in set(chosen)}
    assert found.shares == pytest.approx(shares)


def renamed(names):
    def new(request):
        quotes = tuple(replace(q, name=names[q.name]) for q in request.record.quotes)
        outcomes = {names[name]: outcome for name, outcome in request.outcomes.items()}
        return logged(BASE, quotes, outcomes=outcomes, context=request.record.context)

    return Traffic(map(new, KNOWN[:60]))


def test_names_in_plots_are_no_formulas_and_not_too_long():
    """Dollars stay dollars, and a long name is cut in the middle."""
    pytest.importorskip("matplotlib")
    names = {"small": "$x^2$", "middle": "a$b", "large": "long-" * 17, "huge": "huge"}
    figure = frontier_figure(tuning.frontier(renamed(names), progress=False))
    said = {text.get_text() for text in figure.axes[0].texts}
    assert {r"\$x^2\$", r"a\$b", "huge"} < said
    long = next(text for text in said if text.startswith("long"))
    assert len(long) == 40
    assert "…" in long


@pytest.mark.parametrize("arms", [(), 5, "tag", ("tag", 1, 2), ("policy", None)])
def test_arms_that_are_none_are_refused(arms):
    """A typed error, whatever was given."""
    with pytest.raises(ConfigError, match="arms: expected"):
        tuning.gate(LOG, arms=arms)


@pytest.mark.parametrize("margin", ["a", None, True, float("nan")])
def test_a_margin_that_is_no_number_is_refused(margin):
    """A typed error, whatever was given."""
    with pytest.raises(ConfigError, match="quality_margin: expected 0 to below 1"):
        tuning.gate(LOG, BASE, quality_margin=margin)


def test_a_gate_says_whose_costs_it_names():
    """Savings stand beside what the present policy would have cost, not beside what was logged."""
    other = utility("0.003")
    found = tuning.gate(LOG, other, BASE)
    guess = len(LOG) * tuning.estimate(LOG, BASE, of="cost").value
    assert found.present_usd == pytest.approx(guess)
    assert found.spent_usd == LOG.cost_usd
    said = f"which would have cost ${guess:,.6f} with utility(0.01) (as logged, lots included: "
    assert f"{said}${LOG.cost_usd:,.6f}), it would have saved $" in str(found)
    against_log = tuning.gate(LOG, other)
    assert against_log.present_usd == float(LOG.cost_usd)
    assert f"which cost ${LOG.cost_usd:,.6f} as logged, lots included, it" in str(against_log)
    exact = tuning.gate(KNOWN, other, BASE)
    present: Measured = measure(KNOWN, BASE)
    assert exact.spent_usd == present.total_usd
    assert f"which would have cost ${present.total_usd:,.6f} with utility(0.01), it" in str(exact)


def test_a_gate_does_not_call_logged_what_nobody_logged():
    """The grades of a set were never traffic: its costs are those of who planned it, by name."""
    planned = tuning.Traffic(replace(request, policy="careful") for request in KNOWN)
    said = str(tuning.gate(planned, utility("0.003")))
    assert f"would have cost ${KNOWN.cost_usd:,.6f} with careful" in said
    assert "logged" not in said


def test_a_dearer_candidate_costs_more_and_does_not_save_less_than_nothing():
    """The sentence says which way the money goes, with the interval on that side."""
    dear = tuning.gate(KNOWN, utility("0.3"), BASE)
    assert dear.cost.low > 0
    more = dear.cost.value * dear.n
    assert f"it would have cost ${more:,.6f} more, ${dear.cost.low * dear.n:,.6f} to " in str(dear)
    assert "saved" not in str(dear)
    assert dear.saved_usd[0] == pytest.approx(-more)
    unknown = replace(dear, cost=replace(dear.cost, value=None))
    assert "it would have cost between $" in str(unknown)


def test_a_basis_that_the_log_does_not_tell_is_not_made_up():
    """Of a present policy that never ran only bounds are known: the sentence says so."""
    found = tuning.gate(blind(traffic(200, BASE, seed=6)), BASE, utility("0.05"))
    assert found.present_usd is None
    assert "as logged (with utility(0.05), the log does not tell), it would have" in str(found)


def test_requests_without_a_grade_do_not_make_an_estimate_surer():
    """Ten graded answers tell as much as ten at most, of quality and of worth; costs are all."""
    few = tuning.Traffic(
        replace(r, quality=r.quality if i < 10 else None) for i, r in enumerate(LOG)
    )
    quality, worth = (
        tuning.estimate(few, BASE, of=of, value_usd="0.01") for of in ("quality", "worth")
    )
    assert quality.n == 10
    assert quality.effective_n <= 10
    assert worth.effective_n <= 10
    every = tuning.estimate(few, BASE, of="cost").effective_n
    assert every == tuning.estimate(LOG, BASE, of="cost").effective_n > 100
    graded = tuning.estimate(tuning.Traffic(few[:10]), BASE)
    assert quality.effective_n == pytest.approx(graded.effective_n)
