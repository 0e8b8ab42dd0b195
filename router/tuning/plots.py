"""Pictures of tuning, readable as they come; each is a matplotlib Figure to show or save."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from router.errors import ConfigError
from router.tuning._labels import label_points, shown_name
from router.tuning.hull import hull_of
from router.tuning.measure import EXACT, Measured
from router.tuning.score import requests_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Family(Protocol):
    @property
    def values(self) -> Sequence[Any]: ...
    @property
    def parameter(self) -> str: ...


class _Sweep(Protocol):
    """What is drawn of a `Sweep`, which draws itself with this."""

    def __len__(self) -> int: ...
    @property
    def points(self) -> Sequence[Measured]: ...
    @property
    def family(self) -> _Family | None: ...


class _Frontier(Protocol):
    """What is drawn of a `Frontier`."""

    @property
    def requests(self) -> int: ...
    @property
    def points(self) -> Sequence[Measured]: ...
    @property
    def hull(self) -> Sequence[Measured]: ...
    @property
    def singles(self) -> Sequence[Measured]: ...
    @property
    def oracle(self) -> Measured | None: ...
    @property
    def point(self) -> Measured | None: ...


# Okabe and Ito's palette, told apart by the colour-blind (jfly.uni-koeln.de/color).
BLUE, RED, GREEN, ORANGE, GREY, BLACK = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#E69F00",
    "#888888",
    "#333333",
)
_WIDE = 10.0
"""From this ratio of costs on, an axis is logarithmic."""


@lru_cache(maxsize=1)
def _picture() -> type[Figure]:
    """A Figure that a notebook shows without pyplot, which would keep it until it is closed.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(
            f"plots need matplotlib: pip install 'centroute[plots]' ({error})"
        ) from error

    class Picture(Figure):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            FigureCanvasAgg(self)

        def _repr_png_(self) -> bytes:
            made = BytesIO()
            self.savefig(made, format="png")
            return made.getvalue()

    return Picture


def new_figure(
    title: str, *, rows: int = 1, size: tuple[float, float] = (8.0, 5.0)
) -> tuple[Figure, Any]:
    """An empty figure with its axes (a list where there are several rows)."""
    figure = _picture()(figsize=size, dpi=110, layout="constrained", facecolor="white")
    axes = figure.subplots(rows, sharex=rows > 1)
    for each in [axes] if rows == 1 else axes:
        each.grid(alpha=0.25)
        each.spines[["top", "right"]].set_visible(False)
    figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    return figure, axes


def frontier_figure(frontier: _Frontier) -> Figure:
    """Cost of a request against quality: policies, single models, the oracle, the point in use."""
    exact = all(point.method == EXACT for point in frontier.points)
    known = "known outcomes" if exact else "estimated from logs"
    # Of estimates the best are the luckiest: a line above what these policies would get.
    best = "best policies of the sweep" if exact else "luckiest estimates: choose, then gate"
    figure, axes = new_figure(
        f"Cost against quality: {requests_of(frontier.requests)}, {known}", size=(8.5, 5.5)
    )
    points, hull = frontier.points, frontier.hull
    axes.plot(_x(points), _y(points), "o", color=BLUE, ms=3.5, alpha=0.45, zorder=3)
    _bars(axes, hull, BLUE)
    curve = _mixes(hull)
    axes.plot(*curve, "-", color=BLUE, lw=1.8, label=best, zorder=4)
    if len(mixed := hull_of(frontier.singles)) > 1:
        axes.plot(*_mixes(mixed), "--", color=GREY, lw=1.3, label="single models, mixed at random")
    _bars(axes, frontier.singles, GREY)
    axes.plot(_x(frontier.singles), _y(frontier.singles), "o", color=BLACK, ms=7, zorder=5)
    named = [(point, point.name) for point in frontier.singles]
    if frontier.oracle is not None:
        axes.plot(_x([frontier.oracle]), _y([frontier.oracle]), "D", color=GREEN, ms=8, zorder=5)
        named.append((frontier.oracle, "oracle (knows every grade)"))
    if frontier.point is not None:
        _bars(axes, [frontier.point], RED)
        axes.plot(
            _x([frontier.point]),
            _y([frontier.point]),
            "*",
            color=RED,
            ms=17,
            mec="white",
            label=shown_name(frontier.point.name),
            zorder=6,
        )
    everyone = [*points, *frontier.singles]
    everyone += [point for point in (frontier.oracle, frontier.point) if point is not None]
    axes.margins(x=0.08, y=0.1)
    _cost_axis(axes, [point.at[0] for point in everyone])
    axes.set_xlabel(axes.get_xlabel() or "cost of a request (USD)")
    axes.set_ylabel("quality (mean grade)")
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    lines = list(zip(*curve, strict=True)) + [_xy(point) for point in points]
    for point in (*frontier.singles, *hull):
        spread = np.linspace(point.quality_low, point.quality_high, 9)
        lines += [(float(point.at[0]), float(y)) for y in spread]
    label_points(figure, axes, [(*_xy(point), name) for point, name in named], lines)
    return figure


