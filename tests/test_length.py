from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from classifiers import LengthForecaster, PromptVectorizer
from classifiers.evaluation import coverage, log_mae
from classifiers.linear import Linear, held_out_rows, rounded


def lengths(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 6))
    return rows, np.round(np.expm1(5 + rows[:, 0] + 0.4 * rng.normal(size=n)).clip(0))


def test_forecast_is_ordered_shaped_and_covers() -> None:
    """p10 <= p50 <= p90 <= p99 for every row; p90 covers about nine in ten new rows."""
    rows, tokens = lengths(3000)
    model = LengthForecaster(alpha=1.0).fit(rows[:2000], tokens[:2000])
    q = model.predict_quantiles(rows[2000:])
    assert q.shape == (1000, 5)
    assert (np.diff(q[:, :4], axis=1) >= 0).all()
    assert 0.86 <= coverage(tokens[2000:], q[:, 2]) <= 0.94
    assert coverage(tokens[2000:], q[:, 3]) >= 0.97
    assert q[:, 4].mean() == pytest.approx(tokens[2000:].mean(), rel=0.1)
    assert (model.predict(rows[2000:]) == q[:, 1]).all()


def test_fitting_twice_gives_the_same_numbers() -> None:
    """No randomness anywhere in the fit."""
    rows, tokens = lengths(400)
    one, two = (LengthForecaster().fit(rows, tokens) for _ in range(2))
    assert one.coef_.tobytes() == two.coef_.tobytes()
    assert one.intercept_ == two.intercept_


def test_a_trunk_helps_a_head_with_few_rows() -> None:
    """With twenty rows of its own, a head that leans on the pooled scale is closer."""
    rng = np.random.default_rng(4)
    rows, truth = rng.normal(size=(1020, 40)), 0.2 * rng.normal(size=40)
    tokens = np.expm1(5 + rows @ truth + 0.2 * rng.normal(size=1020)).clip(0)
    trunk = Linear(rounded(truth), 4.5)
    misses = []
    for model in (LengthForecaster(), LengthForecaster(trunk=trunk)):
        model.fit(rows[:20], tokens[:20])
        misses.append(log_mae(tokens[20:], model.predict(rows[20:])))
    assert misses[1] < 0.7 * misses[0]
    copy = clone(model)
    assert copy.trunk is not None
    assert not hasattr(copy, "coef_")


def test_an_uncertain_prompt_has_wider_quantiles() -> None:
    """`spread` scales them row by row."""
    rows, tokens = lengths(600)
    spread = Linear(rounded(np.array([0.0, 0.5, 0, 0, 0, 0])), -1.0)
    q = LengthForecaster(alpha=1.0, spread=spread).fit(rows, tokens).predict_quantiles(rows)
    ratio = np.log1p(q[:, 2]) - np.log1p(q[:, 0])
    assert np.corrcoef(ratio, rows[:, 1])[0, 1] > 0.8


def test_sparse_rows_are_as_dense_ones() -> None:
    rows, tokens = lengths(200)
    one, two = (LengthForecaster().fit(x, tokens) for x in (rows, sparse.csr_matrix(rows)))
    assert one.predict(rows) == pytest.approx(two.predict(sparse.csr_matrix(rows)), rel=1e-9)


def test_coefficients_survive_float16_exactly() -> None:
    """What is trained is what is stored."""
    rows, tokens = lengths(300)
    coef = LengthForecaster().fit(rows, tokens).coef_
    assert (coef.astype(np.float16).astype(np.float64) == coef).all()


def test_bad_training_data_is_refused() -> None:
    """Each message says what was expected."""
    rows = np.ones((30, 2))
    with pytest.raises(ValueError, match="zero or more"):
        LengthForecaster().fit(rows, np.full(30, -1.0))
    with pytest.raises(ValueError, match="inconsistent"):
        LengthForecaster().fit(rows, np.ones(29))
    with pytest.raises(ValueError, match="wrap it in a list"):
        PromptVectorizer().fit("one prompt")
    with pytest.raises(ValueError, match="leave some"):
        held_out_rows(3, np.array([True, True, True]))
