"""Means over traffic whose outcomes are all known, in the form that intervals are made of."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from router.tuning.calibrate import lognormal_third
from router.tuning.clusters import Clusters
from router.tuning.estimators import Array, Scored, variance_of
from router.tuning.exact import Replayed
from router.tuning.score import Of, Part, worth
from router.tuning.traffic import Traffic

_DOUBT = 5.0
"""So many requests with the widest spread are mixed in: else no failure among few is none."""
WIDEST = 0.25
"""The largest variance of a grade from 0 to 1."""
_USD = 1e12


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Quality, cost and worth, and how many requests the policy refuses."""

    parts: dict[Of, Part]
    refused: int


def of(found: Replayed, value: float | None, clusters: Clusters | None = None) -> Known:
    """The means of grades and costs that are known."""
    cost = mean_cost(found.cost / _USD, clusters)
    return Known(_parts(found.quality, cost, value, WIDEST, clusters), found.refused)


def logged(traffic: Traffic) -> Replayed | None:
    """What came of the requests as they were logged; None where some of it is not known."""
    if any(r.quality is None or r.cost is None for r in traffic):
        return None
    quality = np.array([r.quality for r in traffic], dtype=float)
    cost = np.array([r.cost for r in traffic], dtype=np.int64)
    return Replayed(quality, cost, {}, 0)


def difference(
    candidate: Replayed,
    present: Replayed,
    value: float | None,
    clusters: Clusters | None = None,
) -> dict[Of, Part]:
    """The means of the candidate less those of the present policy, request by request."""
    quality = candidate.quality - present.quality
    cost = (candidate.cost - present.cost) / _USD
    # Where both do the same nothing is in doubt.
    differ = float(np.mean((quality != 0) | (cost != 0)))
    return _parts(quality, mean(cost, clusters=clusters), value, differ, clusters)


def mean(values: Array, widest: float = 0.0, clusters: Clusters | None = None) -> Scored:
    """The mean of what was seen; `widest` is the largest variance that a request may have.

    With `clusters` its influence is theirs.
    """
    n = len(values)
    value = float(values.mean())
    influence = values - value
    spread = (float(influence @ influence) + _DOUBT * widest) / (n + _DOUBT)
    found = Scored(value, influence, spread / n, float(np.ptp(values)))
    if clusters is None:
        return found
    known = np.ones(n, dtype=np.bool_)
    made = found.clustered(clusters, known, found.variance)
    # The doubt is of clusters like those that tell: single requests beside them must not hide it.
    tell = (made.freedom or 0.0) + 1
    alike = clusters.alike_at_most(influence, known)
    doubt = _DOUBT * widest * (alike + (1 - alike) * tell / n)
    variance = (made.empirical * tell * (tell - 1) + doubt) / (tell + _DOUBT) / tell
    return replace(made, variance=max(found.variance, variance))


def mean_cost(values: Array, clusters: Clusters | None = None) -> Scored:
    """The mean of costs in USD, whose tail is taken to be as long as a lognormal one at least."""
    found = mean(values, clusters=clusters)
    if not found.value > 0:
        return found
    third = _tail(found.influence, found.value)
    if found.requests is not None:
        third = max(third, _tail(found.requests, found.value))
    return replace(found, third=third)


def _tail(influence: Array, value: float) -> float:
    n = len(influence)
    relative = np.array([variance_of(influence) * n / value**2])
    third = float(lognormal_third(relative)[0]) * value**3
    return third / n**2


def _parts(
    quality: Array, paid: Scored, value: float | None, widest: float, clusters: Clusters | None
) -> dict[Of, Part]:
    n = len(quality)
    right = mean(quality, widest, clusters)
    made: dict[Of, Part] = {
        "quality": Part(right, 0.0, 0.0, n, right.value),
        "cost": Part(paid, 0.0, 0.0, n, paid.value),
    }
    if value is not None:
        made["worth"] = worth(made["quality"], made["cost"], value)
    return made
