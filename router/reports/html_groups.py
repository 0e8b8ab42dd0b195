"""Sections of the report's page about whom spend was for, and about one's own GPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from html import escape
from typing import Any

from router.ledgers import Entry
from router.reports.html_facts import Facts
from router.reports.html_parts import UNKNOWN, Bars, bars, percent, rounded, section, top
from router.reports.spend import Report

MOST_ROWS = 15
_MOST_TAGS = 4
_FIRST_TAGS = ("tenant", "team", "feature", "user")
_EACH = 3
"""Fleets beside each other: more do not fit on paper."""
_FIGURES = (
    ("calls", "calls"),
    ("input_tokens", "tokens in"),
    ("output_tokens", "tokens out"),
    ("in_use", "part of capacity in use"),
    ("rent_usd", "rent paid, USD"),
    ("idle_usd", "idle part of it, USD"),
    ("marginal_usd", "GPU time that calls added, USD"),
    ("charged_usd", "billed for the calls, USD"),
    ("amortised_usd_per_mtok", "a million tokens over all the rent, USD"),
    ("marginal_usd_per_mtok", "a million tokens by added GPU time, USD"),
)


def by_tags(entries: Sequence[Entry], by: Callable[..., Report]) -> str:
    """Spend by the tags that requests had; "" where they had none. What is left out is named."""
    found = {name for entry in entries for name in entry.record.tags}
    if not found:
        return ""
    names = sorted(found, key=lambda name: (name not in _FIRST_TAGS, name))
    drawn = []
    for name in names[:_MOST_TAGS]:
        column = f"tag:{name}"
        rows = [
            Bars(r[column], (r["cost_usd"], r["requests"], r["output_tokens"]), (r["cost_usd"],))
            for r in by(column)
        ]
        columns = (name, "USD", "calls", "tokens out")
        drawn.append(
            f"<h3>{escape(name)}</h3>{bars(some(len(rows)), columns, top_and_other(rows))}"
        )
    if rest := names[_MOST_TAGS:]:
        said = ", ".join(rest[:MOST_ROWS])
        more = f" and {len(rest) - MOST_ROWS:,} more" if len(rest) > MOST_ROWS else ""
        drawn.append(f'<p class="soft">Other tags, not shown: {escape(said)}{more}.</p>')
    return section("Who it was for", "By the tags of requests.", *drawn)


def top_and_other(rows: Sequence[Bars]) -> list[Bars]:
    """The rows of the largest amounts, and the sum of all others, whose cells are all amounts or
    counts.
    """
    largest = top(rows, MOST_ROWS)
    if len(rows) <= MOST_ROWS:
        return largest
    rest = top(rows, len(rows))[MOST_ROWS:]
    cells = [_sum([row.cells[i] for row in rest]) for i in range(len(rest[0].cells))]
    values = [_sum([row.values[i] for row in rest]) for i in range(len(rest[0].values))]
    return [*largest, Bars(f"({len(rest):,} others)", cells, values)]


def some(count: int) -> str:
    """What a table of so many rows says of its order."""
    return f"The {MOST_ROWS} largest of {count:,}" if count > MOST_ROWS else "Largest first"


def own_gpus(facts: Facts) -> str:
    """What one's own GPUs cost, a column for each fleet; "" without any."""
    fleets = list(facts.fleets or ())
    if not fleets:
        return ""
    span = "" if facts.since else " Of the last 30 days."
    said = (
        "Rent paid, the idle part of it, and what a million tokens cost: over all the rent, and "
        f"by the GPU time that calls added.{span}"
    )
    tables = [_fleets(fleets[i : i + _EACH]) for i in range(0, len(fleets), _EACH)]
    return section("Own GPUs", said, *tables)


def _fleets(fleets: Sequence[dict[str, object]]) -> str:
    heads = "".join(
        f'<th scope="col" class="n name">{escape(str(fleet["endpoint"]))}</th>' for fleet in fleets
    )
    lines = "".join(
        f'<tr><th scope="row" class="t">{name}</th>'
        + "".join(f'<td class="n">{_figure(fleet[key], key)}</td>' for fleet in fleets)
        + "</tr>"
        for key, name in _FIGURES
    )
    head = f'<thead><tr><th scope="col">fleet</th>{heads}</tr></thead>'
    return f'<div class="wide"><table>{head}<tbody>{lines}</tbody></table></div>'


def _figure(value: object, key: str) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, Decimal):
        return str(percent(value)) if key == "in_use" else rounded(value)
    return f"{value:,}"


def _sum(values: Sequence[Any]) -> Any:
    """The sum of what is known; None where nothing is."""
    known = [value for value in values if value is not None]
    return sum(known[1:], known[0]) if known else None
