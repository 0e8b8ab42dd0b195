"""What a gate says: the differences with their intervals, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Literal, TypeAlias

from router.tuning.score import Of, requests_of

Outcome: TypeAlias = Literal["better", "worse", "undecided"]
_NEVER = 10_000
"""So many times the requests at hand are as good as never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Candidate less present for one request: a grade ("quality") or USD ("cost", "worth").

    `low` and `high` are its interval. `value`, `candidate` and `present` are None where the log
    could not have shown all: then the interval holds the worst and the best that may be. `n`
    requests told of it.
    """

    of: Of
    value: float | None
    low: float
    high: float
    candidate: float | None
    present: float | None
    n: int

    def more(self, n: int, than: float) -> int | None:
        """So many more requests than `n`, until the interval should leave `than` on one side.

        It shrinks with the root of the number. None: the difference is too near `than` to say.
        """
        if self.value is None or self.value == than:
            return None
        half = self.value - self.low if self.value > than else self.high - self.value
        factor = (half / (self.value - than)) ** 2
        return max(0, math.ceil(n * (factor - 1))) if factor < _NEVER else None

    def __str__(self) -> str:
        said = "" if self.value is None else f"{self.spell(self.value)}, "
        text = f"{self.of} {said}{self.spell(self.low)} to {self.spell(self.high)}"
        if self.candidate is not None and self.present is not None:
            text += f" ({self.spell(self.candidate, '')} against {self.spell(self.present, '')})"
        return text

    def spell(self, value: float, plus: str = "+") -> str:
        """A figure in its unit."""
        sign = "-" if value < 0 else plus
        return f"{sign}{abs(value):.4f}" if self.of == "quality" else f"{sign}${abs(value):.6f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a candidate policy is "better", "worse" or "undecided", and by how much.

    Differences are of one request, candidate less present; None where nothing tells of them.
    `spent_usd` is what the `n` requests cost, exactly, and `spent_by` says by whom: as logged or,
    where all outcomes are known, with the present policy. `more` requests, graded like these,
    should decide what is open; None where nobody can say, or nothing is open.
    """

    outcome: Outcome
    reason: str
    candidate: str
    present: str
    quality: Difference | None
    cost: Difference | None
    worth: Difference | None
    confidence: float
    interval: str
    n: int
    spent_usd: Decimal
    more: int | None = None
    spent_by: str = ""
    notes: tuple[str, ...] = ()

    @property
    def saved_usd(self) -> tuple[float | None, float, float] | None:
        """What it would have saved over these requests, with its interval; None: not known."""
        if self.cost is None:
            return None
        value = None if self.cost.value is None else -self.cost.value * self.n
        return value, -self.cost.high * self.n, -self.cost.low * self.n

    def __bool__(self) -> bool:
        return self.outcome == "better"

    def __str__(self) -> str:
        sure = f"{100 * self.confidence:g} %"
        lines = [
            f"{self.outcome}: {self.candidate} against {self.present}: {self.reason} ({sure})"
        ]
        lines += [f"  {d}" for d in (self.quality, self.cost, self.worth) if d is not None]
        return "\n".join([*lines, *(f"  {words}" for words in self._words())])

    def _words(self) -> list[str]:
        words = []
        if self.saved_usd is not None:
            value, low, high = self.saved_usd
            said = "between" if value is None else f"{_usd(value)},"
            to = "and" if value is None else "to"
            spent = f"{_usd(float(self.spent_usd))} {self.spent_by or 'as logged'}"
            words.append(
                f"over {requests_of(self.n)}, which cost {spent}, it would "
                f"have saved {said} {_usd(low)} {to} {_usd(high)}"
            )
        if self.outcome == "undecided":
            said = "how many more requests decide it cannot be said"
            words.append(said if self.more is None else f"about {self.more:,} more should decide")
        return [*words, *self.notes]

    def _repr_html_(self) -> str:
        rows = [
            (d.of, "-" if d.value is None else d.spell(d.value), d.spell(d.low), d.spell(d.high))
            for d in (self.quality, self.cost, self.worth)
            if d is not None
        ]
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
        )
        heads = ("of a request", "difference", "low", "high")
        head = "".join(f"<th>{name}</th>" for name in heads)
        first = f"{self.outcome}: {self.candidate} against {self.present}: {self.reason}"
        said = "".join(f"<p>{escape(words)}</p>" for words in self._words())
        return f"<p><b>{escape(first)}</b></p><table><tr>{head}</tr>{body}</table>{said}"


def _usd(value: float) -> str:
    return f"{'-' if value < 0 else ''}${abs(value):,.6f}"
