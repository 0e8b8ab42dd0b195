"""Cost against quality: what policies reach, what single models do, and what no one can beat."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from html import escape
from typing import TYPE_CHECKING, Any

from policies import cheapest, restrict, utility
from router.errors import ConfigError
from router.money import PICO_PER_USD, to_usd
from router.tuning._shown import points_html
from router.tuning.clusters import clusters_of
from router.tuning.exact import best
from router.tuning.given import PolicyLike, TrafficLike, policy_of, traffic_of
from router.tuning.hull import hull_of, mixed_quality
from router.tuning.logged import Cluster
from router.tuning.measure import EXACT, Measured, measure, of_replay
from router.tuning.score import requests_of
from router.tuning.sweep import Policies, family, sweep
from router.tuning.traffic import Traffic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_IN_USE = "in use"
_NAMED = 3
"""So many that tell nothing are named; the rest is counted."""
_LUCKIEST = (
    "estimated from logs: the best of many estimates is the luckiest, so what it would gain is "
    "not told; pick with tuning.choose, which holds half out, then compare with tuning.gate"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """What can be had of this traffic, for a request: `points` of policies, `singles` (all to one
    candidate), the `oracle`, and the `point` of the policy in use.

    The oracle takes the best answer there is at its lowest cost: it knows every grade before.
    Without all outcomes nobody knows it, and it is None. `hull` has those points that no other
    one, nor a mix of two, beats: cheapest first. `untold` are those of which the traffic tells
    no more than bounds: logs that left nothing to chance tell of the policy in use alone.

    Of estimates the hull takes the luckiest: it lies above what these policies would get, so
    `gain` and `savings_usd` are None, and `caution` says what to do instead.
    """

    points: tuple[Measured, ...]
    singles: tuple[Measured, ...]
    oracle: Measured | None
    point: Measured | None
    requests: int
    untold: tuple[Measured, ...] = ()

    @property
    def hull(self) -> tuple[Measured, ...]:
        """The best of `points`, from the cheapest to the dearest, gains shrinking on the way."""
        return hull_of(self.points)

    @property
    def caution(self) -> str:
        """Why no gain is told, and what tells it; empty where all outcomes are known."""
        everyone = [*self.points, *([] if self.point is None else [self.point])]
        return _LUCKIEST if any(p.method != EXACT for p in everyone) else ""

    @property
    def regret(self) -> float | None:
        """How much more quality the oracle has than the policy in use (None: one is missing)."""
        if self.oracle is None or self.point is None:
            return None
        return self.oracle.at[1] - self.point.at[1]

    @property
    def savings_usd(self) -> Decimal | None:
        """USD a request that the frontier saves at the quality of the policy in use.

        Negative where the policy is cheaper than any mix of `points`; None where none is as good,
        or where all is estimated.
        """
        if self.point is None or self.caution:
            return None
        if (cost := self.cost_at(self.point.at[1])) is None:
            return None
        return self.point.at[0] - cost

    @property
    def gain(self) -> float | None:
        """Quality that the frontier adds at the cost of the policy in use.

        None where it is unknown, or all is estimated.
        """
        if self.point is None or self.caution:
            return None
        if (quality := self.quality_at(self.point.at[0])) is None:
            return None
        return quality - self.point.at[1]

    def quality_at(self, cost_usd: Decimal | str) -> float | None:
        """The most quality for USD a request, mixing two points; None below the cheapest.

        Of estimates it is what the luckiest show, hence too much.

        Raises:
            ConfigError: it is no amount.
        """
        try:
            usd = Decimal(cost_usd)
        except (InvalidOperation, TypeError, ValueError):
            usd = Decimal("NaN")
        if not usd.is_finite():
            raise ConfigError(f"cost_usd: expected an amount such as '0.002', got {cost_usd!r}")
        return mixed_quality(self.hull, usd)

    def cost_at(self, quality: float) -> Decimal | None:
        """The least USD a request for a quality, mixing two points; None where none has it.

        Of estimates it is what the luckiest show, hence too little.
        """
        reached = [point.at for point in self.hull]
        if not reached or quality > reached[-1][1]:
            return None
        if quality <= reached[0][1]:
            return reached[0][0]
        at = next(i for i, (_, good) in enumerate(reached) if good >= quality)
        (low_usd, low), (high_usd, high) = reached[at - 1], reached[at]
        share = (quality - low) / (high - low)
        return low_usd + to_usd(round(share * float(high_usd - low_usd) * PICO_PER_USD))

    def to_frame(self, backend: str = "pandas") -> Any:
        """A table of all points; `kind` is "policy", "single", "oracle" or "present".

        Raises:
            ConfigError: no such backend, or its library is not installed.
        """
        from router.frames import to_frame

        kinds = [("policy", p) for p in self.points] + [("single", p) for p in self.singles]
        kinds += [("oracle", self.oracle)] if self.oracle else []
        kinds += [("present", self.point)] if self.point else []
        best_of = {id(point) for point in self.hull}
        rows = [{"kind": k, "on_hull": id(p) in best_of, **p.row()} for k, p in kinds]
        columns = list(dict.fromkeys(name for row in rows for name in row))
        full = [
            {n: row.get(n, 0.0 if n.startswith("share:") else None) for n in columns}
            for row in rows
        ]
        return to_frame(columns, full, backend)

    def plot(self) -> Figure:
        """The picture of it; see `router.tuning.plots`."""
        from router.tuning.plots import frontier_figure

        return frontier_figure(self)

    def _repr_html_(self) -> str:
        best = [p.name for p in self.hull]
        others = [p for p in (self.point, self.oracle) if p is not None]
        shown = sorted([*self.hull, *self.singles, *others], key=lambda p: p.at)
        said = f"<p>{escape(self.caution)}</p>" if self.caution else ""
        return points_html(shown, best) + said

    def __repr__(self) -> str:
        best = "luckiest estimates" if self.caution else "on the frontier"
        lines = [requests_of(self.requests), *(f"  all to {p}" for p in self.singles)]
        lines += [f"  {best}: {p}" for p in self.hull]
        lines += [f"  {_in_use(self.point)}"] if self.point else []
        lines += [f"  {self.oracle}"] if self.oracle else []
        if self.untold:
            lines.append(f"  not told by this traffic: {_listed(self.untold)}")
        if self.gain is not None and self.point is not None:
            lines.append(f"  at the cost of the policy in use: quality {self.gain:+.3f}")
        if self.savings_usd is not None:
            lines.append(f"  at its quality: {-self.savings_usd:+.6f} USD a request")
        return "\n".join([*lines, *([f"  {self.caution}"] if self.caution else [])])


def frontier(
    traffic: TrafficLike,
    policies: Policies | None = None,
    *,
    point: PolicyLike | None = None,
    confidence: float = 0.95,
    cluster: Cluster | None = None,
    progress: bool = True,
) -> Frontier:
    """The frontier of these policies, by default `utility` over what a right answer may be worth.

    `point` is the policy in use; left out, that which logged the traffic, where it was logged.
    Exact where all outcomes are known; else estimates from logs, with no oracle and no gain: a
    point chosen on the traffic that it is shown on looks better than it is. `choose` holds some
    out. `cluster` says which requests belong together, as in `estimate`.

    Raises:
        ConfigError: no traffic, too few clusters, or none that can be decided anew.
    """
    traffic = traffic_of(traffic)
    point = None if point is None else policy_of(point, "point")
    swept = sweep(
        traffic,
        family(utility) if policies is None else policies,
        confidence=confidence,
        cluster=cluster,
        progress=progress,
    )
    singles = [
        measure(
            traffic, restrict(cheapest(), name), name=name, confidence=confidence, cluster=cluster
        )
        for name in _quoted(traffic)
    ]
    told = [single for single in singles if single.told]
    told.sort(key=lambda single: single.at)
    oracle = present = None
    if traffic.complete:
        clusters = clusters_of(traffic, cluster)
        oracle = of_replay(
            best(traffic), "oracle", None, value=None, confidence=confidence, clusters=clusters
        )
    if point is not None or not traffic.complete:
        name = "as logged" if point is None else f"{_IN_USE}: {point}"
        present = measure(traffic, point, name=name, confidence=confidence, cluster=cluster)
    unclear = [p for p in (*swept.points, *singles, present) if p is not None and not p.told]
    return Frontier(
        points=tuple(p for p in swept.points if p.told),
        singles=tuple(told),
        oracle=oracle,
        point=present if present is not None and present.told else None,
        requests=len(traffic),
        untold=tuple(unclear),
    )


def _in_use(point: Measured) -> str:
    return str(point) if point.name.startswith(_IN_USE) else f"{_IN_USE}: {point}"


def _listed(untold: tuple[Measured, ...]) -> str:
    more = len(untold) - _NAMED
    named = ", ".join(point.name for point in untold[:_NAMED])
    return f"{named} and {more:,} more" if more > 0 else named


def _quoted(traffic: Traffic) -> tuple[str, ...]:
    """Candidates that were quoted for every request that has quotes: only they could have all."""
    found: set[str] | None = None
    for request in traffic.replayable:
        assert request.record is not None
        names = {quote.name for quote in request.record.quotes}
        found = names if found is None else found & names
    return tuple(sorted(found or ()))
