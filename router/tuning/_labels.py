"""Names beside points of a plot, moved until none covers another one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_LONGEST = 40
_GAP = 9.0
"""Points between a marker and its name."""
# In units of the gap, and which corner of the text stands there: above first, as read most easily.
_PLACES: tuple[tuple[float, float, str, str], ...] = (
    (0, 1, "center", "bottom"),
    (0, -1, "center", "top"),
    (1, 0, "left", "center"),
    (-1, 0, "right", "center"),
    (1, 1, "left", "bottom"),
    (-1, 1, "right", "bottom"),
    (1, -1, "left", "top"),
    (-1, -1, "right", "top"),
    (0, 2.6, "center", "bottom"),
    (0, -2.6, "center", "top"),
    (1, 2.2, "left", "bottom"),
    (-1, 2.2, "right", "bottom"),
    (1, -2.2, "left", "top"),
    (-1, -2.2, "right", "top"),
)


def shown_name(name: str) -> str:
    """A name as a plot shows it: cut in the middle where it is long, and `$` is no math."""
    if len(name) > _LONGEST:
        head = (_LONGEST - 1) // 2
        name = f"{name[:head]}…{name[head + 1 - _LONGEST :]}"
    return name.replace("$", r"\$")


def label_points(
    figure: Any,
    axes: Any,
    named: Sequence[tuple[float, float, str]],
    avoid: Sequence[tuple[float, float]] = (),
) -> None:
    """Write each (x, y, name) beside its point: inside the axes, off other names and points.

    `avoid` are further points that no name should cover, such as those of curves.
    """
    from matplotlib.patheffects import withStroke

    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    room = axes.get_window_extent(renderer)
    points = [*((x, y) for x, y, _ in named), *avoid]
    marks = [axes.transData.transform(point) for point in points]
    legend = axes.get_legend()
    taken = [] if legend is None else [legend.get_window_extent(renderer)]

    def written(place: tuple[float, float, str, str], x: float, y: float, name: str) -> Any:
        right, up, side, edge = place
        text = axes.annotate(
            shown_name(name),
            (x, y),
            textcoords="offset points",
            xytext=(right * _GAP, up * _GAP),
            ha=side,
            va=edge,
            fontsize=8.5,
            zorder=7,
        )
        text.set_in_layout(False)
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
        return text

    for x, y, name in named:
        best, fewest = _PLACES[0], float("inf")
        for place in _PLACES:
            text = written(place, x, y, name)
            box = text.get_window_extent(renderer)
            text.remove()
            outside = box.x0 < room.x0 or box.x1 > room.x1 or box.y0 < room.y0 or box.y1 > room.y1
            covers = 50 * (outside + sum(box.overlaps(other) for other in taken))
            covers += sum(box.contains(*mark) for mark in marks)
            if covers < fewest:
                best, fewest = place, covers
        taken.append(written(best, x, y, name).get_window_extent(renderer))
