"""From a centre and a spread on the log scale to tokens; shared by training and runtime."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LEVELS = (0.10, 0.50, 0.90, 0.99)
N_MEAN = 20
"""Residuals kept per head, at even ranks, to average exp over: the mean is not exp of the mean."""
MAX_LOG_TOKENS = float(np.log(262144.0))
"""No answer is forecast beyond 256k tokens; today's longest output limit is 384k."""
LOG_SPREAD_RANGE = (-2.5, 0.7)


def spread_of(log_spread: Array) -> Array:
    """The spread (n,) of log tokens, bounded so that one odd prompt cannot explode."""
    return np.asarray(np.exp(np.clip(log_spread, *LOG_SPREAD_RANGE)), dtype=np.float64)


def token_quantiles(centre: Array, spread: Array, offsets: Array, residuals: Array) -> Array:
    """(n, 5) tokens p10, p50, p90, p99, mean, never falling from left to right (mean aside).

    `offsets` is (4,) or (n, 4), `residuals` (m,) or (n, m), both in units of the spread.
    """
    logs = centre[:, None] + spread[:, None] * offsets
    quantiles = np.expm1(np.clip(np.maximum.accumulate(logs, axis=1), 0.0, MAX_LOG_TOKENS))
    spreads = np.clip(centre[:, None] + spread[:, None] * residuals, 0.0, MAX_LOG_TOKENS)
    mean = np.expm1(spreads).mean(axis=1)
    return np.column_stack([quantiles, mean])
