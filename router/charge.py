"""What an attempt is charged: by the host's own count, by ours, or by what was reserved. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from router.budgets import Reservation
from router.errors import ConfigError, ProviderError
from router.pricing import cost
from router.services import Services
from router.types import Call, Chunk, Cost, Reply, Usage

_ABSURD = 10
"""A count of more than so many context windows is a fault of the host, not a usage."""


@dataclass(slots=True)
class Stream:
    """What has come so far of a streamed answer, so that a broken one can be charged.

    `emitted` says whether the caller was handed any part of the answer's content.
    """

    text: list[str] = field(default_factory=list)
    reasoned: bool = False
    usage: Usage | None = None
    finish_reason: str | None = None
    opened: bool = False
    emitted: bool = False

    def restart(self) -> None:
        """Forget what a failed attempt brought; what was handed out stays handed out."""
        self.text, self.usage, self.finish_reason, self.reasoned = [], None, None, False

    def take(self, chunk: Chunk) -> None:
        """Keep what settling will need of a chunk."""
        choices = chunk.body.get("choices") or [{}]
        self.text += [chunk.reasoning, chunk.text, *_tool_texts(choices[0].get("delta") or {})]
        self.reasoned = self.reasoned or bool(chunk.reasoning)
        self.usage = chunk.usage or self.usage  # the last one counts: some hosts send partial ones
        self.finish_reason = chunk.finish_reason or self.finish_reason
        # A first chunk that only names the role commits to nothing: another host may still serve.
        self.emitted = self.emitted or bool(chunk.finish_reason or any(self.text))


def texts_of(reply: Reply) -> list[str]:
    """All text of a whole answer that is billed as output."""
    texts = []
    for choice in reply.body.get("choices") or ():
        message = choice.get("message") or {}
        texts += [
            message.get("reasoning_content") or message.get("reasoning") or "",
            message.get("content") or "",
            *_tool_texts(message),
        ]
    return texts


def usage_of(
    reported: Usage | None, texts: Sequence[str], call: Call, services: Services
) -> Usage:
    """The host's own count where it is one, else ours, marked as estimated."""
    believed = _believed(reported, call)
    if believed is None or (not believed.output_tokens and any(texts)):
        return _counted(call, texts, services)
    return believed


def priced(usage: Usage, call: Call, services: Services, reservation: Reservation) -> Cost:
    """The cost at the rates of this instant, or of the reservation's where none hold any more.

    DeepSeek: "the completion timestamp of each request determines its pricing tier".
    """
    rates = services.catalog.rates(call.candidate, services.now())
    rates = rates or services.catalog.rates(call.candidate, reservation.at)
    return cost(usage, rates) if rates else Cost(pico=0)


def after_failure(
    error: BaseException,
    call: Call,
    stream: Stream,
    services: Services,
    reservation: Reservation,
) -> tuple[Usage, Cost] | None:
    """What a failed attempt is charged, None for nothing.

    A broken or closed stream: what came of it. What may have been worked on unseen (an answer
    that never came, reasoning that is not shown): all that was reserved.
    """
    hidden = call.candidate.mode == "thinking" and not stream.reasoned
    if call.request.stream and stream.usage and stream.finish_reason:
        usage = usage_of(stream.usage, stream.text, call, services)
        return usage, priced(usage, call, services, reservation)
    if call.request.stream and any(stream.text) and not hidden:
        usage = _at_least(_believed(stream.usage, call), _counted(call, stream.text, services))
        return usage, priced(usage, call, services, reservation)
    if isinstance(error, ConfigError) or (isinstance(error, ProviderError) and not error.billable):
        return None  # refused by the host, or by ourselves before it was sent
    usage = Usage(input_tokens=call.input_tokens, estimated=True)
    return usage, Cost(pico=reservation.amount, rates_id=reservation.record.rates_id)


def _believed(reported: Usage | None, call: Call) -> Usage | None:
    if reported is None:
        return None
    most = max(reported.input_tokens, reported.output_tokens)
    return reported if most <= _ABSURD * call.candidate.context_tokens else None


def _at_least(reported: Usage | None, counted: Usage) -> Usage:
    """Ours, or the host's count so far where that is more; cached tokens as it said."""
    if reported is None:
        return counted
    input_tokens = max(reported.input_tokens, counted.input_tokens)
    output_tokens = max(reported.output_tokens, counted.output_tokens)
    return Usage(
        input_tokens=input_tokens,
        cache_read_tokens=reported.cache_read_tokens,
        cache_write_tokens=reported.cache_write_tokens,
        output_tokens=output_tokens,
        reasoning_tokens=reported.reasoning_tokens,
        estimated=True,
    )


def _counted(call: Call, texts: Sequence[str], services: Services) -> Usage:
    output_tokens = services.count_text("".join(texts))
    return Usage(input_tokens=call.input_tokens, output_tokens=output_tokens, estimated=True)


def _tool_texts(message: Mapping[str, Any]) -> list[str]:
    # Calls of tools are output like any other: names and arguments are billed.
    functions = [call.get("function") or {} for call in message.get("tool_calls") or ()]
    return [f.get(key) or "" for f in functions for key in ("name", "arguments")]
