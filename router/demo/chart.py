"""The cost-quality frontier as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from router.demo.compare import Point, mixed
from router.money import to_usd


def draw(
    path: Path, ours: Point, swept: Sequence[Point], others: Sequence[Point], prompts: int
) -> Path | None:
    """Write the chart as PNG; None without matplotlib (`pip install 'centroute[plots]'`)."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.plot(_x(swept), _y(swept), color="#2f6fb0", lw=1.8, label="utility policy, no budget")
    low, high = min(p.cost for p in others), max(p.cost for p in others)
    mix = [mixed(others, int(low * (high / low) ** (k / 200))) for k in range(201)]
    axes.plot(
        _x(mix), _y(mix), "--", color="#999999", lw=1.2, label="single models, mixed at random"
    )
    for point in others:
        marker = "D" if point.name == "oracle" else "o"
        axes.plot(_x([point]), _y([point]), marker, color="#555555", ms=7)
        _label(
            axes,
            point,
            "left" if point.cost == low else "right" if point.cost == high else "center",
        )
    axes.plot(
        _x([ours]), _y([ours]), "*", color="#c2410c", ms=17, label="this run, under its budget"
    )
    axes.set_xscale("log")
    axes.set_xlabel(f"cost of {prompts:,} prompts (USD, log scale)")
    axes.set_ylabel("share of right answers")
    axes.set_title("Cost against quality, recorded outcomes")
    axes.grid(alpha=0.25)
    axes.margins(x=0.12, y=0.12)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path)
    return path


def _label(axes: Any, point: Point, side: str) -> None:
    axes.annotate(
        point.name.removesuffix("@replay"),
        (float(to_usd(point.cost)), point.quality),
        textcoords="offset points",
        xytext=(0, 10),
        ha=side,
        fontsize=8.5,
    )


def _x(points: Sequence[Point]) -> list[float]:
    return [float(to_usd(p.cost)) for p in points]


def _y(points: Sequence[Point]) -> list[float]:
    return [p.quality for p in points]
