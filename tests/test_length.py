"""`LengthForecaster`: coverage, truncated answers, several models, what it refuses."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from classifiers import LengthForecaster
from classifiers.evaluation import coverage, log_mae


def lengths(n, seed=0, noise=0.4):
    """Rows (n, 6) and counts whose log follows the first column."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 6))
    return rows, np.round(np.expm1(5 + rows[:, 0] + noise * rng.normal(size=n)).clip(0))


def test_forecasts_are_in_order_and_cover_new_rows() -> None:
    """p10 <= p50 <= p90 <= p99 of every row; each covers its share; the mean is that of counts."""
    rows, tokens = lengths(4000)
    model = LengthForecaster().fit(rows[:2500], tokens[:2500])
    q = model.predict_quantiles(rows[2500:])
    assert q.shape == (1500, 5)
    assert (np.diff(q[:, :4], axis=1) >= 0).all()
    for at, level in enumerate((0.1, 0.5, 0.9, 0.99)):
        assert coverage(tokens[2500:], q[:, at]) == pytest.approx(level, abs=0.04)
    assert q[:, 4].mean() == pytest.approx(tokens[2500:].mean(), rel=0.12)
    assert log_mae(tokens[2500:], q[:, 1]) < 0.36  # the noise alone comes to 0.32
    assert (model.predict(rows[2500:]) == q[:, 1]).all()


@pytest.mark.parametrize("seed", range(3))
def test_ninety_in_a_hundred_of_exchangeable_rows(seed) -> None:
    """Averaged over draws of rows, p90 is neither short nor wasteful."""
    rows, tokens = lengths(6000, seed, noise=0.8)
    q = LengthForecaster(members=1).fit(rows[:3000], tokens[:3000]).predict_quantiles(rows[3000:])
    assert coverage(tokens[3000:], q[:, 2]) == pytest.approx(0.9, abs=0.03)
    assert coverage(tokens[3000:], q[:, 3]) >= 0.975


@pytest.mark.parametrize("n", [60, 200])
def test_few_rows_are_learned_from(n) -> None:
    """Closer than the median of all, which is off by 0.86."""
    rows, tokens = lengths(n + 1000)
    model = LengthForecaster().fit(rows[:n], tokens[:n])
    assert log_mae(tokens[n:], model.predict(rows[n:])) < 0.6


def test_fitting_twice_gives_the_same_numbers() -> None:
    """The seed decides and nothing else; float16 holds every coefficient."""
    rows, tokens = lengths(300)
    one, two, other = (
        LengthForecaster(members=1, epochs=5, random_state=s).fit(rows, tokens) for s in (0, 0, 1)
    )
    assert one.net_.coef.tobytes() == two.net_.coef.tobytes()
    assert (one.predict_quantiles(rows) == two.predict_quantiles(rows)).all()
    assert (one.net_.coef != other.net_.coef).any()
    for values in (one.net_.w1, one.net_.b1, one.net_.coef):
        assert (values.astype(np.float16).astype(np.float64) == values).all()


def test_clones_have_the_parameters_and_not_the_fit() -> None:
    """scikit-learn's contract; what is fitted survives pickling."""
    model = LengthForecaster(hidden=8, members=1, epochs=2, standardize=False)
    rows, tokens = lengths(60)
    copy = clone(model.fit(rows, tokens))
    assert copy.get_params() == model.get_params()
    assert copy.get_params()["hidden"] == 8
    with pytest.raises(NotFittedError):
        copy.predict(rows)
    back = pickle.loads(pickle.dumps(model))  # noqa: TID251
    assert (back.predict_quantiles(rows) == model.predict_quantiles(rows)).all()


