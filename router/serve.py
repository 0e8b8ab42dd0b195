"""From a ranking of candidates to one answer: attempts, retries and fallbacks. Pure."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from router.attempt import Ended, attempt
from router.catalog import Candidate
from router.charge import Stream
from router.dispatch import after_error
from router.effects import Effect, Sleep
from router.errors import BudgetExceededError, ProviderError, ProviderTimeoutError, RouterError
from router.prompts.blocks import NO_BLOCKS, Chain
from router.services import Services
from router.types import Attempt, Request, Route


@dataclass(frozen=True, slots=True)
class Job:
    """A request that is being served: what was decided, and what has been tried so far.

    `began` is on the monotonic clock, in seconds; the request's timeout counts from there.
    """

    request: Request
    services: Services
    route: Route
    began: float
    stream: Stream = field(default_factory=Stream)
    chain: Chain = NO_BLOCKS
    past: list[Attempt] = field(default_factory=list)

    @property
    def seconds_left(self) -> float:
        """What is left of the request's timeout."""
        return self.request.timeout - (self.services.monotonic() - self.began)


def serve(job: Job, names: Sequence[str]) -> Generator[Effect, Any, tuple[Candidate, Ended]]:
    """Try the candidates in order until one answers; who it was, and how it ended.

    Failed attempts are in `job.past` then, the successful one is not yet.

    Raises:
        ProviderError: the last candidate failed, or the time is up; its notes name what was tried.
        BudgetExceededError: none of them fits into the budgets any more.
    """
    request, services, past = job.request, job.services, job.past
    failure: RouterError | None = None
    for position, name in enumerate(names):
        candidate = services.catalog.candidate(name, at=job.route.started_at)
        retries = 0
        avoid: set[str] = set()
        while True:
            left = job.seconds_left
            if left <= 0:
                raise _explained(failure or _late(name, request), past)
            tried = len(avoid)
            try:
                ended = yield from attempt(
                    request,
                    services,
                    candidate,
                    job.route,
                    job.stream,
                    past,
                    left,
                    job.chain,
                    avoid,
                )
            except BudgetExceededError as error:  # taken by others since the plan; cheaper may fit
                failure = _refused(failure, error)
                break
            except ProviderError as error:
                failure = error
                fresh = len(avoid) > tried and not job.stream.emitted
                if fresh and services.places.elsewhere(candidate, error, avoid):
                    continue  # another replica may answer at once
                after = after_error(
                    error,
                    retries=retries,
                    max_retries=request.max_retries,
                    fallbacks=len(names) - position - 1,
                    seconds_left=job.seconds_left,
                    jitter=services.random(),
                )
                # When the caller has part of this answer, no other candidate can continue it.
                if job.stream.emitted or after.action == "raise":
                    raise _explained(error, past) from error.__cause__
                if after.action == "fallback":
                    break
                retries += 1
                avoid.clear()
                yield Sleep(after.delay)
            else:
                _remember(job, candidate, ended.attempt)
                return candidate, ended
    raise _explained(failure or _late(names[-1], request), past)


def _remember(job: Job, candidate: Candidate, done: Attempt) -> None:
    """Note how long this host took; a recording takes no time."""
    request, services, usage = job.request, job.services, done.usage
    if candidate.kind == "replay" or usage is None:
        return
    if not request.stream:
        services.pace.observe(candidate.endpoint, usage.output_tokens, done.seconds)


def _refused(failure: RouterError | None, refusal: BudgetExceededError) -> RouterError:
    """What to tell when a budget refuses: after a failed attempt, first of all the failure."""
    if not isinstance(failure, ProviderError):
        return refusal
    failure.add_note(f"no fallback: {refusal}")
    return failure


def _late(name: str, request: Request) -> ProviderTimeoutError:
    return ProviderTimeoutError(f"no answer within {request.timeout:g} s", candidate=name)


def _explained(error: RouterError, past: list[Attempt]) -> RouterError:
    if len(past) > 1:
        error.add_note("tried: " + "; ".join(f"{a.candidate}: {a.outcome}" for a in past))
    return error
