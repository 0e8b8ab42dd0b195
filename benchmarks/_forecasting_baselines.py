"""What a caller would do without us: constants, quantiles of the past, gradient boosting."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import deque

import numpy as np
import numpy.typing as npt

from benchmarks._forecasting_metrics import LEVELS
from classifiers.calibration import conformal_quantile
from classifiers.length.correction import Extra
from classifiers.spread import Knots

Array = npt.NDArray[np.float64]
FEW = 10
WINDOW = 256
TREES = 120


def constant(n: int, tokens: float) -> Array:
    """(n, 5): one limit for every call."""
    table = np.full((n, 5), np.nan)
    table[:, 2:4] = tokens
    return table


def quantiles(logs: Array) -> Array:
    """(5,) token quantiles and mean of past answers."""
    knots = [conformal_quantile(logs, level) for level in LEVELS]
    return np.array([*np.expm1(knots), np.expm1(logs).mean()])


def by_group(logs: Array, groups: npt.NDArray[np.str_], train: Array, known: Array) -> Array:
    """(n, 5) for groups (n,): quantiles of `train` (m,) in the same group, else of all of it."""
    every = quantiles(train)
    found = {}
    for group in np.unique(groups).tolist():
        own = train[known == group]
        found[group] = quantiles(own) if len(own) >= FEW else every
    return np.array([found[group] for group in groups.tolist()]).reshape(len(logs), 5)


class RouteQuantiles:
    """Quantiles of the last calls of a route; before the tenth, the forecast that is given."""

    def __init__(self, window: int | None = WINDOW) -> None:
        self._window = window
        self._past: deque[float] = deque()
        self._sorted: list[float] = []

    def corrected(self, knots: Knots, _extra: Extra | None = None) -> Knots:
        n = len(self._sorted)
        if n < FEW:
            return knots
        ranks = [
            math.ceil((n + 1) * level) if level >= 0.5 else math.floor((n + 1) * level)
            for level in LEVELS
        ]
        p10, p50, p90, p99 = (self._sorted[min(n, max(1, rank)) - 1] for rank in ranks)
        return p10, p50, p90, p99

    def observe(
        self, _knots: Knots | None, _extra: Extra | None, log: float, **_told: bool
    ) -> None:
        """Truncated or not, a quantile takes a count as it comes."""
        self._past.append(log)
        insort(self._sorted, log)
        if self._window is not None and len(self._past) > self._window:
            del self._sorted[bisect_left(self._sorted, self._past.popleft())]


def running(before: Array, logs: Array, otherwise: Array) -> Array:
    """(n, 5) tokens: each of `logs` forecast by the calls before it, `before` being the first."""
    past = RouteQuantiles()
    for log in before[-WINDOW:].tolist():
        past.observe(None, None, log)
    p10, p50, p90, p99 = np.log1p(otherwise[:4]).tolist()
    table = []
    for log in logs.tolist():
        table.append([*np.expm1(past.corrected((p10, p50, p90, p99))), math.nan])
        past.observe(None, None, log)
    return np.array(table).reshape(len(logs), 5)


def boosted(
    x: npt.NDArray[np.float32],
    logs: Array,
    at: npt.NDArray[np.float32],
    levels: tuple[float, ...] = (0.5, 0.9, 0.99),
) -> Array:
    """(n, 5): plain gradient boosting on log tokens, a model for each level, not calibrated."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    table = np.full((len(at), 5), np.nan)
    for level in levels:
        model = HistGradientBoostingRegressor(
            loss="quantile", quantile=level, max_iter=TREES, random_state=0
        )
        table[:, LEVELS.index(level)] = np.expm1(model.fit(x, logs).predict(at))
    return table
