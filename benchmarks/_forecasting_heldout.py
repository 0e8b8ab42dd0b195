"""Lengths of held-out prompts of data sets that were trained on."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from benchmarks._forecasting_baselines import boosted, by_group, constant, quantiles, running
from benchmarks._forecasting_data import Bench
from benchmarks._forecasting_metrics import Row, covered, judge, summary, within

Array = npt.NDArray[np.float64]
PAIR, GROUP = 50, 100
"""Answers that a (source, model) or a (data set, model) needs to be judged."""
BOOSTED = ("llama-3.1-70b-instruct", "deepseek-coder-v2", "claude-sonnet-4", "gpt-4o-mini")
OURS = "shipped"


def forecasts(bench: Bench, boost: tuple[str, ...] = BOOSTED) -> dict[str, Array]:
    """Each method's forecast (n, M, 5) of the test prompts, NaN elsewhere."""
    rows = np.flatnonzero(bench.prompts.test & ~np.isnan(bench.logs).all(axis=1))
    found: dict[str, Array] = {}

    def put(method: str, at, model: int | slice, table: Array) -> None:
        if method not in found:
            found[method] = np.full((*bench.logs.shape, 5), np.nan)
        found[method][at, model] = table

    for row in rows.tolist():
        scores = bench.scorer.score(bench.prompts.texts[row], bench.models)
        quant = [score.output_tokens for score in scores.values()]
        table = np.array([(q.p10, q.p50, q.p90, q.p99, q.mean) for q in quant])
        put(OURS, row, slice(None), table)
    rng = np.random.default_rng(0)
    for model, name in enumerate(bench.models):
        answered = ~np.isnan(bench.logs[:, model])
        learn = np.flatnonzero(answered & ~bench.prompts.test)
        at = np.flatnonzero(answered & bench.prompts.test)
        past, logs = bench.logs[learn, model], bench.logs[at, model]
        for tokens in (1024, 16384):
            put(f"constant {tokens:,}", at, model, constant(len(at), tokens))
        put("quantile of the model", at, model, np.tile(quantiles(past), (len(at), 1)))
        groups = by_group(logs, bench.sets[at], past, bench.sets[learn])
        put("quantile of the data set", at, model, groups)
        for group in np.unique(bench.sets[at]):
            inside = rng.permutation(at[bench.sets[at] == group])
            before = rng.permutation(past[bench.sets[learn] == group])
            table = running(before, bench.logs[inside, model], quantiles(past))
            put("last 256 calls of the data set", inside, model, table)
        if name in boost:
            table = boosted(bench.matrix[learn], past, bench.matrix[at])
            put("gradient boosting", at, model, table)
    return found


def heldout(bench: Bench) -> dict[str, list[Row]]:
    """Task 1: all methods over (source, model), then over (data set, model)."""
    found = forecasts(bench)
    by_source = groups(bench, bench.prompts.source.astype(str), PAIR)
    by_set = groups(bench, bench.sets, GROUP)
    boost = [group for group in by_source if bench.models[group[1]] in BOOSTED]
    plain = {m: table for m, table in found.items() if m != "gradient boosting"}
    return {
        "Held-out prompts: means over (source, model)": lines(bench, plain, by_source),
        f"Beside gradient boosting: {', '.join(BOOSTED)}": lines(
            bench,
            {m: table for m, table in found.items() if not m.startswith("constant")},
            boost,
        ),
        "Coverage of p90 by (data set, model), 100 answers or more": [
            line
            for method, table in plain.items()
            if not method.startswith("constant")
            for line in spread(bench, method, table, by_set)
        ],
        "The worst five of them, shipped": worst(bench, found[OURS], by_set),
        "Shipped, by (source, model)": [
            {"source": name, "model": bench.models[model], "n": len(rows)}
            | judge(bench.logs[rows, model], found[OURS][rows, model])
            for name, model, rows in by_source
        ],
    }


Group = tuple[str, int, npt.NDArray[np.intp]]


def groups(bench: Bench, names: npt.NDArray[np.str_], least: int) -> list[Group]:
    """Test prompts of each name and model, where there are enough."""
    found = []
    for model in range(len(bench.models)):
        rows = np.flatnonzero(bench.prompts.test & ~np.isnan(bench.logs[:, model]))
        for name in np.unique(names[rows]).tolist():
            inside = rows[names[rows] == name]
            if len(inside) >= least:
                found.append((name, model, inside))
    return found


def lines(bench: Bench, found: dict[str, Array], parts: list[Group]) -> list[Row]:
    """A line for each method."""
    return [
        summary(
            method,
            [judge(bench.logs[rows, model], table[rows, model]) for _, model, rows in parts],
        )
        for method, table in found.items()
    ]


def spread(bench: Bench, method: str, table: Array, parts: list[Group]) -> list[Row]:
    """How coverage varies over groups; those of many answers apart, where chance says little."""
    shares = np.array([_share(bench, table, group) for group in parts])
    counts = np.array([len(rows) for _, _, rows in parts])
    high = np.array([covered(bench.logs[r, m], np.log1p(table[r, m, 3])) for _, m, r in parts])
    many = counts >= 2 * GROUP
    found: list[Row] = [{"method": method} | within(shares, counts)]
    found[0]["mean c90"], found[0]["mean c99"] = float(shares.mean()), float(high.mean())
    found[0]["lowest c99"] = float(high.min())
    if many.any():
        found.append({"method": f"{method}, 200 or more"} | within(shares[many], counts[many]))
    return found


def worst(bench: Bench, table: Array, parts: list[Group], count: int = 5) -> list[Row]:
    """The groups whose coverage is farthest from .9."""
    order = sorted(parts, key=lambda group: -abs(_share(bench, table, group) - 0.9))
    return [
        {
            "data set": name,
            "model": bench.models[model],
            "n": len(rows),
            "c90": _share(bench, table, (name, model, rows)),
            "deviations": (_share(bench, table, (name, model, rows)) - 0.9)
            / float(np.sqrt(0.09 / len(rows))),
        }
        for name, model, rows in order[:count]
    ]


def _share(bench: Bench, table: Array, group: Group) -> float:
    _, model, rows = group
    return covered(bench.logs[rows, model], np.log1p(table[rows, model, 2]))
