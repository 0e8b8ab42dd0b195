"""PlanBench with reasoning counted: `LengthForecaster` fitted on the caller's own outcomes."""

from __future__ import annotations

import numpy as np

from benchmarks._forecasting_baselines import boosted, by_group, quantiles
from benchmarks._forecasting_data import Bench
from benchmarks._forecasting_metrics import Row, judge
from classifiers.length import LengthForecaster
from classifiers.training.thinking import load_thoughts

MODELS = ("o1-mini_chat", "o1-preview_chat", "deepseek-r1-api")
FOLDS = 5
SHARED = {
    "o1-mini_chat": ".70/584, .367/391, .345/405, .357/391, coverage .88-.90",
    "deepseek-r1-api": ".91/1018, .52/454, .46/552, .34/365, coverage .86",
}
"""As measured when the tables were made, on a slightly larger cut: log-MAE / pinball of p90 in
tokens of a global quantile, a data set's, ridge on TF-IDF, gradient boosting."""


def planbench(bench: Bench) -> dict[str, list[Row]]:
    """Random splits, five folds: the same rows for every method."""
    thoughts = load_thoughts(bench.data, bench.prompts.ids)
    inside = np.char.startswith(bench.sets[thoughts.row], "planbench/")
    thoughts = thoughts.take(inside & np.isin(thoughts.model.astype(str), MODELS))
    rows, at = np.unique(thoughts.row, return_inverse=True)
    tokens = np.full((len(rows), len(MODELS)), np.nan)
    tokens[at, [MODELS.index(model) for model in thoughts.model]] = thoughts.tokens
    x, logs, sets = bench.matrix[rows], np.log1p(tokens), bench.sets[rows]
    fold = np.random.default_rng(0).permutation(len(rows)) % FOLDS
    methods = ("quantile", "quantile of the data set", "gradient boosting", "alone", "together")
    found = {m: np.full((*tokens.shape, 5), np.nan) for m in methods}
    for k in range(FOLDS):
        out, learn = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        joint = LengthForecaster().fit(x[learn], tokens[learn])
        found["together"][out] = joint.predict_quantiles(x[out])
        for model in range(len(MODELS)):
            own = learn[~np.isnan(tokens[learn, model])]
            past = logs[own, model]
            found["quantile"][out, model] = quantiles(past)
            found["quantile of the data set"][out, model] = by_group(
                logs[out, model], sets[out], past, sets[own]
            )
            found["gradient boosting"][out, model] = boosted(x[own], past, x[out])
            single = LengthForecaster().fit(x[own], tokens[own, model])
            found["alone"][out, model] = single.predict_quantiles(x[out])
    table: list[Row] = []
    for model, name in enumerate(MODELS):
        own = np.flatnonzero(~np.isnan(tokens[:, model]))
        for method in methods:
            figures = judge(logs[own, model], found[method][own, model])
            label = f"LengthForecaster, {method}" if method in {"alone", "together"} else method
            table.append({"model": name, "n": len(own), "method": label} | figures)
        if name in SHARED:
            table.append({"model": name, "method": f"README of the tables: {SHARED[name]}"})
    return {"PlanBench, reasoning included, five random folds": table}
