"""Totals of many answers: what share of their spread they have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks._forecasting_data import Bench, Rows
from benchmarks._forecasting_heldout import forecasts
from benchmarks._forecasting_metrics import Row
from benchmarks._forecasting_streams import knots_at
from classifiers.length import totals
from classifiers.length.histories import Histories
from classifiers.length.totals import Part, total
from classifiers.scores import Quantiles
from classifiers.spread import quantiles_of

Array = npt.NDArray[np.float64]
SIZES = {10: 4, 100: 2, 1000: 1}
"""Answers of a job, and how many jobs of each (data set, model)."""
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8)
SEEN, LEAST, FEWEST = 200, 300, 50
EACH = 40
"""Pairs of a source, at most: a total of 1,000 takes 30 ms."""


class Pair(NamedTuple):
    """Answers of one model to one data set: how they are forecast, and their tokens (n,)."""

    name: str
    forecasts: list[Quantiles]
    tokens: Array


def totals_task(bench: Bench) -> dict[str, list[Row]]:
    """The coverage of a total's p90 by what it rests on, its size and the share in common."""
    rng = np.random.default_rng(0)
    coverage: list[Row] = []
    wanted: list[Row] = []
    for basis, name, every in bases(bench):
        pairs = some(every, rng)
        for size, jobs in SIZES.items():
            drawn = [job for pair in pairs for job in draw(pair, size, jobs, rng)]
            line, curve = judged(basis, drawn)
            head = {"forecasts": name, "basis": basis, "answers": size, "pairs": len(pairs)}
            coverage.append(head | line)
            wanted.append(head | curve)
    return {
        "Totals with the shares as they are": coverage,
        "Coverage of a total's p90 by the share in common, and the share that gives .90": wanted,
    }


def some(pairs: list[Pair], rng: np.random.Generator) -> list[Pair]:
    """At most `EACH` of every source, so that one of many data sets does not stand for all."""
    count: dict[str, int] = {}
    found = []
    for k in rng.permutation(len(pairs)).tolist():
        source = pairs[k].name.split("/")[0]
        count[source] = count.get(source, 0) + 1
        if count[source] <= EACH:
            found.append(pairs[k])
    return found


def bases(bench: Bench) -> Iterator[tuple[str, str, list[Pair]]]:
    """Forecasts of four kinds, with the basis that the scorer would name."""
    factor = float(bench.scorer._prior.weights.lengths.unfamiliar[0])
    wide = bench.left_out.widened(factor)
    shipped = forecasts(bench, boost=())["shipped"]
    known = [
        Pair(
            name,
            [Quantiles(*row) for row in shipped[rows, model].tolist()],
            np.expm1(bench.logs[rows, model]),
        )
        for name, model, rows in bench.streams(1, 10**6)
        for rows in [rows[~np.isnan(shipped[rows, model, 0])]]
        if len(rows) >= FEWEST
    ]
    yield "prior", "data sets trained on, held-out prompts", known
    new = bench.streams(FEWEST, 10**6)
    yield "prior", "data sets left out", [_plain(bench, wide, *one) for one in new]
    yield (
        "prior",
        "data sets left out, a model of known level alone",
        [_plain(bench, bench.left_out.pool, *one) for one in new],
    )
    streams = bench.streams(LEAST, 10**6)
    yield "pooled", "after 256 calls on other data sets", _pooled(bench, wide, streams)
    name = "after 256 calls on all data sets, its own among them"
    yield "pooled", name, _pooled(bench, wide, streams, itself=True)
    yield (
        "route",
        f"after {SEEN} calls of the route",
        [_routed(bench, wide, *one) for one in streams],
    )


def _plain(bench: Bench, table: Array, name: str, model: int, rows: Rows) -> Pair:
    found = [quantiles_of(knots_at(table, row, model)) for row in rows.tolist()]
    return Pair(name, found, np.expm1(bench.logs[rows, model]))


def _routed(bench: Bench, table: Array, name: str, model: int, rows: Rows) -> Pair:
    histories = Histories()
    for row in rows[:SEEN].tolist():
        knots, log = knots_at(table, row, model), float(bench.logs[row, model])
        histories.observe("", "route", "model", knots, bench.extra(row), log)
    return _after(bench, table, (name, model, rows[SEEN:]), histories, "route")


