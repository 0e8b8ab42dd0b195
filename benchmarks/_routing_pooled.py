"""Weak or strong: three pooled sources, and pairs one by one, under three kinds of split."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from benchmarks._routing_data import (
    PAIRS,
    POOLED,
    Array,
    Bench,
    Factory,
    Part,
    cross_predict,
    folds_of,
    pair_part,
)  # fmt: skip
from benchmarks._routing_metrics import averaged, bootstrap, calibration, pair_figures
from benchmarks._routing_prices import extra_dollars
from classifiers.evaluation import apgr, auc

Row = dict[str, object]
PUBLISHED: dict[str, dict[str, tuple[float, float, float, float]]] = {
    # AUC of weak, APGR of the gain, CPT50, CPT80 on a slightly larger cut of the same tables
    "random": {
        "dataset-mean": (0.799, 0.783, 0.17, 0.38),
        "hand": (0.735, 0.722, 0.21, 0.49),
        "hand-minilm": (0.777, 0.745, 0.17, 0.44),
        "knn-minilm": (0.797, 0.764, 0.16, 0.40),
        "hgb-minilm": (0.816, 0.775, 0.15, 0.38),
    },
    "lodo": {
        "hand": (0.671, 0.643, 0.27, 0.62),
        "hand-minilm": (0.660, 0.623, 0.31, 0.65),
        "knn-minilm": (0.647, 0.610, 0.32, 0.73),
        "tfidf": (0.688, 0.650, 0.27, 0.62),
        "hgb-minilm": (0.721, 0.676, 0.24, 0.56),
    },
    "loso": {
        "hand": (0.447, 0.379, np.nan, np.nan),
        "hand-minilm": (0.504, 0.497, np.nan, np.nan),
        "knn-minilm": (0.434, 0.422, np.nan, np.nan),
    },
}
EARLIER = ("AUCw", "APGR", "CPT50", "CPT80")


def figures_row(part: Part, predicted: Sequence[Array], resamples: int, extra: Array) -> Row:
    """All figures of out-of-fold predictions (one array per seed), intervals included."""
    mine = extra[part.rows]
    weighed = [pair_figures(part.targets, one, mine) for one in predicted]
    point, bounds = bootstrap(weighed, len(part.rows), resamples=resamples)
    found: Row = {}
    for name, value in point.items():
        found[name] = value
        if bounds and name in {"AUCw", "APGR", "CPT50"}:
            found[f"{name} 95%"] = bounds[name]
    return found | averaged([calibration(part.targets, one) for one in predicted])


def within(part: Part, predicted: Sequence[Array], split: str) -> Row:
    """AUC of weak and APGR inside each fold, averaged: a constant has 0.5 here.

    Across folds a constant is below 0.5: hold out hard prompts, and the mean of the rest is high.
    Figures across leave-out folds carry that; these do not. A fold weighs by its prompts (AUC) or
    by what its strong model gains (APGR: every fold is routed at the same share).
    """
    areas, sizes, recovered, gains = [], [], [], []
    for seed, one in enumerate(predicted):
        fold = folds_of(part, split, seed)
        for each in np.unique(fold):
            at = fold == each
            weak, strong = part.targets[at].T
            areas.append(auc(weak, one[at, 0]))
            sizes.append(float(at.sum()))
            area = apgr(weak, strong, one[at, 1] - one[at, 0])
            if not np.isnan(area):  # where both are as good, nothing is to be recovered
                recovered.append(area)
                gains.append(float((strong - weak).sum()))
    return {
        "AUCw in folds": float(np.average(areas, weights=sizes)),
        "APGR in folds": float(np.average(recovered, weights=gains)),
    }


def oracle(part: Part) -> Array:
    """Predictions that are the grades themselves."""
    return part.targets + 0.0


def slices(part: Part, by: str) -> list[tuple[str, np.ndarray]]:
    """The indices of each source or data set, by name."""
    labels = part.sources if by == "source" else part.groups
    return [(str(name), np.flatnonzero(labels == name)) for name in np.unique(labels)]


def evaluate(
    part: Part,
    methods: dict[str, Factory],
    splits: Sequence[str],
    *,
    seeds: int,
    resamples: int,
    extra: Array,
    by: Sequence[str] = (),
    label: str = "",
) -> tuple[list[Row], list[Row]]:
    """Rows of the whole and rows of its sources or data sets, for every split and method."""
    whole: list[Row] = []
    detail: list[Row] = []
    head: Row = {"pair": label} if label else {}
    for split in splits:
        seeded = range(seeds if split != "loso" else 1)
        for name, factory in methods.items():
            began = time.perf_counter()
            predicted = [cross_predict(factory, part, split, seed) for seed in seeded]
            took = (time.perf_counter() - began) / len(seeded)
            row = head | {"split": split, "method": name}
            row |= figures_row(part, predicted, resamples, extra)
            row |= within(part, predicted, split)
            if not label:
                row |= earlier(split, name)
            whole.append(row | {"seconds": round(took, 1)})
            print(f"  {label} {split} {name}: APGR {row['APGR']:.3f}, {took:.1f} s", flush=True)
            for kind in by:
                for part_name, at in slices(part, kind):
                    here = [one[at] for one in predicted]
                    few = resamples if kind == "source" else 0
                    inner = figures_row(part.take(at), here, few, extra)
                    detail.append({"split": split, "method": name, kind: part_name} | inner)
    perfect = figures_row(part, [oracle(part)], 0, extra)
    kept = ("APGR", "CPT50", "CPT80", "Q@$50", "mix@$50")
    whole.append(head | {"method": "oracle"} | {n: perfect[n] for n in kept if n in perfect})
    return whole, detail


def earlier(split: str, name: str) -> Row:
    """The figures published beside the tables, for the same kind of method."""
    known = PUBLISHED.get(split, {}).get(name)
    if known is None:
        return {}
    return {f"{figure} then": value for figure, value in zip(EARLIER, known, strict=True)}


def pooled(
    bench: Bench,
    methods: dict[str, Factory],
    splits: Sequence[str],
    *,
    seeds: int,
    resamples: int,
    by_dataset: bool = False,
) -> dict[str, list[Row]]:
    """Task 1: one weak and one strong column over three sources."""
    part = pair_part(bench, *POOLED)
    by = ("source", "dataset") if by_dataset else ("source",)
    weak, strong = part.targets.mean(axis=0)
    sets = len(np.unique(part.groups))
    print(f"{len(part.rows)} prompts, {sets} data sets, weak {weak:.3f}, strong {strong:.3f}")
    whole, detail = evaluate(
        part, methods, splits, seeds=seeds, resamples=resamples,
        extra=extra_dollars(bench, *POOLED), by=by,
    )  # fmt: skip
    tables = {"Pooled weak to strong": whole}
    for kind in by:
        tables[f"Pooled, by {kind}"] = [row for row in detail if kind in row]
    return tables


def pairs(
    bench: Bench, methods: dict[str, Factory], splits: Sequence[str], *, seeds: int, resamples: int
) -> dict[str, list[Row]]:
    """Task 2: each pair inside its own source."""
    rows: list[Row] = []
    for pair in PAIRS:
        part = pair_part(bench, pair)
        fit = [split for split in splits if _possible(part, split)]
        whole, _ = evaluate(
            part, methods, fit, seeds=seeds, resamples=resamples,
            extra=extra_dollars(bench, pair), label=f"{pair.label} ({len(part.rows)})",
        )  # fmt: skip
        rows += whole
    return {"Pairs": rows}


def _possible(part: Part, split: str) -> bool:
    """Whether a split of one source leaves anything to learn from."""
    return split == "random" or (split == "lodo" and len(np.unique(part.groups)) > 1)
