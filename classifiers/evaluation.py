"""How good a scorer is: ranking, calibration, routing and length figures, numpy only."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def _pair(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Array, Array]:
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.ndim != 1 or a.shape != b.shape or a.size == 0:
        raise ValueError(f"expected two equal rows of numbers, got shapes {a.shape} and {b.shape}")
    return a, b


def auc(targets: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Area under the ROC curve; a target in [0, 1] counts as that share of a positive.

    Ties count one half. NaN when all targets are 0 or all are 1.
    """
    y, s = _pair(targets, scores)
    _, group = np.unique(s, return_inverse=True)
    positive, negative = np.bincount(group, weights=y), np.bincount(group, weights=1.0 - y)
    below = np.cumsum(negative) - negative
    pairs = positive.sum() * negative.sum()
    if pairs <= 0:
        return float("nan")
    return float((positive * (below + 0.5 * negative)).sum() / pairs)


def ece(targets: npt.ArrayLike, probabilities: npt.ArrayLike, bins: int = 10) -> float:
    """Expected calibration error over `bins` bins of equal count: mean |accuracy - confidence|."""
    y, p = _pair(targets, probabilities)
    order = np.argsort(p, kind="stable")
    parts = [part for part in np.array_split(order, bins) if part.size]
    return float(sum(part.size * abs(y[part].mean() - p[part].mean()) for part in parts) / y.size)


def brier(targets: npt.ArrayLike, probabilities: npt.ArrayLike) -> float:
    """Mean squared error of probabilities: 0.25 for always saying one half."""
    y, p = _pair(targets, probabilities)
    return float(((y - p) ** 2).mean())


def apgr(weak: npt.ArrayLike, strong: npt.ArrayLike, need: npt.ArrayLike) -> float:
    """Area under the performance-gap-recovered curve of a router between two models.

    Prompts go to the strong model in falling order of `need`; at each share s of strong calls,
    PGR(s) = (accuracy(s) - weak) / (strong - weak); the area is over s from 0 to 1. Random
    mixing has 0.5, an oracle can exceed 1. Ties in `need` share their gain evenly. NaN when both
    models are equally accurate. (RouteLLM, arXiv 2406.18665.)
    """
    w, s = _pair(weak, strong)
    gain, order_key = _pair(s - w, need)
    total = gain.sum()
    if abs(total) < 1e-12:
        return float("nan")
    _, group = np.unique(-order_key, return_inverse=True)
    counts = np.bincount(group)
    recovered = np.concatenate(([0.0], np.cumsum(np.bincount(group, weights=gain)) / total))
    share = np.concatenate(([0.0], np.cumsum(counts) / gain.size))
    heights = 0.5 * (recovered[1:] + recovered[:-1])
    return float((heights * np.diff(share)).sum())


def pinball(actual: npt.ArrayLike, predicted: npt.ArrayLike, level: float) -> float:
    """Mean pinball loss of a predicted quantile, in the unit of `actual`."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"expected a level between 0 and 1, got {level}")
    y, q = _pair(actual, predicted)
    miss = y - q
    return float(np.maximum(level * miss, (level - 1.0) * miss).mean())


def coverage(actual: npt.ArrayLike, upper: npt.ArrayLike) -> float:
    """Share of `actual` at or under its predicted `upper` bound."""
    y, q = _pair(actual, upper)
    return float((y <= q).mean())


def log_mae(actual: npt.ArrayLike, predicted: npt.ArrayLike) -> float:
    """Mean |log1p(actual) - log1p(predicted)|: 0.69 is off by a factor of two on average."""
    y, q = _pair(actual, predicted)
    return float(np.abs(np.log1p(y) - np.log1p(q)).mean())
