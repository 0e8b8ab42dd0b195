"""A prompt as it was read: all that scoring and learning need of it, without its text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from classifiers.length.asked import Asked

F32 = npt.NDArray[np.float32]


class Reading(NamedTuple):
    """A prompt that was read: its features, 600 bytes, its route, and what was asked for: a
    length, an effort. The text is not in it.
    """

    x: F32
    structure: F32
    route: str
    asked: Asked | None = None
    effort: str = ""
