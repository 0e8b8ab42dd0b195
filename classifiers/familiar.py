"""Which kind of task a prompt looks like, and whether it looks like any kind that was trained on.

A kind is a normal distribution of hand features. What is far from all of them is new, and scores
of new prompts fall back to what a model can do on average: measured on whole sources left out,
what was learned elsewhere ranks no better than chance there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.features import DENSE_NAMES

Array = npt.NDArray[np.float32]

NEW_FROM = 1.5
NEW_WITHIN = 0.25
"""log of the mean squared distance at which half is forgotten, and how gently. Of data sets left
out, 85 % lie below it; of sources left out, 35 % (benchmarks/routing.py)."""
UNKNOWN = 0.1
"""Below this share nothing is left: prompts of an unknown kind are not ranked by dust."""
SHORT, TOO_SHORT, SHORTEST = -2.0, -4.0, 0.2
"""Deviations from the usual log length: a text shorter than nearly all that was trained on looks
like anything, so less of what it looks like is believed, down to a fifth."""
LENGTH = DENSE_NAMES.index("words")
STRUCTURE_WEIGHT = 0.25
"""Tools, long system prompts and histories were not in the training data."""


@dataclass(frozen=True, slots=True)
class Familiar:
    """Kinds with centres (F, d) and whitening maps (F, d, d) over the d hand features, and a
    linear guess of the kind from all inputs.
    """

    names: tuple[str, ...]
    centres: Array
    whiten: Array
    weights: Array  # (inputs, F)
    bias: Array  # (F,)

    def known(self, x: Array, structure: Array) -> float:
        """1 for a prompt like those trained on, 0 for one like none of them.

        `x` are all inputs, or the hand features alone.
        """
        d = self.centres.shape[1]
        offset = x[:d] - self.centres
        white = (self.whiten @ offset[:, :, None])[:, :, 0]
        worded = x.size == d or bool(x[d:].any())
        return known_at(
            float((white * white).sum(axis=1).min()) / d, structure, float(x[LENGTH]), worded
        )

    def kind(self, x: Array) -> str:
        """The likeliest kind of task, from all inputs."""
        return self.names[int((x @ self.weights + self.bias).argmax())]


def known_at(square: float, structure: Array, length: float = 0.0, worded: bool = True) -> float:
    """How known a prompt is, 0 to 1: near a kind, long enough to tell, with words to tell by.

    `square` is the mean squared distance to the nearest kind, `length` the standardised log of
    the words and marks.
    """
    if not worded:
        return 0.0
    distance = math.log(max(square, 1e-6)) + STRUCTURE_WEIGHT * float(structure @ structure)
    share = 1.0 / (1.0 + math.exp(min(60.0, (distance - NEW_FROM) / NEW_WITHIN)))
    telling = min(1.0, max(SHORTEST, (length - TOO_SHORT) / (SHORT - TOO_SHORT)))
    return max(0.0, (share - UNKNOWN) / (1.0 - UNKNOWN)) * telling
