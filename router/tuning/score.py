"""From replayed cases to means of quality, cost and worth, and to what no log can tell of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np

from router.errors import ConfigError
from router.tuning import calibrate, intervals
from router.tuning.calibrate import Fitted
from router.tuning.estimators import (
    Array,
    Log,
    Scored,
    direct,
    doubly_robust,
    ips,
    snips,
)
from router.tuning.replay import Cases

Of: TypeAlias = Literal["quality", "cost", "worth"]
Method: TypeAlias = Literal["dr", "snips", "ips", "direct"]
IntervalName: TypeAlias = Literal["design", "normal", "bernstein", "bootstrap", "sequence"]

UNITS: Mapping[str, str] = {"quality": "grade", "cost": "USD", "worth": "USD"}
_INTERVALS: Mapping[str, Callable[[Scored, float], intervals.Interval]] = {
    "design": intervals.design,
    "normal": intervals.normal,
    "bernstein": intervals.bernstein,
    "bootstrap": intervals.bootstrap,
    "sequence": intervals.sequence,
}
_ESTIMATORS = {"dr": doubly_robust, "snips": snips, "ips": ips}
_RARE = 0.01
"""What the log would have done less than once in a hundred logs like it counts as never done."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A mean as far as the log tells of it; what it does not adds between `least` and `most`.

    `scored` is None where nothing is known at all. `count` requests tell of it.
    """

    scored: Scored | None
    least: float
    most: float
    count: int
    direct: float

    def interval(self, name: IntervalName, confidence: float) -> tuple[float, float] | None:
        """The interval, made wider by what the log does not tell."""
        if self.scored is None:
            return None
        low, high = _INTERVALS[name](self.scored, confidence)
        return low + self.least, high + self.most


@dataclass(frozen=True, slots=True, eq=False)
class Models:
    """What the quotes say of quality and cost (USD) of each line, recalibrated on the log."""

    quality: Fitted
    cost: Fitted


def models(found: Cases) -> Models:
    """Both models, cross-fitted; they do not depend on any target.

    What belongs together is in one fold.
    """
    log = found.log
    row = log.row if log.clusters is None else log.clusters.of[log.row]
    of = (row, log.arm, log.taken)
    return Models(
        calibrate.quality(*of, found.quality, found.quoted),
        calibrate.cost(*of, found.cost, found.price),
    )


def parts(
    found: Cases,
    fitted: Models,
    target: Array,
    method: Method = "dr",
    value: float | None = None,
    clip: float | None = None,
) -> dict[Of, Part]:
    """Quality and cost (USD) of a target, and its worth where a right answer has a value (USD).

    `target` may be the difference of two policies: then so are these.
    """
    log = seen(found.log)
    out = np.where(log.chance > 0, 0.0, target)
    most = np.ones_like(out)
    quality = _part(log, target, out, found.quality, fitted.quality, most, method, clip)
    cost = _part(log, target, out, found.cost, fitted.cost, found.ceiling, method, clip)
    if cost.scored is not None:
        cost = replace(cost, scored=replace(cost.scored, reach=None))
    made: dict[Of, Part] = {"quality": quality, "cost": cost}
    if value is not None:
        made["worth"] = worth(quality, cost, value)
    return made


def seen(log: Log) -> Log:
    """The log without the chance of what it would hardly ever have done."""
    return replace(log, chance=np.where(log.chance * log.n >= _RARE, log.chance, 0.0))


def worth(quality: Part, cost: Part, value: float) -> Part:
    """`value` times quality, less cost."""
    scored = None
    if quality.scored is not None and cost.scored is not None:
        scored = _scaled(quality.scored, value)
        # Hard prompts are dear and go wrong: only what widens the interval is counted.
        together = float(quality.scored.influence @ cost.scored.influence)
        apart = math.sqrt(_power(quality.scored) * _power(cost.scored))
        low = min(0.0, together / apart) if apart else 0.0
        covariance = low * math.sqrt(scored.variance * cost.scored.variance)
        scored = scored.plus(cost.scored, -1.0, covariance)
    return Part(
        scored,
        value * quality.least - cost.most,
        value * quality.most - cost.least,
        quality.count,
        value * quality.direct - cost.direct,
    )


def checked_value(value_usd: object, of: str) -> float | None:
    """What a right answer is worth, in USD.

    Raises:
        ConfigError: it is no positive amount, or is needed and not given.
    """
    if value_usd is None:
        if of == "worth":
            raise ConfigError(
                "value_usd: expected what a right answer is worth in USD, such as '0.01': "
                "worth is value_usd x quality - cost"
            )
        return None
    try:
        value = float(str(value_usd))
    except ValueError:
        value = math.nan
    if isinstance(value_usd, bool) or not 0 < value < math.inf:
        raise ConfigError(f"value_usd: expected an amount above 0 in USD, got {value_usd!r}")
    return value


def requests_of(n: int) -> str:
    """The number in words: "1 request", "1,000 requests"."""
    return f"{n:,} request{'' if n == 1 else 's'}"


def checked_share(name: str, value: object) -> float:
    """A number between 0 and 1.

    Raises:
        ConfigError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise ConfigError(f"{name}: expected between 0 and 1, got {value!r}")
    return float(value)


def checked_word(name: str, value: object, words: object) -> None:
    """One of the words of a `Literal`.

    Raises:
        ConfigError: it is none of them.
    """
    if value not in get_args(words):
        raise ConfigError(f"{name}: expected one of {', '.join(get_args(words))}; got {value!r}")


def _part(
    log: Log,
    target: Array,
    out: Array,
    rewards: Array,
    fitted: Fitted,
    most: Array,
    method: Method,
    clip: float | None,
) -> Part:
    scored = None
    if method != "direct":
        scored = _ESTIMATORS[method](log, target, rewards, fitted, clip=clip)
    return Part(
        scored,
        float((np.minimum(out, 0.0) * most).sum()) / log.n,
        float((np.maximum(out, 0.0) * most).sum()) / log.n,
        int(np.isfinite(rewards).sum()),
        direct(log, target, fitted),
    )


def _power(scored: Scored) -> float:
    return float(scored.influence @ scored.influence)


def _scaled(scored: Scored, by: float) -> Scored:
    nothing = Scored(0.0, np.zeros_like(scored.influence), 0.0, 0.0)
    return nothing.plus(scored, by)
