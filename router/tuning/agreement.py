"""How well a judge agrees with labels: what to look at before its grades steer money."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.errors import ConfigError
from router.tuning.score import checked_share

RIGHT = 0.5
Interval = tuple[float, float]
_Floats = npt.NDArray[np.float64]
_PRIOR = 0.5
"""Jeffreys' prior of each count; `benchmarks/judge.py` measures how often the truth is held."""
_DRAWS = 4000
_SEED = 20_240_607


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Grades against labels, over the `n` answers that have both; `missing` lack one.

    `accuracy` is how often both say right (0.5 or more) or wrong, `kappa` that beyond chance
    (Cohen: 1 is perfect, 0 chance), `correlation` Pearson's of the grades, `bias` the mean grade
    minus the mean label: above 0 the judge is lenient. None where either says the same of all.
    `accuracy_between` and `kappa_between` are intervals at `confidence` for answers like these,
    each judged by itself: a judge is better than chance if that of kappa is above 0. Do not rely
    on them below about 20 answers, nor where nearly all agree: at 95 % that of accuracy held 80 %
    for a judge right 98 times in 100 (10 answers), 82 % for 99 in 100 (20); a judge by chance was
    called better in 3 % to 4 % of sets of 8 to 30, where 2.5 % is meant.
    """

    n: int
    missing: int
    accuracy: float
    accuracy_between: Interval
    kappa: float | None
    kappa_between: Interval | None
    confidence: float
    correlation: float | None
    bias: float

    def __str__(self) -> str:
        def said(value: float | None) -> str:
            return "-" if value is None else f"{value:.2f}"

        def between(ends: Interval | None) -> str:
            return "" if ends is None else f" ({ends[0]:.2f} to {ends[1]:.2f})"

        return (
            f"{self.n:,} answers with both ({self.missing:,} without): accuracy "
            f"{self.accuracy:.2f}{between(self.accuracy_between)}, kappa {said(self.kappa)}"
            f"{between(self.kappa_between)}, correlation {said(self.correlation)}, bias "
            f"{self.bias:+.2f}; in brackets {self.confidence:.0%}"
        )


def agreement(
    scores: Iterable[float | None],
    labels: Iterable[float | None],
    *,
    confidence: float = 0.95,
) -> Agreement:
    """Compare grades from 0 to 1 with labels of the same answers, in the same order.

    Raises:
        ConfigError: they are not as many, a value is no grade, or no answer has both; or
            `confidence` is not between 0 and 1.
    """
    checked_share("confidence", confidence)
    first, second = list(scores), list(labels)
    if len(first) != len(second):
        raise ConfigError(
            f"agreement: expected as many scores as labels, got {len(first)} and {len(second)}"
        )
    pairs = [
        (_grade(a), _grade(b))
        for a, b in zip(first, second, strict=True)
        if a is not None and b is not None
    ]
    if not pairs:
        raise ConfigError("agreement: expected answers with both a score and a label, got none")
    if not all(0 <= value <= 1 for pair in pairs for value in pair):
        raise ConfigError("agreement: expected grades and labels from 0 to 1")
    judged, true = np.array(pairs).T
    yes, sure = judged >= RIGHT, true >= RIGHT
    cells = [(yes & sure).sum(), (yes & ~sure).sum(), (~yes & sure).sum(), (~yes & ~sure).sum()]
    counts = np.array(cells, dtype=np.float64)
    same, kappa = (float(found) for found in _beyond_chance(counts / len(pairs)))
    drawn = np.random.default_rng(_SEED).dirichlet(counts + _PRIOR, _DRAWS)
    accuracies, kappas = _beyond_chance(drawn)
    told = not np.isnan(kappa)
    varied = judged.std() > 0 and true.std() > 0
    return Agreement(
        n=len(pairs),
        missing=len(first) - len(pairs),
        accuracy=same,
        accuracy_between=_between(accuracies, same, confidence),
        kappa=kappa if told else None,
        kappa_between=_between(kappas, kappa, confidence) if told else None,
        confidence=confidence,
        correlation=float(np.corrcoef(judged, true)[0, 1]) if varied else None,
        bias=float(judged.mean() - true.mean()),
    )


def _beyond_chance(shares: _Floats) -> tuple[_Floats, _Floats]:
    """Accuracy and kappa (NaN: there is none) of tables of shares: both say right, the judge
    alone, the label alone, neither.
    """
    both, judge, label, neither = np.moveaxis(shares, -1, 0)
    same, yes, sure = both + neither, both + judge, both + label
    chance = yes * sure + (1 - yes) * (1 - sure)
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa = np.where(chance < 1, (same - chance) / (1 - chance), np.nan)
    return same, kappa


def _between(drawn: _Floats, value: float, confidence: float) -> Interval:
    """The middle of what was drawn; never without the value itself, which may be its end."""
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return min(float(low), value), max(float(high), value)


def _grade(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ConfigError(
            f"agreement: expected grades and labels from 0 to 1, got {value!r}"
        ) from None
