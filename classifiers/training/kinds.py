"""Kinds of task learned from labelled prompts (scikit-learn; training only)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import pinvh
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression

from classifiers.familiar import Array, Familiar
from classifiers.features import N_DENSE

LEAST = 100
"""A kind with fewer prompts has no distribution of its own."""
LEAST_VARIANCE = 1e-4
"""Of a direction in which the prompts of a kind are all alike."""


def fit_kinds(
    matrix: Array, kinds: npt.NDArray[np.object_], groups: npt.NDArray[np.object_]
) -> Familiar:
    """From inputs (n, N_DENSE + N_WORDS), the kind of each and its data set.

    Data sets count by the square root of their size, so that a large one does not stand for all.

    Raises:
        ValueError: no kind has enough prompts.
    """
    names = [k for k in sorted(set(kinds.tolist())) if (kinds == k).sum() >= LEAST]
    if not names:
        raise ValueError(f"expected a kind with at least {LEAST} prompts, got none")
    _, code, count = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    weight = np.sqrt(np.minimum(1.0, LEAST / count[code]))
    centres, whiten = [], []
    for name in names:
        found = LedoitWolf().fit(matrix[kinds == name, :N_DENSE])
        centres.append(found.location_)
        whiten.append(np.linalg.cholesky(pinvh(_proper(found.covariance_))).T)
    inside = np.isin(kinds.astype(str), names)
    if len(names) > 1:
        model = LogisticRegression(C=0.02, max_iter=200)
        model.fit(matrix[inside], kinds[inside].astype(str), sample_weight=weight[inside])
        order = [model.classes_.tolist().index(name) for name in names]
        coef, bias = model.coef_, model.intercept_
        if len(names) == 2:  # scikit-learn keeps one row for two classes
            coef, bias = np.vstack([-coef, coef]) / 2, np.concatenate([-bias, bias]) / 2
        coef, bias = coef[order], bias[order]
    else:
        coef, bias = np.zeros((1, matrix.shape[1])), np.zeros(1)
    return Familiar(
        names=tuple(names),
        centres=np.array(centres, dtype=np.float32),
        whiten=np.array(whiten).astype(np.float16).astype(np.float32),  # as it is shipped
        weights=np.ascontiguousarray(coef.T, dtype=np.float32),
        bias=np.asarray(bias, dtype=np.float32),
    )


def _proper(covariance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """With no direction of less than the least variance, so that it has an inverse."""
    missing = LEAST_VARIANCE - float(np.linalg.eigvalsh(covariance)[0])
    return covariance + max(0.0, missing) * np.eye(len(covariance))
