"""An estimate: a mean, its interval, what it rests on, and what it cannot know."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any

from router.tuning.score import UNITS, Of, requests_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The mean for one request: a grade in 0..1 (`of="quality"`) or USD ("cost", "worth").

    `value` is None where the log cannot tell; `low` and `high` are its interval at `confidence`,
    None where there is none. `bounds` hold in any case: what the log could not have shown counts
    as the worst and the best (grades 0 and 1, costs 0 and the quotes' ceilings).

    `n` requests told of it. `support` is the share of the policy's choices that the log had a
    chance to make, and `effective_n` how many requests answered by the policy itself would tell as
    much. Where requests belong together `clusters` of them told of it, and `effective_n` is less
    by as much as they are alike. `refused` requests, which the policy would not answer, count as
    grade 0 for nothing.
    `method` is "dr", "snips", "ips", "direct", or "exact" where all outcomes were known.
    These are statistics, hence floats.
    """

    of: Of
    policy: str
    method: str
    interval: str
    confidence: float
    value: float | None
    low: float | None
    high: float | None
    bounds: tuple[float, float] | None
    n: int
    effective_n: float
    support: float
    refused: int = 0
    clusters: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """In which its figures are: "grade" or "USD"."""
        return UNITS[self.of]

    def row(self) -> dict[str, Any]:
        """It as a row of a table."""
        hidden = {"bounds", "notes", *(["clusters"] if self.clusters is None else [])}
        names = [name for name in self.__dataclass_fields__ if name not in hidden]
        ends = self.bounds or (None, None)
        row = {name: getattr(self, name) for name in names}
        return {**row, "bound_low": ends[0], "bound_high": ends[1]}

    def __str__(self) -> str:
        sure = f"{100 * self.confidence:g} %"
        if self.value is not None and self.low is not None and self.high is not None:
            said = f"{self._spell(self.value)}, {sure}: {self._spell(self.low)} to "
            said += self._spell(self.high)
        elif self.bounds is not None:
            said = f"between {self._spell(self.bounds[0])} and {self._spell(self.bounds[1])} "
            said += f"({sure}, bounds)"
        elif self.value is not None:
            said = f"{self._spell(self.value)}, unchecked: no interval"
        else:
            said = "the log does not tell"
        text = f"{self.of} of {self.policy}: {said}; {self.method}, {requests_of(self.n)} "
        text += "" if self.clusters is None else f"in {self.clusters:,} clusters "
        text += f"that tell as much as {self.effective_n:,.0f} of its own, "
        text += f"{self.support:.1%} supported"
        return "\n  ".join([text, *self.notes])

    def _repr_html_(self) -> str:
        def cell(value: float | None) -> str:
            return "-" if value is None else escape(self._spell(value))

        ends = self.bounds or (None, None)
        heads = (
            "of",
            "policy",
            "estimate",
            "low",
            "high",
            "bounds",
            "n",
            *([] if self.clusters is None else ["clusters"]),
            "effective n",
            "support",
        )
        cells = (
            self.of,
            escape(self.policy),
            cell(self.value),
            cell(self.low),
            cell(self.high),
            f"{cell(ends[0])} to {cell(ends[1])}",
            f"{self.n:,}",
            *([] if self.clusters is None else [f"{self.clusters:,}"]),
            f"{self.effective_n:,.0f}",
            f"{self.support:.1%}",
        )
        head = "".join(f"<th>{name}</th>" for name in heads)
        body = "".join(f"<td>{text}</td>" for text in cells)
        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"<table><tr>{head}</tr><tr>{body}</tr></table>{notes}"

    def _spell(self, value: float) -> str:
        if self.of == "quality":
            return f"{value:.3f}"
        return f"{'-' if value < 0 else ''}${abs(value):.6f}"
