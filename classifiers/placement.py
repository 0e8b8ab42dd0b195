"""Where a model without outcomes of its own stands on the pooled scales, from published scores.

Pure Python on single numbers; the figures and their sources are in data/placements.json.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from classifiers.scores import Quantiles

Z90, Z99 = 1.2815515655446004, 2.3263478740408408
ZERO = Quantiles(0.0, 0.0, 0.0, 0.0, 0.0)
THINKING_SUFFIX = ":thinking"


def logistic(logit: float) -> float:
    """1 / (1 + exp(-x)), without overflow."""
    return 0.5 * (1.0 + math.tanh(0.5 * logit))


@dataclass(frozen=True, slots=True)
class Curve:
    """A piecewise linear function, flat outside its points (x rising)."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]

    def __call__(self, x: float) -> float:
        """The value at x."""
        if x <= self.xs[0]:
            return self.ys[0]
        if x >= self.xs[-1]:
            return self.ys[-1]
        right = bisect_right(self.xs, x)
        x0, x1 = self.xs[right - 1], self.xs[right]
        y0, y1 = self.ys[right - 1], self.ys[right]
        return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


@dataclass(frozen=True, slots=True)
class Placement:
    """How one profile follows from the pooled scale ("direct") or from another profile."""

    kind: Literal["direct", "thinking", "scaled"]
    base: str | None = None
    accuracy: float | None = None
    mean_tokens: float | None = None
    logit_gain: float = 0.0
    token_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class Placements:
    """All placed profiles, and the two curves that thinking follows."""

    benchmark: str
    profiles: Mapping[str, Placement]
    gain: Curve
    log_thinking_tokens: Curve
    log_sigma: float
    reasoning_share: float

    def order(self) -> list[str]:
        """Names so that every base comes before what rests on it."""
        rank = {"direct": 0, "thinking": 1, "scaled": 2}
        return sorted(self.profiles, key=lambda name: rank[self.profiles[name].kind])

    def thinking_logit(self, base_logit: float, shift: float) -> float:
        """Thinking never lowers the chance to be right."""
        return base_logit + max(0.0, self.gain(logistic(base_logit)) + shift)

    def thinking_tokens(self, base_logit: float) -> Quantiles:
        """Output tokens with reasoning, log-normal around the published means."""
        log_mean = self.log_thinking_tokens(logistic(base_logit))
        middle, sigma = log_mean - 0.5 * self.log_sigma**2, self.log_sigma
        return Quantiles(
            p10=math.exp(middle - Z90 * sigma),
            p50=math.exp(middle),
            p90=math.exp(middle + Z90 * sigma),
            p99=math.exp(middle + Z99 * sigma),
            mean=math.exp(log_mean),
        )


def scaled(quantiles: Quantiles, factor: float) -> Quantiles:
    """Every figure times `factor`."""
    q = quantiles
    figures = (q.p10, q.p50, q.p90, q.p99, q.mean)
    return Quantiles(*(figure * factor for figure in figures))


def _curve(points: Sequence[Mapping[str, Any]], *, log: bool) -> Curve:
    xs = tuple(float(point["p"]) for point in points)
    if len(xs) < 2 or any(a >= b for a, b in pairwise(xs)):
        raise ValueError("placements: a curve needs two points or more, with rising p")
    values = (float(point["value"]) for point in points)
    return Curve(xs, tuple(math.log(value) if log else value for value in values))


def parse(document: Mapping[str, Any]) -> Placements:
    """Read the JSON document of placements.

    Raises:
        ValueError: another format, a curve out of order, or a base that is not placed.
    """
    if document.get("format") != "placements/1":
        raise ValueError(f"expected format 'placements/1', got {document.get('format')!r}")
    profiles = {}
    for name, entry in document["profiles"].items():
        values = {
            key: float(entry[key]["value"])
            for key in ("accuracy", "mean_tokens", "logit_gain", "token_ratio")
            if key in entry
        }
        profiles[name] = Placement(kind=entry["kind"], base=entry.get("base"), **values)
    rank = {"direct": 0, "thinking": 1, "scaled": 2}
    for name, profile in profiles.items():
        if profile.kind not in rank:
            raise ValueError(f"placements: {name}: unknown kind {profile.kind!r}")
        if profile.kind != "direct" and (
            profile.base not in profiles
            or rank[profiles[profile.base].kind] != rank[profile.kind] - 1
        ):
            raise ValueError(f"placements: {name}: base {profile.base!r} does not fit its kind")
    return Placements(
        benchmark=document["benchmark"],
        profiles=profiles,
        gain=_curve(document["gain"]["points"], log=False),
        log_thinking_tokens=_curve(document["thinking_tokens"]["points"], log=True),
        log_sigma=float(document["log_sigma"]["value"]),
        reasoning_share=float(document["reasoning_share"]["value"]),
    )
