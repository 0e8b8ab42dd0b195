"""A source never seen, then n graded answers of its own: what do they buy?"""

from __future__ import annotations

import copy
import time

import numpy as np

from benchmarks._routing_data import (
    POOLED,
    ROUTELLM_MMLU,
    Bench,
    Learner,
    Pair,
    Part,
    outside,
    pair_part,
    pretrain,
)  # fmt: skip
from benchmarks._routing_learners import LEARNERS, LearnerFactory, chosen_learners
from benchmarks._routing_metrics import calibration, pair_figures

__all__ = ["LEARNERS", "curve"]
SIZES = (0, 10, 30, 100, 300, 1000)
FIGURES = ("APGR", "ECE", "Brier_w", "Brier_s", "AUCw")


def seeds_of(size: int) -> int:
    """Draws of n prompts: many where they differ most."""
    if size == 0:
        return 1
    return 20 if size <= 100 else 5


def judged(learner: Learner, part: Part, seen: Part) -> dict[str, float]:
    """Learn from `seen`, then the figures on the rest of `part`."""
    if len(seen.rows):
        learner.learn(seen.texts, seen.targets, seen.groups, seen.rows)
    rest = part.take(~np.isin(part.keys, list(set(seen.keys))))
    predicted = learner.predict(rest.texts, rest.groups, rest.rows)
    found = pair_figures(rest.targets, predicted)(np.ones(len(rest.rows)))
    missed = calibration(rest.targets, predicted)
    return found | {"ECE": (missed["ECE_w"] + missed["ECE_s"]) / 2}


def source_curve(
    bench: Bench, learners: dict[str, LearnerFactory], known: Part, pair: Pair
) -> list[dict[str, object]]:
    """One source left out: a row for each learner and figure, a column for each n."""
    part = pair_part(bench, pair)
    prior = known.take(outside(known, part, "loso"))
    rows: list[dict[str, object]] = []
    for name, factory in learners.items():
        began = time.perf_counter()
        fitted = factory(bench)
        pretrain(fitted, bench, part, "loso")
        fitted.fit(prior.texts, prior.targets, prior.groups, prior.rows)
        lines = {f: {"source": pair.source, "learner": name, "figure": f} for f in FIGURES}
        for size in SIZES:
            found = []
            for seed in range(seeds_of(size)):
                rng = np.random.default_rng([seed, size])
                seen = part.take(rng.choice(len(part.rows), size, replace=False))
                found.append(judged(copy.deepcopy(fitted), part, seen))
            for figure, line in lines.items():
                values = [one[figure] for one in found]
                line[f"n={size}"] = float(np.mean(values))
                if figure == "APGR" and size:
                    line[f"sd {size}"] = float(np.std(values))
        rows += lines.values()
        took = time.perf_counter() - began
        apgrs = " ".join(f"{lines['APGR'][f'n={size}']:.3f}" for size in SIZES)
        print(f"  {pair.source} {name}: APGR {apgrs}, {took:.0f} s", flush=True)
    return rows


def curve(bench: Bench, names: list[str]) -> dict[str, list[dict[str, object]]]:
    """Task 5: each pooled source, and RouteLLM's MMLU, as traffic that nobody has seen."""
    known = pair_part(bench, *POOLED)
    learners = chosen_learners(names, bench)
    rows: list[dict[str, object]] = []
    for pair in (*POOLED, ROUTELLM_MMLU):
        rows += source_curve(bench, learners, known, pair)
    rows += overall(rows, list(learners))
    return {f"Learning curve, {f}": [r for r in rows if r["figure"] == f] for f in FIGURES}


def overall(rows: list[dict[str, object]], learners: list[str]) -> list[dict[str, object]]:
    """The mean over the sources."""
    found: list[dict[str, object]] = []
    for name in learners:
        for figure in FIGURES:
            mine = [row for row in rows if row["learner"] == name and row["figure"] == figure]
            line: dict[str, object] = {"source": "mean", "learner": name, "figure": figure}
            for size in SIZES:
                line[f"n={size}"] = float(np.mean([float(str(row[f"n={size}"])) for row in mine]))
            found.append(line)
    return found
