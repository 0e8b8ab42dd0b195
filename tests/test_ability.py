"""Abilities: logistic regression under a prior, shrinkage, placement by published scores."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from classifiers.ability import (
    Population,
    Published,
    fit_all,
    fit_one,
    like,
    means,
    place,
    with_bias,
)
from classifiers.calibration import sigmoid

D = 3
TRUTH = np.array([1.0, -0.7, 0.4, 0.3])


def answers(n, theta=TRUTH, seed=0):
    rng = np.random.default_rng(seed)
    z = with_bias(rng.normal(size=(n, len(theta) - 1)))
    return z, (rng.random(n) < sigmoid(z @ theta)).astype(float)


def standard(scale=1.0, width=D + 1):
    return Population(np.zeros(width), scale * np.eye(width))


@pytest.mark.parametrize("variance", [0.1, 1.0, 1e4])
def test_fit_one_is_logistic_regression_under_a_normal_prior(variance) -> None:
    """The same as scikit-learn's with C = the variance, whatever the start."""
    z, y = answers(400)
    model = LogisticRegression(C=variance, fit_intercept=False, tol=1e-10, max_iter=10_000)
    expected = model.fit(z, y).coef_[0]
    for start in (None, np.full(D + 1, 3.0)):
        theta, cov = fit_one(z, y, standard(variance), start)
        assert theta == pytest.approx(expected, abs=1e-4)
        assert (np.linalg.eigvalsh(cov) > 0).all()


def test_fractional_grades_are_shares() -> None:
    """A grade of 1/4 is one right answer in four."""
    z, _ = answers(50)
    shares = np.random.default_rng(1).integers(0, 5, 50) / 4
    repeated = np.concatenate([np.arange(4) < 4 * share for share in shares]).astype(float)
    one, _ = fit_one(z, shares, standard(4.0))
    four, _ = fit_one(np.repeat(z, 4, axis=0), repeated, standard(1.0))
    assert one == pytest.approx(four, abs=1e-5)


def test_few_answers_stay_near_the_prior_and_many_find_the_truth() -> None:
    """And what is uncertain shrinks with every answer."""
    prior = Population(np.array([0.0, 0.0, 0.0, 2.0]), 0.3 * np.eye(D + 1))
    z, y = answers(20_000)
    found = [fit_one(z[:n], y[:n], prior) for n in (0, 4, 100, 20_000)]
    off = [float(np.abs(theta - TRUTH).max()) for theta, _ in found]
    moved = [float(np.abs(theta - prior.mean).max()) for theta, _ in found]
    assert moved[0] == 0.0 < moved[1] < 0.8
    assert off[3] < 0.1 < off[1]
    spread = [float(np.trace(cov)) for _, cov in found]
    assert spread == sorted(spread, reverse=True)


def test_extreme_answers_do_not_diverge() -> None:
    """All right, all wrong, huge demands: finite, and on the right side."""
    z = with_bias(np.random.default_rng(0).normal(0, 50, (200, D)))
    for grade in (0.0, 1.0):
        theta, cov = fit_one(z, np.full(200, grade), standard(100.0))
        assert np.isfinite(theta).all()
        assert np.isfinite(cov).all()
        assert (sigmoid(z @ theta).mean() > 0.5) == bool(grade)


def test_fit_all_recovers_models_and_the_population_they_come_from() -> None:
    """Thirty models with a thousand answers each; one with ten leans on them, one has none."""
    rng = np.random.default_rng(3)
    mean, cov = np.array([0.8, -0.5, 0.0, 0.5]), np.diag([0.3, 0.1, 0.2, 0.6])
    truth = rng.multivariate_normal(mean, cov, size=32)
    demands = rng.normal(size=(1000, D))
    grades = (rng.random((1000, 32)) < sigmoid(with_bias(demands) @ truth.T)).astype(float)
    grades[10:, 30] = np.nan
    grades[:, 31] = np.nan
    theta, population = fit_all(demands, grades)
    assert np.abs(theta[:30] - truth[:30]).mean() < 0.12
    assert population.mean == pytest.approx(truth[:30].mean(axis=0), abs=0.1)
    assert np.diag(population.cov) == pytest.approx(
        np.diag(np.cov(truth[:30], rowvar=False)), rel=0.5, abs=0.08
    )
    assert (theta[31] == population.mean).all()
    alone, _ = fit_one(with_bias(demands[:10]), grades[:10, 30], standard(100.0))
    assert np.abs(theta[30] - truth[30]).max() < np.abs(alone - truth[30]).max()


def test_a_single_model_with_few_answers_is_fitted_too() -> None:
    """Without others the population is the standard one."""
    z, y = answers(20)
    theta, population = fit_all(z[:, :-1], y[:, None])
    assert theta.shape == (1, D + 1)
    assert (population.cov == np.eye(D + 1)).all()
    assert theta[0] == pytest.approx(fit_one(z, y, population)[0])


def test_place_reproduces_what_is_published() -> None:
    """Accuracies that abilities can explain are met, and the model then does as published."""
    rng = np.random.default_rng(4)
    demands = {"easy": rng.normal(0.5, 1, (60, D)), "hard": rng.normal(-1.5, 1, (60, D))}
    theta = np.array([1.2, 0.3, 0.8, 0.2])
    accuracy = means(demands, theta)
    given = [Published(demands[name], accuracy[name], 0.02) for name in demands]
    placed, cov = place(given, standard())
    assert means(demands, placed) == pytest.approx(accuracy, abs=0.01)
    loose, wide = place([Published(p.demands, p.accuracy, 3.0) for p in given], standard())
    assert np.abs(loose).max() < np.abs(placed).max()
    assert np.trace(wide) > np.trace(cov)


def test_place_without_scores_is_the_prior() -> None:
    prior = Population(TRUTH, np.eye(D + 1))
    theta, cov = place([], prior)
    assert (theta == TRUTH).all()
    assert cov == pytest.approx(np.eye(D + 1))


@pytest.mark.parametrize("accuracy", [0.0, 1.0, -0.1, 70.0, float("nan")])
def test_a_published_score_is_a_share(accuracy) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        place([Published(np.zeros((3, D)), accuracy)], standard())


def test_like_moves_the_population_to_a_relative() -> None:
    """`gain` logits better; ability in general is the freest; nothing given is changed."""
    population, theta = standard(0.5), TRUTH.copy()
    moved = like(theta, population, gain=0.7)
    assert moved.mean == pytest.approx([*TRUTH[:-1], TRUTH[-1] + 0.7])
    assert moved.cov[-1, -1] == pytest.approx(1.5)
    assert (moved.cov[:-1] == population.cov[:-1]).all()
    assert (theta == TRUTH).all()
    assert (population.cov == 0.5 * np.eye(D + 1)).all()
