"""What a choice aims at: the best quality for a price, or the least cost of a quality."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from router.errors import ConfigError
from router.money import exact_usd, to_pico
from router.tuning.measure import EXACT, Measured
from router.tuning.traffic import Traffic

_MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class Cost:
    """At most so many pico-dollars a request: the best quality within.

    With `sure` the upper bound of the cost must keep to it.
    """

    pico: int
    sure: bool

    def __str__(self) -> str:
        bound = ", surely" if self.sure else ""
        return f"at most {exact_usd(self.pico)} a request{bound}"

    def lacks(self, found: Measured) -> float:
        """By how much it is missed; 0 or less where it is met."""
        usd = found.cost_high_usd if self.sure else found.at[0]
        return float("inf") if usd is None else float(to_pico(usd) - self.pico)

    def holds(self, found: Measured) -> bool:
        """Whether it is met."""
        return self.lacks(found) <= 0

    def close(self, found: Measured) -> bool:
        """Whether it lies within the interval."""
        return found.cost_low_usd is not None and to_pico(found.cost_low_usd) <= self.pico

    def best(self, found: list[tuple[Any, Measured]], level: bool) -> tuple[Any, Measured] | None:
        """The best that meets it; `level` as in `levelled`. None: nobody does."""
        within = [each for each in levelled(found, level) if self.holds(each[1])]
        best = max(within, key=lambda each: (each[2], -each[1].at[0]), default=None)
        return best and best[:2]


@dataclass(frozen=True, slots=True)
class Floor:
    """At least this quality: the lowest cost that has it; with `sure` its lower bound."""

    quality: float
    sure: bool

    def __str__(self) -> str:
        return f"quality at least {self.quality:g}{', surely' if self.sure else ''}"

    def lacks(self, found: Measured) -> float:
        """By how much it is missed; 0 or less where it is met."""
        return self.quality - (found.quality_low if self.sure else found.at[1])

    def holds(self, found: Measured) -> bool:
        """Whether it is met."""
        return self.lacks(found) <= 0

    def close(self, found: Measured) -> bool:
        """Whether it lies within the interval."""
        return found.quality_high >= self.quality

    def best(self, found: list[tuple[Any, Measured]], level: bool) -> tuple[Any, Measured] | None:
        """The best that meets it; `level` as in `levelled`. None: nobody does."""
        above = [
            each
            for each in levelled(found, level)
            if (self.holds(each[1]) if self.sure else each[2] >= self.quality)
        ]
        best = min(above, key=lambda each: (each[1].at[0], -each[2]), default=None)
        return best and best[:2]


def levelled(
    found: list[tuple[Any, Measured]], level: bool = True
) -> list[tuple[Any, Measured, float]]:
    """Each with its quality levelled: where a dearer policy seems worse, both get their mean.

    The best of many estimates is the luckiest one. A family gets better as it gets dearer, so a
    peak among its estimates is noise. Of policies of several kinds nothing like that is known,
    and what is known exactly stays as it is.
    """
    if not level:
        return [(*pair, pair[1].at[1]) for pair in found]
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


def check_target(budget_usd: str | Decimal | None, quality_floor: float | None) -> None:
    """Whether there is one target, and it can be one.

    Raises:
        ConfigError: neither or both; no amount above 0; no grade above 0 and up to 1.
    """
    if (budget_usd is None) == (quality_floor is None):
        raise ConfigError("choose: expected one of budget_usd and quality_floor")
    if budget_usd is None:
        checked_floor(quality_floor)
    else:
        _checked_budget(budget_usd)


def _checked_budget(budget_usd: str | Decimal) -> int:
    try:
        pico = to_pico(budget_usd)
    except ValueError as error:
        raise ConfigError(f"budget_usd: {error}") from None
    if pico <= 0:
        raise ConfigError(f"budget_usd: expected above 0, got {budget_usd!r}")
    return pico


def per_request(traffic: Traffic, budget_usd: str | Decimal, per: str) -> int:
    """Pico-dollars a request, of a budget for each or for a month.

    Raises:
        ConfigError: no amount, no such span, or traffic of less than a day.
    """
    pico = _checked_budget(budget_usd)
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


def checked_floor(floor: float | None) -> float:
    """A grade above 0, at most 1.

    Raises:
        ConfigError: it is none.
    """
    number = isinstance(floor, int | float) and not isinstance(floor, bool)
    if floor is None or not number or not 0 < floor <= 1:
        raise ConfigError(f"quality_floor: expected above 0 and at most 1, got {floor!r}")
    return float(floor)
