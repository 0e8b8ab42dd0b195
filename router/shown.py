"""Forecasts as tables for people: plain text, and HTML for notebooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from html import escape

from policies.types import Decision
from router.money import format_usd
from router.outlook import Forecast

COLUMNS = (
    "candidate",
    "P(correct)",
    "basis",
    "tokens p50",
    "p90",
    "from",
    "cost p50",
    "p90",
    "ceiling",
    "seconds",
    "first",
    "price",
)
"""Of a table of forecasts. `from`: what the lengths rest on; `seconds` to the whole answer,
`first` to its first token; `price`: the id of the price row."""
_TEXT = frozenset({"candidate", "basis", "from", "price", "why", "requests of"})
_UNKNOWN = "unknown"
_LONGEST = 100
"""Characters of a reason that are shown; `plan.decision.rejected` has all of it."""


def cells(forecast: Forecast) -> list[str]:
    """A forecast as a row under `COLUMNS`."""
    f = forecast
    return [
        f.candidate,
        f"{f.quality:.2f}" + (f" +-{f.quality_se:.2f}" if f.quality_se else ""),
        f.basis,
        f"{f.output_tokens.p50:,.0f}",
        f"{f.output_tokens.p90:,.0f}",
        rests_on(f),
        *(dollars(amount) for amount in (f.cost_p50, f.cost_p90, f.cost_ceiling)),
        _seconds(f.seconds),
        _seconds(f.first_token_seconds),
        f.rates_id or _UNKNOWN,
    ]


def rests_on(forecast: Forecast) -> str:
    """What the forecast of lengths rests on, in a word or three."""
    calls = f"{forecast.tokens_calls:,} call{'s' * (forecast.tokens_calls != 1)}"
    if forecast.tokens_basis == "route":
        return f"{calls}, route"
    return calls if forecast.tokens_basis == "pooled" else "shipped"


def dollars(pico: int | None) -> str:
    """An amount of pico-dollars; what is not known is never zero."""
    return _UNKNOWN if pico is None else format_usd(pico)


def lasting(span: timedelta) -> str:
    """A span of time in a word or two: "24 h", "7 days", "90 s"."""
    seconds = span.total_seconds()
    for unit, name, least in ((86_400, "days", 172_800), (3600, "h", 3600), (60, "min", 120)):
        if seconds >= least and seconds % unit == 0:
            return f"{seconds // unit:.0f} {name}"
    return f"{seconds:g} s" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table; numbers are set to the right."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if name in _TEXT else cell.rjust(width)
            for cell, width, name in zip(row, widths, columns, strict=True)
        ).rstrip()
        for row in (columns, *rows)
    ]


def plan_text(decision: Decision, forecasts: Mapping[str, Forecast], *, why: bool) -> str:
    """The table of a plan; with `why`, the choice marked, its notes, and why not the others."""
    order = _order(decision, forecasts)
    lines = grid(COLUMNS, [cells(forecasts[name]) for name in order])
    if not why:
        return "\n".join(lines)
    chosen = decision.chosen
    marks = ["  ", *("* " if name == chosen else "  " for name in order)]
    lines = [mark + line for mark, line in zip(marks, lines, strict=True)]
    lines.append(f"{chosen}: {decision.reason}  [{decision.policy}]")
    lines += [f"then, if the answer is found wrong: {name}" for name in decision.escalation]
    lines += _notes(chosen, forecasts)
    lines += [f"not {name}: {_short(text)}" for name, text in decision.rejected.items()]
    return "\n".join(lines)


def plan_html(decision: Decision, forecasts: Mapping[str, Forecast]) -> str:
    """The same for a notebook; the chosen candidate's row is bold."""
    chosen = decision.chosen
    rows = [
        _html_row(cells(forecasts[name]), "b" if name == chosen else "span")
        for name in _order(decision, forecasts)
    ]
    notes = [f"{chosen}: {decision.reason} [{decision.policy}]", *_notes(chosen, forecasts)]
    notes += [f"not {name}: {_short(text)}" for name, text in decision.rejected.items()]
    return html(COLUMNS, rows, notes)


def html(columns: Sequence[str], rows: Sequence[str], notes: Sequence[str]) -> str:
    """A table of rows that are HTML already, and notes as text under it."""
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    below = "<br>".join(map(escape, notes))
    return f"<table><tr>{head}</tr>{''.join(rows)}</table><p>{below}</p>"


def _html_row(row: Sequence[str], tag: str) -> str:
    return "<tr>" + "".join(f"<td><{tag}>{escape(c)}</{tag}></td>" for c in row) + "</tr>"


def _order(decision: Decision, forecasts: Mapping[str, Forecast]) -> list[str]:
    """The ranking, then those that were forecast and are not in it."""
    ranked = [name for name in decision.ranking if name in forecasts]
    return [*ranked, *(name for name in forecasts if name not in decision.ranking)]


def _notes(chosen: str, forecasts: Mapping[str, Forecast]) -> list[str]:
    return [f"note: {note}" for note in forecasts[chosen].notes]


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
