"""The quantile network: what it learns, how its knots are moved, and what it stores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from classifiers.length.estimator import offsets_of
from classifiers.length.net import QuantileNet, fit_net, moved, units
from classifiers.spread import LEVELS

FINITE = st.floats(-20.0, 20.0, width=32)


def noisy(n, seed=0):
    """Rows (n, 3); logs whose middle follows the first column, their spread the second."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 3)).astype(np.float32)
    spread = 0.2 + 0.4 * (rows[:, 1] > 0)
    logs = 5.0 + rows[:, 0] + spread * rng.normal(size=n)
    return rows, logs[:, None].astype(np.float32), spread


def test_quantiles_follow_middle_and_spread() -> None:
    """New rows are covered at each level where they are spread little and where they are much."""
    rows, logs, spread = noisy(6000)
    knots = fit_net(rows[:4000], logs[:4000], hidden=32, epochs=60).knots(rows[4000:])
    assert knots.shape == (2000, 1, 4)
    assert knots.dtype == np.float64
    assert (np.diff(knots, axis=2) > 0).all()
    for wide in (False, True):
        own = (spread[4000:] > 0.4) == wide
        covered = (logs[4000:][own] <= knots[own, 0]).mean(axis=0)
        assert covered == pytest.approx(LEVELS, abs=0.07)


def test_truncated_rows_lift_what_is_above_them_only() -> None:
    """Half of the rows cut: told so, p90 stays nearer the truth; not told, it falls."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 2)).astype(np.float32)
    truth = 5.0 + 0.5 * rng.normal(size=(3000, 1))
    caps = 5.0 + 0.5 * rng.normal(size=(3000, 1))
    cut = truth > caps
    seen = np.minimum(truth, caps).astype(np.float32)
    told, believed = (
        fit_net(rows, seen, marks, hidden=8, epochs=30).knots(rows)[:, 0].mean(axis=0)
        for marks in (cut, None)
    )
    assert believed[2] < 5.45
    assert told[2] > believed[2] + 0.1
    assert told[1] > believed[1]


def test_members_are_averaged_into_one_network() -> None:
    """Twice as wide for two of them; all values are those that float16 holds."""
    rows, logs, _ = noisy(200)
    net = fit_net(rows, np.hstack((logs, logs + 1)), hidden=8, members=2, epochs=2)
    assert net.w1.shape == (3, 16)
    assert net.b1.shape == (16,)
    assert net.coef.shape == (19, 8)
    assert net.intercept.shape == (8,)
    for values in (net.w1, net.b1, net.coef):
        assert (values.astype(np.float16).astype(np.float64) == values).all()


@given(
    arrays.arrays(np.float64, (2, 3), elements=FINITE),
    arrays.arrays(np.float64, (5, 8), elements=FINITE),
)
def test_knots_never_fall_whatever_the_weights(rows, coef) -> None:
    """Gaps are never below zero, at any size of weights."""
    net = QuantileNet(np.ones((3, 2)), np.zeros(2), coef, np.zeros(8))
    knots = net.knots(rows)
    assert np.isfinite(knots).all()
    assert (np.diff(knots, axis=2) >= 0).all()


@given(
    arrays.arrays(np.float64, (4, 4), elements=st.floats(0.0, 12.0)),
    arrays.arrays(np.float64, 4, elements=st.floats(-3.0, 3.0)),
)
def test_moved_knots_are_in_order(logs, offsets) -> None:
    """By any offsets; by none they stay where they are."""
    knots = np.sort(logs, axis=1)
    assert (np.diff(moved(knots, offsets), axis=1) >= 0).all()
    assert moved(knots, np.zeros(4)) == pytest.approx(knots)


def test_units_and_offsets_by_hand() -> None:
    """Gap below, mean gap, gap above, one; an offset is a quantile of misses in these units."""
    knots = np.array([[[1.0, 2.0, 4.0, 5.0]]])
    assert units(knots).tolist() == [[[1.0, 1.5, 2.0, 1.0]]]
    logs = np.linspace(0.0, 10.0, 101)[:, None]
    many = np.repeat(knots, 101, axis=0)
    none = np.zeros(logs.shape, dtype=bool)
    (found,) = offsets_of(many, logs, none)
    middle = moved(knots, found[None])[0, 0]
    assert (logs[:, 0] <= middle[2]).mean() == pytest.approx(0.9, abs=0.02)
    assert (logs[:, 0] <= middle[1]).mean() == pytest.approx(0.5, abs=0.02)
    assert (logs[:, 0] >= middle[0]).mean() == pytest.approx(0.9, abs=0.02)
    unseen = np.full((101, 1), np.nan)
    assert offsets_of(many, unseen, none).tolist() == [[0.0] * 4]
