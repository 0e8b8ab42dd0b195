"""One attempt at one candidate: reserve, call, settle. A generator of effects, like the flow."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from datetime import timedelta
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
    LedgerError,
    RouterError,
    UsageError,
)
from router.ledgers import Record, Reservation, Settlement
from router.ledgers.failing import ledger_failed
from router.limits import amount_for, lost_cost, lost_tokens
from router.loss import after_failure
from router.noted import lost_to_cache, note_cached
from router.packing import packed
from router.prompts.blocks import Chain
from router.purses import holds_of
from router.services import Services
from router.streamed import StreamClosed, streamed
from router.types import Attempt, Call, Reply, Request, Route, Usage
from router.usage import usage_in
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
    visit = services.places.begin(  # at once: whoever picks next must see it
        pick,
        now,
        input_tokens=forecast.input_tokens,
        stream=request.stream,
        lasts=seconds_left,
    )
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
        record=_record(
            request, candidate, route, lost_to_cache(request, services, candidate, pick, now)
        ),
        # One of a request is enough: what follows obeys the same decision.
        decision=packed(route) if services.log_decisions and not past else "",
    )
    # The forecast's ceiling covers the prices until then, so nothing is billed at a later one's.
    until = route.started_at + timedelta(seconds=request.timeout)
    try:
        yield Reserve(reservation)
    except (RouterError, GeneratorExit):
        services.places.failed(visit)
        raise
    except BaseException as error:  # interrupted: it may have been made all the same
        services.places.failed(visit)
        yield Release(reservation.id, services.now(), outcome_of(error))
        raise
    usd = reservation.amount if any(hold.unit == "usd" for hold in holds) else None
    observed = services.telemetry.begin(call, forecast, route.decision.policy, usd)
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
            booked = True
            try:
                yield end
            except BaseException as interrupted:
                booked = not ledger_failed(interrupted)
                raise
            finally:  # interrupted, too: the ledger settles all the same
                services.telemetry.end(
                    observed,
                    booked=booked,
                    seconds=seconds,
                    usage=lost,
                    cost=spent,
                    outcome=outcome,
                    first_chunk=stream.first if request.stream else None,
                    texts=stream.said if request.stream else (),
                )
            yield from watch(holds, services)
        except LedgerError as failed:
            # What ended the call is told, not this: the reservation stands until it is swept.
            note = f"the ledger could not settle, so the reservation stands: {failed}"
            error.add_note(note)
            stream.notes += (note,)
        raise
    seconds = services.monotonic() - began
    came = stream if request.stream else reply
    bill = bill_of(call, services, reservation, until, came)
    spend = priced(usage, call, services, bill)
    notes, booked = bill.notes, True
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
        booked = False
        notes += (f"the ledger could not settle, so the reservation stands: {error}",)
    except BaseException as interrupted:
        booked = not ledger_failed(interrupted)
        raise
    finally:  # interrupted, too: the ledger settles all the same
        services.telemetry.end(
            observed,
            booked=booked,
            seconds=seconds,
            usage=usage,
            cost=spend,
            response=reply.body if reply else None,
            finish_reason=finish_reason,
            first_chunk=stream.first if request.stream else None,
            texts=stream.said if request.stream else (),
        )
    note_cached(call, visit, usage, services, stream, reply)
    yield from watch(holds, services)
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


def _record(request: Request, candidate: Candidate, route: Route, given: Finding | None) -> Record:
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
        cache_lost_tokens=0 if given is None else given.lost_tokens,
        cache_lost_to="" if given is None else given.cause,
    )
