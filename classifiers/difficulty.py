"""P(correct) from the features of a prompt: one regularised, calibrated linear head per model."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.validation import check_array, check_is_fitted

from classifiers.calibration import platt, sigmoid
from classifiers.linear import Array, Linear, held_out_rows, rounded


def fit_soft_logistic(
    rows: Any, targets: Array, weights: Array, *, strength: float, max_iter: int
) -> tuple[Array, float]:
    """Logistic regression on targets in [0, 1]: a score s is s of a hit and 1 - s of a miss."""
    hit, miss = targets > 0, targets < 1
    if not hit.any() or not miss.any():
        raise ValueError("expected both right and wrong answers to fit on, got only one kind")
    stacked = sparse.vstack([rows[hit], rows[miss]], format="csr")
    labels = np.concatenate([np.ones(int(hit.sum())), np.zeros(int(miss.sum()))])
    shares = np.concatenate([(weights * targets)[hit], (weights * (1 - targets))[miss]])
    model = LogisticRegression(C=strength, max_iter=max_iter, tol=1e-4)
    model.fit(stacked, labels, sample_weight=shares)
    return np.asarray(model.coef_[0], dtype=np.float64), float(model.intercept_[0])


class CorrectnessClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Right or wrong, from a matrix (n, d) and grades in [0, 1] (fractions are soft labels).

    `trunk` is a pooled difficulty scale: its output enters as one almost free column, so a head
    with few rows leans on what all models together say. Held-out rows calibrate by Platt.
    Fitted: `coef_` (d,), `intercept_`, with trunk and calibration folded in.
    """

    def __init__(
        self,
        C: float = 0.3,  # noqa: N803
        trunk: Linear | None = None,
        trunk_scale: float = 4.0,
        max_iter: int = 300,
    ) -> None:
        self.C = C
        self.trunk = trunk
        self.trunk_scale = trunk_scale
        self.max_iter = max_iter

    def fit(
        self,
        X: Any,  # noqa: N803
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        trunk_output: Array | None = None,
        held_out: npt.NDArray[np.bool_] | None = None,
    ) -> CorrectnessClassifier:
        """Fit on rows not held out, calibrate on the others.

        `trunk_output` (n,) is the trunk as seen by rows it was not trained on; without it the
        trunk is applied as it is.

        Raises:
            ValueError: grades outside [0, 1], mismatched lengths, or only one kind of answer.
        """
        rows = sparse.csr_matrix(check_array(X, accept_sparse="csr", dtype=np.float64))
        grades = np.asarray(y, dtype=np.float64)
        if grades.shape != (rows.shape[0],):
            raise ValueError(f"expected {rows.shape[0]} grades, got shape {grades.shape}")
        if not ((grades >= 0) & (grades <= 1)).all():
            raise ValueError("expected every grade in [0, 1]")
        weights = np.ones(len(grades)) if sample_weight is None else np.asarray(sample_weight)
        held = held_out_rows(len(grades), held_out)
        fit = ~held
        design = rows
        if self.trunk is not None:
            seen = self.trunk(rows) if trunk_output is None else trunk_output
            design = sparse.hstack([sparse.csr_matrix(seen[:, None] * self.trunk_scale), rows])
            design = design.tocsr()
        coef, intercept = fit_soft_logistic(
            design[fit], grades[fit], weights[fit], strength=self.C, max_iter=self.max_iter
        )
        if self.trunk is not None:
            slope = coef[0] * self.trunk_scale
            intercept += slope * self.trunk.intercept
            coef = coef[1:] + slope * self.trunk.coef
        raw = Linear(rounded(coef), intercept)
        slope, offset = platt(raw(rows[held]), grades[held]) if held.any() else (1.0, 0.0)
        self.classes_ = np.array([0, 1])
        self.n_features_in_ = rows.shape[1]
        self.coef_ = rounded(raw.coef * slope)
        self.intercept_ = raw.intercept * slope + offset
        return self

    def decision_function(self, X: Any) -> Array:  # noqa: N803
        """Calibrated logits (n,)."""
        check_is_fitted(self)
        rows = check_array(X, accept_sparse="csr", dtype=np.float64)
        return Linear(self.coef_, self.intercept_)(rows)

    def predict_proba(self, X: Any) -> Array:  # noqa: N803
        """(n, 2): P(wrong), P(correct)."""
        p = sigmoid(self.decision_function(X))
        return np.stack([1.0 - p, p], axis=1)

    def predict(self, X: Any) -> npt.NDArray[np.int64]:  # noqa: N803
        """1 where a right answer is the likelier outcome."""
        return (self.decision_function(X) > 0).astype(np.int64)
