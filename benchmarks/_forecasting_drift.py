"""A model swapped mid-stream, and answers cut off by their limit."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks._forecasting_baselines import RouteQuantiles
from benchmarks._forecasting_data import Bench, Rows
from benchmarks._forecasting_metrics import Row
from benchmarks._forecasting_streams import LEAST, MOST, Corrector, knots_at
from classifiers.length import history
from classifiers.length.history import History

Array = npt.NDArray[np.float64]
BEFORE, AFTER = 300, 300
MAX_SWAPS = 240
FACTOR = 1.3
ROLLING, STEADY = 20, 30
"""Coverage is a mean over the streams and these calls; it is back when it stays for so many."""
STRETCHES = ((0, 10), (10, 20), (20, 40), (40, 80), (80, 160), (160, 300))


class Swap(NamedTuple):
    """A route whose model changes: data set, the models, 600 prompts that both answered."""

    before: int
    after: int
    rows: Rows
    gap: float


def swaps(bench: Bench) -> list[Swap]:
    """Pairs of models on a data set; `gap` is the median change of log tokens."""
    rng = np.random.default_rng(0)
    found = []
    for name in np.unique(bench.sets).tolist():
        answered = ~np.isnan(bench.logs) & (bench.sets == name)[:, None]
        models = np.flatnonzero(answered.sum(axis=0) >= BEFORE + AFTER)
        for a in models.tolist():
            for b in models.tolist():
                rows = np.flatnonzero(answered[:, a] & answered[:, b])
                if a != b and len(rows) >= BEFORE + AFTER:
                    rows = rng.permutation(rows)[: BEFORE + AFTER]
                    gap = float(np.median(bench.logs[rows, b] - bench.logs[rows, a]))
                    found.append(Swap(a, b, rows, gap))
    return [found[k] for k in rng.permutation(len(found))[:MAX_SWAPS].tolist()]


def drift(bench: Bench) -> dict[str, list[Row]]:
    """Task 3: calls until coverage of p90 is back within 3 points."""
    found = swaps(bench)
    gaps = np.array([swap.gap for swap in found])
    parts = {
        "all": np.ones(len(found), dtype=bool),
        f"longer by {FACTOR} or more": gaps >= math.log(FACTOR),
        f"shorter by {FACTOR} or more": gaps <= -math.log(FACTOR),
    }
    lines: list[Row] = []
    for method, make, alarm in (
        ("history", History, True),
        ("history, changes not looked for", History, False),
        ("route history, all calls so far", lambda: RouteQuantiles(None), True),
        ("route history, last 256 calls", RouteQuantiles, True),
    ):
        with alarms(alarm):
            covered, first, false = swapped(bench, found, make)
        for part, inside in parts.items():
            lines.append(
                {"method": method, "swaps": part}
                | recovery(covered[inside], first[inside], float(false.sum()) / len(found))
            )
    return {f"A model swapped after {BEFORE} calls, {len(found)} swaps": lines}


@contextmanager
def alarms(on: bool):
    """Without them no run of misses is a change."""
    kept = history._ALARM
    history._ALARM = kept if on else math.inf
    try:
        yield
    finally:
        history._ALARM = kept


def swapped(
    bench: Bench, found: list[Swap], make: Callable[[], Corrector]
) -> tuple[Array, Array, Array]:
    """(S, 600) whether p90 covered, (S,) calls until the change was noticed, false alarms."""
    table, factor = bench.left_out, float(bench.scorer._prior.weights.lengths.unfamiliar[0])
    wide = table.widened(factor)
    covered = np.zeros((len(found), BEFORE + AFTER))
    first, false = np.full(len(found), np.nan), np.zeros(len(found))
    for s, swap in enumerate(found):
        corrector = make()
        for at, row in enumerate(swap.rows.tolist()):
            knots, extra = knots_at(wide, row, swap.before), bench.extra(row)
            log = float(bench.logs[row, swap.before if at < BEFORE else swap.after])
            covered[s, at] = log <= corrector.corrected(knots, extra)[2] + 1e-9
            corrector.observe(knots, extra, log, truncated=False)
            changes = getattr(corrector, "changes", 0)
            if at == BEFORE - 1:
                false[s] = changes
            elif at >= BEFORE and changes > false[s] and np.isnan(first[s]):
                first[s] = at - BEFORE + 1
    return covered, first, false


def recovery(covered: Array, first: Array, false: float) -> Row:
    """Coverage by calls since the swap, and when it was back."""
    after = covered[:, BEFORE:].mean(axis=0)
    rolling = np.convolve(after, np.ones(ROLLING) / ROLLING, mode="valid")
    near = np.abs(rolling - 0.9) <= 0.03
    back = next((k for k in range(len(near) - STEADY) if near[k : k + STEADY].all()), None)
    found: Row = {
        "n": len(covered),
        "before": float(covered[:, 100:BEFORE].mean()),
        "calls until back": "never" if back is None else back,
        "worst 20 calls": float(rolling[np.abs(rolling - 0.9).argmax()]),
    }
    for low, high in STRETCHES:
        found[f"{low}-{high}"] = float(after[low:high].mean())
    found["noticed"] = float((~np.isnan(first)).mean())
    found["median call noticed"] = float(np.nanmedian(first)) if found["noticed"] else math.nan
    found["false alarms per 1,000"] = 1000.0 * false / BEFORE
    return found


def censored(bench: Bench) -> dict[str, list[Row]]:
    """Task 4: does p90 cover the whole answers when only their beginnings are seen?"""
    streams = bench.streams(LEAST, MOST)
    factor = float(bench.scorer._prior.weights.lengths.unfamiliar[0])
    wide = bench.left_out.widened(factor)
    lines: list[Row] = []
    for share in (0.0, 0.2, 0.4):
        for limits in ("of every call", "of half the calls") if share else ("none",):
            for told in ("marked", "taken as whole", "left out") if share else ("-",):
                found = []
                for k, (_, model, rows) in enumerate(streams):
                    logs = bench.logs[rows, model]
                    caps = limits_of(logs, share, limits == "of half the calls", k)
                    tables = [knots_at(wide, row, model) for row in rows.tolist()]
                    found.append(cut_off(bench, rows, logs, caps, tables, told))
                every = np.concatenate(found)
                lines.append(
                    {"cut off": share, "limit": limits, "cut-off answers": told}
                    | _figures(every, np.array([f[:, 0].mean() for f in found]))
                )
    return {f"Answers cut off, calls after 200 of {len(streams)} streams": lines}


def limits_of(logs: Array, share: float, half: bool, seed: int) -> Array:
    """(n,) log limits that cut off this share of answers."""
    if not share:
        return np.full(len(logs), np.inf)
    own = np.quantile(logs, 1.0 - share * (2.0 if half else 1.0))
    free = half & (np.random.default_rng([9, seed]).random(len(logs)) < 0.5)
    return np.where(free, np.inf, own)


def cut_off(bench: Bench, rows: Rows, logs: Array, caps: Array, tables, told: str) -> Array:
    """(n, 4) of each call after 200: p90 covered, p99 covered, miss of p90, error of p50."""
    past, found = History(), []
    each = zip(rows.tolist(), logs.tolist(), caps.tolist(), tables, strict=True)
    for at, (row, log, cap, knots) in enumerate(each):
        extra, cut = bench.extra(row), log > cap
        _, p50, p90, p99 = past.corrected(knots, extra)
        if at >= 200:
            found.append((log <= p90 + 1e-9, log <= p99 + 1e-9, log - p90, abs(log - p50)))
        if not (cut and told == "left out"):
            past.observe(knots, extra, min(log, cap), truncated=cut and told == "marked")
    return np.array(found, dtype=np.float64)


def _figures(every: Array, shares: Array) -> Row:
    miss = every[:, 2]
    return {
        "c90": float(every[:, 0].mean()),
        "sd": float(shares.std()),
        "c99": float(every[:, 1].mean()),
        "log pinball p90": float(np.maximum(0.9 * miss, -0.1 * miss).mean()),
        "p50 error": float(every[:, 3].mean()),
    }
