"""The estimators on arrays: unbiased by enumeration of all that could have been drawn."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.tuning import calibrate, intervals
from router.tuning.estimators import Log, Scored, direct, doubly_robust, ips, snips

ARMS = 3
chances = st.lists(st.floats(0.05, 1.0), min_size=ARMS, max_size=ARMS)
shares = st.lists(st.floats(0.0, 1.0), min_size=ARMS, max_size=ARMS)
grades = st.lists(st.floats(0.0, 1.0), min_size=ARMS, max_size=ARMS)


def table(rows):
    return np.array(rows, dtype=float)


def normed(rows):
    found = table(rows)
    total = found.sum(axis=1, keepdims=True)
    return np.divide(found, total, out=np.full_like(found, 1 / ARMS), where=total > 0)


def log_of(chance, taken):
    n = len(taken)
    row, arm = np.repeat(np.arange(n), ARMS), np.tile(np.arange(ARMS), n)
    return Log(row, arm, chance.ravel(), np.arange(n) * ARMS + np.array(taken))


def fitted(model, log, rewards, quoted):
    return model(log.row, log.arm, log.taken, rewards, quoted)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_every_estimator_of_known_chances_is_unbiased(data):
    """Over all that the log could have done, IPS and DR are right in the mean, to rounding."""
    n = 3
    lists = [data.draw(st.lists(each, min_size=n, max_size=n)) for each in (chances, shares)]
    chance, target = normed(lists[0]), normed(lists[1])
    rewards = table(data.draw(st.lists(grades, min_size=n, max_size=n)))
    quoted = table(data.draw(st.lists(grades, min_size=n, max_size=n)))
    true = float((target * rewards).sum()) / n
    for model, estimator in product((calibrate.quality, calibrate.cost), (ips, doubly_robust)):
        mean = 0.0
        for taken in product(range(ARMS), repeat=n):
            log = log_of(chance, taken)
            seen = rewards[np.arange(n), list(taken)]
            fit = fitted(model, log, seen, quoted.ravel())
            value = estimator(log, target.ravel(), seen, fit).value
            mean += value * float(np.prod(chance[np.arange(n), list(taken)]))
        assert mean == pytest.approx(true, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_was_logged_is_the_mean(data):
    """The log as its own target: weights are 1, and every estimator gives the plain mean."""
    n = data.draw(st.integers(1, 12))
    taken = data.draw(st.lists(st.integers(0, ARMS - 1), min_size=n, max_size=n))
    chance = np.zeros((n, ARMS))
    chance[np.arange(n), taken] = 1.0
    log = log_of(chance, taken)
    rewards = np.array(data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)))
    quoted = np.array(data.draw(st.lists(grades, min_size=n, max_size=n))).ravel()
    for model, estimator in product(
        (calibrate.quality, calibrate.cost), (ips, snips, doubly_robust)
    ):
        found = estimator(log, log.chance, rewards, fitted(model, log, rewards, quoted))
        assert found.value == pytest.approx(float(rewards.mean()), abs=1e-9)
        assert found.influence.mean() == pytest.approx(0, abs=1e-9)
        assert found.variance >= 0


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_difference_is_the_difference(data):
    """Of two targets the doubly robust difference is one estimate less the other."""
    n = data.draw(st.integers(2, 10))
    rows = st.lists(chances, min_size=n, max_size=n)
    chance, one, other = (normed(data.draw(rows)) for _ in range(3))
    taken = data.draw(st.lists(st.integers(0, ARMS - 1), min_size=n, max_size=n))
    log = log_of(chance, taken)
    rewards = np.array(data.draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)))
    fit = fitted(calibrate.quality, log, rewards, np.full(n * ARMS, 0.5))
    both = [doubly_robust(log, t.ravel(), rewards, fit) for t in (one, other)]
    found = doubly_robust(log, (one - other).ravel(), rewards, fit)
    assert found.value == pytest.approx(both[0].value - both[1].value, abs=1e-9)
    summed = both[0].plus(both[1], -1.0)
    np.testing.assert_allclose(found.influence, summed.influence, atol=1e-9)


def test_support_and_effective_size_follow_from_chances_alone():
    """Uniform logs of three tell a sure target a third of their size; others nothing."""
    log = log_of(np.full((6, ARMS), 1 / ARMS), [0] * 6)
    sure = np.tile([1.0, 0.0, 0.0], 6)
    assert log.effective(sure) == pytest.approx(2)
    assert log.support(sure) == 1
    never = log_of(np.tile([1.0, 0.0, 0.0], (6, 1)), [0] * 6)
    assert never.support(np.tile([0.25, 0.75, 0.0], 6)) == pytest.approx(0.25)
    assert never.effective(np.tile([0.0, 1.0, 0.0], 6)) == 0


def test_nothing_known_is_no_estimate():
    """No reward, or for SNIPS no weight: None, not a number."""
    log = log_of(np.full((4, ARMS), 1 / ARMS), [0] * 4)
    nothing = np.full(4, np.nan)
    fit = fitted(calibrate.quality, log, nothing, np.full(12, 0.5))
    for estimator in (ips, snips, doubly_robust):
        assert estimator(log, log.chance, nothing, fit) is None
    other = np.tile([0.0, 1.0, 0.0], 4)
    ones = np.ones(4)
    assert snips(log, other, ones, fitted(calibrate.quality, log, ones, np.full(12, 0.5))) is None


def test_a_misled_model_is_put_right_by_what_was_seen():
    """Quotes that are wrong by much are recalibrated; without any data they are what there is."""
    chance = np.random.default_rng(1)
    n = 2000
    taken = chance.integers(0, ARMS, n)
    log = log_of(np.full((n, ARMS), 1 / ARMS), taken)
    true = np.array([0.2, 0.5, 0.9])
    rewards = (chance.random(n) < true[taken]).astype(float)
    quoted = np.tile(1 - true, n)
    fit = fitted(calibrate.quality, log, rewards, quoted)
    for arm in range(ARMS):
        target = np.tile(np.eye(ARMS)[arm], n)
        assert direct(log, target, fit) == pytest.approx(true[arm], abs=0.05)
    blank = fitted(calibrate.quality, log, np.full(n, np.nan), quoted)
    np.testing.assert_allclose(blank.mean, quoted, atol=1e-9)
    bills = true[taken] * np.exp(chance.normal(0, 0.3, n))
    costs = fitted(calibrate.cost, log, bills, np.tile([0.1, 1.0, 0.9], n))
    assert direct(log, np.tile([1.0, 0, 0], n), costs) == pytest.approx(0.2, rel=0.1)


def test_a_candidate_that_was_said_to_be_free_may_cost():
    """A forecast of zero is not a factor to scale: its mean is learned."""
    n = 400
    log = log_of(np.full((n, ARMS), 1 / ARMS), np.arange(n) % ARMS)
    bills = np.array([0.5, 1.0, 2.0])[np.arange(n) % ARMS]
    fit = fitted(calibrate.cost, log, bills, np.tile([0.0, 1.0, 2.0], n))
    assert fit.mean[log.arm == 0].mean() == pytest.approx(0.5, rel=0.1)
    assert np.isfinite(fit.spread).all()


def test_no_reward_is_in_its_own_prediction():
    """Cross-fitting: one reward changed, its own request's prediction stays."""
    chance = np.random.default_rng(2)
    log = log_of(np.full((50, ARMS), 1 / ARMS), chance.integers(0, ARMS, 50))
    rewards, quoted = chance.random(50), chance.random(150)
    for model in (calibrate.quality, calibrate.cost):
        before = fitted(model, log, rewards, quoted).mean
        moved = rewards.copy()
        moved[17] = 1 - moved[17]
        after = fitted(model, log, moved, quoted).mean
        own = log.row == 17
        np.testing.assert_allclose(before[own], after[own], rtol=1e-12)
        assert not np.allclose(before, after, rtol=1e-6)


