"""The policy of a family that meets a dollar target or a quality floor, told on held-out data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias

from policies import utility
from policies.types import Policy
from router.errors import ConfigError
from router.tuning.clusters import clusters_of
from router.tuning.given import PolicyLike, TrafficLike, policy_of, takes_two, traffic_of
from router.tuning.logged import Cluster
from router.tuning.measure import Measured, measure
from router.tuning.save import save_policy
from router.tuning.score import requests_of
from router.tuning.sweep import Family, family, named_policies, sweep
from router.tuning.targets import Cost, Floor, check_target, checked_floor, per_request

_FINER = 8
"""Values that are tried between the neighbours of the best one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A policy with its figures: `fitted` on the traffic it was chosen on, `held_out` on the rest.

    `value` is that of the family's parameter, or the name of the policy among those given.
    Only `held_out` says what to expect: the best of many looks better than it is where it was
    picked. `met` says whether the target holds there (without a rest, where it was fitted), and
    `close` whether it lies within the interval.
    """

    policy: Policy
    value: Any
    target: str
    fitted: Measured
    held_out: Measured | None
    met: bool
    close: bool

    @property
    def figures(self) -> Measured:
        """Those on held-out traffic, where there is some."""
        return self.held_out or self.fitted

    def save(self, path: str | Path, *, at: datetime | None = None) -> Path:
        """Write the policy as TOML with its figures as a comment; `at` is the date to put there.

        Raises:
            ConfigError: as in `save_policy`.
        """
        return save_policy(self.policy, path, head=self.describe(at=at))

    def describe(self, *, at: datetime | None = None) -> str:
        """Target and figures in a few lines."""
        day = f", {at:%Y-%m-%d}" if at else ""
        where = "held-out traffic" if self.held_out else "the traffic it was chosen on"
        lines = [f"Chosen by router.tuning{day}: {self.target}."]
        lines.append(
            f"On {where}, {requests_of(self.figures.requests)}: {self.figures.figures()}."
        )
        if self.held_out:
            count = requests_of(self.fitted.requests)
            lines.append(f"Where it was chosen, {count}: {self.fitted.figures()}.")
        if not self.met:
            close = "by less than its interval: chance may explain it" if self.close else "clearly"
            lines.append(f"There the target is missed, {close}.")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"{self.policy}\n{self.describe()}"


Among: TypeAlias = (
    Family | Callable[[Any], Policy] | Mapping[str, PolicyLike] | Sequence[PolicyLike]
)
"""A family, what makes one, or several policies of any kind, by name or not."""


def choose(
    traffic: TrafficLike,
    policies: Among = utility,
    *,
    budget_usd: str | Decimal | None = None,
    per: Literal["request", "month"] = "request",
    quality_floor: float | None = None,
    sure: bool = False,
    held_out: float = 0.5,
    confidence: float = 0.95,
    cluster: Cluster | None = None,
    progress: bool = True,
) -> Choice:
    """The best quality that `budget_usd` pays for, or the least cost with `quality_floor`.

    `budget_usd` is the mean cost of a request, or the cost of a month of 30 days of as many
    requests a day as this traffic has. With `sure` the interval must keep to it: its upper bound
    of cost, its lower bound of quality. `policies` are a family (`utility` by default), or several
    of any kind: presets, files, your own. The values of a family are tried, then finer ones
    between the neighbours of the best; where quality is estimated, peaks that a dearer one of the
    family undoes are levelled first. `held_out` is the share of requests that has no say in the
    choice and only reports; 0 reports on the same traffic, which flatters. `cluster` says which
    requests belong together, as in `estimate`: no cluster is in both parts.

    Raises:
        ConfigError: neither target or both; too little traffic, or too few clusters in a part;
            nobody meets the target (says who comes nearest).
    """
    check_target(budget_usd, quality_floor)
    if not 0 <= held_out < 1:
        raise ConfigError(f"held_out: expected 0, or a share below 1, got {held_out!r}")
    tried = _tries(policies)
    traffic = traffic_of(traffic)
    target = (
        Cost(per_request(traffic, budget_usd, per), sure)
        if budget_usd is not None
        else Floor(checked_floor(quality_floor), sure)
    )
    # Said of all of it: a part of nothing would only say that it is empty.
    clusters = clusters_of(traffic, cluster)
    first, rest = traffic.split(1 - held_out, cluster=cluster) if held_out else (traffic, None)
    if not len(first) or (rest is not None and not len(rest)):
        many = requests_of(len(traffic)) if clusters is None else f"{clusters.count:,} clusters"
        raise ConfigError(f"traffic: {many} are too few to hold some out")

    def measured(some: Family | Mapping[str, Policy]) -> list[tuple[Any, Measured]]:
        swept = sweep(first, some, confidence=confidence, cluster=cluster, progress=progress)
        return _told(some.values if isinstance(some, Family) else list(some), swept)

    level = isinstance(tried, Family)
    found = measured(tried)
    best = target.best(found, level)
    if best is None:
        near = min(found, key=lambda pair: target.lacks(pair[1]))[1]
        raise ConfigError(f"choose: no policy meets {target}; the nearest is {near}")
    finer = _between(tried, best[0]) if isinstance(tried, Family) else None
    if finer is not None:
        best = target.best([best, *measured(finer)], level) or best
    value, fitted = best
    policy = tried.make(value) if isinstance(tried, Family) else tried[value]
    told = None
    if rest is not None:
        told = measure(rest, policy, name=fitted.name, confidence=confidence, cluster=cluster)
    return Choice(
        policy=policy,
        value=value,
        target=str(target),
        fitted=fitted,
        held_out=told,
        met=target.holds(told or fitted),
        close=target.close(told or fitted),
    )


def _tries(policies: Any) -> Family | Mapping[str, Policy]:
    if isinstance(policies, Family):
        return policies
    several = isinstance(policies, Mapping) or (
        isinstance(policies, Sequence) and not isinstance(policies, str)
    )
    if several:
        return named_policies(policies)
    if isinstance(policies, str | Path) or (
        callable(policies) and not isinstance(policies, type) and takes_two(policies)
    ):
        raise ConfigError(
            f"policies: expected a family such as utility, or several to choose from, got one, "
            f"{policy_of(policies, 'policies')}: sweep and estimate measure it"
        )
    return family(policies)


def _told(values: Sequence[Any], swept: Sequence[Measured]) -> list[tuple[Any, Measured]]:
    both = list(zip(values, swept, strict=True))
    if not (told := [pair for pair in both if pair[1].told]):
        raise ConfigError("; ".join(["choose: the traffic tells of no policy", *both[0][1].notes]))
    return told


def _between(tried: Family, value: Any) -> Family | None:
    """Values between the neighbours of the best; None where they are no numbers."""
    at = tried.values.index(value)
    low, high = tried.values[max(0, at - 1)], tried.values[min(len(tried) - 1, at + 1)]
    try:
        ends = float(low), float(value), float(high)
    except (TypeError, ValueError):
        return None
    text = isinstance(value, str)  # money
    steps = [k / (_FINER // 2 + 1) for k in range(1, _FINER // 2 + 1)]
    made = dict[Any, None]()
    for one, other in ((ends[0], ends[1]), (ends[1], ends[2])):
        for step in steps if one != other else ():
            found = one * (other / one) ** step if text and one > 0 else one + step * (other - one)
            made[f"{found:.9f}" if text else type(value)(found)] = None
    made.pop(value, None)
    return Family(tried.make, tuple(made), tried.parameter) if made else None
