"""What one policy gets on traffic, in figures with intervals: measured, or estimated from logs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from policies.types import Policy
from router.errors import ConfigError
from router.money import PICO_PER_USD, to_usd
from router.tuning import intervals, known
from router.tuning.clusters import Clusters, clusters_of
from router.tuning.exact import Replayed, replayed
from router.tuning.logged import Cluster
from router.tuning.score import Part
from router.tuning.traffic import Traffic

if TYPE_CHECKING:
    from router.tuning.off_policy import Estimate

EXACT: Final = "exact"
ESTIMATED: Final = "dr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean with its interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a policy gets on traffic.

    `quality` is the mean grade (0..1; a refused request counts 0), `cost_usd` USD for a request,
    `worth_usd` quality x the value of a right answer - cost (None: no value was said). Logs that
    never did what the policy would do tell neither: they are None then, and the bounds are what
    can be said. `total_usd` is over all `requests`, `refused` of which the policy refuses.
    `shares` are how often each candidate is chosen. Where requests belong together, quality rests
    on so many `clusters`, and on as much as `effective_n` independent requests would tell.
    `method` is "exact" where all outcomes were known, else the name of the estimator; `support` is
    the share of choices that logs could show.
    """

    name: str
    policy: Policy | None = field(default=None, compare=False)
    method: str
    requests: int
    quality: float | None
    quality_low: float
    quality_high: float
    cost_usd: Decimal | None
    cost_low_usd: Decimal | None
    cost_high_usd: Decimal | None
    total_usd: Decimal | None
    worth_usd: Decimal | None = None
    worth_low_usd: Decimal | None = None
    worth_high_usd: Decimal | None = None
    refused: int = 0
    support: float = 1.0
    shares: Mapping[str, float] = field(default_factory=dict)
    clusters: int | None = None
    effective_n: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def told(self) -> bool:
        """Whether the traffic tells both quality and cost, not bounds alone."""
        return self.quality is not None and self.cost_usd is not None

    @property
    def at(self) -> tuple[Decimal, float]:
        """USD a request and quality, where they are told.

        Raises:
            ConfigError: they are not; says why.
        """
        if self.quality is None or self.cost_usd is None:
            raise ConfigError("; ".join([f"{self.name}: the traffic does not tell", *self.notes]))
        return self.cost_usd, self.quality

    def row(self) -> dict[str, Any]:
        """It as a row of a table; shares are columns `share:<candidate>`."""
        own = {
            name: getattr(self, name)
            for name in self.__dataclass_fields__
            if name not in {"policy", "shares", "notes"}
            and (self.clusters is not None or name not in {"clusters", "effective_n"})
        }
        return own | {f"share:{name}": share for name, share in sorted(self.shares.items())}

    def __str__(self) -> str:
        return f"{self.name}: {self.figures()}"

    def figures(self) -> str:
        """The figures in words."""
        mean = "not told" if self.quality is None else f"{self.quality:.3f}"
        text = f"quality {mean} ({self.quality_low:.3f} to {self.quality_high:.3f}), "
        text += "cost not told" if self.cost_usd is None else f"${self.cost_usd:.6f} a request"
        if self.cost_low_usd is not None and self.cost_high_usd is not None:
            text += f" ({self.cost_low_usd:.6f} to {self.cost_high_usd:.6f})"
        text += f", {self.method}"
        text += "" if self.clusters is None else f", {self.clusters:,} clusters"
        return text + (f", {self.refused:,} refused" if self.refused else "")


def measure(
    traffic: Traffic,
    policy: Policy | None,
    *,
    name: str = "",
    value: int | None = None,
    confidence: float = 0.95,
    cluster: Cluster | None = None,
) -> Measured:
    """The policy's figures on this traffic; `value` is what a right answer is worth, in pico-USD.

    None is the policy that logged it. `cluster` as in `estimate`.

    Raises:
        ConfigError: no traffic, or none of it can be decided anew.
    """
    if not 0 < confidence < 1:
        raise ConfigError(f"confidence: expected between 0 and 1, got {confidence!r}")
    if not len(traffic):
        raise ConfigError("traffic: expected requests, got none")
    words = name or ("as logged" if policy is None else str(policy))
    if traffic.complete and policy is not None:
        found = replayed(traffic, policy)
        clusters = clusters_of(traffic, cluster)
        return of_replay(
            found, words, policy, value=value, confidence=confidence, clusters=clusters
        )
    return _estimated(traffic, policy, words, value, confidence, cluster)


