"""Means over traffic whose outcomes are all known, in the form that intervals are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from policies.types import Policy
from router.tuning.estimators import Array, Scored
from router.tuning.exact import Replayed, replayed
from router.tuning.score import Of, Part, worth
from router.tuning.traffic import Traffic

_DOUBT = 5.0
"""So many requests with the widest spread are mixed in: else no failure among few is none."""
_WIDEST = 0.25
_USD = 1e12


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Quality, cost and worth, and how many requests the policy refuses."""

    parts: dict[Of, Part]
    refused: int


def parts(traffic: Traffic, policy: Policy, value: float | None) -> Known:
    """The means of a policy.

    Raises:
        ConfigError: some outcome is not known.
    """
    return of(replayed(traffic, policy), value)


def of(found: Replayed, value: float | None) -> Known:
    """The means of grades and costs that are known."""
    return Known(_parts(found.quality, found.cost / _USD, value, _WIDEST), found.refused)


def logged(traffic: Traffic) -> Replayed | None:
    """What came of the requests as they were logged; None where some of it is not known."""
    if any(r.quality is None or r.cost is None for r in traffic):
        return None
    quality = np.array([r.quality for r in traffic], dtype=float)
    cost = np.array([r.cost for r in traffic], dtype=np.int64)
    return Replayed(quality, cost, {}, 0)


def difference(candidate: Replayed, present: Replayed, value: float | None) -> dict[Of, Part]:
    """The means of the candidate less those of the present policy, request by request."""
    quality = candidate.quality - present.quality
    cost = (candidate.cost - present.cost) / _USD
    # Where both do the same nothing is in doubt.
    differ = float(np.mean((quality != 0) | (cost != 0)))
    return _parts(quality, cost, value, differ)


def mean(values: Array, widest: float = 0.0) -> Scored:
    """The mean of what was seen; `widest` is the largest variance that a request may have."""
    n = len(values)
    value = float(values.mean())
    influence = values - value
    spread = (float(influence @ influence) + _DOUBT * widest) / (n + _DOUBT)
    return Scored(value, influence, spread / n, float(np.ptp(values)))


def _parts(quality: Array, cost: Array, value: float | None, widest: float) -> dict[Of, Part]:
    n = len(quality)
    right, paid = mean(quality, widest), mean(cost)
    made: dict[Of, Part] = {
        "quality": Part(right, 0.0, 0.0, n, right.value),
        "cost": Part(paid, 0.0, 0.0, n, paid.value),
    }
    if value is not None:
        made["worth"] = worth(made["quality"], made["cost"], value)
    return made
