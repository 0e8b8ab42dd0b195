"""Where scorers come from: a file that one was saved to, or the arrays that are shipped."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import IO

from classifiers.learning import Learning
from classifiers.length.forecaster import Lengths
from classifiers.runtime import Scorer
from classifiers.store import read_arrays, shipped_placements, shipped_weights, weights_from
from classifiers.versions import Versions
from classifiers.words import load_words

_default: Scorer | None = None
_lock = threading.Lock()


def load_scorer(source: Path | str | IO[bytes]) -> Scorer:
    """A scorer saved with `Scorer.save`, with all it has learned.

    Raises:
        ValueError: another format or other features; OSError: it cannot be read.
    """
    place = Path(source) if isinstance(source, str) else source
    arrays = read_arrays(place)
    state, took = (
        {name.removeprefix(p): value for name, value in arrays.items() if name.startswith(p)}
        for p in ("learned_", "took_")
    )
    learning = Learning.from_state(state) if state else None
    weights, placements = weights_from(arrays), shipped_placements()
    lengths = Lengths.of(weights, placements, took)
    versions = Versions(weights.digest(), arrays["chain"].tolist() if "chain" in arrays else ())
    if len(versions) != (learning.seq if learning else 0):
        raise ValueError("the scorer's file does not hold as many answers as it says")
    scorer = Scorer(weights, placements, load_words(), learning, lengths, versions)
    added = json.loads(str(arrays["added"])) if "added" in arrays else {}
    for name, (published, near, gain, tokens) in added.items():
        scorer.place(name, published, like=near, gain=gain, mean_tokens=tokens)
    return scorer


def load_default() -> Scorer:
    """A scorer of the shipped weights that has learned nothing; its arrays are shared."""
    global _default  # noqa: PLW0603  the arrays are loaded once per process
    with _lock:
        if _default is None:
            _default = Scorer(shipped_weights(), shipped_placements(), load_words())
        return _default.fresh()
