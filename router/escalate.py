"""After an answer: the caller's verifier judges it, and if it is wrong the next stage is asked.

An answer is paid for by then: whatever fails from here on costs a note, never the answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from router.attempt import Ended
from router.catalog import Candidate
from router.effects import Effect, Graded, Verify
from router.errors import RouterError, UsageError
from router.feedback import grade_of
from router.ledgers import Grade
from router.serve import Job, serve
from router.services import Services
from router.types import Attempt, Reply, Route

_log = logging.getLogger("router")
_warned: set[tuple[str, str, str]] = set()

RIGHT = 0.5
"""An answer graded below this is taken for wrong."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was paid for, who gave it, and what was wrong with its usage, if anything."""

    candidate: Candidate
    reply: Reply | None
    attempt: Attempt
    fault: UsageError | None = None


def unverified(job: Job, candidate: Candidate, ended: Ended) -> tuple[Answer, tuple[str, ...]]:
    """The answer as it is, its attempt noted as past; and notes."""
    job.past.append(ended.attempt)
    return Answer(candidate, ended.reply, ended.attempt, ended.fault), ended.notes


def verified(
    job: Job, candidate: Candidate, ended: Ended
) -> Generator[Effect, Any, tuple[list[Answer], tuple[str, ...]]]:
    """Judge the answer; while one is found wrong, ask the next stage of the decision.

    Returns all answers in order, the last attempts' grades in them, and notes.
    """
    answers: list[Answer] = []
    notes: list[str] = []
    while True:
        notes += ended.notes
        grade = yield from _judge(job, candidate, ended, notes)
        done = replace(ended.attempt, grade=grade)
        wrong = grade is not None and grade < RIGHT
        if wrong:
            done = replace(done, outcome="rejected")
        job.past.append(done)
        answers.append(Answer(candidate, ended.reply, done, ended.fault))
        stages = _left(job)
        if not (wrong and stages):
            return answers, tuple(notes)
        try:
            candidate, ended = yield from serve(job, stages)
        except Exception as error:  # noqa: BLE001 - an answer that is paid for is never lost
            why = str(error).partition("\n")[0]
            notes.append(
                f"the answer of {candidate.name} was found wrong ({grade:g}), and nobody else "
                f"answered: {type(error).__name__}: {why}"
            )
            return answers, tuple(notes)


def best(answers: Sequence[Answer]) -> Answer:
    """The last answer, unless an earlier one has a better grade than it."""
    last = answers[-1]
    if last.attempt.grade is None:
        return last
    return max(reversed(answers), key=lambda a: a.attempt.grade or 0.0)


def _left(job: Job) -> list[str]:
    """The stages that have not been tried: one that failed as a fallback is not asked again."""
    tried = {a.candidate for a in job.past}
    return [name for name in job.route.decision.escalation if name not in tried]


def _judge(
    job: Job, candidate: Candidate, ended: Ended, notes: list[str]
) -> Generator[Effect, Any, float | None]:
    """The verifier's grade of an answer; None, and a note, when it has none."""
    assert ended.reply is not None
    done = ended.attempt
    route = replace(
        job.route,
        candidate=candidate.name,
        usage=done.usage,
        cost=done.cost,
        attempts=(*job.past, done),
        finished_at=job.services.now(),
    )
    return (yield from judged(job.services, ended.reply, route, notes))


def judged(
    services: Services, reply: Reply, route: Route, notes: list[str]
) -> Generator[Effect, Any, float | None]:
    """The verifier's grade of an answer, fresh or kept; None, and a note, where it has none."""
    assert services.verify is not None
    try:
        verdict = yield Verify(services.verify, reply, route)
    except Exception as error:  # noqa: BLE001 - a verifier is anybody's code
        why = f"the verifier failed: {type(error).__name__}{_said(error)}"
        notes.append(f"not verified, {why}")
        _warn(services.verify, type(error).__name__, why)
        return None
    grade = grade_of(verdict)
    if grade is None:
        kind = type(verdict).__name__
        why = f"expected True, False or a number from 0 to 1 of the verifier, got {kind}"
        notes.append(f"not verified: {why}")
        _warn(services.verify, kind, why)
    return grade


def keep_grades(
    request_id: str, grades: Sequence[tuple[str, float]], at: datetime
) -> Generator[Effect, Any, tuple[str, ...]]:
    """Keep the verifier's grades of candidates; an answer is not lost because they are."""
    kept = [
        Grade(request_id=request_id, candidate=name, score=grade, by="verifier", at=at)
        for name, grade in grades
    ]
    if not kept:
        return ()
    try:
        yield Graded(kept)
    except RouterError as error:
        return (f"the ledger could not keep the verifier's grade: {error}",)
    return ()


def _warn(verify: Callable[[Any], Any], kind: str, why: str) -> None:
    """Log it once for each verifier and kind of failure: answers are served all the same."""
    name = getattr(verify, "__qualname__", type(verify).__qualname__)
    key = str(getattr(verify, "__module__", "")), name, kind
    if key not in _warned:
        _warned.add(key)
        _log.warning(
            "an answer was served without its verification: %s (verify=%s). route.notes says so "
            "of each such answer, this line comes once",
            why,
            name,
        )


def _said(error: Exception) -> str:
    """What an error of ours says; that of a stranger's code may hold the prompt."""
    return f": {error}" if isinstance(error, RouterError) else ""