def test_several_models_share_a_network() -> None:
    """(n, M) counts, NaN where one did not answer: each is covered; one of twenty answers leans on
    the others; one that never answered is forecast all the same.
    """
    rows, tokens = lengths(3000, noise=0.3)
    rng = np.random.default_rng(3)
    table = np.column_stack((tokens, 3.0 * tokens, 0.5 * tokens, tokens))
    table[rng.random(table.shape) < 0.3] = np.nan
    table[20:, 2] = np.nan
    table[:, 3] = np.nan
    model = LengthForecaster().fit(rows[:2000], table[:2000])
    q = model.predict_quantiles(rows[2000:])
    assert q.shape == (1000, 4, 5)
    assert model.predict(rows[2000:]).shape == (1000, 4)
    assert (np.diff(q[..., :4], axis=2) >= 0).all()
    assert np.isfinite(q).all()
    for at, factor in enumerate((1.0, 3.0)):
        truth = factor * tokens[2000:]
        assert coverage(truth, q[:, at, 2]) == pytest.approx(0.9, abs=0.04)
        assert log_mae(truth, q[:, at, 1]) < 0.3
    assert log_mae(0.5 * tokens[2000:], q[:, 2, 1]) < 0.6


@pytest.mark.parametrize("limit", ["one for all", "one for each"])
@pytest.mark.parametrize("seed", range(2))
def test_truncated_answers_are_lower_bounds(limit, seed) -> None:
    """Three in ten cut off: p90 of the true lengths covers closer to 0.9 than if cut counts are
    taken as true.
    """
    rows, tokens = lengths(4000, seed)
    rng = np.random.default_rng(9 + seed)
    caps = np.full(4000, np.quantile(tokens, 0.7))
    if limit == "one for each":
        caps = np.exp(rng.normal(5.8, 1.0, size=4000))
    cut = tokens > caps
    assert 0.25 < cut.mean() < 0.35
    seen = np.minimum(tokens, caps)
    found = []
    for marks in (cut[:2500], None):
        model = LengthForecaster().fit(rows[:2500], seen[:2500], truncated=marks)
        found.append(coverage(tokens[2500:], model.predict_quantiles(rows[2500:])[:, 2]))
    told, believed = found
    assert abs(told - 0.9) < 0.75 * abs(believed - 0.9)
    if limit == "one for each":  # else what is beyond the limit was never seen of any row
        assert told == pytest.approx(0.9, abs=0.05)


def test_rows_held_out_by_the_caller_calibrate() -> None:
    """Offsets come from these alone: where they take three times as long, forecasts do, too."""
    rows, tokens = lengths(1000)
    held = np.arange(1000) >= 700
    longer = np.where(held, 3.0 * tokens, tokens)
    plain, moved = (
        LengthForecaster(members=1).fit(rows, y, held_out=held).predict_quantiles(rows)
        for y in (tokens, longer)
    )
    assert np.median(moved[:, 1] / plain[:, 1]) == pytest.approx(3.0, rel=0.25)
    assert coverage(longer[held], moved[held, 2]) == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (np.full(30, -1.0), "zero or more"),
        (np.full(30, np.inf), "finite"),
        (np.full(30, np.nan), "finite"),
        (np.ones(29), "inconsistent: 30 rows and 29 counts"),
        (np.ones((30, 2, 2)), r"shape \(n,\) or \(n, M\), got \(30, 2, 2\)"),
        (np.float64(3), r"got \(\)"),
        (None, "requires y"),
        (np.where(np.arange(30) % 5, np.nan, 3.0), "not held out"),
    ],
)
def test_bad_counts_are_refused(y, match) -> None:
    """Each message says what was expected."""
    with pytest.raises(ValueError, match=match):
        LengthForecaster().fit(np.ones((30, 2)), y)


def test_bad_marks_and_rows_are_refused() -> None:
    """Marks have the shape of the counts; some rows must be left to fit on; widths must agree."""
    rows, tokens = lengths(30)
    for marks in (np.ones(29, dtype=bool), np.ones((30, 2), dtype=bool)):
        with pytest.raises(ValueError, match=r"truncated: expected the shape of y, \(30,\)"):
            LengthForecaster().fit(rows, tokens, truncated=marks)
    with pytest.raises(ValueError, match="leave some"):
        LengthForecaster().fit(rows, tokens, held_out=np.ones(30, dtype=bool))
    with pytest.raises(ValueError, match=r"held_out of shape \(30,\)"):
        LengthForecaster().fit(rows, tokens, held_out=np.ones(3, dtype=bool))
    model = LengthForecaster(members=1, epochs=1).fit(rows, tokens)
    with pytest.raises(ValueError, match="features"):
        model.predict(rows[:, :3])
