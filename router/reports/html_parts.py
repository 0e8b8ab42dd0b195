"""Pieces of the report's page: tables with bars, and a chart of days with its legend."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from html import escape

from router.reports.svg import axis, bar, stacked
from router.reports.table import exact, is_number, shown

MOST_SERIES = 6
OTHER, HELD = "other", "(held for budgets)"
"""What is left when a series has its colour; money that a process held and never accounted for."""
_WIDE, _NARROW = 920, 400
_MOST_SLOTS = 100


@dataclass(frozen=True, slots=True)
class Bars:
    """A line of a table with bars: its name, cells beside it, and amounts (USD) to draw, None
    where one is not known.
    """

    name: str
    cells: Sequence[object]
    values: Sequence[Decimal | None]


def section(title: str, said: str, *body: str) -> str:
    """A section; without a body it says that there is nothing to show."""
    inside = "".join(body) or '<p class="soft">Nothing of this kind in this time.</p>'
    return f"<section><h2>{escape(title)}</h2><p>{escape(said)}</p>{inside}</section>"


def bars(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Bars],
    colours: Sequence[str] = ("s0",),
    largest: Decimal | None = None,
) -> str:
    """A table of names, bars to compare them by, and exact figures; "" without rows.

    The longest bar is `largest`, by default the largest value there is.
    """
    if not rows:
        return ""
    if largest is None:
        drawn_values = (abs(v) for row in rows for v in row.values if v is not None)
        largest = max(drawn_values, default=Decimal(0))
    right = [all(_right(row.cells[i]) for row in rows) for i in range(len(columns) - 1)]
    heads = [f'<th scope="col">{escape(columns[0])}</th>']
    heads += [
        f'<th scope="col"{_n(r)}>{escape(c)}</th>' for c, r in zip(columns[1:], right, strict=True)
    ]
    heads.insert(1, '<td class="b"></td>')
    lines = []
    for row in rows:
        drawn = bar(list(zip(colours, row.values, strict=True)), largest)
        cells = "".join(
            f"<td{_n(r)}>{shown(c)}</td>" for c, r in zip(row.cells, right, strict=True)
        )
        name = f'<th scope="row" class="t">{escape(row.name) or NOT_SET}</th>'
        lines.append(f'<tr>{name}<td class="b">{drawn}</td>{cells}</tr>')
    table = f"<caption>{escape(caption)}</caption><thead><tr>{''.join(heads)}</tr></thead>"
    return f'<div class="wide"><table>{table}<tbody>{"".join(lines)}</tbody></table></div>'


NOT_SET = '<span class="unknown">not set</span>'
UNKNOWN = '<span class="unknown">unknown</span>'


def legend(names: Sequence[str], colours: Sequence[str] | None = None) -> str:
    """What each colour stands for."""
    found = colours or [f"s{i}" for i in range(len(names))]
    items = (
        f'<li><svg viewBox="0 0 10 10" aria-hidden="true">'
        f'<rect class="{css}" width="10" height="10"/></svg>{escape(name)}</li>'
        for name, css in zip(names, found, strict=True)
    )
    return f'<ul class="legend">{"".join(items)}</ul>'


def days(spend: Mapping[tuple[str, str], Decimal], title: str) -> str:
    """Spend (USD) by (day, model) as stacked columns: of weeks or months where days are many."""
    names = _names(spend)
    found: dict[str, dict[str, Decimal]] = {}
    slots, slot_of, what = _slots(sorted({day for day, _ in spend}))
    for (day, model), amount in spend.items():
        name = model if model in names else OTHER
        at = found.setdefault(slot_of(day), {})
        at[name] = at.get(name, Decimal(0)) + amount
    series = {
        name: [found.get(slot, {}).get(name, Decimal(0)) for slot in slots] for name in names
    }
    labels = [slot[5:] if what == "day" else slot for slot in slots]
    totals = [sum(column, Decimal(0)) for column in zip(*series.values(), strict=True)]
    unit = axis(max(totals, default=Decimal(0))).name
    drawn = "".join(
        stacked(slots, labels, series, title=title, width=width, css=css)
        for width, css in ((_WIDE, "full"), (_NARROW, "narrow"))
    )
    named = [name or HELD for name in names]
    below = [v for values in series.values() for v in values if v < 0]
    note = ""
    if below:
        note = (
            f" Not drawn: corrections that outweigh the spend of their {what}, "
            f"{exact(sum(below, Decimal(0)))} USD in all; the figures below have them."
        )
    said = f'<p class="soft">Each {what}, in {unit}.{note}</p>'
    return f"<figure style='margin:0'>{said}{drawn}{legend(named)}</figure>"


def _names(spend: Mapping[tuple[str, str], Decimal]) -> list[str]:
    """The models that cost most, in that order, and "other" for the rest of them."""
    totals: dict[str, Decimal] = {}
    for (_, model), amount in spend.items():
        totals[model] = totals.get(model, Decimal(0)) + amount
    names = sorted(totals, key=lambda name: (-totals[name], name))
    return names if len(names) <= MOST_SERIES else [*names[:MOST_SERIES], OTHER]


def _slots(found: Sequence[str]) -> tuple[list[str], Callable[[str], str], str]:
    """All slots from the first to the last day, empty ones too; which one a day is in."""
    if not found:
        return [], str, "day"
    first, last = date.fromisoformat(found[0]), date.fromisoformat(found[-1])
    every = [first + timedelta(days=i) for i in range((last - first).days + 1)]
    for what, slot_of in (("day", _day), ("week", _week), ("month", _month)):
        slots = list(dict.fromkeys(slot_of(day.isoformat()) for day in every))
        if len(slots) <= _MOST_SLOTS or what == "month":
            break
    return slots, slot_of, what


def _day(day: str) -> str:
    return day


def _week(day: str) -> str:
    return f"{date.fromisoformat(day):%G-W%V}"


def _month(day: str) -> str:
    return day[:7]


def top(rows: Iterable[Bars], most: int) -> list[Bars]:
    """The rows of the largest amounts."""
    return sorted(rows, key=lambda row: (-(row.values[0] or 0), row.name))[:most]


def _right(cell: object) -> bool:
    return is_number(cell) or isinstance(cell, Percent)


def _n(right: bool) -> str:
    return ' class="n"' if right else ""


def rounded(usd: Decimal) -> str:
    """An amount to be read at a glance, and below it all its digits."""
    places = 2 if usd >= 1 or not usd else min(12, 2 - usd.adjusted())
    return f"{usd:,.{places}f}<small>{exact(usd)}</small>"


def percent(part: Decimal | None) -> Percent | None:
    """A part of one as a cell."""
    return None if part is None else Percent(f"{part * 100:.1f}%")


class Percent(str):
    """Text that stands in a column of numbers."""

    __slots__ = ()
