"""An answer out of the response cache: what the caller gets, and what the ledger is told. Pure.

A hit is sent nowhere, costs nothing and counts against no budget. It is still a line of the
ledger, with what it saved.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import datetime
from typing import Any, TypeAlias

from classifiers.scores import Quantiles
from policies.types import Decision
from router.catalog import Candidate
from router.effects import Effect, Emit, Post
from router.errors import LedgerError, RouterError
from router.escalate import RIGHT, judged, keep_grades
from router.ledgers import Record, Reservation, Settlement
from router.money import format_usd
from router.responses import CachedReply, storable
from router.services import Services
from router.streamed import StreamClosed
from router.types import Attempt, Chunk, Cost, Forecast, Reply, Request, Route, Usage

Hit: TypeAlias = tuple[Reply | None, Route]

_NONE = Quantiles(0, 0, 0, 0, 0)


def recalled(
    request: Request, services: Services, cached: CachedReply, began: float
) -> Generator[Effect, Any, Hit | None]:
    """Answer a request by a kept answer; None, and nothing done, where it does not serve it.

    It does not where its candidate is not configured (any more), or the verifier finds it wrong.
    `began` is on the monotonic clock, in seconds. Of a streamed request the reply is None.
    """
    started_at = services.now()
    try:
        known = {c.name: c for c in services.candidates(request.models, started_at)}
    except RouterError:  # the plan will say the same, and in its place
        return None
    if cached.candidate not in known:
        return None
    route = _route(request, cached, started_at)
    reply = Reply(body=cached.body, usage=Usage(), finish_reason=cached.finish_reason)
    notes = list(route.notes)
    grade: float | None = None
    if services.verify is not None and not request.stream:
        grade = yield from judged(services, reply, route, notes)
        if grade is not None and grade < RIGHT:
            return None
    reservation, settlement = _line(request, services, cached, began)
    try:
        yield Post(reservation, settlement)
    except LedgerError as error:
        notes.append(f"the ledger could not note what was saved: {error}")
    if grade is not None:
        given = [(cached.candidate, grade)]
        notes += yield from keep_grades(request.id, given, services.now())
    else:
        services.telemetry.saved(known[cached.candidate], cached.cost, request.tags)
    if request.stream:
        try:
            yield Emit(None)
            for chunk in chunks_of(cached):
                yield Emit(chunk)
        except StreamClosed:
            notes.append("the stream was closed before its end")
    finished = _route(
        request,
        cached,
        started_at,
        notes=tuple(notes),
        verified=grade,
        finished_at=services.now(),
    )
    return None if request.stream else reply, finished


def kept(
    request: Request,
    reply: Reply | None,
    attempt: Attempt,
    candidate: Candidate,
    now: datetime,
    *,
    quality: float = 0.0,
) -> CachedReply | None:
    """What to keep of an answer, None where it is not worth it; see `storable`.

    `reply` of a stream is what was gathered of it (`responses.Gathered`). `quality` is the
    forecast's P(correct); a verifier's grade takes its place.
    """
    usage = attempt.usage
    if reply is None or usage is None or attempt.outcome != "ok":
        return None
    if not storable(
        reply.body,
        reply.finish_reason,
        usage,
        grade=attempt.grade,
        wants_json=request.wants_json,
    ):
        return None
    cost = attempt.cost
    return CachedReply(
        body=reply.body,
        usage=usage,
        candidate=candidate.name,
        model=candidate.model,
        mode=candidate.mode,
        host=candidate.host,
        cost=None if cost is None else cost.pico,
        rates_id="" if cost is None else cost.rates_id,
        finish_reason=reply.finish_reason,
        at=now,
        quality=quality if attempt.grade is None else attempt.grade,
    )


def chunks_of(cached: CachedReply) -> list[Chunk]:
    """The answer as a stream of two chunks: all that was said, then why it ended and the usage."""
    head = {k: v for k, v in cached.body.items() if k not in {"choices", "usage", "object"}}
    head["object"] = "chat.completion.chunk"
    choice = cached.body["choices"][0]
    message = {k: v for k, v in choice["message"].items() if v is not None}
    delta = {"role": "assistant"} | message
    if calls := message.get("tool_calls"):
        delta["tool_calls"] = [dict(call) | {"index": i} for i, call in enumerate(calls)]
    said = {k: v for k, v in choice.items() if k not in {"message", "delta"}}
    return [
        Chunk(
            body=head | {"choices": [said | {"index": 0, "delta": delta, "finish_reason": None}]},
            text=message.get("content") or "",
            reasoning=message.get("reasoning_content") or "",
        ),
        Chunk(
            body=head
            | {"choices": [{"index": 0, "delta": {}, "finish_reason": cached.finish_reason}]},
            usage=Usage(),
            finish_reason=cached.finish_reason,
        ),
    ]


def _line(
    request: Request, services: Services, cached: CachedReply, began: float
) -> tuple[Reservation, Settlement]:
    """The line of the ledger: no cost, no tokens, no budget, and what was saved."""
    now = services.now()
    record = Record(
        request_id=request.id,
        candidate=cached.candidate,
        model=cached.model,
        mode=cached.mode,
        host=cached.host,
        policy="cache",
        tags=dict(request.tags),
        rates_id=_rates_id(cached),
        forecast_cost=0,
        forecast_cost_p90=0,
        forecast_quality=round(cached.quality, 6),
    )
    reservation = Reservation(
        id=f"{request.id}/cache", at=now, lease_until=now, amount=0, holds=(), record=record
    )
    settlement = Settlement(
        at=now,
        usage=Usage(),
        cost=_nothing(cached),
        outcome="cached",
        finish_reason=cached.finish_reason,
        seconds=services.monotonic() - began,
        saved=cached.cost or 0,
    )
    return reservation, settlement


def _route(
    request: Request,
    cached: CachedReply,
    started_at: datetime,
    *,
    notes: tuple[str, ...] | None = None,
    verified: float | None = None,
    finished_at: datetime | None = None,
) -> Route:
    name, when = cached.candidate, f"{cached.at:%Y-%m-%d %H:%M:%S} UTC"
    saved = (
        f"what it saved is not known: {name} has no known price"
        if cached.cost is None
        else f"saved {format_usd(cached.cost)}, which {name} cost at {when}"
    )
    return Route(
        request_id=request.id,
        decision=Decision(
            ranking=(name,),
            reason=f"answered from the response cache, kept at {when}",
            rejected={},
            policy="cache",
        ),
        forecasts={name: _forecast(cached)},
        candidate=name,
        started_at=started_at,
        usage=Usage(),
        cost=_nothing(cached),
        finished_at=finished_at or started_at,
        notes=(saved,) if notes is None else notes,
        verified=verified,
    )


def _forecast(cached: CachedReply) -> Forecast:
    """What there was to expect of a hit: no cost, and the quality that the answer had."""
    return Forecast(
        candidate=cached.candidate,
        quality=cached.quality,
        basis="cached",
        input_tokens=0,
        cache_read_tokens=0,
        output_tokens=_NONE,
        reasoning_tokens=_NONE,
        max_tokens=0,
        cost=0,
        cost_p50=0,
        cost_p90=0,
        cost_ceiling=0,
        rates_id=_rates_id(cached),
        tokens_basis="cached",
    )


def _nothing(cached: CachedReply) -> Cost:
    return Cost(pico=0, rates_id=_rates_id(cached))


def _rates_id(cached: CachedReply) -> str:
    # An empty one would say that the cost is not known. It is: nothing was sent.
    return cached.rates_id or "cache"
