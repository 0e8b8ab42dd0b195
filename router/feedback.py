"""What answers teach the scorer: their lengths, and their grades, each once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from router._locks import forkable
from router.errors import (
    AlreadyGradedError,
    ConfigError,
    InvalidRequestError,
    UnknownRequestError,
)
from router.ledgers import Grade, Ledger
from router.scoring import Scorer, learner, observes


@dataclass(frozen=True, slots=True)
class Remembered:
    """What learning from a request will need: what the scorer read of it, and who answered.

    `graded_by` is "" until the answer has its grade. `noted` are those whose grade the ledger has
    already, though nothing could be learned from it.
    """

    reading: Any
    profile: str
    tenant: str
    graded_by: str = ""
    noted: set[str] = field(default_factory=set)


class Memory:
    """The latest `size` requests by id, without their text; thread-safe."""

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._kept: OrderedDict[str, Remembered] = OrderedDict()
        self._lock = forkable(self)

    def __len__(self) -> int:
        return len(self._kept)

    def put(self, request_id: str, remembered: Remembered) -> None:
        """Remember a request; the oldest is forgotten when there are too many."""
        with self._lock:
            self._kept[request_id] = remembered
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)

    @contextmanager
    def grading(self, request_id: str, by: str) -> Iterator[Remembered]:
        """Mark a request as graded; what fails inside leaves it ungraded.

        Raises:
            UnknownRequestError: it is not remembered.
            AlreadyGradedError: it has its grade, or is being given one.
        """
        with self._lock:
            kept = self._kept.get(request_id)
            if kept is None:
                raise UnknownRequestError(
                    f"the request {request_id!r} is not remembered: it was not answered by this "
                    f"client, or is not among its latest {self._size:,}. With the messages at "
                    "hand use client.learn([(messages, model, score)])."
                )
            if kept.graded_by:
                raise AlreadyGradedError(
                    f"the answer to {request_id!r} has been graded by {kept.graded_by}; each "
                    "answer is learned from once"
                )
            # Its reading has served then: no need to keep it.
            self._kept[request_id] = replace(kept, reading=None, graded_by=by)
        try:
            yield kept
        except BaseException:
            with self._lock:
                if request_id in self._kept:
                    self._kept[request_id] = kept
            raise


def feedback(
    scorer: Scorer,
    memory: Memory,
    ledger: Ledger,
    request_id: str,
    score: object,
    *,
    by: str,
    at: datetime,
) -> None:
    """Keep in the ledger how good the answer to a request was, and let the scorer learn it.

    Of a request that is not remembered, but in the ledger, there is nothing left to learn from.
    Whatever keeps the scorer from learning, the ledger has the grade first.

    Raises:
        InvalidRequestError: `score` is no grade, `request_id` no text, or `by` no short word.
        ConfigError: the scorer does not learn.
        UnknownRequestError: it is neither remembered nor in the ledger.
        AlreadyGradedError: the answer has its grade.
    """
    if not isinstance(request_id, str):
        raise InvalidRequestError(
            f"request_id: expected route.request_id, got {type(request_id).__name__}",
            param="request_id",
        )
    given = [Grade(request_id=request_id, candidate="", score=checked_grade(score), by=by, at=at)]
    learning = False
    try:
        with memory.grading(request_id, by) as kept:
            learning = True
            if by not in kept.noted:  # else a first try kept it, and could not learn
                _note(ledger, given)
                kept.noted.add(by)
            able = learner(scorer)
            able.learn(kept.reading, kept.profile, given[0].score, tenant=kept.tenant)
    except UnknownRequestError as error:
        try:
            _note(ledger, given)
        except UnknownRequestError:
            raise error from None
        _demand_learner(scorer)
    except AlreadyGradedError as error:
        if not learning:
            _note(ledger, given)
            error.add_note("The ledger has kept this grade beside it.")
        raise


def _demand_learner(scorer: Scorer) -> None:
    try:
        learner(scorer)
    except ConfigError as error:
        error.add_note("The ledger has kept the grade.")
        raise


def _note(ledger: Ledger, grades: Sequence[Grade]) -> None:
    if not ledger.grade(grades):
        one = grades[0]
        raise AlreadyGradedError(
            f"the answer to {one.request_id!r} has been graded by {one.by} in the ledger"
        )


def conclude(
    scorer: Scorer,
    memory: Memory,
    request_id: str,
    served: Remembered,
    grades: Sequence[tuple[str, float]],
    *,
    verified: bool,
) -> tuple[str, ...]:
    """Learn what a verifier said of each (profile, grade), and remember the request.

    `verified` says that the answer which served is among them, so that it has its grade. Returns
    notes: a scorer that cannot learn now costs no answer.
    """
    able = learner(scorer)
    notes = []
    for profile, grade in grades:
        try:
            able.learn(served.reading, profile, grade, tenant=served.tenant)
        except Exception as error:  # noqa: BLE001 - a scorer is anybody's code
            # Not its words: they may hold the prompt.
            notes.append(f"the scorer could not learn: {type(error).__name__}")
    if verified and not notes:
        served = replace(served, reading=None, graded_by="the verifier")
    memory.put(request_id, served)
    return tuple(notes)


@dataclass(frozen=True, slots=True)
class Length:
    """How long an answer of `profile` was, in tokens; as in `scoring.Observer.observe`."""

    profile: str
    output_tokens: int
    reasoning_tokens: int | None = None
    truncated: bool = False


def note_lengths(
    scorer: Scorer, reading: Any, tenant: str, lengths: Sequence[Length]
) -> tuple[str, ...]:
    """Tell a scorer that observes how long answers were; notes where it fails."""
    if not observes(scorer):
        return ()
    notes = []
    for length in lengths:
        try:
            scorer.observe(
                reading,
                length.profile,
                length.output_tokens,
                reasoning_tokens=length.reasoning_tokens,
                truncated=length.truncated,
                tenant=tenant,
            )
        except Exception as error:  # noqa: BLE001 - a scorer is anybody's code
            notes.append(f"the scorer could not take in a length: {type(error).__name__}")
    return tuple(notes)


def checked_grade(score: object, where: str = "score") -> float:
    """A grade from 0 to 1; True and False are 1 and 0.

    Raises:
        InvalidRequestError: it is none.
    """
    grade = grade_of(score)
    if grade is None:
        raise InvalidRequestError(
            f"{where}: expected True, False or a number from 0 to 1, got {score!r}", param="score"
        )
    return grade


def grade_of(score: object) -> float | None:
    """The grade that a verdict means, None where it means none. numpy's scalars count, too."""
    if not hasattr(score, "__float__"):
        return None
    try:
        grade = float(score)
    except (TypeError, ValueError, OverflowError):
        return None
    return grade + 0.0 if 0.0 <= grade <= 1.0 else None
