"""Scores a prompt: what the shipped arrays say, moved by what the user's own answers taught.

Numpy only, no scikit-learn; nothing is read from disk after loading.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt

from classifiers.features import N_DENSE, featurize
from classifiers.learning import Learning
from classifiers.learning.kernel import Point
from classifiers.learning.tenants import Learned, Status
from classifiers.placement import Placements
from classifiers.prior import Belief, Prior, Seen
from classifiers.prompt import Prompt
from classifiers.scores import Quantiles, Score
from classifiers.store import (
    Weights,
    read_arrays,
    save,
    shipped_placements,
    shipped_weights,
    weights_from,
)
from classifiers.words import WordTable, load_words

MAX_PROFILES = 1000
HAND_WEIGHT = 1.5
"""How much form counts beside meaning when prompts are held against each other; of 0.5, 1 and
1.5, the best on three sources left out, at 30 to 1,000 answers."""

F32 = npt.NDArray[np.float32]


class Reading(NamedTuple):
    """A prompt that was read: its features, 600 bytes, and its route. The text is not in it."""

    x: F32
    structure: F32
    route: str


class Scorer:
    """P(correct) and token quantiles of any profile; learns from graded answers.

    Thread-safe. Weights never change; what is learned is kept by tenant, and can be saved, counted
    and taken back.

    >>> from classifiers import load_default
    >>> scorer = load_default()
    >>> scores = scorer.score("What is 2 + 2?", ["deepseek-v3.2", "deepseek-v3.2:thinking"])
    >>> 0.5 < scores["deepseek-v3.2"].p_correct < 1.0
    True
    """

    def __init__(
        self,
        weights: Weights,
        placements: Placements,
        words: WordTable,
        learning: Learning | None = None,
    ) -> None:
        self._prior = Prior(weights, placements)
        self._placements = placements
        self._words = words
        self._learning = learning if learning is not None else Learning()
        self._digest = weights.digest()

    def fresh(self) -> Scorer:
        """A scorer of the same weights, sharing their arrays, that has learned nothing."""
        new = copy(self)
        new._learning = Learning()
        return new

    @property
    def version(self) -> str:
        """The weights and how many answers were learned: two of the same version score alike."""
        return f"{self._digest}+{self._learning.seq}"

    @property
    def trained(self) -> tuple[str, ...]:
        """Profiles trained on their own public outcomes."""
        return self._prior.names("trained")

    @property
    def placed(self) -> tuple[str, ...]:
        """Profiles placed by published scores."""
        return self._prior.names("placed")

    def read(self, prompt: Prompt | str) -> Reading:
        """The features of a prompt, to be scored or learned from now or later.

        Raises:
            ValueError: neither a text nor a `Prompt`.
        """
        if not isinstance(prompt, (str, Prompt)) or (
            isinstance(prompt, Prompt) and not isinstance(prompt.text, str)
        ):
            raise ValueError(f"expected the prompt as str or Prompt, got {type(prompt).__name__}")
        found = featurize(prompt, self._words)
        route = "" if isinstance(prompt, str) else prompt.route
        return Reading(self._prior.standard(found.dense, found.words), found.structure, route)

    def score(
        self, prompt: Prompt | str | Reading, profiles: Sequence[str], *, tenant: str = ""
    ) -> dict[str, Score]:
        """The score of each profile for one prompt; the prompt is read once.

        A profile never heard of is scored as a middling model, basis "prior".

        Raises:
            ValueError: not a prompt, or `profiles` is not a list of names.
        """
        if isinstance(profiles, str):
            raise ValueError(f"expected a list of profiles, got {profiles!r}: wrap it in a list")
        if len(profiles) > MAX_PROFILES:
            raise ValueError(f"expected at most {MAX_PROFILES} profiles, got {len(profiles)}")
        reading = prompt if isinstance(prompt, Reading) else self.read(prompt)
        seen = self._prior.see(reading.x, reading.structure)
        beliefs = self._prior.beliefs(seen, profiles)
        learned: Mapping[str, Learned] = {}
        if self._learning.seq:
            priors = {name: belief.p for name, belief in zip(profiles, beliefs, strict=True)}
            learned = self._learning.predict(tenant, priors, self._point(reading, seen))
        lengths = self._prior.lengths(seen, profiles)
        return {
            name: _score(self._prior.profile(name).basis, belief, tokens, learned.get(name), seen)
            for name, belief, tokens in zip(profiles, beliefs, lengths, strict=True)
        }

    def learn(
        self, prompt: Prompt | str | Reading, profile: str, grade: float, *, tenant: str = ""
    ) -> None:
        """Learn that `profile` answered this prompt with this grade, 0 (wrong) to 1 (right).

        Raises:
            ValueError: a grade outside [0, 1], or not a prompt.
        """
        reading = prompt if isinstance(prompt, Reading) else self.read(prompt)
        seen = self._prior.see(reading.x, reading.structure)
        (belief,) = self._prior.beliefs(seen, [profile])
        self._learning.learn(tenant, profile, self._point(reading, seen), belief.p, grade)

    def rollback(self, version: str) -> int:
        """Forget what was learned after `version`; returns how many answers these were.

        Raises:
            ValueError: a version of other weights, or one that is yet to come.
        """
        digest, _, seq = version.partition("+")
        if digest != self._digest or not seq.isdigit() or int(seq) > self._learning.seq:
            raise ValueError(
                f"expected a version of these weights up to {self.version!r}, got {version!r}"
            )
        return self._learning.rollback(int(seq))

    def status(self) -> list[Status]:
        """How well the answers of each tenant and profile were foretold, prior and learned."""
        return self._learning.status()

    def save(self, target: Path | str | IO[bytes]) -> None:
        """Write weights and what was learned into one file (npz); no prompt text is in it."""
        place = Path(target) if isinstance(target, str) else target
        state = {f"learned_{name}": value for name, value in self._learning.state().items()}
        save(self._prior.weights, place, **state)

    def _point(self, reading: Reading, seen: Seen) -> Point:
        hand = reading.x[:N_DENSE] * np.float32(HAND_WEIGHT / np.sqrt(N_DENSE))
        words = reading.x[N_DENSE:] * np.float32(1.0 / 8.0)
        return Point(
            near=np.concatenate((words, hand, reading.structure)),
            demand=self._prior.scaled_demands(seen),
            lean=self._prior.lean(seen),
            route=reading.route,
            known=seen.known,
        )


def _score(
    basis: str,
    belief: Belief,
    tokens: tuple[Quantiles, Quantiles],
    learned: Learned | None,
    seen: Seen,
) -> Score:
    p, draws, base, tokens_unread = belief
    graded = 0
    if learned is not None:
        p = min(1.0, max(0.0, p + learned.shift))
        base = min(1.0, max(0.0, base + learned.base_shift))
        middle = sum(draws) / len(draws)
        draws = [min(1.0, max(0.0, p + learned.spread * (draw - middle))) for draw in draws]
        graded = learned.graded
    kind = seen.kind if seen.known else ""
    output, reasoning = tokens
    return Score(
        p, output, reasoning, basis, tuple(draws), base, graded, seen.known, kind, tokens_unread
    )


def load_scorer(source: Path | str | IO[bytes]) -> Scorer:
    """A scorer saved with `Scorer.save`, with all it has learned.

    Raises:
        ValueError: another format or other features; OSError: it cannot be read.
    """
    place = Path(source) if isinstance(source, str) else source
    arrays = read_arrays(place)
    state = {
        name.removeprefix("learned_"): value
        for name, value in arrays.items()
        if name.startswith("learned_")
    }
    learning = Learning.from_state(state) if state else None
    return Scorer(weights_from(arrays), shipped_placements(), load_words(), learning)


_default: Scorer | None = None
_lock = threading.Lock()


def load_default() -> Scorer:
    """A scorer of the shipped weights that has learned nothing; its arrays are shared."""
    global _default  # noqa: PLW0603  the arrays are loaded once per process
    with _lock:
        if _default is None:
            _default = Scorer(shipped_weights(), shipped_placements(), load_words())
        return _default.fresh()
