"""Honest numbers from held-out rows: Platt scaling and conformal quantiles, numpy only."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def sigmoid(logits: Array) -> Array:
    """1 / (1 + exp(-x)), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)), dtype=np.float64)


def platt(logits: Array, targets: Array, prior_strength: float = 5.0) -> tuple[float, float]:
    """Slope and offset (a, b) so that sigmoid(a * logit + b) matches `targets` in [0, 1].

    `prior_strength` pulls towards (1, 0) as that many imagined rows would: a small held-out
    fold must not turn a scale over. Newton's method; the slope never falls below 0.05.
    """
    weights = np.array([1.0, 0.0])
    design = np.stack([logits, np.ones_like(logits)], axis=1)
    for _ in range(50):
        p = sigmoid(design @ weights)
        gradient = design.T @ (p - targets) + prior_strength * (weights - [1.0, 0.0])
        hessian = (design * (p * (1 - p))[:, None]).T @ design + prior_strength * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    return max(0.05, float(weights[0])), float(weights[1])


def conformal_quantile(residuals: Array, level: float) -> float:
    """The ceil((n + 1) * level)-th smallest residual; below the median, mirrored.

    With exchangeable rows the next residual stays under it with probability `level` at least
    (above, for levels below one half). The largest one when n is too small for the level.
    """
    if residuals.size == 0:
        raise ValueError("expected at least one held-out residual, got none")
    if level < 0.5:
        return -conformal_quantile(-residuals, 1.0 - level)
    n = residuals.size
    rank = min(n, math.ceil((n + 1) * level - 1e-9))
    return float(np.sort(residuals)[rank - 1])


def censored_quantile(values: Array, truncated: npt.NDArray[np.bool_], level: float) -> float:
    """`conformal_quantile` where some values are known only to be at least what they are.

    Kaplan and Meier's estimate; the largest value when too many are truncated for the level.
    """
    if not truncated.any():
        return conformal_quantile(values, level)
    order = np.lexsort((truncated, values))
    at_risk = np.arange(len(values), 0, -1)
    alive = np.cumprod(1.0 - ~truncated[order] / at_risk)
    wanted = level * (1.0 + 1.0 / len(values)) if level >= 0.5 else level
    reached = np.flatnonzero(1.0 - alive >= wanted - 1e-9)
    return float(values[order][reached[0] if reached.size else -1])