def sweep_figure(sweep: _Sweep) -> Figure:
    """Quality and cost of each policy against the family's parameter, or by name."""
    figure, (above, below) = new_figure(
        f"{len(sweep)} policies on {requests_of(sweep.points[0].requests)}",
        rows=2,
        size=(8.0, 6.0),
    )
    points = sweep.points
    where, log = _positions(sweep)
    bands = np.array([_bands(point) for point in points])
    for axes, band, colour in ((above, bands[:, :3], BLUE), (below, bands[:, 3:], RED)):
        middle, low, high = band.T
        if sweep.family is None:
            axes.vlines(where, low, high, color=colour, lw=2, alpha=0.4)
            axes.plot(where, middle, "o", color=colour, ms=7)
        else:
            axes.plot(where, middle, "o-", color=colour, ms=3.5, lw=1.6)
            axes.fill_between(where, low, high, color=colour, alpha=0.15, lw=0)
    above.set_ylabel("quality (mean grade)")
    below.set_ylabel("cost of a request (USD)")
    if _spread([point.cost_usd for point in points if point.cost_usd is not None]):
        below.set_yscale("log")
        costs = [cost for cost in bands[:, 3] if cost > 0]
        below.set_ylim(min(costs) / 1.6, max(costs) * 1.6)
        plain_ticks(below.yaxis)
    if sweep.family is None:
        names = [shown_name(point.name) for point in points]
        below.set_xticks(where, names, rotation=30, ha="right", fontsize=8)
    else:
        below.set_xlabel(sweep.family.parameter)
        if log:
            below.set_xscale("log")
            plain_ticks(below.xaxis)
    return figure


def _bands(point: Measured) -> tuple[float, ...]:
    """Quality and cost, each with its bounds; what is not told is left blank."""
    quality = float("nan") if point.quality is None else point.quality
    cost, low, high = (
        float("nan") if usd is None else float(usd)
        for usd in (point.cost_usd, point.cost_low_usd, point.cost_high_usd)
    )
    return quality, point.quality_low, point.quality_high, cost, low, high


def _xy(point: Measured) -> tuple[float, float]:
    return float(point.at[0]), point.at[1]


def _x(points: Sequence[Measured]) -> list[float]:
    return [float(point.at[0]) for point in points]


def _y(points: Sequence[Measured]) -> list[float]:
    return [point.at[1] for point in points]


def _mixes(hull: Sequence[Measured]) -> tuple[list[float], list[float]]:
    """The curve of mixes between points of a hull: on a log axis it is no straight line."""
    x: list[float] = []
    y: list[float] = []
    for low, high in pairwise(hull):
        shares = np.linspace(0, 1, 60)
        (start, base), (end, top) = _xy(low), _xy(high)
        x += list(start + shares * (end - start))
        y += list(base + shares * (top - base))
    return (x, y) if x else (_x(hull), _y(hull))


def _bars(axes: Any, points: Sequence[Measured], colour: str) -> None:
    for point in points:
        x, y = _xy(point)
        axes.plot([x, x], [point.quality_low, point.quality_high], color=colour, lw=1, alpha=0.5)
        if point.cost_low_usd is not None and point.cost_high_usd is not None:
            low = max(float(point.cost_low_usd), x / 100)  # a log axis ends above 0
            axes.plot([low, float(point.cost_high_usd)], [y, y], color=colour, lw=1, alpha=0.5)


def _spread(costs: Sequence[Decimal]) -> bool:
    some = [cost for cost in costs if cost > 0]
    return len(some) == len(costs) > 1 and float(max(some)) > _WIDE * float(min(some))


def _cost_axis(axes: Any, costs: Sequence[Decimal]) -> None:
    if _spread(costs):
        axes.set_xscale("log")
        low, high = float(min(costs)), float(max(costs))
        room = (high / low) ** 0.08
        axes.set_xlim(low / room, high * room)  # by points: an interval may reach down to 0
        axes.set_xlabel("cost of a request (USD, log scale)")
        plain_ticks(axes.xaxis)


def plain_ticks(axis: Any) -> None:
    """Amounts of a logarithmic axis in digits: 0.0001, not 10 to the -4."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value:.12f}".rstrip("0").rstrip("."))
    )


def _positions(sweep: _Sweep) -> tuple[list[float], bool]:
    """Where each point stands on the axis, and whether that is logarithmic."""
    if sweep.family is not None:
        try:
            values = [float(value) for value in sweep.family.values]
        except (TypeError, ValueError):
            return list(map(float, range(len(sweep)))), False
        return values, min(values) > 0 and max(values) > _WIDE * min(values)
    return list(map(float, range(len(sweep)))), False
