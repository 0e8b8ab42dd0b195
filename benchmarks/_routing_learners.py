"""Ways to use one's own first graded answers: `LEARNERS` maps a name to a factory.

`fit` gets the traffic of others, `learn` one's own graded prompts; either may ignore its part.
"""

# ruff: noqa: ARG002 - every method is handed the same things and reads what it needs

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks._routing_data import Array, Bench, Factory, Learner, Names, Rows
from benchmarks._routing_methods import (
    FLOOR,
    NEED_EMBEDDINGS,
    Boosted,
    BoostedMini,
    DatasetMean,
    Hand,
    Knn,
    KnnMini,
    Mean,
)  # fmt: skip
from benchmarks._routing_ours import Ours, OursRouted

ENOUGH = 10  # graded answers, below which an own-only method says their mean


class OwnOnly:
    """Knows nothing but the own answers; before any, that every model is right half the time."""

    def __init__(self, bench: Bench, factory: Factory) -> None:
        self.bench = bench
        self.factory = factory
        self.inner = Mean(bench)
        self.name = f"own {factory(bench).name}"

    def fit(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        self.inner.means = np.full(targets.shape[1], 0.5)

    def learn(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        self.inner = self.factory(self.bench) if len(texts) >= ENOUGH else Mean(self.bench)
        self.inner.fit(texts, targets, groups, rows)

    def predict(self, texts: list[str], groups: Names, rows: Rows) -> Array:
        return self.inner.predict(texts, groups, rows)


class PriorOnly:
    """Knows nothing but the traffic of others."""

    def __init__(self, bench: Bench, factory: Factory) -> None:
        self.inner = factory(bench)
        self.name = f"prior {self.inner.name}"

    def fit(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        self.inner.fit(texts, targets, groups, rows)

    def learn(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        """Nothing."""

    def predict(self, texts: list[str], groups: Names, rows: Rows) -> Array:
        return self.inner.predict(texts, groups, rows)


class Recalibrated(PriorOnly):
    """The prior, its logits moved and stretched by a logistic fit to the own answers."""

    def __init__(self, bench: Bench, factory: Factory) -> None:
        super().__init__(bench, factory)
        self.name = f"recalibrated {self.inner.name}"
        self.maps: list[tuple[float, float]] = []

    def learn(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        seen = logit(self.inner.predict(texts, groups, rows))
        self.maps = [platt(seen[:, k], targets[:, k]) for k in range(targets.shape[1])]

    def predict(self, texts: list[str], groups: Names, rows: Rows) -> Array:
        scores = logit(self.inner.predict(texts, groups, rows))
        for column, (slope, shift) in enumerate(self.maps):
            scores[:, column] = slope * scores[:, column] + shift
        return np.asarray(1 / (1 + np.exp(-scores)))


def logit(chance: Array) -> Array:
    """Log odds, kept finite."""
    kept = np.clip(chance, FLOOR, 1 - FLOOR)
    return np.asarray(np.log(kept / (1 - kept)))


def platt(scores: Array, target: Array) -> tuple[float, float]:
    """Slope and shift of log odds, drawn towards slope 0 when answers are few."""
    known = ~np.isnan(target)
    scores, target = scores[known, None], target[known]
    if not (target > 0).any() or not (target < 1).any():
        smooth = (target.sum() + 1) / (len(target) + 2)
        return 0.0, float(np.log(smooth / (1 - smooth)))
    model = LogisticRegression(C=1.0)
    model.fit(
        np.concatenate([scores, scores]),
        np.repeat([1, 0], len(target)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    return float(model.coef_[0, 0]), float(model.intercept_[0])


LearnerFactory = Callable[[Bench], Learner]


def _made(kind: Callable[[Bench, Factory], Learner], method: Factory) -> LearnerFactory:
    return lambda bench: kind(bench, method)


LEARNERS: dict[str, LearnerFactory] = {
    "prior-mean": _made(PriorOnly, Mean),
    "prior-hand": _made(PriorOnly, Hand),
    "prior-hgb-hand": _made(PriorOnly, Boosted),
    "recalibrated-hgb-hand": _made(Recalibrated, Boosted),
    "own-mean": _made(OwnOnly, Mean),
    "own-hand": _made(OwnOnly, Hand),
    "own-knn-hand": _made(OwnOnly, Knn),
    "own-hgb-hand": _made(OwnOnly, Boosted),
    "own-knn-minilm": _made(OwnOnly, KnnMini),
    "own-hgb-minilm": _made(OwnOnly, BoostedMini),
    "own-dataset-mean": _made(OwnOnly, DatasetMean),
    "ours": Ours,
    "ours+route": OursRouted,
}


def chosen_learners(names: list[str], bench: Bench) -> dict[str, LearnerFactory]:
    """The learners asked for, or all that can run on what the bench holds."""
    if names:
        return {name: LEARNERS[name] for name in names}
    if bench.embeddings is not None:
        return LEARNERS
    needy = tuple(NEED_EMBEDDINGS)
    return {name: one for name, one in LEARNERS.items() if not name.endswith(needy)}
