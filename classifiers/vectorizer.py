"""Prompts to one dense matrix: standardised hand features, then word vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from classifiers.features import N_DENSE, Features, featurize
from classifiers.prompt import Prompt
from classifiers.standard import Standard
from classifiers.words import N_WORDS, WordTable, load_words

Matrix = npt.NDArray[np.float32]


class PromptVectorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """(n,) texts or `Prompt`s to (n, N_DENSE + N_WORDS): what the shipped scorer reads.

    `words` is a table of word vectors, by default the shipped one.

    >>> from classifiers import PromptVectorizer
    >>> PromptVectorizer().fit_transform(["Prove it.", "What is 2 + 2?", "Write a poem."]).shape
    (3, 142)
    """

    def __init__(self, words: WordTable | None = None) -> None:
        self.words = words

    def fit(self, X: Sequence[str | Prompt], y: object = None) -> PromptVectorizer:  # noqa: ARG002, N803
        """Learn mean and scale of the hand features."""
        return self.fit_features(self.read(X))

    def fit_features(self, rows: Sequence[Features]) -> PromptVectorizer:
        """The same from prompts already featurised."""
        if not rows:
            raise ValueError("expected at least one prompt to fit on, got none")
        self.standard_ = Standard.fit(np.stack([row.dense for row in rows]))
        self.n_features_out_ = N_DENSE + N_WORDS
        return self

    def transform(self, X: Sequence[str | Prompt]) -> Matrix:  # noqa: N803
        """(n, N_DENSE + N_WORDS) of float32."""
        return self.transform_features(self.read(X))

    def transform_features(self, rows: Sequence[Features]) -> Matrix:
        """The same from prompts already featurised."""
        check_is_fitted(self)
        if not rows:
            return np.empty((0, N_DENSE + N_WORDS), dtype=np.float32)
        return self.standard_(
            np.stack([row.dense for row in rows]), np.stack([row.words for row in rows])
        )

    def read(self, texts: Sequence[str | Prompt]) -> list[Features]:
        """Features of each prompt.

        Raises:
            ValueError: not a list of prompts.
        """
        if isinstance(texts, (str, Prompt)):
            raise ValueError("expected a list of prompts, got one: wrap it in a list")
        rows: list[Any] = list(texts)
        for row in rows:
            if not isinstance(row, (str, Prompt)):
                raise ValueError(f"expected prompts to be str, got {type(row).__name__}")
        table = self.words or load_words()
        return [featurize(row, table) for row in rows]
