"""What an attempt is charged: by the host's own count, or by ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from router.errors import UsageError
from router.horizon import billed, served_tier, tier_of
from router.ledgers import Reservation
from router.pricing import cost
from router.responses import Gathered
from router.services import Services
from router.types import Call, Chunk, Cost, Reply, Usage
from router.usage import merge_usage, parse_usage, usage_in

_ABSURD = 10
"""A count of more than so many context windows is a fault of the host, not a usage."""


@dataclass(slots=True)
class Stream:
    """What has come so far of a streamed answer, so that a broken one can be charged.

    `text` is all that is billed as output, `said` the answer alone. `told` is what the host has
    counted so far and `raw` its last words on it; `covered` says that no text came after them,
    `final` that they came with the end of the answer or after it.
    `emitted` says whether the caller was handed any part of the answer's content. `came` is when
    its latest piece arrived: the host's own end, however long the reader took; `behind` (seconds)
    is how far the reader lags, `first` (seconds) how long the first piece took, `tier` the service
    tier that the host names, `notes` what is to be said of what was charged, `gathered` the whole
    answer where it may be kept.
    """

    text: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    reasoned: bool = False
    told: Usage | None = None
    raw: Any = None
    covered: bool = False
    final: bool = False
    finish_reason: str | None = None
    opened: bool = False
    emitted: bool = False
    came: datetime | None = None
    behind: float = 0.0
    first: float | None = None
    tier: str | None = None
    notes: tuple[str, ...] = ()
    gathered: Gathered | None = None

    @property
    def usage(self) -> Usage | None:
        """What the host has counted; as estimated where text came after it."""
        return self.told if self.told is None or self.covered else _guessed(self.told)

    def restart(self) -> None:
        """Forget what a failed attempt brought; what was handed out stays handed out."""
        self.text, self.said, self.finish_reason, self.reasoned = [], [], None, False
        self.told, self.raw, self.covered, self.final = None, None, False, False
        self.came, self.behind, self.first, self.tier, self.notes = None, 0.0, None, None, ()
        if self.gathered is not None:
            self.gathered = Gathered()

    def take(self, chunk: Chunk, came: datetime) -> None:
        """Keep what settling will need of a chunk that came at this instant."""
        self.came = came
        if self.gathered is not None:
            self.gathered.take(chunk)
        if (tier := served_tier(chunk.body)) is not None:
            self.tier = tier
        choices = chunk.body.get("choices") or [{}]
        pieces = [chunk.reasoning, chunk.text, *_tool_texts(choices[0].get("delta") or {})]
        self.text += pieces
        self.said.append(chunk.text)
        self.reasoned = self.reasoned or bool(chunk.reasoning)
        self.finish_reason = chunk.finish_reason or self.finish_reason
        self._count(chunk, any(pieces))
        # A first chunk that only names the role commits to nothing: another host may still serve.
        self.emitted = self.emitted or bool(chunk.finish_reason or any(self.text))

    def _count(self, chunk: Chunk, more: bool) -> None:
        found, told = usage_in(chunk.body), chunk.usage
        self.raw = self.raw if found is None else found
        self.told = merge_usage(self.told, told)
        if told is not None and (told.input_tokens or told.output_tokens):
            self.covered, self.final = True, self.finish_reason is not None
        elif more:  # a usage of zeros, as in each chunk of some hosts, counts nothing
            self.covered = self.final = False


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
    """The host's own count where it is one, else ours, marked as estimated.

    A count that was repaired, or told before the answer's end, or that has no input at all, is
    charged as no less than we count.
    """
    believed = _believed(reported, call)
    if believed is None or (not believed.output_tokens and any(texts)):
        return _counted(call, texts, services)
    # A recording's length is not that of the text which stands for it.
    guessed = believed.estimated and call.candidate.kind != "replay"
    if guessed or not believed.input_tokens:
        return _at_least(believed, _counted(call, texts, services))
    return believed


def usage_so_far(stream: Stream, call: Call, services: Services) -> Usage:
    """The same of a stream that broke off: our count, or the host's so far where that is more."""
    return _at_least(_believed(stream.usage, call), _counted(call, stream.text, services))


