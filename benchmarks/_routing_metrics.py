"""Figures of a router, and their bootstrap intervals: numpy only.

`classifiers.evaluation` has AUC, ECE and APGR of a sample. The ones here take weights, so that a
resample is a row of counts and nothing is sorted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from classifiers.evaluation import ece

Array = npt.NDArray[np.float64]
Figures = dict[str, float]
RESAMPLES = 500


def brier(targets: Array, probabilities: Array, weights: Array | None = None) -> float:
    """Mean squared miss of a probability."""
    return float(np.average((targets - probabilities) ** 2, weights=weights))


class Ranking:
    """AUC of a score, ready for any weights of the rows."""

    def __init__(self, targets: Array, scores: Array) -> None:
        _, self.group = np.unique(scores, return_inverse=True)
        self.targets = targets

    def auc(self, weights: Array) -> float:
        """Ties count one half; a target in [0, 1] is that share of a positive."""
        positive = np.bincount(self.group, weights=weights * self.targets)
        negative = np.bincount(self.group, weights=weights * (1 - self.targets))
        pairs = positive.sum() * negative.sum()
        below = np.cumsum(negative) - negative
        return float((positive * (below + 0.5 * negative)).sum() / pairs) if pairs else np.nan


class Recovery:
    """The performance-gap-recovered curve in falling order of `need`; ties are mixed evenly."""

    def __init__(self, weak: Array, strong: Array, need: Array) -> None:
        self.gain = strong - weak
        self.values, self.group = np.unique(-need, return_inverse=True)

    def curve(self, weights: Array) -> tuple[Array, Array]:
        """Shares of strong calls and the share of the gap recovered there."""
        gains = np.bincount(self.group, weights=weights * self.gain)
        counts = np.bincount(self.group, weights=weights)
        total = gains.sum()
        shares = np.concatenate(([0.0], np.cumsum(counts) / counts.sum()))
        if abs(total) < 1e-12:
            return shares, np.full(shares.size, np.nan)
        return shares, np.concatenate(([0.0], np.cumsum(gains) / total))

    def figures(self, weights: Array) -> Figures:
        """APGR and the share of strong calls that recovers 50 and 80 % of the gap."""
        shares, recovered = self.curve(weights)
        area = float((0.5 * (recovered[1:] + recovered[:-1]) * np.diff(shares)).sum())
        return {
            "APGR": area,
            "CPT50": reach(shares, recovered, 0.5),
            "CPT80": reach(shares, recovered, 0.8),
        }


def reach(shares: Array, recovered: Array, level: float) -> float:
    """The smallest share at which `level` is recovered, between points in proportion."""
    above = np.flatnonzero(recovered >= level)
    if not above.size:
        return float("nan")
    at = int(above[0])
    if at == 0:
        return float(shares[0])
    low, high = recovered[at - 1], recovered[at]
    return float(shares[at - 1] + (level - low) / (high - low) * (shares[at] - shares[at - 1]))


def spent(weak: Array, strong: Array, need: Array, extra: Array, weights: Array) -> Figures:
    """Accuracy when strong calls, in falling order of `need`, cost a half of all extra dollars.

    "Q@$50" is the router's; "mix@$50" that of calls drawn at random, at the same dollars.
    """
    order = np.argsort(-need, kind="stable")
    dollars = np.cumsum((weights * extra)[order])
    gains = np.cumsum((weights * (strong - weak))[order]) / weights.sum()
    base = float((weights * weak).sum() / weights.sum())
    got = float(np.interp(0.5 * dollars[-1], dollars, gains))
    return {"Q@$50": base + got, "mix@$50": base + 0.5 * float(gains[-1])}


def pair_figures(grades: Array, predicted: Array, extra: Array | None = None) -> Weighed:
    """All figures of a prediction for a (weak, strong) pair, as a function of weights."""
    weak, strong = grades.T
    need = predicted[:, 1] - predicted[:, 0]
    ranks = Ranking(weak, predicted[:, 0]), Ranking(strong, predicted[:, 1])
    curves = Recovery(weak, strong, need), Recovery(weak, strong, -predicted[:, 0])

    def figures(weights: Array) -> Figures:
        found = {
            "AUCw": ranks[0].auc(weights),
            "AUCs": ranks[1].auc(weights),
            "Brier_w": brier(weak, predicted[:, 0], weights),
            "Brier_s": brier(strong, predicted[:, 1], weights),
            "APGR(1-Pw)": curves[1].figures(weights)["APGR"],
            **curves[0].figures(weights),
        }
        if extra is not None and not np.isnan(extra).any():
            found |= spent(weak, strong, need, extra, weights)
        return found

    return figures


def calibration(grades: Array, predicted: Array) -> Figures:
    """ECE of weak and strong (15 bins of equal count); not resampled: it is biased upward."""
    return {
        "ECE_w": ece(grades[:, 0], predicted[:, 0], bins=15),
        "ECE_s": ece(grades[:, 1], predicted[:, 1], bins=15),
    }


Weighed = Callable[[Array], Figures]


def averaged(parts: Sequence[Figures]) -> Figures:
    """The mean of each figure."""
    return {name: float(np.mean([part[name] for part in parts])) for name in parts[0]}


def bootstrap(
    weighed: Sequence[Weighed], n: int, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[Figures, dict[str, tuple[float, float]]]:
    """The figures, averaged over `weighed` (seeds of a split), and their 95 % intervals.

    Every resample draws n prompts once for all of `weighed`.
    """
    point = averaged([one(np.ones(n)) for one in weighed])
    rng = np.random.default_rng(seed)
    drawn: list[Figures] = []
    for _ in range(resamples):
        counts = np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)
        drawn.append(averaged([one(counts) for one in weighed]))
    if not drawn:
        return point, {}
    bounds = {}
    for name in point:
        low, high = np.nanpercentile([one[name] for one in drawn], [2.5, 97.5])
        bounds[name] = (float(low), float(high))
    return point, bounds


def hull(points: Sequence[tuple[float, float]]) -> Array:
    """The non-decreasing convex hull of (dollars, quality) points, by rising dollars."""
    kept: list[tuple[float, float]] = []
    for cost, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if kept and quality <= max(q for _, q in kept):
            continue
        while len(kept) >= 2 and _under(kept[-2], kept[-1], (cost, quality)):
            kept.pop()
        kept.append((cost, quality))
    return np.array(kept)


def _under(
    first: tuple[float, float], mid: tuple[float, float], last: tuple[float, float]
) -> bool:
    """Whether the middle point is not above the line between the others."""
    rise = (last[1] - first[1]) * (mid[0] - first[0])
    return (mid[1] - first[1]) * (last[0] - first[0]) <= rise


def aiq(line: Array, low: float, high: float) -> float:
    """Mean quality of a hull over the dollars from `low` to `high` (RouterBench's AIQ)."""
    grid = np.linspace(low, high, 400)
    return float(np.interp(grid, line[:, 0], line[:, 1]).mean())


def dollars_at(line: Array, quality: float) -> float:
    """The least dollars at which a hull has a quality; NaN when it never has."""
    return reach(line[:, 0], line[:, 1], quality)
