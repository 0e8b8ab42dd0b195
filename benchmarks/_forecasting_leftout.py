"""Lengths on data sets that nothing was fitted on: as they are, then corrected call by call."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks._forecasting_baselines import RouteQuantiles, boosted, constant, quantiles
from benchmarks._forecasting_data import Bench
from benchmarks._forecasting_folds import FOLDS
from benchmarks._forecasting_heldout import GROUP
from benchmarks._forecasting_metrics import Row, covered, judge, summary, within
from benchmarks._forecasting_streams import (
    LEAST,
    MOST,
    AsItIs,
    buckets,
    figures,
    play,
    play_together,
)
from classifiers.length.history import History
from classifiers.spread import token_quantiles

Array = npt.NDArray[np.float64]
BOOSTED = ("llama-3.1-70b-instruct", "claude-sonnet-4", "gpt-4o-mini")


def leftout(bench: Bench) -> dict[str, list[Row]]:
    """Task 2: five folds of whole data sets."""
    left = bench.left_out
    factor = float(bench.scorer._prior.weights.lengths.unfamiliar[0])
    tables = {
        "as fitted": left.knots,
        "as the scorer widens them": left.widened(factor),
        "a model of known level alone": left.pool,
    }
    streams = bench.streams(LEAST, MOST)
    online: list[Row] = []
    for method, table in tables.items():
        if method != "as fitted":
            calls = play(bench, table, streams, AsItIs)
            every = figures(calls, calls.at >= 0)
            online.append({"method": f"{method}, not corrected", "calls": "all"} | every)
            online += buckets(f"{method}, corrected", play(bench, table, streams, History))
    wide = tables["as the scorer widens them"]
    for method, window in (("all calls so far", None), ("last 256 calls", 256)):
        calls = play(bench, wide, streams, lambda window=window: RouteQuantiles(window))
        online += buckets(f"route history, {method}", calls)
    several = [s for s in streams if sum(s[1] == other[1] for other in streams) >= 3]
    for named in (True, False):
        method = "each route by name, after all" if named else "no route named"
        online += buckets(
            f"as the scorer keeps them: {method}", play_together(bench, wide, several, named)
        )
    return {
        "Data sets left out, as they are": as_they_are(bench, tables),
        "Coverage of p90 by (data set, model), 100 answers or more": [
            {"method": method} | by_set(bench, table) for method, table in tables.items()
        ],
        f"Call by call, {len(streams)} streams of {LEAST} calls or more": online,
    }


def as_they_are(bench: Bench, tables: dict[str, Array]) -> list[Row]:
    """Means over (source, model) of forecasts that were never corrected."""
    found: list[Row] = []
    parts = []
    for model in range(len(bench.models)):
        for source in np.unique(bench.prompts.source.astype(str)):
            mine = (bench.prompts.source == source) & ~np.isnan(bench.logs[:, model])
            if mine.sum() >= GROUP:
                parts.append((model, np.flatnonzero(mine)))
    for method, table in tables.items():
        groups = [
            judge(bench.logs[r, m], token_quantiles(np.maximum(table[r, m], 0.0)))
            for m, r in parts
        ]
        found.append(summary(method, groups))
    limits = (1024, 16384)
    for limit in limits:
        groups = [judge(bench.logs[r, m], constant(len(r), limit)) for m, r in parts]
        found.append(summary(f"constant {limit:,}", groups))
    model_only = [judge(bench.logs[r, m], global_quantile(bench, m, r)) for m, r in parts]
    found.append(summary("quantile of the model elsewhere", model_only))
    few = [(m, r) for m, r in parts if bench.models[m] in BOOSTED]
    trees = {m: plain_boosting(bench, m) for m in {m for m, _ in few}}
    found.append(
        summary(
            "gradient boosting, 3 models", [judge(bench.logs[r, m], trees[m][r]) for m, r in few]
        )
    )
    table = tables["as the scorer widens them"]
    same = [judge(bench.logs[r, m], token_quantiles(np.maximum(table[r, m], 0.0))) for m, r in few]
    found.append(summary("as the scorer widens them, those 3", same))
    return found


def global_quantile(bench: Bench, model: int, rows: npt.NDArray[np.intp]) -> Array:
    """(n, 5): quantiles of the model's answers in the other folds."""
    fold = bench.left_out.fold
    logs = bench.logs[:, model]
    seen = ~np.isnan(logs)
    of = [quantiles(logs[seen & (fold != k)]) for k in range(FOLDS)]
    return np.array([of[k] for k in fold[rows].tolist()])


def plain_boosting(bench: Bench, model: int) -> Array:
    """(n, 5): fitted without the fold that each prompt is in."""
    fold, logs = bench.left_out.fold, bench.logs[:, model]
    seen, table = ~np.isnan(logs), np.full((len(logs), 5), np.nan)
    for k in range(FOLDS):
        learn, out = seen & (fold != k), seen & (fold == k)
        if out.any():
            table[out] = boosted(bench.matrix[learn], logs[learn], bench.matrix[out])
    return table


def by_set(bench: Bench, table: Array) -> Row:
    """How coverage varies over data sets left out."""
    shares, counts = [], []
    for _, model, rows in bench.streams(GROUP, 10**6):
        shares.append(covered(bench.logs[rows, model], table[rows, model, 2]))
        counts.append(len(rows))
    return within(np.array(shares), np.array(counts))
