"""The total of many answers: its quantiles are not the sum of theirs.

Each answer varies by itself, which evens out over many; what we do not know of a model or a
route is the same in all of them, and does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from classifiers.scores import Quantiles
from classifiers.spread import END, SCORES, Z90, capped_mean, knots_of

Array = npt.NDArray[np.float64]

SHARED = {"prior": 0.6, "pooled": 0.5, "route": 0.02}
"""Share of the variance of log tokens that all answers have in common, by what they rest on. A
total's p90 then covers 0.78 to 0.87 on data sets left out (no share does better by much: the p90s
are too low there), 0.98 and more on those trained on, and 0.93 to 0.96 after 200 calls of one's
own route (benchmarks/forecasting.py, task totals)."""
DRAWS = 512
_AT_ONCE = 4096
_LEVELS = (0.10, 0.50, 0.90, 0.99)


class Part(NamedTuple):
    """One answer of a total: fixed + weight * min(tokens, cap), where `basis` is what it rests on.

    The unit of `weight` and `fixed` is the caller's: 1 and 0 add up tokens, a price per token and
    the cost of the input add up money.
    """

    tokens: Quantiles
    cap: float = math.inf
    weight: float = 1.0
    fixed: float = 0.0
    basis: str = "prior"


def total(parts: Sequence[Part]) -> Quantiles:
    """Quantiles and mean of the sum of all parts; one part alone has just its own.

    Deterministic: the same parts give the same figures.

    >>> one = Quantiles(50, 100, 400, 900, 180)
    >>> hundred = total([Part(one, basis="route")] * 100)
    >>> hundred.p90 < 100 * one.p90
    True
    """
    if not parts:
        return Quantiles(0.0, 0.0, 0.0, 0.0, 0.0)
    if len(parts) == 1:
        return _alone(parts[0])
    sums = np.zeros(DRAWS)
    fixed = math.fsum(part.fixed for part in parts)
    common = _common()
    for start in range(0, len(parts), _AT_ONCE):
        some = parts[start : start + _AT_ONCE]
        knots = np.array([knots_of(part.tokens) for part in some])
        share = np.array([SHARED.get(part.basis, SHARED["prior"]) for part in some])
        caps = np.array([part.cap for part in some])
        weights = np.array([part.weight for part in some])
        own = np.random.default_rng([len(parts), start]).standard_normal((DRAWS, len(some)))
        scores = np.sqrt(share) * common[:, None] + np.sqrt(1.0 - share) * own
        sums += np.minimum(np.expm1(_logs(knots, scores)), caps) @ weights
    p10, p50, p90, p99 = np.quantile(sums, _LEVELS).tolist()
    return Quantiles(
        max(0.0, p10) + fixed,
        max(0.0, p50) + fixed,
        max(0.0, p90) + fixed,
        max(0.0, p99) + fixed,
        math.fsum(part.weight * _mean(part) for part in parts) + fixed,
    )


def _mean(part: Part) -> float:
    return part.tokens.mean if part.cap == math.inf else capped_mean(part.tokens, part.cap)


def _alone(part: Part) -> Quantiles:
    q, cap, mean = part.tokens, part.cap, _mean(part)
    p10, p50, p90, p99, mean = (
        part.fixed + part.weight * min(figure, cap)
        for figure in (q.p10, q.p50, q.p90, q.p99, mean)
    )
    return Quantiles(p10, p50, p90, p99, mean)


@lru_cache(maxsize=1)
def _common() -> Array:
    """DRAWS equally likely normal scores."""
    normal = NormalDist()
    return np.array([normal.inv_cdf((k + 0.5) / DRAWS) for k in range(DRAWS)])


def _logs(knots: Array, scores: Array) -> Array:
    """(draws, m) scores through (m, 4) knots: `spread.log_at` for many."""
    low = (knots[:, 1] - knots[:, 0]) / Z90
    middle = (knots[:, 2] - knots[:, 1]) / Z90
    high = (knots[:, 3] - knots[:, 2]) / (SCORES[3] - SCORES[2])
    logs = knots[:, 1] + np.where(scores <= 0.0, low, middle) * np.minimum(scores, Z90)
    logs += high * np.clip(scores - Z90, 0.0, END - Z90)
    return np.asarray(np.clip(logs, 0.0, 14.0), dtype=np.float64)
