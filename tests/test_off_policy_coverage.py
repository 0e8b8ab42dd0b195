"""Intervals hold what they promise, in worlds whose truth is known."""

import numpy as np
import pytest

from benchmarks._off_policy_world import (
    always,
    explore,
    log,
    synthetic,
    truth,
    unsized,
    utility,
)
from router.tuning import intervals, known
from router.tuning.score import models, parts


def test_coverage_in_a_small_simulation():
    """300 logs with 5 % exploration: nine in ten intervals of a far policy hold the truth."""
    rule = utility(0.1)
    true = dict(zip(("quality", "cost"), truth(synthetic, rule), strict=True))
    held = {"quality": 0, "cost": 0}
    for seed in range(300):
        chance = np.random.default_rng(seed)
        cases = log(synthetic(300, chance), explore(utility(0.01), 0.05), [rule], chance)
        for of, part in parts(cases, models(cases), cases.targets[0]).items():
            low, high = part.interval("design", 0.95)
            held[of] += low <= true[of] <= high
    assert min(held.values()) >= 0.93 * 300


@pytest.mark.parametrize("model", [0, 2])
def test_coverage_of_costs_whose_size_nobody_foresees(model):
    """400 logs that seldom asked the dearest or the cheapest: 94 % hold what it costs."""
    rule, held = always(model), 0
    true = truth(unsized, rule)[1]
    for seed in range(400):
        chance = np.random.default_rng([model, seed])
        cases = log(unsized(500, chance), explore(utility(0.001), 0.05), [rule], chance)
        part = parts(cases, models(cases), cases.targets[0])["cost"]
        low, high = part.interval("design", 0.95)
        held += low <= true <= high
    assert held >= 0.94 * 400


@pytest.mark.parametrize("n", [20, 100])
def test_coverage_of_costs_that_are_known(n):
    """1,000 samples of lognormal costs: the interval of few knows that their tail is long."""
    chance, held = np.random.default_rng(n), 0
    for _ in range(1000):
        cost = chance.lognormal(-(1.1**2) / 2, 1.1, n)
        low, high = intervals.design(known.mean_cost(cost), 0.95)
        held += low <= 1 <= high
    assert held >= (0.92 if n < 50 else 0.935) * 1000
