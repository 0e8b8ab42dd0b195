"""A chart of stacked columns as SVG text, and axes that people can read.

Made by hand: a chart is a few rectangles, which take their colours from the page, light or dark,
and a drawing library would be a large dependency. Amounts are Decimals; only pixels are floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from html import escape
from typing import NamedTuple

_HEIGHT, _TOP, _BOTTOM = 240, 12, 30
_WIDEST = 56
_UNITS = (
    (Decimal("1E6"), "millions of USD"),
    (Decimal("1E3"), "thousands of USD"),
    (Decimal(1), "USD"),
    (Decimal("1E-3"), "thousandths of a USD"),
    (Decimal("1E-6"), "millionths of a USD"),
    (Decimal("1E-9"), "billionths of a USD"),
    (Decimal("1E-12"), "trillionths of a USD"),
)


class Axis(NamedTuple):
    """Ticks from zero up, in USD, the last one not below the largest value; and their unit."""

    ticks: tuple[Decimal, ...]
    unit: Decimal
    name: str

    def label(self, tick: Decimal) -> str:
        """A tick in the axis's unit, without digits that say nothing."""
        return f"{(tick / self.unit).normalize():,f}"


def axis(largest: Decimal, most: int = 5) -> Axis:
    """An axis for values from 0 to `largest` USD, of steps of 1, 2 or 5 times a power of ten."""
    if largest <= 0:
        return Axis((Decimal(0), Decimal(1)), Decimal(1), "USD")
    power = Decimal(1).scaleb((largest / most).adjusted())
    step = next(s * power for s in (1, 2, 5, 10) if s * power * most >= largest)
    count = int((largest / step).to_integral_value("ROUND_CEILING"))
    # From ten thousand on thousands, below a cent thousandths: ticks of few digits.
    unit, name = Decimal(1), "USD"
    if largest >= 10_000 or largest < Decimal("0.01"):
        unit, name = next(((u, n) for u, n in _UNITS if largest >= u), _UNITS[-1])
    return Axis(tuple(step * i for i in range(count + 1)), unit, name)


def stacked(
    slots: Sequence[str],
    labels: Sequence[str],
    series: Mapping[str, Sequence[Decimal]],
    *,
    title: str,
    width: int,
    css: str = "",
) -> str:
    """Columns for each slot, stacked of the series in their order, in USD; negative parts are
    left out of the drawing. `labels` are short names of the slots, as many as fit are shown.
    """
    totals = [sum((max(v[i], Decimal(0)) for v in series.values()), Decimal(0)) for i in _n(slots)]
    scale = axis(max(totals, default=Decimal(0)))
    left = 14 + 7 * max(len(scale.label(tick)) for tick in scale.ticks)
    plot_width, plot_height = width - left - 8, _HEIGHT - _TOP - _BOTTOM
    top = float(scale.ticks[-1])

    def y(value: Decimal) -> float:
        return _TOP + plot_height * (1 - float(value) / top)

    name = escape(title)
    parts = [
        f'<svg class="chart {css}" viewBox="0 0 {width} {_HEIGHT}" role="img" aria-label="{name}">'
    ]
    for tick in scale.ticks:
        at = y(tick)
        parts.append(
            f'<line class="grid" x1="{left}" x2="{width - 8}" y1="{at:.1f}" y2="{at:.1f}"/>'
            f'<text class="tick" x="{left - 6}" y="{at + 4:.1f}" text-anchor="end">'
            f"{scale.label(tick)}</text>"
        )
    each = plot_width / max(len(slots), 1)
    bar = min(each * 0.8, _WIDEST)
    shown = _every(labels, plot_width)
    for i, slot in enumerate(slots):
        x, below = left + each * (i + 0.5) - bar / 2, Decimal(0)
        for order, (of, values) in enumerate(series.items()):
            if values[i] <= 0:
                continue
            low, high = y(below), y(below + values[i])
            below += values[i]
            parts.append(
                f'<rect class="s{order}" x="{x:.1f}" y="{high:.1f}" width="{bar:.1f}" '
                f'height="{low - high:.2f}"><title>{escape(slot)} · {escape(of)}: '
                f"{values[i]:f} USD</title></rect>"
            )
        if i % shown == 0:
            parts.append(
                f'<text class="tick" x="{x + bar / 2:.1f}" y="{_HEIGHT - 10}" '
                f'text-anchor="middle">{escape(labels[i])}</text>'
            )
    return "".join(parts) + "</svg>"


def bar(values: Sequence[tuple[str, Decimal | None]], largest: Decimal) -> str:
    """Small bars, one below the other, each (class, value) against the largest value of all;
    a value below zero is a bar of class "bad".
    """
    rows = []
    for i, (given, value) in enumerate(values):
        css, share = given, Decimal(0)
        if value is not None and largest > 0:
            share = min(Decimal(100), 100 * abs(value) / largest)
            css = "bad" if value < 0 else given
        width = share.quantize(Decimal("0.01"), ROUND_HALF_EVEN)
        rows.append(
            f'<rect class="track" x="0" y="{i * 9}" width="100%" height="7" rx="1"/>'
            f'<rect class="{css}" x="0" y="{i * 9}" width="{width}%" height="7" rx="1"/>'
        )
    height = 9 * len(values) - 2
    return f'<svg class="bar" height="{height}" aria-hidden="true">{"".join(rows)}</svg>'


def _n(slots: Sequence[str]) -> range:
    return range(len(slots))


def _every(labels: Sequence[str], width: float) -> int:
    """Every how many slots there is room for a label."""
    longest = max(map(len, labels), default=1)
    room = max(1, int(width // (7 * longest + 16)))
    return max(1, -(-len(labels) // room))
