"""Models without outcomes of their own: what is published of them, and how long they answer.

Pure Python on single numbers; the figures and their sources are in data/placements.json.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from classifiers.scores import Quantiles

Z90, Z99 = 1.2815515655446004, 2.3263478740408408
ZERO = Quantiles(0.0, 0.0, 0.0, 0.0, 0.0)
THINKING_SUFFIX = ":thinking"

LengthKind = Literal["pool", "thinking", "scaled"]


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
    """One profile: accuracies in (0, 1) by benchmark, and the profile it is like (None: any).

    `gain` is by how many logits it is better than that one; `floor` names a profile that it never
    falls below: thinking does not lower the chance to be right.

    `length` says what its answers' length follows: the pooled scale, moved so that the
    benchmark's mean is `mean_tokens`; thinking on top of profile `base`; or `base` times
    `token_ratio`.
    """

    like: str | None
    published: Mapping[str, float]
    length: LengthKind
    gain: float = 0.0
    floor: str | None = None
    base: str | None = None
    mean_tokens: float | None = None
    token_ratio: float = 1.0


@dataclass(frozen=True, slots=True)
class Placements:
    """All placed profiles, the prompts that stand for each benchmark, and how long thinking is."""

    benchmarks: Mapping[str, tuple[tuple[str, str], ...]]
    profiles: Mapping[str, Placement]
    log_thinking_tokens: Curve
    log_sigma: float
    reasoning_share: float
    note: str = field(default="", repr=False)

    def order(self) -> list[str]:
        """Names so that a profile comes after the one it is like."""
        done: list[str] = []
        left = list(self.profiles)
        while left:
            ready = [n for n in left if self.profiles[n].like not in left]
            if not ready:
                raise ValueError(f"placements: profiles are like each other: {left}")
            done += ready
            left = [n for n in left if n not in ready]
        return done

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
        ValueError: another format, an unknown kind or benchmark, or a base that is not placed.
    """
    if document.get("format") != "placements/2":
        raise ValueError(f"expected format 'placements/2', got {document.get('format')!r}")
    benchmarks = {
        name: tuple((str(a), str(b)) for a, b in parts)
        for name, parts in document["benchmarks"].items()
    }
    profiles: dict[str, Placement] = {}
    for name, entry in document["profiles"].items():
        lengths = entry["lengths"]
        if lengths["kind"] not in {"pool", "thinking", "scaled"}:
            raise ValueError(f"placements: {name}: unknown kind {lengths['kind']!r}")
        if unknown := set(entry["published"]) - set(benchmarks):
            raise ValueError(f"placements: {name}: unknown benchmark {min(unknown)!r}")
        figures = {
            key: float(lengths[key]["value"])
            for key in ("mean_tokens", "token_ratio")
            if key in lengths
        }
        profiles[name] = Placement(
            like=entry.get("like"),
            published={k: float(v["value"]) for k, v in entry["published"].items()},
            length=lengths["kind"],
            gain=float(entry["gain"]["value"]) if "gain" in entry else 0.0,
            floor=entry.get("floor"),
            base=lengths.get("base"),
            **figures,
        )
    for name, profile in profiles.items():
        if profile.length != "pool" and profile.base not in profiles:
            raise ValueError(f"placements: {name}: base {profile.base!r} is not placed")
        if profile.floor is not None and profile.floor not in profiles:
            raise ValueError(f"placements: {name}: floor {profile.floor!r} is not placed")
    return Placements(
        benchmarks=benchmarks,
        profiles=profiles,
        log_thinking_tokens=_curve(document["thinking_tokens"]["points"], log=True),
        log_sigma=float(document["log_sigma"]["value"]),
        reasoning_share=float(document["reasoning_share"]["value"]),
        note=str(document.get("note", "")),
    )