def scored(influence, variance=0.0, value=0.5, reach=None):
    influence = np.array(influence, dtype=float)
    return Scored(value, influence - influence.mean(), variance, reach)


KINDS = (intervals.design, intervals.normal, intervals.bootstrap, intervals.sequence)


@pytest.mark.parametrize("interval", [*KINDS, intervals.bernstein])
def test_intervals_hold_their_value_and_grow_with_confidence(interval):
    """Around the value, wider for more confidence, the same each time."""
    one = scored(np.random.default_rng(3).exponential(size=80), variance=1e-3, reach=5.0)
    ends = [interval(one, level) for level in (0.5, 0.9, 0.99)]
    assert ends == [interval(one, level) for level in (0.5, 0.9, 0.99)]
    for (low, high), (wide_low, wide_high) in pairwise(ends):
        assert wide_low < low < one.value < high < wide_high


def test_what_was_not_drawn_widens_the_default_interval():
    """Where nothing of the target was drawn the spread of what was is no measure."""
    one = scored([0.0] * 50, variance=0.01)
    low, high = intervals.design(one, 0.95)
    assert high - low == pytest.approx(2 * intervals.student(0.95, 49) * 0.1)
    assert intervals.normal(one, 0.95) == (0.5, 0.5)


def test_a_long_tail_moves_its_own_end():
    """Skewed upwards: the upper end is farther, the lower one where it was."""
    tail = scored(np.random.default_rng(4).lognormal(0, 1.5, 100))
    low, high = intervals.design(tail, 0.95)
    plain = intervals.normal(tail, 0.95)
    assert low == pytest.approx(plain[0])
    assert high > plain[1] * 1.02


