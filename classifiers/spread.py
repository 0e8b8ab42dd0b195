"""A distribution of tokens from four quantiles of log tokens: its mean, capped or not.

Between the quantiles log1p(tokens) is linear in the normal score, so every piece is log-normal
and its mean has a closed form. Plain Python on single numbers, for it runs at every request.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from classifiers.scores import Quantiles

Array: TypeAlias = npt.NDArray[np.float64]
Knots: TypeAlias = tuple[float, float, float, float]
"""log1p(tokens) at `LEVELS`, never falling."""

LEVELS = (0.10, 0.50, 0.90, 0.99)
Z90, Z99 = 1.2815515655446004, 2.3263478740408408
SCORES = (-Z90, 0.0, Z90, Z99)
"""`LEVELS` as normal scores."""
MAX_LOG_TOKENS = math.log(393216.0)
"""No answer is forecast beyond 384k tokens: the longest output limit there is, DeepSeek-V4's."""
_ROOT = math.sqrt(0.5)
END = 2.75
"""Normal score (99.7 %) at which the tail of a mean ends: a straight line beyond would make means
of what was never seen. On 23 (source, model) pairs means were 1.10 times the truth without it,
1.06 with."""


_BEYOND = 0.5 * math.erfc(END * _ROOT)


def knots_of(quantiles: Quantiles) -> Knots:
    """The logs of four quantiles."""
    log = math.log1p
    return log(quantiles.p10), log(quantiles.p50), log(quantiles.p90), log(quantiles.p99)


def ordered(p10: float, p50: float, p90: float, p99: float) -> Knots:
    """Logs as knots: never falling, between no tokens and `MAX_LOG_TOKENS`."""
    p50 = max(p10, p50)
    p90 = max(p50, p90)
    p99 = max(p90, p99)
    if p10 < 0.0 or p99 > MAX_LOG_TOKENS:
        p10, p50, p90, p99 = (min(max(q, 0.0), MAX_LOG_TOKENS) for q in (p10, p50, p90, p99))
    return p10, p50, p90, p99


def quantiles_of(knots: Knots) -> Quantiles:
    """Token quantiles and their mean."""
    exp = math.expm1
    p10, p50, p90, p99 = knots
    return Quantiles(exp(p10), exp(p50), exp(p90), exp(p99), _whole_mean(knots))


def capped_mean(quantiles: Quantiles, cap: float) -> float:
    """E[min(tokens, cap)]: what an answer takes on average when it is cut off at `cap` tokens."""
    if cap <= 0:
        return 0.0
    knots = knots_of(quantiles)
    log_cap = math.log1p(cap)
    if log_cap >= _end(knots):
        return min(quantiles.mean, cap)
    whole = _whole_mean(knots)
    share = min(1.0, quantiles.mean / whole) if whole > 0.0 else 1.0
    return min(quantiles.mean, cap, share * _mean(knots, log_cap))


def level_at(knots: Knots, log_tokens: float) -> float:
    """P(tokens <= exp(log_tokens) - 1)."""
    return _below(_score_at(knots, log_tokens))


def log_at(knots: Knots, score: float) -> float:
    """log1p(tokens) at a normal score; the inverse of `level_at`."""
    p10, p50, p90, p99 = knots
    if score <= 0.0:
        return p50 + (p50 - p10) / Z90 * score
    if score <= Z90:
        return p50 + (p90 - p50) / Z90 * score
    return p90 + (p99 - p90) / (Z99 - Z90) * (score - Z90)


def token_quantiles(knots: Array) -> Array:
    """(n, 4) logs to (n, 5) tokens: p10, p50, p90, p99, mean."""
    found = [quantiles_of(ordered(*row)) for row in knots.tolist()]
    rows = [(q.p10, q.p50, q.p90, q.p99, q.mean) for q in found]
    return np.array(rows, dtype=np.float64).reshape(len(rows), 5)


def _whole_mean(knots: Knots) -> float:
    """`_mean` without a cap, written out: it runs for every candidate of every request."""
    p10, p50, p90, p99 = knots
    low, middle = (p50 - p10) / Z90, (p90 - p50) / Z90
    high = (p99 - p90) / (Z99 - Z90)
    end = p99 + high * (END - Z99)
    if end > MAX_LOG_TOKENS:
        return _mean(knots, MAX_LOG_TOKENS)
    exp, erfc, root = math.exp, math.erfc, _ROOT
    twice = exp(p50 + 0.5 * low * low) * erfc(low * root)
    twice += exp(p50 + 0.5 * middle * middle) * (erfc((middle - Z90) * root) - erfc(middle * root))
    twice += exp(p90 + high * (0.5 * high - Z90)) * (
        erfc((high - END) * root) - erfc((high - Z90) * root)
    )
    return max(0.0, 0.5 * twice + _BEYOND * exp(end) - 1.0)


def _mean(knots: Knots, log_cap: float) -> float:
    p10, p50, p90, p99 = knots
    low, middle = (p50 - p10) / Z90, (p90 - p50) / Z90
    high = (p99 - p90) / (Z99 - Z90)
    log_cap = min(log_cap, _end(knots))
    end = _score_at(knots, log_cap)
    total = _piece(p50, low, None, min(end, 0.0))
    if end > 0.0:
        total += _piece(p50, middle, 0.0, min(end, Z90))
    if end > Z90:
        total += _piece(p90 - high * Z90, high, Z90, end)
    return max(0.0, total + math.exp(log_cap) * (1.0 - _below(end)) - 1.0)


def _end(knots: Knots) -> float:
    _, _, p90, p99 = knots
    return min(MAX_LOG_TOKENS, p99 + (p99 - p90) / (Z99 - Z90) * (END - Z99))


def _piece(start: float, slope: float, first: float | None, last: float) -> float:
    """E[exp(start + slope z)] over scores z from `first` (None: minus infinity) to `last`."""
    below = 0.0 if first is None else _below(first - slope)
    return math.exp(start + 0.5 * slope * slope) * (_below(last - slope) - below)


def _below(score: float) -> float:
    return 0.5 * math.erfc(-score * _ROOT)


def _score_at(knots: Knots, log_tokens: float) -> float:
    p10, p50, p90, p99 = knots
    if log_tokens <= p50:
        return _over(log_tokens - p50, (p50 - p10) / Z90)
    if log_tokens <= p90:
        return _over(log_tokens - p50, (p90 - p50) / Z90)
    return Z90 + _over(log_tokens - p90, (p99 - p90) / (Z99 - Z90))


def _over(distance: float, slope: float) -> float:
    """Distance / slope, within 12 deviations; where nothing is spread, all or nothing."""
    if slope * 12.0 <= abs(distance):
        return 12.0 if distance > 0 else (-12.0 if distance < 0 else 0.0)
    return distance / slope
