"""A model nobody has graded, placed by its published scores, then by its first answers.

One model of a source is left out. A placer has the grades of all other models and the left-out
model's mean score per source; it predicts the model's accuracy on each data set.
"""

# ruff: noqa: ARG002 - every placer is handed the same things and reads what it needs

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Protocol

import numpy as np

from benchmarks._routing_data import Array, Bench, Names, Part, Rows, everything
from benchmarks._routing_learners import logit
from benchmarks._routing_ours import OursPlaced, OursPlacedRouted
from benchmarks._routing_pooled import Row

SIZES = (0, 10, 30, 100)
LEAST = 15  # prompts that a data set needs, to be judged by
HELD_OUT = {"mmlu_pro": 12, "reasoning_gym": 9, "zeroeval": 12}
WHOLE = 0.7  # share of a source's prompts that a held-out model must have answered


class Placer(Protocol):
    """Predicts P(correct) of one model that `fit` has not seen."""

    def fit(
        self, texts: list[str], targets: Array, groups: Names, rows: Rows, models: list[str]
    ) -> None:
        """All prompts, and the grades (n, m) of the other `models`, each "source/model"."""

    def place(self, benchmark_means: dict[str, float]) -> None:
        """The new model's mean score per source: all that a leaderboard tells."""

    def learn(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        """Grades (n,) of the new model's own answers; after `place`."""

    def predict(self, texts: list[str], groups: Names, rows: Rows) -> Array:
        """P(correct) of the new model, (n,)."""


class SourceMean:
    """The model's published mean, whatever the data set; own answers are not looked at."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def fit(
        self, texts: list[str], targets: Array, groups: Names, rows: Rows, models: list[str]
    ) -> None:
        self.groups = np.unique(groups)
        counts, totals = [], []
        for group in self.groups:
            mine = targets[groups == group]
            counts.append((~np.isnan(mine)).sum(axis=0))
            totals.append(np.nansum(mine, axis=0))
        self.counts, self.totals = np.array(counts), np.array(totals)  # (groups, models)
        self.sources = np.array([group.split("/")[0] for group in self.groups])

    def place(self, benchmark_means: dict[str, float]) -> None:
        self.means = benchmark_means
        self.table = {str(g): self.expected(str(g)) for g in self.groups}

    def expected(self, group: str) -> float:
        """P(correct) on a data set, before any own answer."""
        return self.means.get(group.split("/", maxsplit=1)[0], 0.5)

    def learn(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        """Nothing."""

    def predict(self, texts: list[str], groups: Names, rows: Rows) -> Array:
        return np.array([self.table[str(group)] for group in groups])


class OwnMean(SourceMean):
    """The means of the own answers per data set, drawn towards the published mean."""

    weight = 4.0  # answers that the expectation counts for

    def learn(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        for group in np.unique(groups):
            mine = targets[groups == group]
            prior = self.table[str(group)] * self.weight
            self.table[str(group)] = (mine.sum() + prior) / (len(mine) + self.weight)


class OwnMeanUnplaced(OwnMean):
    """The same without a published mean: drawn towards the mean of all own answers."""

    def place(self, benchmark_means: dict[str, float]) -> None:
        super().place(dict.fromkeys(benchmark_means, 0.5))

    def learn(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        whole = (targets.sum() + 1) / (len(targets) + 2)
        self.table = dict.fromkeys(self.table, float(whole))
        super().learn(texts, targets, groups, rows)


class ShiftedMean(SourceMean):
    """Other models' mean per data set, all moved in log odds until the published mean is met."""

    def place(self, benchmark_means: dict[str, float]) -> None:
        with np.errstate(invalid="ignore", divide="ignore"):
            per_model = self.totals / self.counts
        others = np.nanmean(np.where(self.counts > 0, per_model, np.nan), axis=1)
        sizes = self.counts.max(axis=1)
        scores = logit(others)
        for source, mean in benchmark_means.items():
            here = self.sources == source
            scores[here] += shift_to(scores[here], sizes[here], mean)
        self.means = benchmark_means
        chances = 1 / (1 + np.exp(-scores))
        self.table = {str(g): float(c) for g, c in zip(self.groups, chances, strict=True)}


class ShiftedOwn(ShiftedMean, OwnMean):
    """The shifted means, then drawn towards the own answers of each data set."""


class LikeliestOwn(OwnMean, ShiftedMean):
    """As above, after the answers have moved all data sets of the source together."""

    steadiness = 20.0

    def learn(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        source = str(groups[0]).split("/")[0]
        expected = self.predict(texts, groups, rows)
        slope = (expected * (1 - expected)).sum() + self.steadiness / 4
        move = float((targets - expected).sum() / slope)
        for group in self.table:
            if group.split("/")[0] == source:
                score = float(logit(np.array([self.table[group]]))[0]) + move
                self.table[group] = float(1 / (1 + np.exp(-score)))
        super().learn(texts, targets, groups, rows)


def shift_to(scores: Array, sizes: Array, mean: float) -> float:
    """What to add to log odds so that their weighted mean chance is `mean`."""
    low, high = -12.0, 12.0
    for _ in range(60):
        mid = (low + high) / 2
        found = np.average(1 / (1 + np.exp(-scores - mid)), weights=sizes)
        low, high = (mid, high) if found < mean else (low, mid)
    return (low + high) / 2


PLACERS: dict[str, Callable[[Bench], Placer]] = {
    "published-mean": SourceMean,
    "own-mean": OwnMeanUnplaced,
    "published+own": OwnMean,
    "shifted-others": ShiftedMean,
    "shifted-others+own": ShiftedOwn,
    "shifted-others+move+own": LikeliestOwn,
    "ours": OursPlaced,
    "ours+route": OursPlacedRouted,
}


def base_of(model: str) -> str:
    """A model whoever serves it: "Llama-3.1-70B@there" and "Llama-3.1-70B" are one."""
    return model.split("@", maxsplit=1)[0].replace("Inst-fp8", "Instruct").replace("Meta-", "")


def held_out(models: list[str], whole: Part) -> list[int]:
    """Columns of the models to leave out: those that answered most of their source."""
    chosen: list[int] = []
    for source, most in HELD_OUT.items():
        size = (whole.sources == source).sum()
        mine = [k for k, name in enumerate(models) if name.startswith(f"{source}/")]
        full = [k for k in mine if (~np.isnan(whole.targets[:, k])).sum() >= WHOLE * size]
        step = max(1, len(full) // most)
        chosen += full[::step][:most]
    return chosen


def missed(placer: Placer, part: Part, seen: Part) -> float:
    """Mean |predicted - true accuracy| over the data sets of what is not `seen`."""
    rest = part.take(~np.isin(part.rows, seen.rows))
    if len(seen.rows):
        placer.learn(seen.texts, seen.targets[:, 0], seen.groups, seen.rows)
    predicted = placer.predict(rest.texts, rest.groups, rest.rows)
    misses = []
    for group in np.unique(rest.groups):
        at = rest.groups == group
        if at.sum() >= LEAST:
            misses.append(abs(predicted[at].mean() - rest.targets[at, 0].mean()))
    return float(np.mean(misses))


def place(bench: Bench, names: list[str], *, seeds: int = 5) -> dict[str, list[Row]]:
    """Task 6: mean absolute error of accuracy by data set, for each source of left-out models."""
    models, whole = everything(bench)
    factories = {name: PLACERS[name] for name in names} if names else PLACERS
    found: dict[tuple[str, str, int], list[float]] = {}
    for column in held_out(models, whole):
        source, model = models[column].split("/", 1)
        others = [k for k, n in enumerate(models) if base_of(n) != base_of(models[column])]
        known = np.flatnonzero(~np.isnan(whole.targets[:, column]))
        part = Part(bench, known, whole.targets[known][:, [column]])
        for name, factory in factories.items():
            placer = factory(bench)
            placer.fit(whole.texts, whole.targets[:, others], whole.groups, whole.rows,
                       [models[k] for k in others])  # fmt: skip
            placer.place({source: float(part.targets.mean())})
            for size in SIZES:
                for seed in range(seeds if size else 1):
                    rng = np.random.default_rng([seed, size, column])
                    seen = part.take(rng.choice(len(known), size, replace=False))
                    miss = missed(copy.deepcopy(placer), part, seen)
                    found.setdefault((source, name, size), []).append(miss)
        print(f"  {source}/{model} placed", flush=True)
    rows: list[Row] = []
    for source in HELD_OUT:
        for name in factories:
            cells = {f"n={n}": float(np.mean(found[source, name, n])) for n in SIZES}
            rows.append({"source": source, "method": name} | cells)
    return {"A model left out: error of its accuracy by data set": rows}
