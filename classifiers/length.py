"""How many output tokens an answer takes: ridge on log tokens, conformal quantiles around it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import Ridge
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from classifiers.calibration import conformal_quantile
from classifiers.linear import Array, Linear, held_out_rows, rounded
from classifiers.spread import LEVELS, N_MEAN, spread_of, token_quantiles

WHOLE_TOKEN_KINDS = frozenset({"full_counted", "full_counted_incl_reasoning", "api_usage"})
"""The only counts that are the bill: never train on visible text of a model that reasons."""


class LengthForecaster(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Output tokens from a matrix (n, d) and whole token counts.

    `trunk` is a pooled length scale (log1p tokens), `spread` a pooled log-scale of its residuals.
    Held-out residuals, divided by the spread, give p10, p50, p90, p99 by split conformal.
    Fitted: `coef_` (d,), `intercept_`, `offsets_` (4,), `residuals_` (N_MEAN,) for the mean.
    """

    def __init__(
        self,
        alpha: float = 30.0,
        trunk: Linear | None = None,
        trunk_scale: float = 10.0,
        spread: Linear | None = None,
    ) -> None:
        self.alpha = alpha
        self.trunk = trunk
        self.trunk_scale = trunk_scale
        self.spread = spread

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.positive_only = True
        return tags

    def fit(
        self,
        X: Any,  # noqa: N803
        y: npt.ArrayLike,
        sample_weight: npt.ArrayLike | None = None,
        trunk_output: Array | None = None,
        held_out: npt.NDArray[np.bool_] | None = None,
    ) -> LengthForecaster:
        """Fit on rows not held out; residuals of the held-out rows (all, if none) give quantiles.

        Raises:
            ValueError: a count that is negative or not finite, or mismatched lengths.
        """
        found, y = validate_data(self, X, y, accept_sparse="csr", dtype=np.float64, y_numeric=True)
        rows = sparse.csr_matrix(found)
        tokens = np.asarray(y, dtype=np.float64)
        if not (np.isfinite(tokens) & (tokens >= 0)).all():
            raise ValueError("expected finite token counts of zero or more")
        weights = _check_sample_weight(sample_weight, rows, ensure_non_negative=True)
        target = np.log1p(tokens)
        held = held_out_rows(len(tokens), held_out)
        fit = ~held
        design = rows
        if self.trunk is not None:
            seen = self.trunk(rows) if trunk_output is None else trunk_output
            design = sparse.hstack([sparse.csr_matrix(seen[:, None] * self.trunk_scale), rows])
            design = design.tocsr()
        model = Ridge(alpha=self.alpha, solver="sparse_cg", tol=1e-5)
        model.fit(design[fit], target[fit], sample_weight=weights[fit])
        coef, intercept = np.asarray(model.coef_, dtype=np.float64), float(model.intercept_)
        if self.trunk is not None:
            slope = coef[0] * self.trunk_scale
            intercept += slope * self.trunk.intercept
            coef = coef[1:] + slope * self.trunk.coef
        self.coef_, self.intercept_ = rounded(coef), intercept
        judged = held if held.any() else fit
        residuals = (target - self._centre(rows))[judged] / self._spread(rows)[judged]
        self.offsets_ = np.array([conformal_quantile(residuals, level) for level in LEVELS])
        grid = (np.arange(N_MEAN) + 0.5) / N_MEAN
        self.residuals_ = np.quantile(residuals, grid)
        return self

    def _centre(self, rows: Any) -> Array:
        return Linear(self.coef_, self.intercept_)(rows)

    def _spread(self, rows: Any) -> Array:
        if self.spread is None:
            return np.ones(rows.shape[0])
        return spread_of(self.spread(rows))

    def predict(self, X: Any) -> Array:  # noqa: N803
        """The median forecast, tokens (n,)."""
        return self.predict_quantiles(X)[:, 1]

    def predict_quantiles(self, X: Any) -> Array:  # noqa: N803
        """(n, 5) tokens: p10, p50, p90, p99, mean."""
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, accept_sparse="csr", dtype=np.float64)
        return token_quantiles(
            self._centre(rows), self._spread(rows), self.offsets_, self.residuals_
        )
