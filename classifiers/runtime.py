"""Scores a prompt: what the shipped arrays say, moved by what the user's own answers taught.

Numpy only, no scikit-learn; nothing is read from disk after loading.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from classifiers.checks import check_counts, check_names, check_published, refusal
from classifiers.features import N_DENSE, featurize
from classifiers.forking import guard
from classifiers.joining import joined
from classifiers.learning import Learning
from classifiers.learning.kernel import Point
from classifiers.learning.tenants import Learned, Status
from classifiers.length.asked import asked_length
from classifiers.length.forecaster import Lengths
from classifiers.placement import Placements
from classifiers.prior import Prior, Seen
from classifiers.prompt import Prompt
from classifiers.reading import Reading
from classifiers.scores import Score
from classifiers.store import Weights, save
from classifiers.versions import Versions
from classifiers.words import WordTable

MAX_PROFILES = 1000
HAND_WEIGHT = 1.5
"""How much form counts beside meaning when prompts are held against each other; of 0.5, 1 and
1.5, the best on three sources left out, at 30 to 1,000 answers."""

F32 = npt.NDArray[np.float32]


class Scorer:
    """P(correct) and token quantiles of any profile; learns from graded answers.

    Thread-safe. Weights never change; what is learned is kept by tenant, and can be saved, counted
    and taken back. Lengths are learned from every call, whoever graded it (`observe`).

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
        lengths: Lengths | None = None,
        versions: Versions | None = None,
    ) -> None:
        self._prior = Prior(weights)
        self._words = words
        self._lengths = Lengths.of(weights, placements) if lengths is None else lengths
        self._learning = learning if learning is not None else Learning()
        self._versions = Versions(weights.digest()) if versions is None else versions
        self._lock = threading.Lock()
        guard(self)

    def __reduce__(self) -> tuple[Any, ...]:
        file = BytesIO()
        self.save(file)
        return _unpickled, (file.getvalue(),)

    def fresh(self) -> Scorer:
        """A scorer of the same weights, sharing their arrays, that has learned nothing."""
        new = object.__new__(type(self))
        vars(new).update(vars(self))
        new._learning, new._versions = Learning(), self._versions.fresh()
        new._lengths = self._lengths.fresh()
        new._lock = threading.Lock()
        guard(new)
        return new

    def locks(self) -> tuple[threading.Lock, ...]:
        """For `guard`: no thread may be in the middle of learning when the process forks."""
        return self._lock, self._learning.lock, self._lengths.lock

    @property
    def version(self) -> str:
        """The weights, what was placed beside them, and just which answers were learned.

        Lengths that were observed are not in it: they are counted, not judged.
        """
        return self._versions.current

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
            raise refusal(f"expected the prompt as str or Prompt, got {type(prompt).__name__}")
        found = featurize(prompt, self._words)
        x = self._prior.standard(found.dense, found.words)
        if isinstance(prompt, str):
            return Reading(x, found.structure, "", asked_length(prompt))
        asked = asked_length(prompt)
        return Reading(x, found.structure, prompt.route, asked, prompt.effort)

    def score(
        self, prompt: Prompt | str | Reading, profiles: Sequence[str], *, tenant: str = ""
    ) -> dict[str, Score]:
        """The score of each profile for one prompt; the prompt is read once.

        A profile never heard of is scored as a middling model, basis "prior".

        Raises:
            ValueError: not a prompt, or `profiles` is not a list of names.
        """
        if isinstance(profiles, str):
            raise refusal(f"expected a list of profiles, got {profiles!r}: wrap it in a list")
        if len(profiles) > MAX_PROFILES:
            raise refusal(f"expected at most {MAX_PROFILES} profiles, got {len(profiles)}")
        reading = prompt if isinstance(prompt, Reading) else self.read(prompt)
        seen = self._prior.see(reading.x, reading.structure)
        beliefs = self._prior.beliefs(seen, profiles)
        learned: Mapping[str, Learned] = {}
        if self._learning.seq:
            priors = {name: belief.p for name, belief in zip(profiles, beliefs, strict=True)}
            learned = self._learning.predict(tenant, priors, self._point(reading, seen))
        lengths = self._lengths.forecast(reading, seen, self._prior, profiles, tenant)
        return {
            name: joined(self._prior.profile(name).basis, belief, tokens, learned.get(name), seen)
            for name, belief, tokens in zip(profiles, beliefs, lengths, strict=True)
        }

    def learn(
        self, prompt: Prompt | str | Reading, profile: str, grade: float, *, tenant: str = ""
    ) -> None:
        """Learn that `profile` answered this prompt with this grade, 0 (wrong) to 1 (right).

        Raises:
            ValueError: a grade outside [0, 1], not a prompt, or a name that is no text.
        """
        check_names(profile, tenant)
        reading = prompt if isinstance(prompt, Reading) else self.read(prompt)
        seen = self._prior.see(reading.x, reading.structure)
        (belief,) = self._prior.beliefs(seen, [profile])
        point = self._point(reading, seen)
        with self._lock:
            self._learning.learn(tenant, profile, point, belief.p, grade)
            what = f"{tenant}\0{profile}\0{reading.route}\0{float(grade)!r}"
            self._versions.learned(what, reading.x.tobytes())

    def observe(
        self,
        prompt: Prompt | str | Reading,
        profile: str,
        output_tokens: int,
        *,
        reasoning_tokens: int | None = None,
        truncated: bool = False,
        tenant: str = "",
    ) -> None:
        """Learn how many output tokens `profile` took to answer this prompt, reasoning included.

        `truncated`: the answer was cut off, and would have been as long or longer.

        >>> from classifiers import load_default
        >>> scorer = load_default()
        >>> for _ in range(30):
        ...     scorer.observe("Summarise this ticket.", "deepseek-v3.2", 40)
        >>> score = scorer.score("Summarise this ticket.", ["deepseek-v3.2"])["deepseek-v3.2"]
        >>> score.tokens_basis, score.tokens_calls, round(score.output_tokens.p50)
        ('pooled', 30, 40)

        Raises:
            ValueError: a negative count, not a prompt, or a name that is no text.
        """
        check_names(profile, tenant)
        check_counts(output_tokens, reasoning_tokens)
        reading = prompt if isinstance(prompt, Reading) else self.read(prompt)
        seen = self._prior.see(reading.x, reading.structure)
        counts = (output_tokens, reasoning_tokens)
        self._lengths.observe(reading, seen, self._prior, profile, counts, truncated, tenant)

    def lengths_seen(self) -> list[tuple[str, str, str, int, int]]:
        """Tenant, route ("": all), profile, calls observed, and changes noticed, of each."""
        return self._lengths.calls()

    def place(
        self,
        profile: str,
        published: Mapping[str, float],
        *,
        like: str | None = None,
        gain: float = 0.0,
        mean_tokens: float | None = None,
    ) -> None:
        """Place a model by published accuracies in (0, 1), by benchmark (`benchmarks`).

        `like` names a profile that it is near, `gain` logits better; without it, models in
        general are. `mean_tokens` is the usual length of its answers. Its own graded answers move
        it from there.

        >>> from classifiers import load_default
        >>> scorer = load_default()
        >>> scorer.place("my-moe", {"mmlu_pro": 0.71, "gsm8k": 0.93}, mean_tokens=300)
        >>> scorer.score("What is 12 * 12?", ["my-moe"])["my-moe"].basis
        'placed'

        Raises:
            ValueError: an unknown benchmark or profile, or a score outside (0, 1).
        """
        if not isinstance(profile, str) or not profile:
            raise refusal(f"profile: expected a name, got {profile!r}")
        if like is not None and like not in self._prior.known_names:
            raise refusal(f"like: expected a profile of this scorer, got {like!r}")
        check_published(published, like)
        if mean_tokens is not None and not mean_tokens > 0:
            raise refusal(f"mean_tokens: expected above 0, got {mean_tokens!r}")
        given = (dict(published), like, gain, mean_tokens)
        with self._lock:
            self._prior = self._prior.placed(profile, published, like, gain)
            self._lengths.place(profile, like, mean_tokens, self._prior)
            self._versions.placed(profile, given)

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """Benchmarks whose published scores can place a model."""
        return self._prior.weights.benchmarks

    def rollback(self, version: str) -> int:
        """Forget what was learned after `version`; returns how many answers these were.

        Raises:
            ValueError: a version of other weights, or one that is yet to come.
        """
        with self._lock:
            return self._learning.rollback(self._versions.back_to(version))

    def forget_lengths(
        self, *, tenant: str | None = None, route: str | None = None, profile: str | None = None
    ) -> int:
        """Forget observed lengths: of this tenant, route or profile, or all; returns how many
        histories these were. Grades stay.
        """
        return self._lengths.forget(tenant, route, profile)

    def status(self) -> list[Status]:
        """How well the answers of each tenant and profile were foretold, prior and learned."""
        return self._learning.status()

    def save(self, target: Path | str | IO[bytes]) -> None:
        """Write weights and what was learned into one file (npz), whole or not at all.

        No prompt is in it; the names of tenants and routes are.
        """
        with self._lock:
            state = {f"learned_{name}": value for name, value in self._learning.state().items()}
            state |= {f"took_{name}": value for name, value in self._lengths.state().items()}
            state["chain"] = np.array(self._versions.chain, dtype=np.uint32)
            state["added"] = np.array(json.dumps(self._versions.added, sort_keys=True))
        save(self._prior.weights, Path(target) if isinstance(target, str) else target, **state)

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


def _unpickled(content: bytes) -> Scorer:
    from classifiers import load_scorer

    return load_scorer(BytesIO(content))
