"""How many output tokens answers take: a scikit-learn estimator with conformal quantiles."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from classifiers.calibration import censored_quantile
from classifiers.length.net import QuantileNet, fit_net, moved, units
from classifiers.linear import held_out_rows
from classifiers.spread import LEVELS, token_quantiles

Array = npt.NDArray[np.float64]

WHOLE_TOKEN_KINDS = frozenset({"full_counted", "full_counted_incl_reasoning", "api_usage"})
"""The only counts that are the bill: never train on visible text of a model that reasons."""


class LengthForecaster(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Quantiles of output tokens from a matrix (n, d); conformal on rows kept from the fit.

    One model: token counts (n,). M models: (n, M), NaN where one did not answer; they share a
    network. Fitted: `net_`, `offsets_` (M, 4), and `mean_`, `scale_` (d,) of the inputs.

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(400, 3))
    >>> q = LengthForecaster(epochs=5).fit(x, np.exp(4 + x[:, 0])).predict_quantiles(x)
    >>> q.shape  # p10, p50, p90, p99 and the mean
    (400, 5)
    """

    def __init__(
        self,
        hidden: int = 96,
        members: int = 2,
        epochs: int = 25,
        dropout: float = 0.2,
        learning_rate: float = 3e-3,
        standardize: bool = True,
        random_state: int = 0,
    ) -> None:
        self.hidden = hidden
        self.members = members
        self.epochs = epochs
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.standardize = standardize
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        tags.target_tags.multi_output = True
        return tags

    def fit(
        self,
        X: npt.ArrayLike,  # noqa: N803
        y: npt.ArrayLike,
        held_out: npt.NDArray[np.bool_] | None = None,
        truncated: npt.ArrayLike | None = None,
    ) -> LengthForecaster:
        """Fit on the rows not held out; those held out (all, if none) make the offsets.

        `truncated`, shaped as `y`, marks answers that were cut off (`finish_reason` "length"):
        they are as long as counted or longer.

        Raises:
            ValueError: a count that is negative or infinite, none at all, or shapes that differ.
        """
        rows = validate_data(self, X, dtype=np.float64)
        tokens, self.single_ = _counts(y, len(rows))
        whole = ~np.isnan(tokens)
        cut = np.zeros(tokens.shape, dtype=bool)
        if truncated is not None:
            marks = np.asarray(truncated, dtype=bool)
            if marks.shape != np.shape(y):
                raise ValueError(
                    f"truncated: expected the shape of y, {np.shape(y)}, got {marks.shape}"
                )
            cut = marks.reshape(tokens.shape)
        held = held_out_rows(len(rows), held_out)
        d = rows.shape[1]
        self.mean_, self.scale_ = np.zeros(d), np.ones(d)
        if self.standardize:
            self.mean_ = rows[~held].mean(axis=0)
            spread = rows[~held].std(axis=0)
            self.scale_ = np.where(spread > 1e-9 * (1.0 + np.abs(self.mean_)), spread, 1.0)
        inputs, logs = self._inputs(rows), np.log1p(tokens)
        learn = ~held & whole.any(axis=1)
        if not learn.any():
            raise ValueError("expected a count on a row that is not held out, got none")
        self.net_ = fit_net(
            inputs[learn],
            logs[learn].astype(np.float32),
            cut[learn],
            hidden=self.hidden,
            members=self.members,
            epochs=self.epochs,
            dropout=self.dropout,
            learning_rate=self.learning_rate,
            random_state=self.random_state,
        )
        judged = held if (whole & held[:, None]).any() else learn
        self.offsets_ = offsets_of(self.net_.knots(inputs[judged]), logs[judged], cut[judged])
        return self

    def _inputs(self, rows: Array) -> npt.NDArray[np.float32]:
        return np.clip((rows - self.mean_) / self.scale_, -1e6, 1e6).astype(np.float32)

    def predict(self, X: npt.ArrayLike) -> Array:  # noqa: N803
        """The median forecast in tokens, (n,) or (n, M)."""
        found: Array = self.predict_quantiles(X)[..., 1]
        return found

    def predict_quantiles(self, X: npt.ArrayLike) -> Array:  # noqa: N803
        """(n, 5) or (n, M, 5) tokens: p10, p50, p90, p99, mean."""
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float64)
        knots = moved(net_of(self).knots(self._inputs(rows)), self.offsets_)
        n, models, _ = knots.shape
        table = token_quantiles(knots.reshape(n * models, 4)).reshape(n, models, 5)
        return table[:, 0] if self.single_ else table


def _counts(y: npt.ArrayLike, n: int) -> tuple[Array, bool]:
    """Token counts (n, M), checked, and whether they came as (n,)."""
    if y is None:
        raise ValueError("requires y to be passed, but the target y is None")
    tokens = np.asarray(y, dtype=np.float64)
    if tokens.ndim not in {1, 2}:
        raise ValueError(f"expected y of shape (n,) or (n, M), got {tokens.shape}")
    if len(tokens) != n:
        raise ValueError(f"inconsistent: {n} rows and {len(tokens)} counts")
    whole = ~np.isnan(tokens)
    if not whole.any() or not (np.isfinite(tokens[whole]) & (tokens[whole] >= 0)).all():
        raise ValueError("expected finite token counts of zero or more, NaN where there is none")
    return tokens.reshape(n, -1), tokens.ndim == 1


def net_of(forecaster: LengthForecaster) -> QuantileNet:
    """The fitted network."""
    net: QuantileNet = forecaster.net_
    return net


def offsets_of(knots: Array, logs: Array, cut: npt.NDArray[np.bool_]) -> Array:
    """(M, 4) conformal offsets in units of the knots' scale, from rows that nothing was fitted on.

    Truncated answers count as the lower bounds that they are. A model without rows gets zeros.
    """
    scale = np.maximum(units(knots), 1e-6)
    offsets = np.zeros((logs.shape[1], len(LEVELS)))
    for j in range(logs.shape[1]):
        own = ~np.isnan(logs[:, j])
        if own.any():
            misses = (logs[own, j, None] - knots[own, j]) / scale[own, j]
            offsets[j] = [
                censored_quantile(misses[:, at], cut[own, j], level)
                for at, level in enumerate(LEVELS)
            ]
    return offsets
