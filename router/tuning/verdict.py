"""What a gate says: the differences with their intervals, and what follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Literal, TypeAlias

from router.tuning.score import Of, requests_of

Outcome: TypeAlias = Literal["better", "worse", "undecided"]
LOGGED = "as logged"
PRESENT = "with the present policy"
"""What `spent_usd` is of."""
_NEVER = 10_000
"""So many times the requests at hand are as good as never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Candidate less present for one request: a grade ("quality") or USD ("cost", "worth").

    `low` and `high` are its interval. `value`, `candidate` and `present` are None where the log
    could not have shown all: then the interval holds the worst and the best that may be. `n`
    requests told of it; where they belong together, in so many `clusters`, and as much as
    `effective_n` independent ones would.
    """

    of: Of
    value: float | None
    low: float
    high: float
    candidate: float | None
    present: float | None
    n: int
    clusters: int | None = None
    effective_n: float | None = None

    def more(self, n: int, than: float) -> int | None:
        """So many more requests than `n`, until the interval should leave `than` on one side.

        It shrinks with the root of the number, that of clusters where requests belong together.
        None: the difference is too near `than` to say.
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
        if self.clusters is not None and self.effective_n is not None:
            text += f"; {requests_of(self.n)} in {self.clusters:,} clusters that tell as much as "
            text += f"{self.effective_n:,.0f} independent ones"
        return text

    def spell(self, value: float, plus: str = "+") -> str:
        """A figure in its unit."""
        sign = "-" if value < 0 else plus
        return f"{sign}{abs(value):.4f}" if self.of == "quality" else f"{sign}${abs(value):.6f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a candidate policy is "better", "worse" or "undecided", and by how much.

    Differences are of one request, candidate less present; None where nothing tells of them.
    `spent_usd` is what the `n` requests cost, exactly, and `spent_by` says how: as logged or,
    where all outcomes are known, with the present policy. `present_usd` is what they would have
    cost with the present policy, which savings are against: an estimate, unless it is
    `spent_usd`; None where the log does not tell. `more` requests, graded like these,
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
    present_usd: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def saved_usd(self) -> tuple[float | None, float, float] | None:
        """What it would have saved over these requests, of what they would have cost with the
        present policy, with its interval; below 0 it costs more. None: not known.
        """
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
            saved = _saved(*self.saved_usd)
            words.append(
                f"over {requests_of(self.n)}, which {self._basis()}, it would have {saved}"
            )
        if self.outcome == "undecided":
            said = "how many more requests decide it cannot be said"
            words.append(said if self.more is None else f"about {self.more:,} more should decide")
        return [*words, *self.notes]

    def _basis(self) -> str:
        """What the requests cost, or would have cost: what savings are to be seen against."""
        spent = _usd(float(self.spent_usd))
        if self.spent_by == PRESENT:
            return f"would have cost {spent} with {self.present}"
        logged = self.spent_by or LOGGED
        if self.present_usd is None:
            return f"cost {spent} {logged} (with {self.present}, the log does not tell)"
        if self.present_usd == float(self.spent_usd):
            return f"cost {spent} {logged}"
        usd = _usd(self.present_usd)
        return f"would have cost {usd} with {self.present} ({logged}: {spent})"

    def _repr_html_(self) -> str:
        found = [d for d in (self.quality, self.cost, self.worth) if d is not None]
        rows = [
            (
                d.of,
                "-" if d.value is None else d.spell(d.value),
                d.spell(d.low),
                d.spell(d.high),
                *(() if d.clusters is None else (f"{d.clusters:,}", f"{d.effective_n or 0:,.0f}")),
            )
            for d in found
        ]
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
        )
        heads = ["of a request", "difference", "low", "high"]
        if any(d.clusters is not None for d in found):
            heads += ["clusters", "effective n"]
        head = "".join(f"<th>{name}</th>" for name in heads)
        first = f"{self.outcome}: {self.candidate} against {self.present}: {self.reason}"
        said = "".join(f"<p>{escape(words)}</p>" for words in self._words())
        return f"<p><b>{escape(first)}</b></p><table><tr>{head}</tr>{body}</table>{said}"


def decided(
    made: dict[Of, Difference], value: float | None, margin: float, n: int
) -> tuple[Outcome, str, int | None]:
    """The outcome, why, and how many more requests it may take where it is open."""
    if value is not None:
        worth = made.get("worth")
        if worth is None:
            return "undecided", "no request has a grade and a cost", None
        if worth.low > 0:
            return "better", "surely worth more", None
        if worth.high < 0:
            return "worse", "surely worth less", None
        return "undecided", "the difference in worth may be nothing", worth.more(n, 0.0)
    cost, quality = made.get("cost"), made.get("quality")
    if cost is None or quality is None:
        lacks = "grade" if quality is None else "cost"
        return "undecided", f"no request has a {lacks}", None
    if quality.high < -margin:
        return "worse", _than("surely worse answers", margin), None
    if cost.low > 0 and quality.high <= margin:
        return "worse", _than("surely dearer, and answers surely not better", margin), None
    cheaper, as_good = cost.high < 0, quality.low >= -margin
    if cheaper and as_good:
        return "better", _than("surely cheaper, and answers surely not worse", margin), None
    open_ones = [
        *([] if cheaper else [("cheaper", cost.more(n, 0.0) if (cost.value or 0) < 0 else None)]),
        *([] if as_good else [("as good", quality.more(n, -margin))]),
    ]
    reason = f"not sure to be {' and '.join(word for word, _ in open_ones)}"
    needs = [more for _, more in open_ones]
    known_needs = [more for more in needs if more is not None]
    return "undecided", reason, max(known_needs) if len(known_needs) == len(needs) else None


def _than(words: str, margin: float) -> str:
    return f"{words} by more than {margin:g}" if margin else words


def _saved(value: float | None, low: float, high: float) -> str:
    less = (low + high if value is None else value) >= 0
    ends = (low, high) if less else (-high, -low)
    verb, more = ("saved", "") if less else ("cost", " more")
    if value is None:
        return f"{verb} between {_usd(ends[0])} and {_usd(ends[1])}{more}"
    return f"{verb} {_usd(abs(value))}{more}, {_usd(ends[0])} to {_usd(ends[1])}"


def _usd(value: float) -> str:
    return f"{'-' if value < 0 else ''}${abs(value):,.6f}"
