"""What all models agree on: one pooled scale of difficulty, one of length, one of spread.

Heads lean on these scales; unknown and placed models are read off them directly. Out-of-fold
outputs keep a head from trusting a trunk that has memorised the head's own prompts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.linear_model import Ridge

from classifiers.dataset import Outcomes
from classifiers.difficulty import fit_soft_logistic
from classifiers.linear import Array, Linear, rounded

MODELS_PER_PROMPT = 6
N_FOLDS = 3
ONE_HOT_SCALE = 5.0


@dataclass(frozen=True, slots=True)
class Trunk:
    """A pooled scale (for the average model) and its out-of-fold output for every prompt (n,)."""

    scale: Linear
    output: Array


def pooled_rows(outcomes: Outcomes, allowed: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Outcomes of allowed prompts, at most `MODELS_PER_PROMPT` each: ZeroEval has 60 models."""
    order = np.lexsort((outcomes.draw, outcomes.row))
    rows = outcomes.row[order]
    starts = np.concatenate(([0], np.flatnonzero(np.diff(rows)) + 1))
    rank = np.arange(rows.size) - np.repeat(starts, np.diff(np.append(starts, rows.size)))
    keep = np.zeros(rows.size, dtype=bool)
    keep[order] = rank < MODELS_PER_PROMPT
    return keep & allowed[outcomes.row]


def _design(matrix: Any, outcomes: Outcomes) -> tuple[Any, int]:
    _, code = np.unique(outcomes.model.astype(str), return_inverse=True)
    width = int(code.max()) + 1
    ones = np.full(code.size, ONE_HOT_SCALE)
    model = sparse.csr_matrix((ones, (np.arange(code.size), code)), shape=(code.size, width))
    return sparse.hstack([model, matrix[outcomes.row]], format="csr"), width


def _fit(matrix: Any, outcomes: Outcomes, target: Array, kind: str, strength: float) -> Linear:
    design, width = _design(matrix, outcomes)
    weight = 1.0 / np.sqrt(np.bincount(outcomes.row)[outcomes.row])
    if kind == "logistic":
        coef, intercept = fit_soft_logistic(
            design, target, weight, strength=strength, max_iter=120
        )
    else:
        model = Ridge(alpha=strength, solver="sparse_cg", tol=1e-4)
        model.fit(design, target, sample_weight=weight)
        coef, intercept = np.asarray(model.coef_, dtype=np.float64), float(model.intercept_)
    average = ONE_HOT_SCALE * float(coef[:width].mean())
    return Linear(rounded(coef[width:]), intercept + average)


def fit_trunk(
    matrix: Any,
    outcomes: Outcomes,
    target: Array,
    allowed: npt.NDArray[np.bool_],
    fold: Array,
    *,
    kind: str,
    strength: float,
) -> Trunk:
    """Fit a pooled scale on the allowed prompts (n,) and apply it out of fold to all of them.

    `kind` is "logistic" (targets in [0, 1], strength is C) or "ridge" (strength is alpha).
    """
    keep = pooled_rows(outcomes, allowed)
    used, goal = outcomes.take(keep), target[keep]
    scale = _fit(matrix, used, goal, kind, strength)
    output = scale(matrix)
    number = np.minimum((fold * N_FOLDS).astype(int), N_FOLDS - 1)
    for part in range(N_FOLDS):
        inside = number == part
        seen = ~inside[used.row]
        fitted = _fit(matrix, used.take(seen), goal[seen], kind, strength)
        mine = inside & allowed
        output[mine] = fitted(matrix[mine])
    return Trunk(scale, output)