def demand_usage(raw: Any, settled: Usage, call: Call) -> None:
    """For `strict_usage`, after settling: what was charged must be the host's own, sound count.

    `raw` is the usage as it came: `usage_in(reply.body)`, or `Stream.raw`.

    Raises:
        UsageError: it is not, and so was repaired or counted. Nothing is undone.
    """
    if not settled.estimated or call.candidate.kind == "replay":
        return
    told = parse_usage(raw, strict=True)
    most = max(told.input_tokens, told.output_tokens) if told else 0
    why = f"more than {_ABSURD} context windows" if most > _most(call) else "less than what came"
    raise UsageError(
        f"{call.candidate.name}: expected a usage of the whole answer, it says {why}; "
        "without strict_usage it is counted by us, and marked as estimated",
        keys=tuple(str(key)[:40] for key in raw)[:20],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a call is priced by besides its usage: the span it was reserved for, `began` to
    `until`, and within it when the host `ended`. `asked` and `served` are service tiers.
    """

    began: datetime
    ended: datetime
    until: datetime
    asked: str = ""
    served: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of the tier, where the host names another than was asked for."""
        if self.asked == self.served:
            return ()
        asked, served = self.asked or "standard", self.served or "standard"
        return (f"asked for service tier {asked!r}, the host says it served {served!r}",)


def bill_of(
    call: Call,
    services: Services,
    reservation: Reservation,
    until: datetime,
    came: Stream | Reply | None,
) -> Bill:
    """The bill of a call, for what came of it. `until` is the end of the span whose dearest price
    was reserved.
    """
    asked = tier_of(call.request.extra)
    ended, served = None, None
    if isinstance(came, Stream):
        ended, served = came.came, came.tier
    elif came is not None:
        served = served_tier(came.body)
    return Bill(
        began=reservation.at,
        ended=ended or services.now(),
        until=until,
        asked=asked,
        served=asked if served is None else served,
    )


def priced(usage: Usage, call: Call, services: Services, bill: Bill) -> Cost:
    """The cost of what a call took; 0 under no price row where its price is not known.

    At the price of the tier that was served, else, where that has none, of the one asked for.
    """
    for tier in dict.fromkeys((bill.served, bill.asked)):
        rates = billed(
            services.catalog,
            call.candidate,
            began=bill.began,
            ended=bill.ended,
            until=bill.until,
            input_tokens=usage.input_tokens,
            service_tier=tier,
            unpriced=services.unpriced if tier == bill.asked else None,
        )
        if rates is not None:
            return cost(usage, rates)
    return Cost(pico=0)


def _believed(reported: Usage | None, call: Call) -> Usage | None:
    if reported is None:
        return None
    most = max(reported.input_tokens, reported.output_tokens)
    return reported if most <= _most(call) else None


def _most(call: Call) -> int:
    return _ABSURD * call.candidate.context_tokens


def _guessed(told: Usage) -> Usage:
    return replace(told, estimated=True)


def _at_least(reported: Usage | None, counted: Usage) -> Usage:
    """Ours, or the host's count so far where that is more; cached tokens as it said."""
    if reported is None:
        return counted
    return replace(
        reported,
        input_tokens=max(reported.input_tokens, counted.input_tokens),
        output_tokens=max(reported.output_tokens, counted.output_tokens),
        estimated=True,
    )


def _counted(call: Call, texts: Sequence[str], services: Services) -> Usage:
    output_tokens = services.count_text("".join(texts))
    return Usage(input_tokens=call.input_tokens, output_tokens=output_tokens, estimated=True)


def _tool_texts(message: Mapping[str, Any]) -> list[str]:
    # Calls of tools are output like any other: names and arguments are billed.
    functions = [call.get("function") or {} for call in message.get("tool_calls") or ()]
    return [f.get(key) or "" for f in functions for key in ("name", "arguments")]
