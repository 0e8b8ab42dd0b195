"""Texts to one sparse matrix, as a scikit-learn transformer (training only)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from classifiers.features import CLIP, N_DENSE, N_FEATURES, Features, featurize


class PromptVectorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """(n,) texts to a CSR matrix (n, N_FEATURES): standardised hand features, then hashed words.

    `hashed_scale` weighs the hashed part against the hand features under one regulariser.
    """

    def __init__(self, hashed_scale: float = 3.0) -> None:
        self.hashed_scale = hashed_scale

    def fit(self, X: Sequence[str], y: object = None) -> PromptVectorizer:  # noqa: ARG002, N803
        """Learn mean and scale of the hand features."""
        return self.fit_features([featurize(text) for text in _texts(X)])

    def fit_features(self, rows: Sequence[Features]) -> PromptVectorizer:
        """The same from prompts already featurised."""
        if not rows:
            raise ValueError("expected at least one prompt to fit on, got none")
        dense = np.stack([row.dense for row in rows]).astype(np.float64)
        self.mean_: npt.NDArray[np.float32] = dense.mean(axis=0).astype(np.float32)
        spread = dense.std(axis=0)
        self.scale_: npt.NDArray[np.float32] = np.where(spread > 1e-6, spread, 1.0).astype(
            np.float32
        )
        self.n_features_out_ = N_FEATURES
        return self

    def transform(self, X: Sequence[str]) -> Any:  # noqa: N803
        """CSR matrix (n, N_FEATURES) of float64."""
        return self.transform_features([featurize(text) for text in _texts(X)])

    def transform_features(self, rows: Sequence[Features]) -> Any:
        """The same from prompts already featurised."""
        check_is_fitted(self)
        if not rows:
            return sparse.csr_matrix((0, N_FEATURES))
        dense = np.stack([row.dense for row in rows]).astype(np.float64)
        dense = np.clip((dense - self.mean_) / self.scale_.astype(np.float64), -CLIP, CLIP)
        lengths = np.array([len(row.buckets) for row in rows])
        hashed = sparse.csr_matrix(
            (
                np.concatenate([row.values for row in rows]).astype(np.float64)
                * self.hashed_scale,
                np.concatenate([row.buckets for row in rows]),
                np.concatenate(([0], np.cumsum(lengths))),
            ),
            shape=(len(rows), N_FEATURES - N_DENSE),
        )
        return sparse.hstack([sparse.csr_matrix(dense), hashed], format="csr")


def _texts(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, str):
        raise ValueError("expected a list of prompts, got one string: wrap it in a list")
    rows = list(texts)
    for row in rows:
        if not isinstance(row, str):
            raise ValueError(f"expected prompts to be str, got {type(row).__name__}")
    return rows
