"""Features put on one scale: what nets and distances are computed on. Numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.features import CLIP

Array = npt.NDArray[np.float32]

WORD_SCALE = 8.0
"""A word vector has norm 1 over 64 numbers: eight times that is the scale of the others."""


LEAST_VARIED = 0.002
"""A feature must differ from its usual value in this share of prompts to be learned from."""


@dataclass(frozen=True, slots=True)
class Standard:
    """Mean and 1/scale of the hand features (d,); one that hardly varied counts for nothing."""

    mean: Array
    inverse_scale: Array

    @classmethod
    def fit(cls, dense: Array) -> Standard:
        """From the hand features (n, d) of the training prompts."""
        values = dense.astype(np.float64)
        spread = values.std(axis=0)
        usual = np.median(values, axis=0)
        varies = (values != usual).mean(axis=0) >= LEAST_VARIED
        inverse = np.where(varies & (spread > 1e-6), 1.0 / np.maximum(spread, 1e-6), 0.0)
        return cls(values.mean(axis=0).astype(np.float32), inverse.astype(np.float32))

    def __call__(self, dense: Array, words: Array) -> Array:
        """(d,) and (w,) to (d + w,), or the same for (n, d) and (n, w)."""
        hand = (dense - self.mean) * self.inverse_scale
        np.clip(hand, -CLIP, CLIP, out=hand)
        return np.concatenate((hand, words * np.float32(WORD_SCALE)), axis=-1)