def _pooled(
    bench: Bench, table: Array, streams: list[tuple[str, int, Rows]], *, itself: bool = False
) -> list[Pair]:
    """Each data set by a history of the model's other ones in turns, or of all; what was
    observed of its own is not in its jobs.
    """
    found = []
    for name, model, rows in streams:
        others = [r for n, m, r in streams if m == model and (itself or n != name)]
        if len(others) < (3 if itself else 2):
            continue
        histories = Histories()
        for at in range(256):
            row = int(others[at % len(others)][at // len(others)])
            knots, log = knots_at(table, row, model), float(bench.logs[row, model])
            histories.observe("", "", "model", knots, bench.extra(row), log)
        taken = 256 // len(others) + 1 if itself else 0
        found.append(_after(bench, table, (name, model, rows[taken:]), histories, ""))
    return found


def _after(
    bench: Bench,
    table: Array,
    answers: tuple[str, int, Rows],
    histories: Histories,
    route: str,
) -> Pair:
    name, model, rows = answers
    found = [
        quantiles_of(
            histories.correct(
                "", route, "model", knots_at(table, row, model), bench.extra(row)
            ).knots
        )
        for row in rows.tolist()
    ]
    return Pair(name, found, np.expm1(bench.logs[rows, model]))


def draw(
    pair: Pair, size: int, jobs: int, rng: np.random.Generator
) -> Iterator[tuple[list[Quantiles], float]]:
    """Jobs of `size` answers; drawn again where there are too few."""
    for _ in range(jobs):
        picked = rng.choice(len(pair.tokens), size, replace=len(pair.tokens) < size).tolist()
        yield [pair.forecasts[k] for k in picked], float(pair.tokens[picked].sum())


def judged(basis: str, jobs: list[tuple[list[Quantiles], float]]) -> tuple[Row, Row]:
    """Figures with the share as it is, and the coverage of p90 by share."""
    actual = np.array([tokens for _, tokens in jobs])
    sums = np.array([sum(q.p90 for q in found) for found, _ in jobs])
    now = _totals(jobs, totals.SHARED[basis])
    line: Row = {
        "share": totals.SHARED[basis],
        "c10": float((actual <= now[:, 0]).mean()),
        "c50": float((actual <= now[:, 1]).mean()),
        "c90": float((actual <= now[:, 2]).mean()),
        "c99": float((actual <= now[:, 3]).mean()),
        "p90/actual": float(np.median(now[:, 2] / actual)),
        "mean/actual": float(now[:, 4].sum() / actual.sum()),
        "c of sum of p90s": float((actual <= sums).mean()),
        "sum of p90s/actual": float(np.median(sums / actual)),
    }
    curve: Row = {}
    reached: list[float] = []
    for share in SHARES:
        covered = float((actual <= _totals(jobs, share)[:, 2]).mean())
        curve[f"{share}"] = covered
        reached.append(covered)
    above = [k for k, covered in enumerate(reached) if covered >= 0.9]
    curve["share for .90"] = "above .8" if not above else _between(reached, above[0])
    return line, curve


def _between(reached: list[float], at: int) -> float:
    if at == 0:
        return SHARES[0]
    low, high = reached[at - 1], reached[at]
    return SHARES[at - 1] + (0.9 - low) / (high - low) * (SHARES[at] - SHARES[at - 1])


def _totals(jobs: list[tuple[list[Quantiles], float]], share: float) -> Array:
    """(jobs, 5)."""
    with shared(share):
        found = [total([Part(q, basis="prior") for q in given]) for given, _ in jobs]
    return np.array([(q.p10, q.p50, q.p90, q.p99, q.mean) for q in found])


@contextmanager
def shared(share: float) -> Iterator[None]:
    """All that rests on the prior has this much in common."""
    kept = totals.SHARED["prior"]
    totals.SHARED["prior"] = share
    try:
        yield
    finally:
        totals.SHARED["prior"] = kept
