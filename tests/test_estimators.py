"""The contract of scikit-learn.

`PromptVectorizer` and `OutcomeClassifier` take texts, not numbers: the checks do not apply to them
(see test_outcome.py and test_length.py).
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from classifiers import CorrectnessClassifier, LengthForecaster, PromptVectorizer
from classifiers.demand import DemandNet
from classifiers.evaluation import auc, ece

_WEIGHTS = "check_sample_weight_equivalence_on_"
_BATCHES = "a repeated row falls into other random batches than one row of twice the weight"
_TOKENS = "its targets are negative, which no count of tokens is"
_FAILS = {
    CorrectnessClassifier: {f"{_WEIGHTS}dense_data": _BATCHES},
    DemandNet: {f"{_WEIGHTS}dense_data": _BATCHES},
    LengthForecaster: {"check_regressor_multioutput": _TOKENS},
}


@parametrize_with_checks(
    [CorrectnessClassifier(), LengthForecaster(), DemandNet(link="identity")],
    expected_failed_checks=lambda estimator: _FAILS.get(type(estimator), {}),
)
def test_scikit_learn_contract(estimator, check) -> None:
    """`DemandNet` learns numbers here: grades are those in [0, 1], and the checks give others."""
    check(estimator)


def blobs(n=400, seed=0):
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 5)) * [1.0, 50.0, 1e-3, 1.0, 1.0] + [0.0, 1000.0, 0.0, 0.0, 3.0]
    p = 1 / (1 + np.exp(-3 * rows[:, 0] + 0.05 * (rows[:, 1] - 1000)))
    return rows, p, rng


def test_fractions_are_shares_of_a_right_answer() -> None:
    """Soft labels rank new rows, and the mean of the probabilities is the mean grade."""
    rows, p, rng = blobs(1500)
    grades = rng.binomial(3, p) / 3
    model = CorrectnessClassifier().fit(rows[:1000], grades[:1000])
    found = model.predict_proba(rows[1000:])
    assert model.classes_.tolist() == [0, 1]
    assert found.shape == (500, 2)
    assert np.allclose(found.sum(axis=1), 1.0)
    assert auc(grades[1000:], found[:, 1]) > 0.85
    assert ece(grades[1000:], found[:, 1]) < 0.08
    assert found[:, 1].mean() == pytest.approx(grades[1000:].mean(), abs=0.04)


def test_few_rows_are_enough() -> None:
    """Thirty rows rank new ones; two rows are fitted without an error; a constant column too."""
    rows, p, _ = blobs(530, seed=1)
    right = p > 0.5
    rows[:, 4] = 7.0
    model = CorrectnessClassifier().fit(rows[:30], right[:30])
    assert auc(right[30:], model.decision_function(rows[30:])) > 0.85
    pair = [int(right.argmin()), int(right.argmax())]
    found = CorrectnessClassifier().fit(rows[pair], right[pair]).predict(rows[pair])
    assert found.tolist() == [False, True]


@pytest.mark.parametrize("labels", [(0, 1), (-1, 1), ("bad", "good"), (False, True), (2.0, 7.0)])
def test_any_two_labels(labels) -> None:
    """The greater one is the right answer."""
    rows, p, _ = blobs(120)
    y = np.array(labels)[(p > 0.5).astype(int)]
    model = CorrectnessClassifier().fit(rows, y)
    assert model.classes_.tolist() == list(labels)
    assert (model.predict(rows) == y).mean() > 0.9
    assert ((model.decision_function(rows) > 0) == (model.predict(rows) == labels[1])).all()


def test_weights_count() -> None:
    """Contradicting rows: those that count for more are believed; those of weight 0 are not."""
    rows = np.repeat([[0.0], [1.0]], 60, axis=0)
    y = np.tile([0, 1, 1], 40)
    weight = np.where(y == 1, 0.0, 1.0)
    weight[-1] = 1e-6
    assert CorrectnessClassifier().fit(rows, y).predict_proba(rows)[:, 1].mean() > 0.55
    assert CorrectnessClassifier().fit(rows, y, weight).predict_proba(rows)[:, 1].mean() < 0.2


@pytest.mark.parametrize(
    ("y", "match"),
    [
        (np.ones(30), "one class"),
        (np.arange(30) % 3, "Only binary"),
        (np.linspace(0, 2, 30), "Unknown label type"),
        (np.full(30, np.nan), "NaN"),
        (np.ones(29), "inconsistent"),
    ],
)
def test_labels_that_cannot_be_are_refused(y, match) -> None:
    with pytest.raises(ValueError, match=match):
        CorrectnessClassifier().fit(np.ones((30, 2)), y)
    with pytest.raises(ValueError, match=r"(?i)weight"):
        CorrectnessClassifier().fit(np.ones((30, 2)), np.arange(30) % 2, np.zeros(30))


def test_fitting_twice_gives_the_same_numbers() -> None:
    """The seed decides, and nothing else."""
    rows, p, _ = blobs(150)
    one, two, other = (
        CorrectnessClassifier(random_state=s).fit(rows, p > 0.5).decision_function(rows)
        for s in (0, 0, 1)
    )
    assert (one == two).all()
    assert (one != other).any()
    assert CorrectnessClassifier(random_state=None).fit(rows, p > 0.5).classes_.tolist() == [0, 1]


def test_clones_have_the_parameters_and_not_the_fit() -> None:
    rows, p, _ = blobs(60)
    for model in (CorrectnessClassifier(hidden=8), DemandNet(demands=2)):
        copy = clone(model.fit(rows, p > 0.5))
        assert copy.get_params() == model.get_params()
        assert not hasattr(copy, "n_features_in_")


def test_a_pipeline_takes_texts() -> None:
    """Vectoriser and classifier compose as scikit-learn parts do, and cross-validate."""
    easy = [f"What is {n} plus {n}?" for n in range(40)]
    hard = [f"Prove that x^{n} + y^{n} = z^{n} has no solution in integers." for n in range(40)]
    model = make_pipeline(PromptVectorizer(), CorrectnessClassifier())
    model.fit(easy + hard, [1.0] * 40 + [0.0] * 40)
    p = model.predict_proba(["What is 70 plus 71?", "Prove that x^99 + 1 = z^2 has none."])[:, 1]
    assert p[0] > 0.8
    assert p[1] < 0.2
    found = cross_val_score(model, easy + hard, [1] * 40 + [0] * 40, cv=2)
    assert found.mean() > 0.9
