"""What a failed attempt is charged: what came of it, or all that was reserved. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from router.charge import Bill, Stream, priced, usage_of, usage_so_far
from router.errors import (
    ConfigError,
    ConnectionFailedError,
    ProviderError,
    ProviderTimeoutError,
)
from router.ledgers import Reservation
from router.services import Services
from router.types import Call, Cost, Usage

_UNREAD = 128
"""Output tokens that may be on their way, and billed, when a reader goes: a second or two."""
_BEHIND = 1.0
"""Seconds: a reader who keeps a stream waiting longer has more than that still to read."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What a failed attempt is charged: `usage` is what came of it. Under a hard budget `cost` and
    `tokens` (None: those of the usage) may be more, as the note to the caller says.
    """

    usage: Usage
    cost: Cost
    tokens: int | None = None
    notes: tuple[str, ...] = ()


def after_failure(
    error: BaseException,
    call: Call,
    stream: Stream,
    services: Services,
    reservation: Reservation,
    bill: Bill,
) -> Loss | None:
    """What a failed attempt is charged, None for nothing.

    A broken or closed stream: what came of it; under a hard budget all that was reserved, for
    the host may have gone on, unless it is known to stop (then what came, and `_UNREAD` more).
    What may have been worked on unseen (an answer that never came, reasoning that is not shown):
    all that was reserved, but for one's own server that died.
    """
    hidden = call.candidate.mode == "thinking" and not stream.reasoned
    if call.request.stream and stream.final:
        usage = usage_of(stream.usage, stream.text, call, services)
        return Loss(usage, priced(usage, call, services, bill))
    if call.request.stream and any(stream.text) and not hidden:
        return _left(call, stream, services, reservation, bill)
    if isinstance(error, ConfigError) or (isinstance(error, ProviderError) and not error.billable):
        return None  # refused by the host, or by ourselves before it was sent
    lost = isinstance(error, ConnectionFailedError) and not isinstance(error, ProviderTimeoutError)
    if lost and call.candidate.self_hosted:
        return None  # one's own server died: nobody sends a bill for that
    usage = Usage(input_tokens=call.input_tokens, estimated=True)
    assumed = Cost(pico=reservation.amount, rates_id=reservation.record.rates_id)
    return Loss(usage, assumed, reservation.tokens, _in_full(call))


def _left(
    call: Call, stream: Stream, services: Services, reservation: Reservation, bill: Bill
) -> Loss:
    """A stream that ended early: in dollars and tokens, as hard budgets count in them."""
    usage = usage_so_far(stream, call, services)
    strict = {h.unit for h in reservation.holds if h.hard and h.quantile is None}
    came, tokens = priced(usage, call, services, bill), usage.input_tokens + usage.output_tokens
    if not strict & {"usd", "tokens"}:
        return Loss(usage, came)
    owed = Cost(pico=reservation.amount, rates_id=reservation.record.rates_id)
    most, notes = reservation.tokens, _in_full(call)
    # Our count says little of theirs for a vocabulary we lack, or behind a reader who is slow.
    counts = bool(call.candidate.tokenizer) and stream.behind <= _BEHIND
    if call.candidate.stops_when_left and counts:
        more = replace(usage, output_tokens=usage.output_tokens + _UNREAD)
        ahead = priced(more, call, services, bill)
        owed = min(owed, ahead, key=_pico) if ahead.rates_id else owed
        most, notes = min(most, tokens + _UNREAD), ()
    # What has come is owed, even where it is more than was reserved.
    return Loss(
        usage,
        max(came, owed, key=_pico) if "usd" in strict else came,
        max(tokens, most) if "tokens" in strict else None,
        notes,
    )


def _in_full(call: Call) -> tuple[str, ...]:
    name = call.candidate.name
    return (f"left before its end, so charged all that was reserved: {name} may have gone on",)


def _pico(spent: Cost) -> int:
    return spent.pico
