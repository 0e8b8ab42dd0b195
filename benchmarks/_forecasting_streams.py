"""Calls of one route in order: each is forecast, then learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks._forecasting_data import Bench, Rows
from benchmarks._forecasting_metrics import HIGH, LOW, Row
from classifiers.evaluation import pinball
from classifiers.length.correction import Extra
from classifiers.length.histories import Histories
from classifiers.spread import Knots, ordered

Array = npt.NDArray[np.float64]
BUCKETS = ((0, 20), (20, 50), (50, 100), (100, 200), (200, 400), (400, 10**9))
LEAST, MOST = 400, 600


class Corrector(Protocol):
    """Something that corrects forecasts by what it has observed."""

    def corrected(self, knots: Knots, extra: Extra) -> Knots: ...

    def observe(self, knots: Knots, extra: Extra, log: float, *, truncated: bool) -> None: ...


class AsItIs:
    """The forecast, whatever happened."""

    def corrected(self, knots: Knots, _extra: Extra) -> Knots:
        return knots

    def observe(self, knots: Knots, extra: Extra, log: float, *, truncated: bool) -> None:
        """Nothing is learned."""


class Routed:
    """One route of a scorer's histories; without a name, all routes of a model are one."""

    def __init__(self, histories: Histories, route: str) -> None:
        self._histories, self._route = histories, route

    def corrected(self, knots: Knots, extra: Extra) -> Knots:
        return self._histories.correct("", self._route, "model", knots, extra).knots

    def observe(self, knots: Knots, extra: Extra, log: float, *, truncated: bool) -> None:
        keep = self._histories.observe
        keep("", self._route, "model", knots, extra, log, truncated=truncated)


class Calls(NamedTuple):
    """Of many calls, (n,) each: which stream, the how manieth, log tokens; forecasts (n, 4)."""

    stream: npt.NDArray[np.int64]
    at: npt.NDArray[np.int64]
    logs: Array
    knots: Array


def knots_at(table: Array, row: int, model: int) -> Knots:
    """One forecast."""
    p10, p50, p90, p99 = table[row, model].tolist()
    return ordered(p10, p50, p90, p99)


def play(
    bench: Bench,
    table: Array,
    streams: Sequence[tuple[str, int, Rows]],
    make: Callable[[], Corrector],
) -> Calls:
    """Each stream by itself."""
    found = []
    for stream, (_, model, rows) in enumerate(streams):
        corrector = make()
        for at, row in enumerate(rows.tolist()):
            found.append((stream, at, *_step(bench, table, model, row, corrector)))
    return _calls(found)


def play_together(
    bench: Bench, table: Array, streams: Sequence[tuple[str, int, Rows]], named: bool
) -> Calls:
    """The streams of each model in turns, through one scorer's histories."""
    found = []
    for model in sorted({model for _, model, _ in streams}):
        histories = Histories()
        own = [(k, name, rows) for k, (name, m, rows) in enumerate(streams) if m == model]
        routes = {k: Routed(histories, name if named else "") for k, name, _ in own}
        for at in range(max(len(rows) for _, _, rows in own)):
            for k, _, rows in own:
                if at < len(rows):
                    step = _step(bench, table, model, int(rows[at]), routes[k])
                    found.append((k, at, *step))
    return _calls(found)


def _step(
    bench: Bench, table: Array, model: int, row: int, corrector: Corrector
) -> tuple[float, ...]:
    knots, extra = knots_at(table, row, model), bench.extra(row)
    log = float(bench.logs[row, model])
    forecast = corrector.corrected(knots, extra)
    corrector.observe(knots, extra, log, truncated=False)
    return (log, *forecast)


def _calls(found: list[tuple[float, ...]]) -> Calls:
    table = np.array(found)
    ids, at = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    return Calls(ids, at, table[:, 2], table[:, 3:])


def buckets(method: str, calls: Calls) -> list[Row]:
    """A line for each stretch of calls."""
    found: list[Row] = []
    for low, high in BUCKETS:
        inside = (calls.at >= low) & (calls.at < high)
        if inside.any():
            end = "" if high == 10**9 else f"-{high}"
            found.append({"method": method, "calls": f"{low}{end}"} | figures(calls, inside))
    return found


def figures(calls: Calls, inside: npt.NDArray[np.bool_]) -> Row:
    """Coverage, its sd over streams and what chance alone would make of it, losses."""
    logs, knots, stream = calls.logs[inside], calls.knots[inside], calls.stream[inside]
    c90 = logs <= knots[:, 2] + 1e-9
    _, group = np.unique(stream, return_inverse=True)
    count = np.bincount(group)
    share = np.bincount(group, weights=c90) / count
    return {
        "streams": len(count),
        "c90": float(c90.mean()),
        "within": float(((share >= LOW - 1e-9) & (share <= HIGH + 1e-9)).mean()),
        "sd": float(share.std()),
        "sd by chance": float(np.sqrt((0.09 / count).mean())),
        "c99": float((logs <= knots[:, 3] + 1e-9).mean()),
        "c10": float((logs <= knots[:, 0] + 1e-9).mean()),
        "log pinball p90": pinball(logs, knots[:, 2], 0.9),
        "log pinball p99": pinball(logs, knots[:, 3], 0.99),
        "p50 error": float(np.abs(logs - knots[:, 1]).mean()),
        "reserved/actual": float(
            np.median(np.expm1(knots[:, 2]) / np.maximum(np.expm1(logs), 1.0))
        ),
    }
