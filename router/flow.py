"""One request from prompt to answer, as a generator that does no I/O.

It yields effects (`router.effects`) and is sent their answers, so the same lines serve sync and
async. Whatever ends it (an error, Ctrl-C, cancellation, a stream closed early) is thrown in by
the driver, and every reservation that was made is settled or released on the way out.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Any, TypeAlias

from router.attempt import StreamClosed, attempt
from router.budgets import holds_for
from router.catalog import Candidate
from router.charge import Stream
from router.constraints import check_parameters
from router.decide import decide
from router.dispatch import after_error
from router.effects import Balances, Effect, Sleep
from router.errors import BudgetExceededError, ProviderError, ProviderTimeoutError, RouterError
from router.prompts.prefix import chain_of
from router.services import Services
from router.types import Attempt, Plan, Reply, Request, Route, Usage

Flow: TypeAlias = Generator[Effect, Any, tuple[Reply | None, Route]]


def plan(request: Request, services: Services) -> Generator[Effect, Any, Plan]:
    """Decide and forecast, without reserving or spending."""
    check_parameters(request)
    now = services.now()
    holds = holds_for(services.budgets, request.tags, now, request.id)
    balances = (yield Balances(holds)) if holds else []
    return decide(request, services, holds, balances, now)


def complete(request: Request, services: Services) -> Flow:
    """Serve a request: plan, then try the ranking in order until one candidate answers.

    Raises:
        BudgetExceededError, NoCandidateError, InvalidRequestError: before anything was sent.
        ProviderError: the last candidate failed; its notes name what was tried.
    """
    began, started_at = services.monotonic(), services.now()
    try:
        planned = yield from plan(request, services)
    except RouterError as error:
        services.telemetry.refused(type(error).__name__)
        raise
    layout = planned.layout
    request = replace(request, messages=layout.messages, tools=layout.tools)
    route = Route(
        request_id=request.id,
        decision=planned.decision,
        forecasts=planned.forecasts,
        candidate=planned.decision.chosen,
        started_at=started_at,
        notes=planned.notes,
    )
    past: list[Attempt] = []
    stream = Stream()
    failure: RouterError | None = None
    ranking = planned.decision.ranking
    for position, name in enumerate(ranking):
        candidate = services.catalog.candidate(name, at=started_at)
        retries = 0
        while True:
            left = request.timeout - (services.monotonic() - began)
            if left <= 0:
                raise _explained(failure or _late(name, request), past)
            route = replace(route, candidate=name)
            try:
                ended = yield from attempt(request, services, candidate, route, stream, past, left)
            except BudgetExceededError as error:  # taken by others since the plan; cheaper may fit
                failure = _refused(failure, error)
                break
            except ProviderError as error:
                failure = error
                after = after_error(
                    error,
                    retries=retries,
                    max_retries=request.max_retries,
                    fallbacks=len(ranking) - position - 1,
                    seconds_left=request.timeout - (services.monotonic() - began),
                    jitter=services.random(),
                )
                # When the caller has part of this answer, no other candidate can continue it.
                if stream.emitted or after.action == "raise":
                    raise _explained(error, past) from error.__cause__
                if after.action == "fallback":
                    break
                retries += 1
                yield Sleep(after.delay)
            except StreamClosed:  # the caller has enough: what came is settled, and told
                return None, _finished(route, past, services)
            else:
                past.append(ended.attempt)
                _remember(request, services, candidate, ended.attempt.usage)
                return ended.reply, _finished(route, past, services, ended.notes)
    raise _explained(failure or _late(ranking[-1], request), past)


def _finished(
    route: Route, past: list[Attempt], services: Services, notes: tuple[str, ...] = ()
) -> Route:
    return replace(
        route,
        usage=past[-1].usage,
        cost=past[-1].cost,
        attempts=tuple(past),
        finished_at=services.now(),
        notes=route.notes + notes,
    )


def _remember(
    request: Request, services: Services, candidate: Candidate, usage: Usage | None
) -> None:
    """Note in the prefix index what this host has now seen; a recording caches nothing."""
    if candidate.kind == "replay" or usage is None:
        return
    chain = chain_of(request.messages, request.tools)
    now = services.now()
    if len(chain) > 1 and request.messages[0]["role"] == "system":
        head = services.count_input(request.messages[:1], tools=request.tools or None)
        services.prefixes.record(candidate.endpoint, chain[0], head, now)
    services.prefixes.record(candidate.endpoint, chain[-1], usage.input_tokens, now)


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
