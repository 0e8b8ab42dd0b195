"""One attempt at one candidate: reserve, call, settle. A generator of effects, like the flow."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from router.catalog import Candidate
from router.charge import (
    Stream,
    bill_of,
    demand_usage,
    priced,
    texts_of,
    usage_of,
)
from router.dispatch import outcome_of
from router.effects import Effect, Emit, Open, Read, Release, Reserve, Send, Settle
from router.errors import LedgerError, ProviderTimeoutError, RouterError, UsageError
from router.ledgers import Record, Reservation, Settlement
from router.limits import amount_for, lost_cost, lost_tokens
from router.loss import after_failure
from router.purses import holds_of
from router.services import Services
from router.types import Attempt, Call, Reply, Request, Route, Usage
from router.usage import usage_in
from router.watch import watch

_LEASE_MARGIN = timedelta(seconds=60)
_LONGEST_WORD = 64
_PAUSE, _PAUSE_SHARE = 0.02, 0.1
"""Seconds, and the share of the wait, that a reader may take between chunks and not count."""


class StreamClosed(BaseException):
    """Thrown into a flow by its driver: the caller closed the stream before its end."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A successful attempt: the reply (None when streamed), and how it is recorded.

    `fault` says what was wrong with the host's usage, where the client is strict about it.
    """

    reply: Reply | None
    attempt: Attempt
    notes: tuple[str, ...] = ()
    fault: UsageError | None = None


def attempt(
    request: Request,
    services: Services,
    candidate: Candidate,
    route: Route,
    stream: Stream,
    past: list[Attempt],
    seconds_left: float,
) -> Generator[Effect, Any, Ended]:
    """Reserve, call, settle. A failed attempt is appended to `past` with what it cost."""
    forecast = route.forecasts[candidate.name]
    now, began = services.now(), services.monotonic()
    holds = tuple(
        replace(hold, amount=amount_for(hold, forecast))
        for hold in holds_of(services.budgets, request, candidate, now)
    )
    hard = any(hold.hard for hold in holds)
    told = hard or request.max_tokens or route.decision.max_tokens
    call = Call(
        request=request,
        candidate=candidate,
        max_tokens=forecast.max_tokens if told else None,
        timeout=seconds_left,
        input_tokens=forecast.input_tokens,
    )
    reservation = Reservation(
        id=f"{request.id}/{len(past)}",
        at=now,
        lease_until=now + timedelta(seconds=seconds_left) + _LEASE_MARGIN,
        amount=lost_cost(holds, forecast),
        tokens=lost_tokens(holds, forecast),
        holds=holds,
        record=_record(request, candidate, route),
    )
    # The forecast's ceiling covers the prices until then, so nothing is billed at a later one's.
    until = route.started_at + timedelta(seconds=request.timeout)
    try:
        yield Reserve(reservation)
    except (RouterError, GeneratorExit):
        raise
    except BaseException as error:  # interrupted: it may have been made all the same
        yield Release(reservation.id, services.now(), outcome_of(error))
        raise
    observed = services.telemetry.begin(call, forecast, route.decision.policy)
    reply: Reply | None = None
    try:
        if request.stream:
            yield from _streamed(call, services, stream, began)
            usage = usage_of(stream.usage, stream.text, call, services)
            finish_reason = stream.finish_reason
        else:
            reply = yield Send(call)
            usage = usage_of(reply.usage, texts_of(reply), call, services)
            finish_reason = reply.finish_reason
    except GeneratorExit:  # garbage-collected: nobody obeys effects now, the lease will be swept
        raise
    except BaseException as error:
        outcome = "closed" if isinstance(error, StreamClosed) else outcome_of(error)
        seconds = services.monotonic() - began
        bill = bill_of(call, services, reservation, until, stream if request.stream else None)
        loss = after_failure(error, call, stream, services, reservation, bill)
        stream.notes = bill.notes + (loss.notes if loss else ())
        lost, spent = (loss.usage, loss.cost) if loss else (None, None)
        past.append(
            Attempt(
                candidate=candidate.name,
                outcome=outcome,
                seconds=seconds,
                usage=lost,
                cost=spent,
                finish_reason=stream.finish_reason if request.stream else None,
            )
        )
        end: Effect = Release(reservation.id, services.now(), outcome)
        if loss is not None:
            settlement = Settlement(
                at=services.now(),
                usage=loss.usage,
                cost=loss.cost,
                outcome=outcome,
                seconds=seconds,
                tokens=loss.tokens,
            )
            end = Settle(reservation.id, settlement)
        try:
            yield end
            yield from watch(holds, services)
        except LedgerError as failed:
            # What ended the call is told, not this: the reservation stands until it is swept.
            note = f"the ledger could not settle, so the reservation stands: {failed}"
            error.add_note(note)
            stream.notes += (note,)
        services.telemetry.end(observed, seconds=seconds, usage=lost, cost=spent, outcome=outcome)
        raise
    seconds = services.monotonic() - began
    came = stream if request.stream else reply
    bill = bill_of(call, services, reservation, until, came)
    spend = priced(usage, call, services, bill)
    notes = bill.notes
    try:
        yield Settle(
            reservation.id,
            Settlement(
                at=services.now(),
                usage=usage,
                cost=spend,
                finish_reason=_word(finish_reason),
                seconds=seconds,
            ),
        )
    except LedgerError as error:
        # The answer is paid for: hand it over. The reservation stands until it is swept, so the
        # budget errs on the safe side.
        notes += (f"the ledger could not settle, so the reservation stands: {error}",)
    yield from watch(holds, services)
    services.telemetry.end(
        observed,
        seconds=seconds,
        usage=usage,
        cost=spend,
        response=reply.body if reply else None,
        finish_reason=finish_reason,
    )
    done = Attempt(
        candidate=candidate.name,
        outcome="ok",
        seconds=seconds,
        usage=usage,
        cost=spend if spend.rates_id else None,
        finish_reason=finish_reason,
    )
    raw = stream.raw if reply is None else usage_in(reply.body)
    return Ended(reply, done, notes, _fault(raw, usage, call, services))


def _word(reason: str | None) -> str | None:
    """A host's word as a ledger can keep it: one that is no word is left out."""
    if reason is None or (len(reason) <= _LONGEST_WORD and reason.isprintable()):
        return reason
    return None


