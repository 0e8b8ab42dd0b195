"""One attempt at one candidate: reserve, call, settle. A generator of effects, like the flow."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

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
from router.effects import Effect, Release, Reserve, Send, Settle
from router.errors import (
    InvalidRequestError,
    LedgerError,
    RouterError,
    UsageError,
)
from router.ledgers import Record, Reservation, Settlement
from router.limits import amount_for, lost_cost, lost_tokens
from router.loss import after_failure
from router.places import Pick
from router.prompts.blocks import Chain, chain_of
from router.prompts.text import traffic_of
from router.purses import holds_of
from router.services import Services
from router.streamed import StreamClosed, streamed
from router.types import Attempt, Call, Reply, Request, Route, Usage
from router.usage import tells_cache, usage_in
from router.watch import watch

if TYPE_CHECKING:
    from router.prompts.lint import Finding

_LEASE_MARGIN = timedelta(seconds=60)
_LONGEST_WORD = 64


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
    chain: Chain,
    avoid: set[str],
) -> Generator[Effect, Any, Ended]:
    """Reserve, call, settle. A failed attempt is appended to `past` with what it cost.

    `chain` is the prompt as caches see it; `avoid` are addresses that failed, this one's is added.
    """
    forecast = route.forecasts[candidate.name]
    now, began = services.now(), services.monotonic()
    pick = services.places.pick(candidate, request, chain, now, avoid)
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
        base_url=pick.base_url,
    )
    reservation = Reservation(
        id=f"{request.id}/{len(past)}",
        at=now,
        lease_until=now + timedelta(seconds=seconds_left) + _LEASE_MARGIN,
        amount=lost_cost(holds, forecast),
        tokens=lost_tokens(holds, forecast),
        holds=holds,
        record=_record(request, candidate, route, _lost(request, services, candidate, pick, now)),
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
    visit = services.places.begin(
        pick, now, input_tokens=forecast.input_tokens, stream=request.stream
    )
    observed = services.telemetry.begin(call, forecast, route.decision.policy)
    reply: Reply | None = None
    try:
        if request.stream:
            yield from streamed(call, services, stream, began, visit)
            usage = usage_of(stream.usage, stream.text, call, services)
            finish_reason = stream.finish_reason
        else:
            reply = yield Send(call)
            usage = usage_of(reply.usage, texts_of(reply), call, services)
            finish_reason = reply.finish_reason
    except GeneratorExit:  # garbage-collected: nobody obeys effects now, the lease will be swept
        services.places.failed(visit)
        raise
    except BaseException as error:
        outcome = "closed" if isinstance(error, StreamClosed) else outcome_of(error)
        services.places.failed(visit, error)
        avoid.add(pick.base_url or "")
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
    raw = stream.raw if reply is None else usage_in(reply.body)
    services.places.answered(
        visit,
        usage,
        services.now(),
        told=tells_cache(raw),
        whole=_whole(call, pick, services, stream, reply),
    )
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


def _whole(
    call: Call, pick: Pick, services: Services, stream: Stream, reply: Reply | None
) -> Chain | None:
    """The prompt with its answer, as the next turn would send it, where the host keeps answers.

    Reasoning is not sent again, so that the next prompt parts from this one where it began.
    """
    request = call.request
    if not pick.rule.holds_output or call.candidate.mode == "thinking":
        return None
    message: Mapping[str, Any] = {"role": "assistant", "content": "".join(stream.said)}
    if reply is not None:
        message = reply.body["choices"][0].get("message") or {}
    if not message.get("content") and not message.get("tool_calls"):
        return None
    try:
        ids = services.read_input(
            (*request.messages, message),
            tools=request.tools or None,
            response_format=request.response_format,
        )
    except InvalidRequestError:
        return None
    return chain_of(ids)


def _lost(
    request: Request, services: Services, candidate: Candidate, pick: Pick, now: datetime
) -> Finding | None:
    """What of its cache this prompt gives away, against those of its route before it."""
    if services.drift is None or candidate.kind == "replay":
        return None
    return services.drift.seen(
        traffic_of(request.tags, request.messages, request.tools),
        request,
        pick.chain,
        pick.rule,
        now,
        place=candidate.endpoint,
        salt=pick.salt,
        thinking=candidate.mode == "thinking",
        expected=pick.expected.held,
    )


def _record(request: Request, candidate: Candidate, route: Route, lost: Finding | None) -> Record:
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
        forecast_cache_read_tokens=forecast.cache_read_tokens,
        cache_lost_tokens=0 if lost is None else lost.lost_tokens,
        cache_lost_to="" if lost is None else lost.cause,
    )
