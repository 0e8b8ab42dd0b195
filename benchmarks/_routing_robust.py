"""Does a router change its mind when a prompt is said differently? Shares of flipped choices.

Fitted on four folds of the pooled mix, asked about prompts of the fifth. The threshold sends half
of the untouched prompts to the strong model and stays where it is. A router that throws a coin
flips half of the time; one that never looks at the prompt never flips, and is of no use: read
the flips beside the APGR.
"""

from __future__ import annotations

import random

import numpy as np

from benchmarks._routing_data import (
    POOLED,
    Array,
    Bench,
    Factory,
    Method,
    Names,
    folds_of,
    outside,
    pair_part,
    pretrain,
)  # fmt: skip
from benchmarks._routing_methods import NEED_EMBEDDINGS
from benchmarks._routing_metrics import pair_figures
from benchmarks._routing_perturb import PERTURBATIONS
from benchmarks._routing_pooled import Row

SAMPLE = 1500


def need_of(method: Method, texts: list[str], groups: Names) -> Array:
    """The predicted gain of the strong model for texts that are in no table."""
    predicted = method.predict(texts, groups, np.full(len(texts), -1))
    return predicted[:, 1] - predicted[:, 0]


def robust(
    bench: Bench, factories: dict[str, Factory], *, sample: int = SAMPLE
) -> dict[str, list[Row]]:
    """Task 7: a row for each method, a column for each perturbation."""
    part = pair_part(bench, *POOLED)
    test = np.flatnonzero(folds_of(part, "random", 0) == 0)
    rng = np.random.default_rng(0)
    held = part.take(test)
    known = part.take(outside(part, held, "random"))
    asked = part.take(np.sort(rng.choice(test, min(sample, len(test)), replace=False)))
    said = {
        name: [change(text, random.Random(f"{name} {k}")) for k, text in enumerate(asked.texts)]
        for name, change in PERTURBATIONS.items()
    }
    rows: list[Row] = []
    for name, factory in factories.items():
        if name in NEED_EMBEDDINGS:  # known for the tables' own prompts only
            continue
        method = factory(bench)
        pretrain(method, bench, held, "random")
        method.fit(known.texts, known.targets, known.groups, known.rows)
        plain = method.predict(held.texts, held.groups, held.rows)
        apgr = pair_figures(held.targets, plain)(np.ones(len(test)))["APGR"]
        before = need_of(method, asked.texts, asked.groups)
        threshold = float(np.median(before))
        row: Row = {"method": name, "APGR": apgr}
        flips = {
            kind: float(((need_of(method, texts, asked.groups) > threshold)
                         != (before > threshold)).mean())
            for kind, texts in said.items()
        }  # fmt: skip
        row |= {"mean flips": float(np.mean(list(flips.values())))} | flips
        rows.append(row)
        print(f"  {name}: {row['mean flips']:.3f} flipped", flush=True)
    return {"Robustness: share of choices flipped": rows}
