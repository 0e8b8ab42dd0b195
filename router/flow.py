"""One request from prompt to answer, as a generator that does no I/O.

It yields effects (`router.effects`) and is sent their answers, so the same lines serve sync and
async. Whatever ends it (an error, Ctrl-C, cancellation, a stream closed early) is thrown in by
the driver, and every reservation that was made is settled or released on the way out.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from router.attempt import Ended
from router.catalog import Candidate
from router.charge import Stream
from router.constraints import check_parameters
from router.decide import decide
from router.effects import (
    Balances,
    Effect,
    Emit,
    Memorize,
    Notify,
    Open,
    Read,
    Recall,
    Send,
    Sleep,
    Verify,
)
from router.errors import BudgetExceededError, UsageError
from router.escalate import Answer, best, keep_grades, unverified, verified
from router.feedback import Length, Remembered, conclude, note_lengths
from router.patience import patiently
from router.purses import purses_of
from router.recall import kept, recalled
from router.responses import Gathered, cache_key
from router.scoring import learns
from router.serve import Job, serve
from router.services import Services
from router.streamed import StreamClosed
from router.types import Attempt, Plan, Reply, Request, Route

Flow: TypeAlias = Generator[Effect, Any, tuple[Reply | None, Route]]

_SENT = (Send, Open)
_AWAY = (*_SENT, Read, Sleep, Emit, Verify, Notify)
"""Effects that take the time of hosts and of the caller's own code, not ours."""
_ANSWERED = frozenset({"ok", "rejected", "closed"})
_CUT = frozenset({"length", "content_filter", "insufficient_system_resource"})
"""Words of hosts for an answer that ended before its end; the last is DeepSeek's."""


def plan(request: Request, services: Services) -> Generator[Effect, Any, Plan]:
    """Decide and forecast, without reserving or spending."""
    check_parameters(request)
    now = services.now()
    candidates = services.candidates(request.models, now)
    purses = purses_of(services.budgets, request, candidates, now)
    if purses.holds:
        purses = purses.filled((yield Balances(purses.holds)))
    return decide(request, services, candidates, purses, now)


def complete(request: Request, services: Services) -> Flow:
    """Serve a request: plan, try the ranking until one candidate answers, verify, escalate.

    Raises:
        BudgetExceededError, NoCandidateError, InvalidRequestError, ScorerError: before anything
            was sent.
        ProviderError: the last candidate failed; its notes name what was tried.
        UsageError: with `strict_usage`; its `reply` and `route` are the answer, paid for.
    """
    line = _completed(request, services)
    return services.telemetry.request(line, request, services.monotonic, away=_AWAY, sent=_SENT)


def _completed(request: Request, services: Services) -> Flow:
    check_parameters(request)
    key = _key(request, services)
    if key is not None and (cached := (yield Recall(key))) is not None:
        hit = yield from recalled(request, services, cached, services.monotonic())
        if hit is not None:
            return hit
    planned, job, came = yield from _served(request, services, key)
    if came is None:  # the caller has enough of a stream: what came is settled, and told
        closed = job.past[-1]
        return None, _finished(job, planned, closed, (closed,), job.stream.notes)
    candidate, ended = came
    if services.verify is None or request.stream:
        answer, notes = unverified(job, candidate, ended)
        answers = [answer]
    else:
        answers, notes = yield from verified(job, candidate, ended)
        grades = [(a.candidate.name, g) for a in answers if (g := a.attempt.grade) is not None]
        notes += yield from keep_grades(request.id, grades, services.now())
    served = best(answers)
    judged = tuple(a.attempt for a in answers)
    route = _finished(job, planned, served.attempt, judged, notes)
    if served.fault is not None:
        raise _with_answer(served.fault, served.reply, route)
    if key is not None:
        yield from _memorize(key, job, served)
    return served.reply, route


def _served(
    request: Request, services: Services, key: str | None
) -> Generator[Effect, Any, tuple[Plan, Job, tuple[Candidate, Ended] | None]]:
    """Plan and serve; the answer is None where the caller closed the stream.

    Who can wait does so, too, when others took the money between plan and reservation.
    """
    end = services.now() + timedelta(seconds=request.patience)
    while True:
        planned, started_at, began = yield from patiently(plan, request, services)
        job = _job(request, services, planned, started_at, began, key)
        try:
            return planned, job, (yield from serve(job, planned.decision.ranking))
        except StreamClosed:
            return planned, job, None
        except BudgetExceededError:
            left = (end - services.now()).total_seconds()
            if job.past or left <= 0:
                raise
            request = replace(request, patience=left)
            yield Sleep(min(left, 0.1 + services.random()))


