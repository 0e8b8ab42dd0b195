"""One request from prompt to answer, as a generator that does no I/O.

It yields effects (`router.effects`) and is sent their answers, so the same lines serve sync and
async. Whatever ends it (an error, Ctrl-C, cancellation, a stream closed early) is thrown in by
the driver, and every reservation that was made is settled or released on the way out.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any, TypeAlias

from router.attempt import StreamClosed
from router.budgets import holds_for
from router.constraints import check_parameters
from router.decide import decide
from router.effects import Balances, Effect
from router.errors import RouterError
from router.escalate import best, unverified, verified
from router.feedback import Remembered, conclude
from router.serve import Job, serve
from router.services import Services
from router.types import Attempt, Plan, Reply, Request, Route

Flow: TypeAlias = Generator[Effect, Any, tuple[Reply | None, Route]]


def plan(request: Request, services: Services) -> Generator[Effect, Any, Plan]:
    """Decide and forecast, without reserving or spending."""
    check_parameters(request)
    now = services.now()
    holds = holds_for(services.budgets, request.tags, now, request.id)
    balances = (yield Balances(holds)) if holds else []
    return decide(request, services, holds, balances, now)


def complete(request: Request, services: Services) -> Flow:
    """Serve a request: plan, try the ranking until one candidate answers, verify, escalate.

    Raises:
        BudgetExceededError, NoCandidateError, InvalidRequestError, ScorerError: before anything
            was sent.
        ProviderError: the last candidate failed; its notes name what was tried.
    """
    began, started_at = services.monotonic(), services.now()
    try:
        planned = yield from plan(request, services)
    except RouterError as error:
        services.telemetry.refused(type(error).__name__)
        raise
    layout, decision = planned.layout, planned.decision
    request = replace(request, messages=layout.messages, tools=layout.tools)
    route = Route(
        request_id=request.id,
        decision=decision,
        forecasts=planned.forecasts,
        candidate=decision.chosen,
        started_at=started_at,
        notes=planned.notes,
        grounds=planned.grounds,
    )
    job = Job(request, services, route, began)
    try:
        candidate, ended = yield from serve(job, decision.ranking)
    except StreamClosed:  # the caller has enough: what came is settled, and told
        closed = job.past[-1]
        return None, _finished(job, planned, closed, (closed,), ())
    if services.verify is None or request.stream:
        answer, notes = unverified(job, candidate, ended)
        answers = [answer]
    else:
        answers, notes = yield from verified(job, candidate, ended)
    served = best(answers)
    judged = tuple(a.attempt for a in answers)
    return served.reply, _finished(job, planned, served.attempt, judged, notes)


def _finished(
    job: Job,
    planned: Plan,
    served: Attempt,
    answered: tuple[Attempt, ...],
    notes: tuple[str, ...],
) -> Route:
    """The route of an answered request, after the scorer was told what the verifier found."""
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


def _learned(
    job: Job, planned: Plan, served: Attempt, answered: tuple[Attempt, ...]
) -> tuple[str, ...]:
    services, at = job.services, job.route.started_at
    if planned.reading is None:  # the scorer does not learn
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
