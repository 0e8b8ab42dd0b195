from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from classifiers import CorrectnessClassifier, LengthForecaster, PromptVectorizer
from classifiers.evaluation import auc, coverage
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


def test_both_estimators_keep_the_scikit_learn_contract() -> None:
    """clone() copies the parameters, not the fit; get_params and set_params agree."""
    trunk = Linear(np.zeros(6), 0.5)
    for model in (CorrectnessClassifier(C=0.7, trunk=trunk), LengthForecaster(alpha=2.0)):
        copy = clone(model)
        assert set(copy.get_params()) == set(model.get_params())
        assert not hasattr(copy, "coef_")
        assert copy.set_params(trunk=None).trunk is None


def test_fitting_twice_gives_the_same_numbers() -> None:
    """No randomness anywhere in the fit."""
    rows, tokens = lengths(400)
    grades = (rows[:, 1] > 0).astype(float)
    for make, y in ((LengthForecaster, tokens), (CorrectnessClassifier, grades)):
        one, two = make().fit(rows, y), make().fit(rows, y)
        assert one.coef_.tobytes() == two.coef_.tobytes()
        assert one.intercept_ == two.intercept_


def test_classifier_learns_from_fractions_and_stays_calibrated() -> None:
    """Soft labels rank new rows well, and the mean of the probabilities is the mean grade."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(3000, 6))
    p = 1 / (1 + np.exp(-2 * rows[:, 0]))
    grades = rng.binomial(3, p) / 3
    model = CorrectnessClassifier(C=1.0).fit(rows[:2000], grades[:2000])
    found = model.predict_proba(rows[2000:])
    assert found.shape == (1000, 2)
    assert np.allclose(found.sum(axis=1), 1.0)
    assert auc(grades[2000:], found[:, 1]) > 0.8
    assert found[:, 1].mean() == pytest.approx(grades[2000:].mean(), abs=0.03)
    assert set(np.unique(model.predict(rows))) <= {0, 1}


def test_a_trunk_helps_a_head_with_few_rows() -> None:
    """With forty rows of its own, a head that leans on the pooled scale ranks better."""
    rng = np.random.default_rng(4)
    rows, truth = rng.normal(size=(2040, 60)), rng.normal(size=60)
    grades = (rng.random(2040) < 1 / (1 + np.exp(-rows @ truth))).astype(float)
    trunk = Linear(rounded(truth), 0.0)
    alone = CorrectnessClassifier().fit(rows[:40], grades[:40])
    leaning = CorrectnessClassifier(trunk=trunk).fit(rows[:40], grades[:40])
    judged = [auc(grades[40:], m.decision_function(rows[40:])) for m in (alone, leaning)]
    assert judged[1] > judged[0] + 0.05


def test_coefficients_survive_float16_exactly() -> None:
    """What is trained is what is stored."""
    rows, tokens = lengths(300)
    coef = LengthForecaster().fit(rows, tokens).coef_
    assert (coef.astype(np.float16).astype(np.float64) == coef).all()


def test_a_pipeline_takes_texts() -> None:
    """Vectoriser and head compose as scikit-learn parts do."""
    easy = [f"What is {n} plus {n}?" for n in range(60)]
    hard = [f"Prove that x^{n} + y^{n} = z^{n} has no solution in integers." for n in range(60)]
    model = make_pipeline(PromptVectorizer(), CorrectnessClassifier(C=1.0))
    model.fit(easy + hard, [1.0] * 60 + [0.0] * 60)
    p = model.predict_proba(["What is 70 plus 71?", "Prove that x^99 + 1 = z^2 has none."])[:, 1]
    assert p[0] > 0.8
    assert p[1] < 0.2


def test_bad_training_data_is_refused() -> None:
    """Each message says what was expected."""
    rows = np.ones((30, 2))
    with pytest.raises(ValueError, match="zero or more"):
        LengthForecaster().fit(rows, np.full(30, -1.0))
    with pytest.raises(ValueError, match="30 token counts"):
        LengthForecaster().fit(rows, np.ones(29))
    with pytest.raises(ValueError, match=r"every grade in \[0, 1\]"):
        CorrectnessClassifier().fit(rows, np.full(30, 2.0))
    with pytest.raises(ValueError, match="only one kind"):
        CorrectnessClassifier().fit(rows, np.ones(30))
    with pytest.raises(ValueError, match="wrap it in a list"):
        PromptVectorizer().fit("one prompt")
    with pytest.raises(ValueError, match="leave some"):
        held_out_rows(3, np.array([True, True, True]))