def of_replay(
    found: Replayed,
    name: str,
    policy: Policy | None,
    *,
    value: int | None,
    confidence: float,
    clusters: Clusters | None = None,
) -> Measured:
    """The figures of grades and costs that are known."""
    count = len(found.quality)
    parts = known.of(found, None if value is None else value / PICO_PER_USD, clusters).parts
    quality = _interval(parts["quality"], confidence, 0.0, 1.0)
    cost = _interval(parts["cost"], confidence, 0.0, math.inf)
    total = sum(map(int, found.cost))
    worth: dict[str, Any] = {}
    if value is not None:
        top = value / PICO_PER_USD
        worth = _usd("worth", _interval(parts["worth"], confidence, -math.inf, top))
    return Measured(
        name=name,
        policy=policy,
        method=EXACT,
        requests=count,
        quality=quality.mean,
        quality_low=max(0.0, quality.low),
        quality_high=min(1.0, quality.high),
        **{**_usd("cost", cost), "cost_usd": to_usd(round(total / count))},
        total_usd=to_usd(total),
        **worth,
        refused=found.refused,
        shares={name: n / count for name, n in found.chances.items()},
        **_clustered(parts["quality"], count, clusters),
    )


def _clustered(part: Part, count: int, clusters: Clusters | None) -> dict[str, Any]:
    if clusters is None or part.scored is None:
        return {}
    return {
        "clusters": part.scored.clusters,
        "effective_n": count / part.scored.effect,
        "notes": clusters.notes(part.scored.freedom),
    }


def mean_of(values: npt.NDArray[np.float64], confidence: float) -> Interval:
    """The mean of grades or shares (0..1) with its interval; of a single one it is infinite."""
    if len(values) < 2:
        return Interval(mean=float(values.mean()), low=-math.inf, high=math.inf)
    found = known.mean(values, known.WIDEST)
    low, high = intervals.design(found, confidence)
    return Interval(mean=found.value, low=low, high=high)


def _interval(part: Part, confidence: float, least: float, most: float) -> Interval:
    """Of what is known, as `estimate` has it, within what may be; of a single request infinite."""
    assert part.scored is not None
    mean = part.scored.value
    ends = part.interval("design", confidence) if part.count > 1 else None
    if ends is None:
        return Interval(mean=mean, low=-math.inf, high=math.inf)
    return Interval(mean=mean, low=max(least, ends[0]), high=min(most, ends[1]))


def _usd(name: str, figure: Interval) -> dict[str, Any]:
    return {
        f"{name}_usd": _decimal(figure.mean),
        f"{name}_low_usd": _decimal(figure.low),
        f"{name}_high_usd": _decimal(figure.high),
    }


def _decimal(usd: float) -> Decimal | None:
    return to_usd(round(usd * PICO_PER_USD)) if math.isfinite(usd) else None


def _estimated(
    traffic: Traffic,
    policy: Policy | None,
    name: str,
    value: int | None,
    confidence: float,
    cluster: Cluster | None,
) -> Measured:
    """The figures of a policy that was never run, out of logs."""
    from router.tuning.off_policy import estimates_and_shares

    found, shares = estimates_and_shares(
        traffic,
        policy,
        method=ESTIMATED,
        value_usd=None if value is None else to_usd(value),
        confidence=confidence,
        cluster=cluster,
    )
    quality, cost = found["quality"], found["cost"]
    total = None if cost.value is None else to_usd(round(cost.value * PICO_PER_USD * len(traffic)))
    return Measured(
        name=name,
        policy=policy,
        method=cost.method,
        requests=len(traffic),
        quality=quality.value,
        quality_low=_bounds(quality, 0.0, 1.0)[0],
        quality_high=_bounds(quality, 0.0, 1.0)[1],
        **_estimated_usd("cost", cost),
        total_usd=total,
        **({} if value is None else _estimated_usd("worth", found["worth"])),
        refused=quality.refused,
        support=quality.support,
        shares=shares,
        clusters=quality.clusters,
        effective_n=None if cluster is None else quality.effective_n,
        notes=tuple(dict.fromkeys((*quality.notes, *cost.notes))),
    )


def _bounds(found: Estimate, least: float, most: float) -> tuple[float, float]:
    low, high = (
        (found.low, found.high) if found.low is not None else (found.bounds or (None, None))
    )
    return (least if low is None else low, most if high is None else high)


def _estimated_usd(name: str, found: Estimate) -> dict[str, Any]:
    low, high = _bounds(found, math.nan, math.nan)
    middle = math.nan if found.value is None else found.value
    return _usd(name, Interval(mean=middle, low=low, high=high))
