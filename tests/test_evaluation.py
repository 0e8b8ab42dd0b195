from __future__ import annotations

import math

import numpy as np
import pytest

from classifiers.calibration import (
    censored_quantile,
    conformal_quantile,
    platt,
    sigmoid,
)
from classifiers.evaluation import apgr, auc, coverage, ece, log_mae, pinball


def test_auc_of_perfect_reversed_and_constant_scores() -> None:
    """1 for the right order, 0 for the wrong one, one half for no order."""
    y = [0, 0, 1, 1]
    assert auc(y, [0.1, 0.2, 0.8, 0.9]) == 1.0
    assert auc(y, [0.9, 0.8, 0.2, 0.1]) == 0.0
    assert auc(y, [0.5] * 4) == 0.5
    assert math.isnan(auc([1, 1], [0.1, 0.2]))


def test_auc_agrees_with_scikit_learn_on_hard_labels() -> None:
    """Ties and all, the figure is the usual one."""
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    y, s = rng.integers(0, 2, 500), rng.integers(0, 20, 500) / 20
    assert auc(y, s) == pytest.approx(roc_auc_score(y, s), abs=1e-12)


def test_ece_is_zero_when_calibrated_and_the_gap_when_not() -> None:
    """A constant claim of 0.9 on a coin is off by 0.4."""
    y = np.tile([0.0, 1.0], 500)
    assert ece(y, np.full(1000, 0.5)) == pytest.approx(0.0, abs=1e-12)
    assert ece(y, np.full(1000, 0.9)) == pytest.approx(0.4, abs=1e-12)


def test_apgr_of_oracle_random_and_worst_router() -> None:
    """One gain in four: the oracle's curve rises at once, mixing is one half."""
    weak, strong = np.array([0, 1, 1, 1]), np.array([1, 1, 1, 1])
    gain = strong - weak
    assert apgr(weak, strong, gain) == pytest.approx(0.875)
    assert apgr(weak, strong, -gain) == pytest.approx(0.125)
    assert apgr(weak, strong, np.zeros(4)) == pytest.approx(0.5)
    assert math.isnan(apgr(weak, weak, gain))


def test_pinball_coverage_and_log_mae_by_hand() -> None:
    """Falling short costs `level` per token, overshooting 1 - level."""
    assert pinball([10.0], [0.0], 0.9) == pytest.approx(9.0)
    assert pinball([0.0], [10.0], 0.9) == pytest.approx(1.0)
    assert coverage([1, 2, 3, 4], [2, 2, 2, 2]) == 0.5
    assert log_mae([math.e - 1], [0.0]) == pytest.approx(1.0)


@pytest.mark.parametrize("call", [auc, ece, coverage, log_mae])
def test_mismatched_rows_are_refused(call) -> None:
    """The message names both shapes."""
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3,\)"):
        call([0, 1], [0.1, 0.2, 0.3])


def test_conformal_quantile_covers_the_next_row() -> None:
    """Over many draws, coverage is at least the level and not far above it."""
    rng = np.random.default_rng(1)
    hits = []
    for _ in range(2000):
        sample = rng.standard_t(3, size=60)
        hits.append(sample[-1] <= conformal_quantile(sample[:-1], 0.9))
    assert 0.88 <= np.mean(hits) <= 0.93
    assert conformal_quantile(np.arange(5.0), 0.99) == 4.0
    assert conformal_quantile(np.arange(1.0, 100.0), 0.1) == 10.0


def test_truncated_values_are_lower_bounds() -> None:
    """Kaplan and Meier: with a third cut off at random the quantile is that of the whole values,
    which taking cut ones as true falls short of; none cut gives the conformal quantile.
    """
    rng = np.random.default_rng(3)
    values, caps = rng.normal(size=4000), rng.normal(0.6, 1.0, size=4000)
    cut = values > caps
    seen = np.minimum(values, caps)
    assert 0.28 < cut.mean() < 0.38
    for level in (0.1, 0.5, 0.9):
        truth = np.quantile(values, level)
        assert censored_quantile(seen, cut, level) == pytest.approx(truth, abs=0.12)
        whole = np.zeros(4000, dtype=bool)
        assert censored_quantile(values, whole, level) == conformal_quantile(values, level)
    assert np.quantile(seen, 0.9) < np.quantile(values, 0.9) - 0.3


def test_a_level_beyond_what_was_seen_whole_is_the_largest_value() -> None:
    """By hand: 1, 2+, 3, 4+ leave 3/4, 3/8 of the mass over 1 and 3."""
    values, cut = np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, True, False, True])
    assert censored_quantile(values, cut, 0.1) == 1.0
    assert censored_quantile(values, cut, 0.45) == 3.0
    assert censored_quantile(values, cut, 0.9) == 4.0
    assert censored_quantile(values, np.ones(4, dtype=bool), 0.5) == 4.0
    tied = np.array([5.0, 5.0, 5.0, 5.0])
    assert censored_quantile(tied, cut, 0.4) == 5.0


def test_platt_recovers_a_known_distortion() -> None:
    """Logits stretched by two and shifted come back to honest probabilities."""
    rng = np.random.default_rng(2)
    true = rng.normal(size=20_000)
    y = (rng.random(20_000) < sigmoid(true)).astype(float)
    slope, offset = platt(2.0 * true + 1.0, y)
    assert slope == pytest.approx(0.5, abs=0.03)
    assert offset == pytest.approx(-0.5, abs=0.05)
