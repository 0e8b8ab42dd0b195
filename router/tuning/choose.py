"""The policy of a family that meets a dollar target or a quality floor, told on held-out data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from policies import utility
from policies.types import Policy
from router.errors import ConfigError
from router.money import format_usd, to_pico
from router.tuning.measure import EXACT, Measured, measure
from router.tuning.save import save_policy
from router.tuning.score import requests_of
from router.tuning.sweep import Family, family, sweep
from router.tuning.traffic import Traffic

_FINER = 8
"""Values that are tried between the neighbours of the best one."""
_MONTH_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A policy with its figures: `fitted` on the traffic it was chosen on, `held_out` on the rest.

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


def choose(
    traffic: Traffic,
    policies: Family | Callable[[Any], Policy] = utility,
    *,
    budget_usd: str | Decimal | None = None,
    per: Literal["request", "month"] = "request",
    quality_floor: float | None = None,
    sure: bool = False,
    held_out: float = 0.5,
    confidence: float = 0.95,
    progress: bool = True,
) -> Choice:
    """The best quality that `budget_usd` pays for, or the least cost with `quality_floor`.

    `budget_usd` is the mean cost of a request, or the cost of a month of 30 days of as many
    requests a day as this traffic has. With `sure` the interval must keep to it: its upper bound
    of cost, its lower bound of quality. The values of the family are tried, then finer ones
    between the neighbours of the best; where quality is estimated, peaks that a dearer policy
    undoes are levelled first. `held_out` is the share of requests that has no say in the
    choice and only reports; 0 reports on the same traffic, which flatters.

    Raises:
        ConfigError: neither target or both; too little traffic; nobody meets the target (says who
            comes nearest).
    """
    if (budget_usd is None) == (quality_floor is None):
        raise ConfigError("choose: expected one of budget_usd and quality_floor")
    if not 0 <= held_out < 1:
        raise ConfigError(f"held_out: expected 0, or a share below 1, got {held_out!r}")
    target = (
        _Cost(_per_request(traffic, budget_usd, per), sure)
        if budget_usd is not None
        else _Floor(_checked_floor(quality_floor), sure)
    )
    first, rest = traffic.split(1 - held_out) if held_out else (traffic, None)
    if not len(first) or (rest is not None and not len(rest)):
        raise ConfigError(f"traffic: {requests_of(len(traffic))} are too few to hold some out")
    tried = policies if isinstance(policies, Family) else family(policies)
    found = _tried(first, tried, confidence, progress)
    best = target.best(found)
    if best is None:
        near = min(found, key=lambda pair: target.lacks(pair[1]))[1]
        raise ConfigError(f"choose: no policy meets {target}; the nearest is {near}")
    finer = _between(tried, best[0])
    if finer is not None:
        best = target.best([best, *_tried(first, finer, confidence, progress)]) or best
    value, fitted = best
    policy = tried.make(value)
    told = None
    if rest is not None:
        told = measure(rest, policy, name=fitted.name, confidence=confidence)
    return Choice(
        policy=policy,
        value=value,
        target=str(target),
        fitted=fitted,
        held_out=told,
        met=target.holds(told or fitted),
        close=target.close(told or fitted),
    )


@dataclass(frozen=True, slots=True)
class _Cost:
    """At most so many pico-dollars a request: the best quality within."""

    pico: int
    sure: bool

    def __str__(self) -> str:
        bound = ", surely" if self.sure else ""
        return f"at most {format_usd(self.pico)} a request{bound}"

    def lacks(self, found: Measured) -> float:
        usd = found.cost_high_usd if self.sure else found.at[0]
        return float("inf") if usd is None else float(to_pico(usd) - self.pico)

    def holds(self, found: Measured) -> bool:
        return self.lacks(found) <= 0

    def close(self, found: Measured) -> bool:
        return found.cost_low_usd is not None and to_pico(found.cost_low_usd) <= self.pico

    def best(self, found: list[tuple[Any, Measured]]) -> tuple[Any, Measured] | None:
        within = [each for each in _levelled(found) if self.holds(each[1])]
        best = max(within, key=lambda each: (each[2], -each[1].at[0]), default=None)
        return best and best[:2]


@dataclass(frozen=True, slots=True)
class _Floor:
    """At least this quality: the lowest cost that has it."""

    quality: float
    sure: bool

    def __str__(self) -> str:
        return f"quality at least {self.quality:g}{', surely' if self.sure else ''}"

    def lacks(self, found: Measured) -> float:
        return self.quality - (found.quality_low if self.sure else found.at[1])

    def holds(self, found: Measured) -> bool:
        return self.lacks(found) <= 0

    def close(self, found: Measured) -> bool:
        return found.quality_high >= self.quality

    def best(self, found: list[tuple[Any, Measured]]) -> tuple[Any, Measured] | None:
        above = [
            each
            for each in _levelled(found)
            if (self.holds(each[1]) if self.sure else each[2] >= self.quality)
        ]
        best = min(above, key=lambda each: (each[1].at[0], -each[2]), default=None)
        return best and best[:2]


def _tried(
    traffic: Traffic, tried: Family, confidence: float, progress: bool
) -> list[tuple[Any, Measured]]:
    swept = sweep(traffic, tried, confidence=confidence, progress=progress)
    both = list(zip(tried.values, swept.points, strict=True))
    if not (told := [pair for pair in both if pair[1].told]):
        raise ConfigError("; ".join(["choose: the traffic tells of no policy", *both[0][1].notes]))
    return told


def _levelled(found: list[tuple[Any, Measured]]) -> list[tuple[Any, Measured, float]]:
    """Each with its quality levelled: where a dearer policy seems worse, both get their mean.

    The best of many estimates is the luckiest one. A family gets better as it gets dearer, so a
    peak among its estimates is noise. What is known exactly stays as it is.
    """
    blocks: list[list[tuple[Any, Measured]]] = []
    for pair in sorted(found, key=lambda p: p[1].at):
        blocks.append([pair])
        while (
            len(blocks) > 1 and pair[1].method != EXACT and _mean(blocks[-2]) >= _mean(blocks[-1])
        ):
            last = blocks.pop()
            blocks[-1] += last
    return [(*pair, _mean(block)) for block in blocks for pair in block]


def _mean(block: list[tuple[Any, Measured]]) -> float:
    return sum(point.at[1] for _, point in block) / len(block)


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


def _per_request(traffic: Traffic, budget_usd: str | Decimal, per: str) -> int:
    try:
        pico = to_pico(budget_usd)
    except ValueError as error:
        raise ConfigError(f"budget_usd: {error}") from None
    if pico <= 0:
        raise ConfigError(f"budget_usd: expected above 0, got {budget_usd!r}")
    if per == "request":
        return pico
    if per != "month":
        raise ConfigError(f"per: expected 'request' or 'month', got {per!r}")
    return int(pico / a_month(traffic))


def a_month(traffic: Traffic) -> float:
    """Requests in a month of 30 days, as many a day as this traffic has.

    Raises:
        ConfigError: the traffic spans less than a day.
    """
    times = [request.at for request in traffic]
    days = (max(times) - min(times)).total_seconds() / 86400 if times else 0.0
    if days < 1:
        raise ConfigError(
            "per='month': the traffic spans less than a day, so nobody knows what a month has; "
            "give the budget for a request"
        )
    return len(traffic) / days * _MONTH_DAYS


def _checked_floor(floor: float | None) -> float:
    if floor is None or not 0 < floor <= 1:
        raise ConfigError(f"quality_floor: expected above 0 and at most 1, got {floor!r}")
    return float(floor)