@pytest.mark.parametrize("estimator", [ips, doubly_robust])
def test_variance_and_skewness_are_those_of_all_that_could_have_been_drawn(estimator):
    """With a model that is right: the central moments over requests, lots and rewards."""
    chance, target = normed([[1, 2, 1], [3, 1, 1]]), normed([[0, 1, 1], [1, 4, 0]])
    mean, up = table([[1, 2, 5], [2, 1, 9]]), 0.2  # a reward is `mean` 4 higher or 1 lower
    ends = ((4.0, up), (-1.0, 1 - up))
    spread, cubed = (sum(share * by**power for by, share in ends) for power in (2, 3))
    log = log_of(chance, [0, 0])
    model = calibrate.Fitted(
        mean.ravel(), np.full(6, spread), np.full(2, np.nan), np.full(6, cubed)
    )
    cells = list(product(range(2), range(ARMS), ends))
    each, weight = [], []
    for row, arm, (by, share) in cells:
        ratio = target[row, arm] / chance[row, arm]
        base = mean[row] if estimator is doubly_robust else np.zeros(ARMS)
        each.append(float(target[row] @ base) + ratio * (mean[row, arm] + by - base[arm]))
        weight.append(chance[row, arm] * share / 2)
    middle = np.average(each, weights=weight)
    found = estimator(log, target.ravel(), np.zeros(2), model)
    for power, said in ((2, found.variance * 2), (3, found.third * 4)):
        moment = np.average((np.array(each) - middle) ** power, weights=weight)
        assert said == pytest.approx(moment, rel=1e-9)


@pytest.mark.parametrize("sigma", [0.1, 0.7, 1.1])
def test_the_tail_of_costs_is_that_of_a_lognormal(sigma):
    """Its third central moment by the textbook, from the relative variance alone."""
    raised = np.exp(sigma**2)
    found = calibrate.lognormal_third(np.array([raised - 1]))[0]
    assert found == pytest.approx((raised + 2) * (raised - 1) ** 2)


def test_what_was_not_drawn_skews_the_default_interval():
    """A long tail that could have been drawn moves its end, of a difference the other one."""
    one = Scored(0.5, np.zeros(50), 0.01, None, 0.001)
    low, high = intervals.design(one, 0.95)
    assert high - 0.5 > 1.5 * (0.5 - low)
    nothing = Scored(0.0, np.zeros(50), 0.0)
    low, high = intervals.design(nothing.plus(one, -1.0), 0.95)
    assert high + 0.5 < (-0.5 - low) / 1.5


def test_students_quantiles():
    """Against tables: 3, 10 and many degrees of freedom."""
    for freedom, known in ((3, 3.182), (10, 2.228), (30, 2.042), (10**6, 1.960)):
        assert intervals.student(0.95, freedom) == pytest.approx(known, abs=0.05)
    assert intervals.quantile(0.95) == pytest.approx(1.95996, abs=1e-5)


def test_unbounded_rewards_have_no_finite_bernstein_interval():
    """It needs a bound of what a request can add."""
    assert intervals.bernstein(scored([1, 2, 3]), 0.95) == (-np.inf, np.inf)
    assert intervals.bernstein(scored([1], reach=1.0), 0.95) == (-np.inf, np.inf)


def test_a_sequence_is_wider_than_one_look():
    """At no number of requests is the interval for all looks narrower than that for one."""
    chance = np.random.default_rng(5)
    for n in (50, 500, 5000, 100_000):
        one = scored(chance.normal(size=n))
        fixed, always = intervals.design(one, 0.95), intervals.sequence(one, 0.95)
        assert always[0] < fixed[0]
        assert fixed[1] < always[1]
