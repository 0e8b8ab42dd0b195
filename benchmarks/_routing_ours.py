"""The shipped scorer's own code, trained anew on what a benchmark allows."""

# ruff: noqa: ARG002 - every method is handed the same things and reads what it needs

from __future__ import annotations

from copy import copy, deepcopy
from typing import Any

import numpy as np

from benchmarks._routing_data import Array, Bench, Names, Rows
from classifiers.ability import place_one
from classifiers.features import Features, featurize
from classifiers.outcome import OutcomeClassifier
from classifiers.runtime import Reading, Scorer
from classifiers.store import shipped_placements
from classifiers.training.dataset import KINDS
from classifiers.training.fitting import plain_weights
from classifiers.training.split import is_calibration
from classifiers.words import load_words

_WORDS = load_words()
_PLACEMENTS = shipped_placements()
_seen: dict[str, Features] = {}


def features_of(text: str) -> Features:
    """The features of a text, computed once per process."""
    if text not in _seen:
        _seen[text] = featurize(text, _WORDS)
    return _seen[text]


def kind_of(group: str) -> str:
    """The kind of task of "source/data set"."""
    source, _, dataset = str(group).partition("/")
    return KINDS.get((source, dataset), KINDS.get((source, "*"), source))


class Ours:
    """Demands and abilities of all models that may be seen, read out for the targets' models."""

    name = "ours"
    routed = False

    def __init__(self, bench: Bench) -> None:
        self.more: Any = None
        self.scorer: Scorer
        self.columns: list[str] = []
        self.learned = False

    def pretrain(
        self, texts: list[str], targets: Array, groups: Names, rows: Rows, models: list[str]
    ) -> None:
        self.more = (texts, targets, groups)

    def fit(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        known = {text: at for at, text in enumerate(texts)}
        whole, names = list(texts), list(groups)
        blocks = [targets]
        if self.more is not None:
            more, grades, sets = self.more
            at = [i for i, text in enumerate(more) if text not in known]
            whole += [more[i] for i in at]
            names += [sets[i] for i in at]
            where = {text: i for i, text in enumerate(more)}
            mine = np.array([where.get(text, -1) for text in texts])
            top = np.where(mine[:, None] >= 0, grades[mine], np.nan)
            blocks = [
                np.vstack([targets, np.full((len(at), targets.shape[1]), np.nan)]),
                np.vstack([top, grades[at]]),
            ]
        matrix = np.concatenate(blocks, axis=1).astype(np.float32)
        fitted = OutcomeClassifier().fit_features(
            [features_of(text) for text in whole],
            matrix,
            [str(name) for name in names],
            [kind_of(name) for name in names],
            np.array([is_calibration(text) for text in whole]),
        )
        self.columns = [f"model-{k}" for k in range(targets.shape[1])]
        others = matrix.shape[1] - targets.shape[1]
        labels = [*self.columns, *(f"other-{k}" for k in range(others))]
        self.fitted = fitted
        self.scorer = Scorer(plain_weights(fitted, labels), _PLACEMENTS, _WORDS)

    def predict(self, texts: list[str], groups: Names, rows: Rows) -> Array:
        pairs = zip(texts, groups, strict=True)
        readings = [self._read(text, str(group)) for text, group in pairs]
        scores = [self.scorer.score(reading, self.columns) for reading in readings]
        return np.array([[score[name].p_correct for name in self.columns] for score in scores])

    def learn(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        for text, grades, group in zip(texts, targets, groups, strict=True):
            reading = self._read(text, str(group))
            for name, grade in zip(self.columns, grades.tolist(), strict=True):
                if not np.isnan(grade):
                    self.scorer.learn(reading, name, grade)

    def _read(self, text: str, group: str) -> Reading:
        found = features_of(text)
        x = self.fitted.vectorizer_.standard_(found.dense, found.words)
        return Reading(x, found.structure, group if self.routed else "")

    def __deepcopy__(self, memo: Any) -> Ours:
        new = copy(self)
        if hasattr(self, "scorer"):
            new.scorer = self.scorer.fresh()
        return new


class OursRouted(Ours):
    """The same, told by a tag which task a prompt belongs to."""

    name = "ours+route"
    routed = True


class OursPlaced(Ours):
    """A model never seen: placed by its published means, then learned from own answers."""

    name = "ours"

    def fit(
        self, texts: list[str], targets: Array, groups: Names, rows: Rows, models: list[str]
    ) -> None:
        super().fit(texts, targets, groups, rows)
        self.demands: dict[str, Any] = {}
        sources = np.array([str(group).split("/")[0] for group in groups])
        rng = np.random.default_rng(0)
        for source in sorted(set(sources.tolist())):
            at = rng.permutation(np.flatnonzero(sources == source))[:256]
            found = [features_of(texts[i]) for i in at]
            matrix = self.fitted.vectorizer_.transform_features(found)
            self.demands[source] = self.fitted.net_.all_demands(matrix)

    def place(self, means: dict[str, float]) -> None:
        published = {name: min(0.995, max(0.005, value)) for name, value in means.items()}
        theta = place_one(published, self.demands, self.fitted.populations_)
        fitted = deepcopy(self.fitted)
        fitted.theta_ = theta[:, :, None]
        self.columns = ["placed"]
        self.scorer = Scorer(plain_weights(fitted, ["placed"]), _PLACEMENTS, _WORDS)

    def learn(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        super().learn(texts, np.asarray(targets).reshape(len(texts), -1), groups, rows)

    def predict(self, texts: list[str], groups: Names, rows: Rows) -> Array:
        return super().predict(texts, groups, rows)[:, 0]


class OursPlacedRouted(OursPlaced):
    """The same, told by a tag which task a prompt belongs to."""

    name = "ours+route"
    routed = True
