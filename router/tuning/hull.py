"""The best of measured points, and what mixing two of them reaches."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal

from router.tuning.measure import Measured


def hull_of(points: Sequence[Measured]) -> tuple[Measured, ...]:
    """Those that no other point, nor a mix of two, beats; cheapest first."""
    kept: list[Measured] = []
    for point in sorted(points, key=lambda p: (p.at[0], -p.at[1])):
        if kept and point.at[1] <= kept[-1].at[1]:
            continue
        while len(kept) > 1 and _below(kept[-2], kept[-1], point):
            kept.pop()
        kept.append(point)
    return tuple(kept)


def _below(low: Measured, middle: Measured, high: Measured) -> bool:
    """Whether `middle` is not above the line from `low` to `high`."""
    (start, base), (half, mid), (end, top) = low.at, middle.at, high.at
    return (mid - base) * float(end - start) <= (top - base) * float(half - start)


def mixed_quality(hull: Sequence[Measured], usd: Decimal) -> float | None:
    """The quality of the best mix of two points of a hull for a mean cost in USD."""
    costs = [point.at[0] for point in hull]
    at = bisect_right(costs, usd)
    if at == 0:
        return None
    low, high = hull[at - 1].at[1], hull[min(at, len(hull) - 1)].at[1]
    if at == len(costs):
        return high
    share = float((usd - costs[at - 1]) / (costs[at] - costs[at - 1]))
    return low + share * (high - low)
