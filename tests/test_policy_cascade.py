"""Cheap first, verified, then dear: the sums by hand, and the bounds they keep."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import Context, Quote, cascade, utility

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
VERIFIED = Context(now=NOW, verifiable=True)
CENT = 10**10


def quote(name, quality, cost, se=0.0):
    return Quote(
        name=name, quality=quality, cost=cost, cost_p90=cost, cost_ceiling=cost, quality_se=se
    )


SMALL, LARGE = quote("small", 0.5, CENT // 100), quote("large", 0.9, CENT // 2)


def test_a_pair_by_hand():
    """Both right: .5 x .5 + .5 x .45 = .475. Right: .95 x .5 + .05 x .475 + .8 x .425 = .83875.
    Escalated: .05 x .5 + .8 x .5 = .425, so cost is .01 + .425 x .5 = .2225 cents."""
    decision = cascade("0.01")([LARGE, SMALL], VERIFIED)
    assert decision.ranking == ("small", "large")
    assert decision.escalation == ("large",)
    # .83875 - .2225 = .61625 cents against .5 - .01 = .49 of small alone
    assert decision.reason == (
        "small, then large if found wrong: P(correct) 0.84 for $0.002225, "
        "worth $0.001263 more than one alone"
    )
    assert decision.rejected["large"].startswith("the second stage")


@pytest.mark.parametrize(
    ("context", "says"),
    [
        (Context(now=NOW), "no second stage: nothing verifies it"),
        (
            Context(now=NOW, verifiable=True, streaming=True),
            "no second stage: the answer is streamed",
        ),
    ],
)
def test_no_second_stage_without_a_verdict(context, says):
    """A streamed answer has been read before it is judged, and some are judged by nobody."""
    decision = cascade()([LARGE, SMALL], context)
    assert decision.escalation == ()
    assert decision.reason.endswith(says)
    assert decision.ranking == utility()([LARGE, SMALL], context).ranking


def test_one_stage_is_utility():
    """With one stage it is `utility`, and says nothing of a second one."""
    alone = cascade(max_stages=1)([LARGE, SMALL], VERIFIED)
    other = utility()([LARGE, SMALL], VERIFIED)
    assert (alone.ranking, alone.reason) == (other.ranking, other.reason)


def test_a_second_stage_must_be_worth_it():
    """A verifier that catches nothing makes no pair worth its cost."""
    decision = cascade(catches=0, false_alarms=0)([LARGE, SMALL], VERIFIED)
    assert decision.escalation == ()
    assert decision.reason.endswith("no second stage is worth it")


def test_a_second_stage_must_be_sure():
    """The gain of a pair must stand out of the noise of the estimates it rests on."""
    quotes = [quote("small", 0.5, CENT // 100, 0.3), quote("large", 0.9, CENT // 2, 0.3)]
    assert cascade(z=0.1)(quotes, VERIFIED).escalation == ("large",)
    assert cascade(z=3)(quotes, VERIFIED).escalation == ()


def test_the_single_choice_may_be_neither_of_the_pair():
    """When two stages beat a third candidate alone, that one is told by how much."""
    quotes = [
        quote("small", 0.75, CENT * 6 // 100),  # alone worth .75 - .06 = .69 cents
        quote("middle", 0.80, CENT * 10 // 100),  # .70
        quote("large", 0.95, CENT * 30 // 100),  # .65
    ]
    decision = cascade(catches=1, false_alarms=0)(quotes, VERIFIED)
    # right .75 + .21875, cost .06 + .25 x .3: worth .83375 cents, .13375 more than middle
    assert decision.ranking == ("small", "middle", "large")
    assert decision.escalation == ("large",)
    assert decision.rejected["middle"].startswith("alone worth $0.00133")


def test_a_perfect_verifier_and_full_overlap():
    """Nested abilities, nothing missed, no false alarm: the pair is right when the better is."""
    pair = cascade(catches=1, false_alarms=0, overlap=1, value_usd=1)([SMALL, LARGE], VERIFIED)
    assert "P(correct) 0.90 for $0.002600" in pair.reason


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("catches", 1.1),
        ("false_alarms", -0.1),
        ("overlap", float("nan")),
        ("max_stages", 3),
        ("max_stages", 1.5),
        ("value_usd", 0),
        ("wait_usd_per_hour", "much"),
        ("z", -1),
    ],
)
def test_bad_parameters(parameter, value):
    """A parameter out of range names itself."""
    with pytest.raises(ValueError, match=f"^{parameter}: expected .*, got"):
        cascade(**{parameter: value})


CHANCES = st.floats(0, 1) | st.sampled_from([0.0, 1.0])
QUOTES = st.lists(
    st.builds(quote, st.text("abc", min_size=1, max_size=3), CHANCES, st.integers(0, CENT)),
    min_size=1,
    max_size=5,
    unique_by=lambda q: q.name,
)


@given(QUOTES, CHANCES, CHANCES, CHANCES)
def test_two_stages_go_up_in_price(quotes, catches, false_alarms, overlap):
    """The second stage is another candidate of the ranking and never cheaper; nothing is NaN."""
    policy = cascade(catches=catches, false_alarms=false_alarms, overlap=overlap)
    decision = policy(quotes, VERIFIED)
    costs = {q.name: q.cost for q in quotes}
    assert "nan" not in decision.reason
    for name in decision.escalation:
        assert name != decision.chosen
        assert name in decision.ranking
        assert costs[decision.chosen] <= costs[name]


@given(CHANCES, CHANCES, CHANCES, CHANCES, CHANCES)
def test_the_sum_matches_the_four_cases(a, b, catches, false_alarms, overlap):
    """P(right) of a pair, added up case by case from P(b right | a) as its description has it."""
    both = overlap * min(a, b) + (1 - overlap) * a * b
    after_right = both / a if a else 0.0
    after_wrong = (b - both) / (1 - a) if a < 1 else 0.0
    by_hand = a * (1 - false_alarms + false_alarms * after_right)
    by_hand += (1 - a) * catches * after_wrong
    policy = cascade(catches=catches, false_alarms=false_alarms, overlap=overlap)
    pair = policy._pair(quote("a", a, 1), quote("b", b, 2), _scale())
    assert pair.right == pytest.approx(by_hand, abs=1e-9)
    assert -1e-12 <= pair.right <= 1 + 1e-12
    assert 1 <= pair.cost <= 3


def _scale():
    from policies._worth import Scale

    return Scale(worth=1.0)


@given(*[st.floats(0.05, 0.95)] * 5)
def test_the_slopes_are_those_of_the_utility(a, b, catches, false_alarms, overlap):
    """What the guard takes as noise follows from how the utility moves with each P(correct)."""
    policy, step = cascade(catches=catches, false_alarms=false_alarms, overlap=overlap), 1e-7
    if abs(a - b) < 1e-3:  # the slope jumps where the two are equally good
        return

    def worth(x, y):
        return policy._pair(quote("a", x, 0), quote("b", y, 1), _scale()).utility

    slopes = policy._pair(quote("a", a, 0), quote("b", b, 1), _scale()).slopes
    assert slopes[0] == pytest.approx((worth(a + step, b) - worth(a - step, b)) / 2e-7, abs=1e-5)
    assert slopes[1] == pytest.approx((worth(a, b + step) - worth(a, b - step)) / 2e-7, abs=1e-5)
