"""Points as a table in a notebook."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from html import escape

from router.tuning.measure import Measured

_HEADS = ("policy", "quality", "between", "USD a request", "between", "USD in all", "by")


def points_html(points: Sequence[Measured], best: Collection[str] = ()) -> str:
    """A table of points; those named in `best` are bold."""
    head = "".join(f"<th>{name}</th>" for name in _HEADS)
    rows = "".join(f"<tr>{_row(point, bold=point.name in best)}</tr>" for point in points)
    return f"<table><tr>{head}</tr>{rows}</table>"


def _row(point: Measured, *, bold: bool) -> str:
    name = escape(point.name)
    cells = (
        f"<b>{name}</b>" if bold else name,
        "-" if point.quality is None else f"{point.quality:.3f}",
        f"{point.quality_low:.3f} to {point.quality_high:.3f}",
        _usd(point.cost_usd),
        f"{_usd(point.cost_low_usd)} to {_usd(point.cost_high_usd)}",
        _usd(point.total_usd),
        point.method,
    )
    return "".join(f"<td>{cell}</td>" for cell in cells)


def _usd(amount: Decimal | None) -> str:
    return "-" if amount is None else f"{amount:.6f}"
