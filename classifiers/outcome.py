"""P(correct) of many models from the text of a prompt: the estimator behind the shipped scorer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted

from classifiers.ability import base_logits, fit_all, logits_of
from classifiers.calibration import platt, sigmoid
from classifiers.demand import DemandNet
from classifiers.features import Features
from classifiers.prompt import Prompt
from classifiers.training.kinds import LEAST, fit_kinds
from classifiers.vectorizer import PromptVectorizer

Array = npt.NDArray[np.float64]
REFERENCE = 256
"""Prompts that stand for a kind of task, as many from each of its data sets."""


class OutcomeClassifier(BaseEstimator):  # type: ignore[misc]
    """P(correct) of M models for texts: what a prompt demands, times what a model can do.

    Fit on texts and grades (n, M) in [0, 1], NaN where a model was not graded on a prompt.
    `groups` names the data set of each text and `kinds` its kind of task; without kinds the
    groups serve. A prompt unlike all kinds gets each model's average (`base_`); if no kind has
    enough prompts to say what is like it, every prompt counts as known.

    All that is fitted holds the values that ship (float16 and float32), here computed with in
    float64; the scorer computes in float32 and agrees to 1e-6.

    >>> from classifiers import OutcomeClassifier
    >>> texts = [f"What is {i} plus {i}?" for i in range(200)]
    >>> grades = [[1.0, i % 2] for i in range(200)]
    >>> model = OutcomeClassifier(net=None).fit(texts, grades)
    >>> model.predict_proba(["What is 3 plus 4?"]).shape
    (1, 2)
    """

    theta_: Array

    def __init__(self, net: DemandNet | None = None, random_state: int = 0) -> None:
        self.net = net
        self.random_state = random_state

    def fit(
        self,
        X: Sequence[str | Prompt],  # noqa: N803
        y: npt.ArrayLike,
        groups: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
    ) -> OutcomeClassifier:
        """Fit on texts; every fifth tells how far to trust the fit, then all of them are used.

        Raises:
            ValueError: shapes that do not match, grades outside [0, 1], or no grade at all.
        """
        rows = PromptVectorizer().read(X)
        held = np.arange(len(rows)) % 5 == 4 if len(rows) >= 100 else np.zeros(len(rows), bool)
        return self.fit_features(rows, y, groups, kinds, held)

    def fit_features(
        self,
        rows: Sequence[Features],
        y: npt.ArrayLike,
        groups: Sequence[str] | None = None,
        kinds: Sequence[str] | None = None,
        held_out: npt.NDArray[np.bool_] | None = None,
    ) -> OutcomeClassifier:
        """The same from prompts already featurised.

        A first fit without the `held_out` rows (n,) is calibrated on them, per model; its slopes
        and offsets are then those of the fit on all rows.
        """
        grades = np.asarray(y, dtype=np.float32)
        if grades.ndim != 2 or len(grades) != len(rows):
            raise ValueError(f"expected grades of shape ({len(rows)}, models), got {grades.shape}")
        for what, given in (("groups", groups), ("kinds", kinds), ("held_out", held_out)):
            if given is not None and len(given) != len(rows):
                raise ValueError(f"{what}: expected {len(rows)}, one per text, got {len(given)}")
        held = np.zeros(len(rows), bool) if held_out is None else np.asarray(held_out)
        names = np.array(groups if groups is not None else ["all"] * len(rows), dtype=object)
        labels = names if kinds is None else np.array(kinds, dtype=object)
        lines = None
        if held.any():
            learn = np.flatnonzero(~held)
            self._fit(rows, grades, names, labels, learn)
            judged = [rows[i] for i in np.flatnonzero(held).tolist()]
            matrix = self.vectorizer_.transform_features(judged)
            lines = _lines(logits_of(self.net_.all_demands(matrix), self.theta_), grades[held])
        self._fit(rows, grades, names, labels, np.arange(len(rows)))
        if lines is not None:
            self.theta_ *= lines[:, 0]
            self.theta_[:, -1] += lines[:, 1]
        self.theta_ = self.theta_.astype(np.float32).astype(np.float64)  # as it is shipped
        base = base_logits(self.reference_demands_, self.theta_)
        self.base_ = base.astype(np.float32).astype(np.float64)
        self.n_models_ = grades.shape[1]
        return self

    def _fit(
        self,
        rows: Sequence[Features],
        grades: npt.NDArray[np.float32],
        names: Any,
        labels: Any,
        learn: npt.NDArray[np.int64],
    ) -> None:
        seen = [rows[i] for i in learn.tolist()]
        self.vectorizer_ = PromptVectorizer().fit_features(seen)
        matrix = self.vectorizer_.transform_features(seen)
        base = (
            clone(self.net) if self.net is not None else DemandNet(random_state=self.random_state)
        )
        self.net_ = base.fit(matrix, grades[learn], names[learn]).net_.rounded()
        _, sizes = np.unique(labels[learn].astype(str), return_counts=True)
        self.familiar_ = (
            fit_kinds(matrix, labels[learn], names[learn]) if sizes.max() >= LEAST else None
        )
        demands = self.net_.all_demands(matrix)
        picked = _reference(labels[learn], names[learn], self.random_state)
        self.reference_demands_ = {kind: demands[at] for kind, at in picked.items()}
        thetas, self.populations_ = [], []
        for k in range(self.net_.members):
            theta, population = fit_all(
                demands[:, k].astype(np.float64), grades[learn].astype(np.float64)
            )
            thetas.append(theta.T)
            self.populations_.append(population)
        self.theta_ = np.stack(thetas)  # (K, D + 1, M)

    def member_logits(self, rows: Sequence[Features]) -> Array:
        """(n, members, models): what each member says, fallen back to the base where it is new."""
        check_is_fitted(self)
        matrix = self.vectorizer_.transform_features(rows)
        logits = logits_of(self.net_.exact_demands(matrix), self.theta_)
        known = self.known(rows, matrix)
        return np.asarray(self.base_ + known[:, None, None] * (logits - self.base_))

    def known(self, rows: Sequence[Features], matrix: Any = None) -> Array:
        """(n,): how much each prompt is like those trained on, 0 to 1."""
        if self.familiar_ is None:
            return np.ones(len(rows))
        if matrix is None:
            matrix = self.vectorizer_.transform_features(rows)
        matrix = matrix.astype(np.float64)
        known = self.familiar_.known
        return np.array([known(x, row.structure) for x, row in zip(matrix, rows, strict=True)])

    def predict_proba(self, X: Sequence[str | Prompt]) -> Array:  # noqa: N803
        """(n, M): P(correct) of each model."""
        check_is_fitted(self)
        return self.predict_features(self.vectorizer_.read(X))

    def predict_features(self, rows: Sequence[Features]) -> Array:
        """The same from prompts already featurised."""
        return sigmoid(self.member_logits(rows).mean(axis=1))


def _lines(logits: Array, grades: npt.NDArray[np.float32]) -> Array:
    """(M, 2): slope and offset of each model on held-out rows; (1, 0) where they are too few."""
    mean = logits.mean(axis=1)
    lines = np.tile([1.0, 0.0], (grades.shape[1], 1))
    for m in range(grades.shape[1]):
        seen = ~np.isnan(grades[:, m])
        if seen.sum() >= 50:
            lines[m] = platt(mean[seen, m], grades[seen, m].astype(np.float64), 20.0)
    return lines


def _reference(kinds: Any, groups: Any, seed: int) -> dict[str, npt.NDArray[np.int64]]:
    """Prompts that stand for each kind: as many from each of its data sets."""
    rng = np.random.default_rng(seed)
    picked: dict[str, npt.NDArray[np.int64]] = {}
    for kind in sorted(set(kinds.tolist())):
        inside = np.flatnonzero(kinds == kind)
        sets = sorted(set(groups[inside].tolist()))
        each = max(1, REFERENCE // len(sets))
        parts = [rng.permutation(inside[groups[inside] == name])[:each] for name in sets]
        picked[kind] = np.concatenate(parts)
    return picked
