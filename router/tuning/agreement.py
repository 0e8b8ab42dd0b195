"""How well a judge agrees with labels: what to look at before its grades steer money."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from router.errors import ConfigError

RIGHT = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Grades against labels, over the `n` answers that have both; `missing` lack one.

    `accuracy` is how often both say right (0.5 or more) or wrong, `kappa` that beyond chance
    (Cohen: 1 is perfect, 0 chance), `correlation` Pearson's of the grades, `bias` the mean grade
    minus the mean label: above 0 the judge is lenient. None where either says the same of all.
    """

    n: int
    missing: int
    accuracy: float
    kappa: float | None
    correlation: float | None
    bias: float

    def __str__(self) -> str:
        def said(value: float | None) -> str:
            return "-" if value is None else f"{value:.2f}"

        return (
            f"{self.n:,} answers with both ({self.missing:,} without): accuracy "
            f"{self.accuracy:.2f}, kappa {said(self.kappa)}, correlation "
            f"{said(self.correlation)}, bias {self.bias:+.2f}"
        )


def agreement(scores: Iterable[float | None], labels: Iterable[float | None]) -> Agreement:
    """Compare grades from 0 to 1 with labels of the same answers, in the same order.

    Raises:
        ConfigError: they are not as many, a value is no grade, or no answer has both.
    """
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
    same = float((yes == sure).mean())
    chance = float(yes.mean() * sure.mean() + (1 - yes.mean()) * (1 - sure.mean()))
    varied = judged.std() > 0 and true.std() > 0
    return Agreement(
        n=len(pairs),
        missing=len(first) - len(pairs),
        accuracy=same,
        kappa=(same - chance) / (1 - chance) if chance < 1 else None,
        correlation=float(np.corrcoef(judged, true)[0, 1]) if varied else None,
        bias=float(judged.mean() - true.mean()),
    )


def _grade(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ConfigError(
            f"agreement: expected grades and labels from 0 to 1, got {value!r}"
        ) from None
