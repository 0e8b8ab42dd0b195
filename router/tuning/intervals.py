"""Intervals of an estimated mean: which one is used where was chosen by measured coverage."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from router.tuning.clusters import FREEDOM
from router.tuning.estimators import Array, Scored

Interval = tuple[float, float]
_RESAMPLES = 999
_CELLS = 1_000_000
_SEED = 20_240_607
_HORIZON = 1000
"""Requests at which a sequence of intervals is narrowest."""
_SKEWED = 1.0
"""Beyond this the expansion is of no use; 1 was chosen by measured coverage of costs."""


def quantile(confidence: float) -> float:
    """How many standard errors a two-sided normal interval reaches."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def student(confidence: float, freedom: float) -> float:
    """The same by Student's t (Cornish and Fisher's expansion; above 3 degrees of freedom)."""
    z, v = quantile(confidence), max(3.0, freedom)
    first = (z**3 + z) / (4 * v)
    second = (5 * z**5 + 16 * z**3 + 3 * z) / (96 * v**2)
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * v**3)
    return z + first + second + third


def _half(scored: Scored, confidence: float) -> float:
    """Standard errors to either side; without end where too few clusters tell."""
    if scored.freedom is None:
        return student(confidence, len(scored.influence) - 1)
    return student(confidence, scored.freedom) if scored.freedom >= FREEDOM else math.inf


def normal(scored: Scored, confidence: float) -> Interval:
    """By the spread of what was drawn: too narrow where little was, or where tails are heavy."""
    width = math.sqrt(scored.empirical)
    half = _half(scored, confidence) * width if width else 0.0
    return scored.value - half, scored.value + half


def design(scored: Scored, confidence: float) -> Interval:
    """By the wider of two spreads: of what was drawn, and of what could have been.

    Where it is skewed, as costs are, the longer tail gets what the second term of Edgeworth's
    expansion says (Hall 1992) of the larger skewness, that of what was drawn or of what could have
    been; the shorter one keeps what it has.
    """
    variance = max(scored.empirical, scored.variance)
    width = math.sqrt(variance)
    if not width:
        return scored.value, scored.value
    half = _half(scored, confidence)
    if half == math.inf:
        return -math.inf, math.inf
    drawn = float((scored.influence**3).sum()) / len(scored.influence) ** 3
    third = max(drawn, scored.third, key=abs)
    skew = min(_SKEWED, max(-_SKEWED, third / width**3))
    more = skew * (2 * half**2 + 1) / 6
    low, high = half + max(0.0, -more), half + max(0.0, more)
    return scored.value - low * width, scored.value + high * width


def bernstein(scored: Scored, confidence: float) -> Interval:
    """Holds at any n for bounded rewards, and is wide (Maurer and Pontil 2009, theorem 4).

    The whole line where the rewards are not bounded.
    """
    n = len(scored.influence)
    if scored.reach is None or n < 2 or _half(scored, confidence) == math.inf:
        return -math.inf, math.inf
    log = math.log(4 / (1 - confidence))
    half = math.sqrt(2 * scored.empirical * log) + 7 * scored.reach * log / (3 * (n - 1))
    return scored.value - half, scored.value + half


def bootstrap(scored: Scored, confidence: float, resamples: int = _RESAMPLES) -> Interval:
    """By resampling requests, each mean over its own standard error (bootstrap-t); seeded."""
    n = len(scored.influence)
    centred = scored.influence - scored.influence.mean()
    width = math.sqrt(scored.empirical)
    if not width:
        return scored.value, scored.value
    if _half(scored, confidence) == math.inf:
        return -math.inf, math.inf
    sums = np.concatenate([_resampled(centred, *part) for part in _parts_of(resamples, n)])
    means, squares = sums[:, 0] / n, sums[:, 1] / n
    errors = np.sqrt(np.maximum(squares - means**2, 0) / (n - 1))
    ratio = means / np.maximum(errors, 1e-3 * width)
    low, high = np.quantile(ratio, [0.5 + confidence / 2, 0.5 - confidence / 2])
    return scored.value - float(low) * width, scored.value - float(high) * width


def _parts_of(resamples: int, n: int) -> Iterator[tuple[int, int]]:
    """Seeds and sizes of parts that fit into memory."""
    size = max(1, _CELLS // n)
    for start in range(0, resamples, size):
        yield _SEED + start, min(size, resamples - start)


def _resampled(centred: Array, seed: int, count: int) -> Array:
    """Of each resample the sum, and the sum of squares."""
    counts = _counts(len(centred), seed, count)
    sums: Array = counts @ np.stack([centred, centred**2], axis=1)
    return sums


@lru_cache(maxsize=1)
def _counts(n: int, seed: int, count: int) -> Array:
    drawn = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), count)
    return drawn.astype(np.float64)


def sequence(scored: Scored, confidence: float) -> Interval:
    """Holds at every look at a growing log together (Waudby-Smith and others 2021, asymptotic).

    It is narrowest for logs of about `_HORIZON` requests, or as many clusters.
    """
    n = len(scored.influence)
    alpha = 1 - confidence
    rho = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / _HORIZON
    grown = n * rho + 1
    width = math.sqrt(max(scored.empirical, scored.variance))
    half = width * math.sqrt(2 * grown / (n * rho) * math.log(math.sqrt(grown) / alpha))
    if scored.freedom is not None and half:
        # The theorem is for large n: fewer clusters are as much wider as one look would be.
        half *= _half(scored, confidence) / quantile(confidence)
    return scored.value - half, scored.value + half