def _fault(raw: Any, usage: Usage, call: Call, services: Services) -> UsageError | None:
    if services.strict_usage:
        try:
            demand_usage(raw, usage, call)
        except UsageError as error:
            return error
    return None


def _streamed(
    call: Call, services: Services, stream: Stream, began: float
) -> Generator[Effect, Any, None]:
    stream.restart()
    clock = services.monotonic
    asked = clock()
    yield Open(call)
    waited, paused = clock() - asked, 0.0
    stream.came = services.now()
    if not stream.opened:
        stream.opened = True
        paused -= clock()
        yield Emit(None)
        paused += clock()
    while True:
        asked = clock()
        if (chunk := (yield Read())) is None:
            break
        came = clock()
        stream.behind = max(0.0, stream.behind - (came - asked))
        if not any(stream.text):
            waited += came - asked
            if chunk.text or chunk.reasoning:
                _first_token(call, services, waited, paused)
        stream.take(chunk, services.now())
        if came - began > call.timeout:
            raise ProviderTimeoutError(
                f"the stream did not end within {call.timeout:.0f} s",
                candidate=call.candidate.name,
                billable=True,
            )
        try:
            yield Emit(chunk)
        finally:  # the reader may close it after a long while with this piece
            paused += clock() - came
            stream.behind += clock() - came


def _first_token(call: Call, services: Services, waited: float, paused: float) -> None:
    """Note how long the host took to its first token, unless the reader kept it waiting.

    A host works on while its reader is busy, so that too little would be measured then.
    """
    if call.candidate.kind != "replay" and paused <= max(_PAUSE, _PAUSE_SHARE * waited):
        services.pace.observe_first(call.candidate.endpoint, waited)


def _record(request: Request, candidate: Candidate, route: Route) -> Record:
    forecast = route.forecasts[candidate.name]
    return Record(
        request_id=request.id,
        candidate=candidate.name,
        model=candidate.model,
        mode=candidate.mode,
        host=candidate.host,
        policy=route.decision.policy,
        tags=dict(request.tags),
        rates_id=forecast.rates_id,
        forecast_cost=forecast.cost,
        forecast_cost_p90=forecast.cost_p90,
        forecast_output_tokens=round(forecast.output_tokens.p50),
        forecast_quality=round(forecast.quality, 6),
        propensity=route.decision.propensities.get(candidate.name, 1.0),
    )
