"""What a model can do, given what prompts demand: shrunk towards what models in general can do.

Empirical Bayes on item response theory: abilities of all models share one normal distribution, so
a model with many answers keeps its own, one with few leans on the others, and one without any is
placed by published scores of whole benchmarks. Numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.calibration import sigmoid

Array = npt.NDArray[np.float64]

ABLENESS = 1.0
"""Logits of general ability by which relatives differ, besides what models in general do."""
RIDGE = 0.02
"""Least variance of an ability among models: no direction is ever taken as known."""


@dataclass(frozen=True, slots=True)
class Population:
    """Abilities of models in general: theta = (a, b) is normal with `mean` (D + 1,) and `cov`."""

    mean: Array
    cov: Array


@dataclass(frozen=True, slots=True)
class Published:
    """A published score: accuracy in (0, 1) on prompts with these demands (n, D)."""

    demands: Array
    accuracy: float
    error: float = 0.12
    """Standard error in logits: other prompts, other shots, other judges."""


def with_bias(demands: Array) -> Array:
    """(n, D) to (n, D + 1): a column of ones for the bias."""
    return np.column_stack([np.asarray(demands, dtype=np.float64), np.ones(len(demands))])


def fit_one(
    z: Array, grades: Array, prior: Population, start: Array | None = None
) -> tuple[Array, Array]:
    """Abilities (D + 1,) of one model and their covariance, by Newton's method.

    `z` is (n, D + 1) with the bias column, `grades` (n,) in [0, 1].
    """
    precision = np.linalg.inv(prior.cov)
    theta = prior.mean.copy() if start is None else start.copy()
    hessian = precision
    for _ in range(30):
        p = sigmoid(z @ theta)
        gradient = z.T @ (p - grades) + precision @ (theta - prior.mean)
        hessian = (z * (p * (1 - p))[:, None]).T @ z + precision
        step = np.linalg.solve(hessian, gradient)
        length = float(np.abs(step).max())
        theta = theta - step * min(1.0, 2.0 / max(length, 1e-12))
        if length < 1e-7:
            break
    return theta, np.linalg.inv(hessian)


def fit_all(
    demands: Array, grades: Array, *, rounds: int = 6, least: int = 150
) -> tuple[Array, Population]:
    """Abilities (M, D + 1) of all models, and the population they come from.

    `demands` (n, D), `grades` (n, M) with NaN where not graded. Models with fewer than `least`
    grades do not shape the population.
    """
    z = with_bias(demands)
    models = grades.shape[1]
    graded = ~np.isnan(grades)
    width = z.shape[1]
    population = Population(np.zeros(width), np.eye(width))
    theta = np.zeros((models, width))
    big = np.flatnonzero(graded.sum(axis=0) >= least)
    for step in range(rounds):
        spread = np.zeros((width, width))
        last = step == rounds - 1
        for m in range(models) if last else big:
            rows = graded[:, m]
            if not rows.any():
                theta[m] = population.mean
                continue
            theta[m], cov = fit_one(z[rows], grades[rows, m], population, theta[m])
            if m in big:
                spread += cov
        if last or big.size < 3:
            continue
        mean = theta[big].mean(axis=0)
        centred = theta[big] - mean
        cov = (centred.T @ centred + spread) / big.size + RIDGE * np.eye(width)
        population = Population(mean, cov)
    return theta, population


def place(published: Sequence[Published], prior: Population) -> tuple[Array, Array]:
    """Abilities of a model known by published scores alone, and their covariance.

    The most likely abilities under `prior` that explain the scores, each to within its error.

    Raises:
        ValueError: a score is not between 0 and 1.
    """
    precision = np.linalg.inv(prior.cov)
    theta = prior.mean.copy()
    hessian = precision
    for _ in range(60):
        gradient = precision @ (theta - prior.mean)
        hessian = precision.copy()
        for one in published:
            if not 0.0 < one.accuracy < 1.0:
                raise ValueError(f"expected an accuracy between 0 and 1, got {one.accuracy}")
            z = with_bias(one.demands)
            p = sigmoid(z @ theta)
            mean = float(np.clip(p.mean(), 1e-6, 1 - 1e-6))
            slope = (z * (p * (1 - p))[:, None]).mean(axis=0) / (mean * (1 - mean))
            miss = np.log(mean / (1 - mean)) - np.log(one.accuracy / (1 - one.accuracy))
            gradient = gradient + slope * miss / one.error**2
            hessian = hessian + np.outer(slope, slope) / one.error**2
        step = np.linalg.solve(hessian, gradient)
        length = float(np.abs(step).max())
        theta = theta - step * min(1.0, 0.5 / max(length, 1e-12))
        if length < 1e-7:
            break
    return theta, np.linalg.inv(hessian)


def like(theta: Array, population: Population, gain: float = 0.0) -> Population:
    """The population moved to be around one model, `gain` logits better than it.

    Relatives differ most in how able they are altogether, so the bias is left the freest.
    """
    mean = theta.copy()
    mean[-1] += gain
    cov = population.cov.copy()
    cov[-1, -1] += ABLENESS**2
    return Population(mean, cov)


def place_one(
    published: Mapping[str, float],
    demands: Mapping[str, npt.NDArray[Any]],
    populations: Sequence[Population],
    relative: Array | None = None,
    gain: float = 0.0,
) -> Array:
    """Abilities (K, D + 1) of one model from published scores by benchmark.

    `relative` (K, D + 1) are those of the model it is like, `gain` logits better; None: of models
    in general.

    Raises:
        ValueError: a score is not between 0 and 1.
    """
    found = []
    for k, population in enumerate(populations):
        nearest = population.mean if relative is None else relative[k]
        prior = like(nearest, population, gain)
        scores = [
            Published(demands[name][:, k].astype(np.float64), value)
            for name, value in published.items()
        ]
        found.append(place(scores, prior)[0])
    return np.stack(found)


def means(demands: Mapping[str, Array], theta: Array) -> dict[str, float]:
    """Mean P(correct) of one model on each benchmark's prompts."""
    return {name: float(sigmoid(with_bias(z) @ theta).mean()) for name, z in demands.items()}


def logits_of(demands: Any, theta: Array) -> Array:
    """(n, K, D) and (K, D + 1, M) to (n, K, M)."""
    inner = np.einsum("nkd,kdm->nkm", demands.astype(np.float64), theta[:, :-1], optimize=True)
    return np.asarray(inner + theta[:, -1])


def base_logits(reference: Mapping[Any, Any], theta: Array) -> Array:
    """(K, M): each model's logit of being right before the prompt is read, all kinds alike."""
    means = [sigmoid(logits_of(z, theta)).mean(axis=0) for z in reference.values()]
    mean = np.clip(np.mean(means, axis=0), 1e-4, 1 - 1e-4)
    return np.asarray(np.log(mean / (1 - mean)))