def _job(
    request: Request,
    services: Services,
    planned: Plan,
    started_at: datetime,
    began: float,
    key: str | None,
) -> Job:
    layout, decision = planned.layout, planned.decision
    route = Route(
        request_id=request.id,
        decision=decision,
        forecasts=planned.forecasts,
        candidate=decision.chosen,
        started_at=started_at,
        notes=planned.notes,
        grounds=planned.grounds,
    )
    gathered = Gathered() if key is not None and request.stream else None
    return Job(
        request.arranged(layout),
        services,
        route,
        began,
        Stream(gathered=gathered),
        chain=planned.chain,
    )


def _key(request: Request, services: Services) -> str | None:
    """What the response cache knows this request by; None where it is not to be cached."""
    rules = services.cache
    if rules is None or not request.cached:
        return None
    return cache_key(
        request,
        policy=rules.policy,
        by=rules.tags,
        streams_with_tools=rules.streams_with_tools,
        addresses=rules.addresses,
    )


def _memorize(key: str, job: Job, served: Answer) -> Generator[Effect, Any, None]:
    reply = served.reply
    if reply is None and job.stream.gathered is not None:
        reply = job.stream.gathered.reply(served.attempt.usage)
    quality = job.route.forecasts[served.candidate.name].quality
    now = job.services.now()
    answer = kept(job.request, reply, served.attempt, served.candidate, now, quality=quality)
    if answer is not None:
        yield Memorize(key, answer)


def _with_answer(fault: UsageError, reply: Reply | None, route: Route) -> UsageError:
    vars(fault).update(reply=reply, route=route, completion=None)
    return fault


def _finished(
    job: Job,
    planned: Plan,
    served: Attempt,
    answered: tuple[Attempt, ...],
    notes: tuple[str, ...],
) -> Route:
    """The route of an answered request, after the scorer was told lengths and verdicts."""
    notes += note_lengths(
        job.services.scorer,
        planned.reading,
        job.request.tags.get("tenant", ""),
        [length for a in job.past if (length := _length(job, a)) is not None],
    )
    notes += _learned(job, planned, served, answered)
    return replace(
        job.route,
        candidate=served.candidate,
        usage=served.usage,
        cost=served.cost,
        attempts=tuple(job.past),
        finished_at=job.services.now(),
        notes=job.route.notes + notes,
        verified=served.grade,
    )


def _length(job: Job, done: Attempt) -> Length | None:
    """The length that an attempt teaches, None for none: a count of ours is no measurement.

    Of a stream that its reader closed we know at least how much came.
    """
    usage = done.usage
    if usage is None or done.outcome not in _ANSWERED:
        return None
    candidate = job.services.catalog.candidate(done.candidate, at=job.route.started_at)
    cut = done.outcome == "closed" and done.finish_reason is None
    if cut and not usage.output_tokens:
        return None
    if usage.estimated and not cut and candidate.kind != "replay":
        return None
    hidden = candidate.thinking and not usage.reasoning_tokens
    return Length(
        profile=candidate.profile,
        output_tokens=usage.output_tokens,
        reasoning_tokens=None if hidden else usage.reasoning_tokens,
        truncated=cut or done.finish_reason in _CUT,
    )


def _learned(
    job: Job, planned: Plan, served: Attempt, answered: tuple[Attempt, ...]
) -> tuple[str, ...]:
    services, at = job.services, job.route.started_at
    if not learns(services.scorer):
        return ()

    def profile(name: str) -> str:
        return services.catalog.candidate(name, at=at).profile

    tenant = job.request.tags.get("tenant", "")
    return conclude(
        services.scorer,
        services.memory,
        job.request.id,
        Remembered(planned.reading, profile(served.candidate), tenant),
        [(profile(a.candidate), a.grade) for a in answered if a.grade is not None],
        verified=served.grade is not None,
    )
