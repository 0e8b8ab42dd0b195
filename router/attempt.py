"""One attempt at one candidate: reserve, call, settle. A generator of effects, like the flow."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from router.budgets import Record, Reservation, Settlement, holds_for
from router.catalog import Candidate
from router.dispatch import outcome_of
from router.effects import Effect, Emit, Open, Read, Release, Reserve, Send, Settle
from router.errors import (
    ConfigError,
    LedgerError,
    ProviderError,
    ProviderTimeoutError,
    RouterError,
)
from router.pricing import cost
from router.prompts.layout import arrange
from router.services import Services
from router.types import Attempt, Call, Chunk, Cost, Reply, Request, Route, Usage

_LEASE_MARGIN = timedelta(seconds=60)


class StreamClosed(BaseException):
    """Thrown into a flow by its driver: the caller closed the stream before its end."""


@dataclass(slots=True)
class Stream:
    """What has come so far of a streamed answer, so that a broken one can be charged."""

    text: list[str] = field(default_factory=list)
    usage: Usage | None = None
    finish_reason: str | None = None
    opened: bool = False
    received: bool = False
    emitted: bool = False

    def restart(self) -> None:
        """Forget what a failed attempt brought; what was handed out stays handed out."""
        self.text, self.usage, self.finish_reason, self.received = [], None, None, False

    def take(self, chunk: Chunk) -> None:
        """Keep what settling will need of a chunk."""
        choices = chunk.body.get("choices") or [{}]
        self.text += [chunk.reasoning, chunk.text, *_tool_texts(choices[0].get("delta") or {})]
        self.received = True
        self.usage = chunk.usage or self.usage  # the last one counts: some hosts send partial ones
        self.finish_reason = chunk.finish_reason or self.finish_reason


@dataclass(frozen=True, slots=True)
class Ended:
    """A successful attempt: the reply (None when streamed), its usage, and how it is recorded."""

    reply: Reply | None
    usage: Usage
    attempt: Attempt
    notes: tuple[str, ...] = ()


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
    holds = holds_for(services.budgets, request.tags, now, request.id)
    hard = any(hold.hard for hold in holds)
    call = Call(
        request=replace(request, tools=arrange(request.messages, request.tools).tools),
        candidate=candidate,
        max_tokens=forecast.max_tokens if hard or request.max_tokens else None,
        timeout=seconds_left,
        input_tokens=forecast.input_tokens,
    )
    reservation = Reservation(
        id=f"{request.id}/{len(past)}",
        at=now,
        lease_until=now + timedelta(seconds=seconds_left) + _LEASE_MARGIN,
        # Under a hard budget nothing less than the worst case keeps the promise.
        amount=(forecast.cost_ceiling if hard else forecast.cost_p90) or 0,
        holds=holds,
        record=_record(request, candidate, route),
    )
    try:
        yield Reserve(reservation)
    except (RouterError, GeneratorExit):
        raise
    except BaseException as error:  # interrupted: it may have been made all the same
        yield Release(reservation.id, services.now(), outcome_of(error))
        raise
    observed = services.telemetry.begin(call, forecast, route.decision.policy)
    try:
        if request.stream:
            reply = None
            yield from _streamed(call, services, stream, began)
            usage = stream.usage or _counted(call, stream.text, services)
            finish_reason = stream.finish_reason
        else:
            reply = yield Send(call)
            usage = reply.usage or _counted(call, _texts(reply), services)
            finish_reason = reply.finish_reason
    except GeneratorExit:  # garbage-collected: nobody obeys effects now, the lease will be swept
        raise
    except BaseException as error:
        outcome = "closed" if isinstance(error, StreamClosed) else outcome_of(error)
        seconds = services.monotonic() - began
        charged = _charge(error, call, stream, services, reservation)
        past.append(
            Attempt(
                candidate=candidate.name,
                outcome=outcome,
                seconds=seconds,
                cost=charged[1] if charged else None,
            )
        )
        services.telemetry.end(
            observed,
            seconds=seconds,
            usage=charged[0] if charged else None,
            cost=charged[1] if charged else None,
            outcome=outcome,
        )
        if charged is None:
            yield Release(reservation.id, services.now(), outcome)
        else:
            yield Settle(
                reservation.id,
                Settlement(
                    at=services.now(),
                    usage=charged[0],
                    cost=charged[1],
                    outcome=outcome,
                    seconds=seconds,
                ),
            )
        raise
    seconds = services.monotonic() - began
    spent = _priced(usage, call, services)
    services.telemetry.end(
        observed,
        seconds=seconds,
        usage=usage,
        cost=spent,
        response=reply.body if reply else None,
        finish_reason=finish_reason,
    )
    notes: tuple[str, ...] = ()
    try:
        yield Settle(
            reservation.id,
            Settlement(
                at=services.now(),
                usage=usage,
                cost=spent,
                finish_reason=finish_reason,
                seconds=seconds,
            ),
        )
    except LedgerError as error:
        # The answer is paid for: hand it over. The reservation stands until it is swept, so the
        # budget errs on the safe side.
        notes = (f"the ledger could not settle, so the reservation stands: {error}",)
    done = Attempt(
        candidate=candidate.name,
        outcome="ok",
        seconds=seconds,
        cost=spent if spent.rates_id else None,
    )
    return Ended(reply, usage, done, notes)


def _streamed(
    call: Call, services: Services, stream: Stream, began: float
) -> Generator[Effect, Any, None]:
    stream.restart()
    yield Open(call)
    if not stream.opened:
        stream.opened = True
        yield Emit(None)
    while (chunk := (yield Read())) is not None:
        stream.take(chunk)
        if services.monotonic() - began > call.timeout:
            raise ProviderTimeoutError(
                f"the stream did not end within {call.timeout:.0f} s",
                candidate=call.candidate.name,
                billable=True,
            )
        # A first chunk that only names the role commits to nothing: another host may still serve.
        stream.emitted = stream.emitted or bool(chunk.finish_reason or any(stream.text))
        yield Emit(chunk)


def _charge(
    error: BaseException,
    call: Call,
    stream: Stream,
    services: Services,
    reservation: Reservation,
) -> tuple[Usage, Cost] | None:
    """What a failed attempt is charged: nothing, what a stream brought, or what was reserved."""
    if stream.received or isinstance(error, StreamClosed):
        usage = stream.usage or _counted(call, stream.text, services)
        return usage, _priced(usage, call, services)
    if isinstance(error, ConfigError) or (isinstance(error, ProviderError) and not error.billable):
        return None  # refused by the host, or by ourselves before it was sent
    # Sent, and nobody will tell what became of it: assume all that was set aside.
    usage = Usage(input_tokens=call.input_tokens, estimated=True)
    return usage, Cost(pico=reservation.amount, rates_id=reservation.record.rates_id)


def _texts(reply: Reply) -> list[str]:
    texts = []
    for choice in reply.body.get("choices") or ():
        message = choice.get("message") or {}
        texts += [
            message.get("reasoning_content") or message.get("reasoning") or "",
            message.get("content") or "",
            *_tool_texts(message),
        ]
    return texts


def _tool_texts(message: Mapping[str, Any]) -> list[str]:
    # Calls of tools are output like any other: names and arguments are billed.
    functions = [call.get("function") or {} for call in message.get("tool_calls") or ()]
    return [f.get(key) or "" for f in functions for key in ("name", "arguments")]


def _counted(call: Call, texts: Sequence[str], services: Services) -> Usage:
    output_tokens = services.count_text("".join(texts))
    return Usage(input_tokens=call.input_tokens, output_tokens=output_tokens, estimated=True)


def _priced(usage: Usage, call: Call, services: Services) -> Cost:
    # DeepSeek: "the completion timestamp of each request determines its pricing tier".
    rates = services.catalog.rates(call.candidate, services.now())
    return cost(usage, rates) if rates else Cost(pico=0)


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
    )
