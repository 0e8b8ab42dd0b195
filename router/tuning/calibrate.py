"""A model of rewards from the quotes' own predictions, recalibrated on what was logged.

It is cross-fitted: no request's own reward is in its prediction, so that a model which fits noise
does not flatter itself. Where little was logged it stays near the quotes, where much was, near
what was seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]

FOLDS = 5
_PRIOR = 5.0
"""So many requests must be seen of an arm before its own mean weighs as much as all arms'."""
_DOUBT = 5.0
"""So many requests' worth of the spread of all arms is mixed into that of each."""
_UNLIKE = 0.2
"""To this part an arm may be unlike all others, and as wide as can be."""
_WIDEST = 0.25
"""The largest variance of a grade from 0 to 1."""
_SCATTER = 3.0
"""The relative variance of a cost that is lognormal about its forecast with sigma 1.2."""
_PICO = 1e-12
_FLOOR = 0.01
"""A forecast of nothing is off by at least this share of the mean forecast."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """Of each line the expected reward, and the expected square of what it is off by."""

    mean: Array
    spread: Array
    errors: Array
    """Of each request the reward less its prediction; NaN where the reward is not known."""
    third: Array | None = None
    """Of each line the expected cube of what it is off by; None where tails are short."""


def quality(row: Index, arm: Index, taken: Index, rewards: Array, quoted: Array) -> Fitted:
    """P(correct) of the lines: `quoted` through a line, one slope for all and a shift by arm.

    `row`, `arm`, `quoted` are of each line; `taken` and `rewards` (0..1, NaN unknown) of each
    request.
    """
    arms = int(arm.max(initial=0)) + 1
    known = np.flatnonzero(np.isfinite(rewards))
    lines = taken[known]
    fold = row % FOLDS
    cell = _cells(fold[lines], arm[lines], arms)
    x, y = quoted[lines], rewards[known]
    n = _outside(cell, np.ones_like(y), arms)
    sx, sy = _outside(cell, x, arms), _outside(cell, y, arms)
    sxx, sxy = _outside(cell, x * x, arms), _outside(cell, x * y, arms)
    seen = np.maximum(n, 1.0)
    within = (sxx - sx * sx / seen).sum(axis=1)
    along = (sxy - sx * sy / seen).sum(axis=1)
    prior = _PRIOR * 0.05  # as if five requests with a usual spread of quotes had slope 1
    slope = (along + prior) / (within + prior)
    shift = _shifts(n, sy - slope[:, None] * sx, (1 - slope) * _mean(quoted, 0.5))
    mean = np.clip(slope[fold] * quoted + shift[fold, arm], 0.0, 1.0)
    errors = np.full(len(taken), np.nan)
    errors[known] = y - mean[lines]
    spread = _spread(arm[lines], errors[known] ** 2, arms, _WIDEST)
    return Fitted(mean, spread[arm], errors)


def cost(row: Index, arm: Index, taken: Index, rewards: Array, quoted: Array) -> Fitted:
    """Expected cost of the lines: `quoted` times a factor by arm. Arguments as in `quality`.

    Below a pico-dollar a quote counts as free.
    """
    quoted = np.where(quoted < _PICO, 0.0, quoted)
    arms = int(arm.max(initial=0)) + 1
    known = np.flatnonzero(np.isfinite(rewards))
    lines = taken[known]
    fold = row % FOLDS
    cell = _cells(fold[lines], arm[lines], arms)
    x, y = quoted[lines], rewards[known]
    level = _mean(quoted, 0.0)
    base = level or 1.0
    sx, sy = _outside(cell, x / base, arms), _outside(cell, y / base, arms)
    factor = (sy.sum(axis=1) + _PRIOR) / (sx.sum(axis=1) + _PRIOR)
    usual = np.bincount(arm, quoted / base, arms) / np.maximum(1, np.bincount(arm, minlength=arms))
    own = (sy + _PRIOR * factor[:, None] * usual) / np.maximum(sx + _PRIOR * usual, 1e-300)
    own = np.where(sx + _PRIOR * usual > 0, own, 1.0)
    mean = own[fold, arm] * quoted
    # A free candidate may have a cost after all: then its mean is all there is to go by.
    free = np.bincount(arm, quoted, arms) == 0
    if free.any():
        paid = _outside(cell, y, arms) / (_outside(cell, np.ones_like(y), arms) + _PRIOR)
        mean = np.where(free[arm], paid[fold, arm], mean)
    scale = mean + _FLOOR * _mean(mean, 0.0)
    errors = np.full(len(taken), np.nan)
    errors[known] = y - mean[lines]
    relative = np.divide(errors[known], scale[lines], out=np.zeros_like(y), where=scale[lines] > 0)
    spread = _spread(arm[lines], relative**2, arms, _SCATTER)
    own_spread = spread[arm]
    return Fitted(mean, own_spread * scale**2, errors, lognormal_third(own_spread) * scale**3)


def lognormal_third(spread: Array) -> Array:
    """The third central moment of lognormal values of mean 1 and this variance.

    Costs have long tails: the few dear ones of a log seldom show how long.
    """
    found: Array = spread**2 * (spread + 3)
    return found


def _cells(fold: Index, arm: Index, arms: int) -> Index:
    return (fold * arms + arm).astype(np.intp)


def _outside(cell: Index, values: Array, arms: int) -> Array:
    """Of each fold and arm the sum over all other folds."""
    inside = np.bincount(cell, values, FOLDS * arms).reshape(FOLDS, arms)
    others: Array = inside.sum(axis=0) - inside
    return others


def _shifts(n: Array, sums: Array, centre: Array) -> Array:
    """Means by arm, drawn to the mean of all arms, and that to `centre`."""
    common = (sums.sum(axis=1) + _PRIOR * centre) / (n.sum(axis=1) + _PRIOR)
    shifts: Array = (sums + _PRIOR * common[:, None]) / (n + _PRIOR)
    return shifts


def _spread(arm: Index, squares: Array, arms: int, widest: float) -> Array:
    """By arm, drawn to that of all arms and, for a part, to the widest."""
    common = (float(squares.sum()) + _DOUBT * widest) / (len(squares) + _DOUBT)
    doubt = (1 - _UNLIKE) * common + _UNLIKE * max(widest, common)
    n = np.bincount(arm, minlength=arms)
    spread: Array = (np.bincount(arm, squares, arms) + _DOUBT * doubt) / (n + _DOUBT)
    return spread


def _mean(values: Array, otherwise: float) -> float:
    return float(values.mean()) if len(values) else otherwise
