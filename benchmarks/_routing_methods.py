"""Baselines: what a router has to beat. `METHODS` maps a name to a factory."""

# ruff: noqa: ARG002 - every method is handed the same things and reads what it needs

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmarks._routing_data import Array, Bench, Factory, Names, Rows
from benchmarks._routing_ours import Ours

FLOOR = 0.01
LONGEST = 8000  # characters that the word baseline reads


def known_of(targets: Array, column: int) -> npt.NDArray[np.bool_]:
    """Where a model was graded."""
    return ~np.isnan(targets[:, column])


class Mean:
    """The mean grade of each model: what "always the same model" knows."""

    name = "mean"

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def fit(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        self.means = np.nanmean(targets, axis=0)

    def predict(self, texts: list[str], groups: Names, rows: Rows) -> Array:
        return np.tile(self.means, (len(texts), 1))


class DatasetMean(Mean):
    """The mean grade of each model on a data set, shrunk to its mean: knows the task's name."""

    name = "dataset-mean"
    prior = 2.0

    def fit(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        super().fit(texts, targets, groups, rows)
        self.table: dict[str, Array] = {}
        for group in np.unique(groups):
            mine = targets[groups == group]
            total = np.nansum(mine, axis=0) + self.prior * self.means
            self.table[str(group)] = total / ((~np.isnan(mine)).sum(axis=0) + self.prior)

    def predict(self, texts: list[str], groups: Names, rows: Rows) -> Array:
        return np.stack([self.table.get(str(group), self.means) for group in groups])


class Columns:
    """One estimator per model over a shared matrix of features; grades are soft labels."""

    name = ""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.heads: list[Any] = []

    def features(self, texts: list[str], rows: Rows, *, first: bool) -> Any:
        """The matrix of texts; `first` when it is fitted on."""
        raise NotImplementedError

    def head(self, matrix: Any, target: Array) -> Any:
        """A fitted estimator of one model: a callable from a matrix to probabilities."""
        return logistic(matrix, target)

    def fit(self, texts: list[str], targets: Array, groups: Names, rows: Rows) -> None:
        matrix = self.features(texts, rows, first=True)
        self.heads = []
        for column in range(targets.shape[1]):
            known = known_of(targets, column)
            self.heads.append(self.head(matrix[known], targets[known, column]))

    def predict(self, texts: list[str], groups: Names, rows: Rows) -> Array:
        matrix = self.features(texts, rows, first=False)
        return np.stack([head(matrix) for head in self.heads], axis=1).clip(FLOOR, 1 - FLOOR)


def logistic(matrix: Any, target: Array, strength: float = 1.0) -> Callable[[Any], Array]:
    """Logistic regression on grades in [0, 1]; of grades all alike, their mean."""
    hit, miss = target > 0, target < 1
    if not hit.any() or not miss.any():
        return lambda new: np.full(new.shape[0], float(target.mean()))
    stack = sparse.vstack if sparse.issparse(matrix) else np.concatenate
    model = LogisticRegression(C=strength, max_iter=300)
    model.fit(
        stack([matrix[hit], matrix[miss]]),
        np.repeat([1, 0], [hit.sum(), miss.sum()]),
        sample_weight=np.concatenate([target[hit], 1 - target[miss]]),
    )
    return lambda new: np.asarray(model.predict_proba(new)[:, 1])


class Scaled(Columns):
    """Dense features, standardised and clipped."""

    def dense(self, texts: list[str], rows: Rows) -> Array:
        return self.bench.hand(texts, rows).astype(np.float64)

    def features(self, texts: list[str], rows: Rows, *, first: bool) -> Array:
        dense = self.dense(texts, rows)
        if first:
            self.scaler = StandardScaler().fit(dense)
        return np.clip(self.scaler.transform(dense), -4, 4)


class Hand(Scaled):
    """Logistic regression on the hand features."""

    name = "hand"

    def head(self, matrix: Array, target: Array) -> Callable[[Any], Array]:
        return logistic(matrix, target, strength=0.1)


class Length(Scaled):
    """Logistic regression on the log of the length and its square."""

    name = "length"

    def dense(self, texts: list[str], rows: Rows) -> Array:
        size = np.log1p([len(text) for text in texts])
        return np.stack([size, size**2], axis=1)


class Tfidf(Columns):
    """Logistic regression on TF-IDF of words and word pairs."""

    name = "tfidf"

    def features(self, texts: list[str], rows: Rows, *, first: bool) -> Any:
        cut = [text[:LONGEST] for text in texts]
        if first:
            self.words = TfidfVectorizer(
                ngram_range=(1, 2), max_features=20_000, sublinear_tf=True, min_df=2
            )
            try:
                return self.words.fit_transform(cut)
            except ValueError:  # a handful of prompts may share no word
                self.words = TfidfVectorizer(max_features=20_000, sublinear_tf=True)
                return self.words.fit_transform(cut)
        return self.words.transform(cut)

    def head(self, matrix: Any, target: Array) -> Callable[[Any], Array]:
        return logistic(matrix, target, strength=2.0)


class Knn(Scaled):
    """The mean grade of the 50 nearest prompts by cosine, weighted by likeness."""

    name = "knn-hand"
    neighbours = 50

    def head(self, matrix: Array, target: Array) -> Callable[[Any], Array]:
        bank = unit_rows(matrix)
        count = min(self.neighbours, len(bank))

        def near(new: Array) -> Array:
            out = []
            for start in range(0, len(new), 2000):
                like = unit_rows(new[start : start + 2000]) @ bank.T
                at = np.argpartition(-like, count - 1, axis=1)[:, :count]
                weight = np.exp(8.0 * np.take_along_axis(like, at, axis=1))
                out.append((weight * target[at]).sum(axis=1) / weight.sum(axis=1))
            return np.concatenate(out)

        return near


def unit_rows(matrix: Array) -> npt.NDArray[np.float32]:
    """Rows of length one."""
    norms = np.linalg.norm(matrix, axis=1, keepdims=True)
    return (matrix / np.maximum(norms, 1e-9)).astype(np.float32)


def vectors_of(bench: Bench, rows: Rows) -> Array:
    """Sentence embeddings of the bench's own rows."""
    if bench.embeddings is None or (rows < 0).any():
        raise ValueError("sentence embeddings are known for the bench's prompts only: --minilm")
    return bench.embeddings[rows].astype(np.float64)


class KnnMini(Knn):
    """The same on MiniLM sentence embeddings."""

    name = "knn-minilm"

    def features(self, texts: list[str], rows: Rows, *, first: bool) -> Array:
        return vectors_of(self.bench, rows)


class Boosted(Scaled):
    """Gradient boosting on the hand features."""

    name = "hgb-hand"

    def head(self, matrix: Array, target: Array) -> Callable[[Any], Array]:
        model = HistGradientBoostingRegressor(
            max_iter=150, max_leaf_nodes=15, learning_rate=0.08, l2_regularization=5,
            min_samples_leaf=min(30, max(2, len(target) // 10)), random_state=0,
        )  # fmt: skip
        model.fit(matrix, target)
        return lambda new: np.asarray(model.predict(new))


class BoostedMini(Boosted):
    """Gradient boosting on hand features and 48 principal components of MiniLM."""

    name = "hgb-minilm"

    def features(self, texts: list[str], rows: Rows, *, first: bool) -> Array:
        hand = super().features(texts, rows, first=first)
        vectors = vectors_of(self.bench, rows)
        if first:
            self.pca = PCA(min(48, len(vectors)), random_state=0).fit(vectors)
        return np.hstack([hand, self.pca.transform(vectors)])


class HandMini(BoostedMini):
    """Logistic regression on hand features and MiniLM."""

    name = "hand-minilm"

    def head(self, matrix: Array, target: Array) -> Callable[[Any], Array]:
        return logistic(matrix, target, strength=0.1)


METHODS: dict[str, Factory] = {
    one.name: one
    for one in (Mean, Length, Tfidf, Hand, Knn, Boosted, HandMini, KnnMini, BoostedMini,
                DatasetMean, Ours)
}  # fmt: skip
NEED_EMBEDDINGS = frozenset({"knn-minilm", "hgb-minilm", "hand-minilm"})


def chosen(names: Sequence[str], bench: Bench) -> dict[str, Factory]:
    """The methods asked for, or all that can run on what the bench holds."""
    if names:
        return {name: METHODS[name] for name in names}
    usable = {n: m for n, m in METHODS.items() if n not in NEED_EMBEDDINGS}
    return METHODS if bench.embeddings is not None else usable
