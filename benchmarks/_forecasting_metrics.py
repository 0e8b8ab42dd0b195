"""Figures of forecast lengths. A forecast is (n, 5) tokens: p10, p50, p90, p99 and the mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import lgamma

import numpy as np
import numpy.typing as npt

from classifiers.evaluation import pinball

Array = npt.NDArray[np.float64]
Row = dict[str, object]
Figures = dict[str, float]
LEVELS = (0.10, 0.50, 0.90, 0.99)
LOW, HIGH = 0.88, 0.92
"""Where coverage of p90 is wanted."""


def judge(logs: Array, table: Array) -> Figures:
    """Figures of one group: log1p of actual tokens (n,) against a forecast (n, 5)."""
    actual, forecast = np.expm1(logs), np.log1p(table)
    return {
        "p50 error": float(np.abs(logs - forecast[:, 1]).mean()),
        "log pinball p90": pinball(logs, forecast[:, 2], 0.9),
        "log pinball p99": pinball(logs, forecast[:, 3], 0.99),
        "pinball p90": pinball(actual, table[:, 2], 0.9),
        "pinball p99": pinball(actual, table[:, 3], 0.99),
        "c10": covered(logs, forecast[:, 0]),
        "c90": covered(logs, forecast[:, 2]),
        "c99": covered(logs, forecast[:, 3]),
        "reserved/actual": float(np.median(table[:, 2] / np.maximum(actual, 1.0))),
        "mean/mean": float(table[:, 4].mean() / max(1e-9, actual.mean())),
    }


def covered(logs: Array, bound: Array) -> float:
    """The share at or under the bound; NaN where there is no bound."""
    if np.isnan(bound).any():
        return float("nan")
    return float((logs <= bound + 1e-9).mean())


def summary(method: str, groups: Sequence[Figures]) -> Row:
    """One line: means over groups, with the range of coverage and of the mean."""
    found: Row = {"method": method, "groups": len(groups)}
    for name in groups[0]:
        values = np.array([group[name] for group in groups])
        found[name] = float(values.mean())
        if name in {"c90", "c99", "mean/mean"}:
            found[f"{name} range"] = (float(values.min()), float(values.max()))
    return found


def within(shares: Array, counts: Array) -> Row:
    """How many of several coverages lie in [.88, .92], their sd, and both by chance alone."""
    chance = float(np.mean([_by_chance(int(n)) for n in counts]))
    return {
        "groups": len(shares),
        "within": float(((shares >= LOW - 1e-9) & (shares <= HIGH + 1e-9)).mean()),
        "within by chance": chance,
        "sd": float(shares.std()),
        "sd by chance": float(np.sqrt((0.09 / counts).mean())),
        "lowest": float(shares.min()),
        "highest": float(shares.max()),
    }


def _by_chance(n: int) -> float:
    """P(n calls of true coverage .9 show one in [.88, .92])."""
    k = np.arange(math.ceil(LOW * n - 1e-9), math.floor(HIGH * n + 1e-9) + 1)
    ways = np.array([lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) for i in k.tolist()])
    return float(np.exp(ways + k * math.log(0.9) + (n - k) * math.log(0.1)).sum())
