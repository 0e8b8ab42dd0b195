"""The values that travel along a request: what was asked, sent, answered, used and charged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from router.errors import RecordError
from router.money import to_usd
from router.outlook import Forecast
from router.prompts.blocks import NO_BLOCKS, Chain
from router.record import DecisionRecord, Grounds
from router.shown import plan_html, plan_text

if TYPE_CHECKING:
    from policies.types import Decision
    from router.catalog import Candidate
    from router.prompts.layout import Layout

__all__ = [
    "Attempt",
    "Call",
    "Chunk",
    "Cost",
    "Forecast",
    "Plan",
    "Reply",
    "Request",
    "Route",
    "Usage",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One chat request as the caller made it, before anything is decided.

    `timeout` is in seconds and covers all attempts together; `patience` is how many the request
    may wait before it is sent, where money is tight. `cached` says that an answer out of the
    response cache will do, where there is one. `extra` holds the sampling and
    other fields that pass through to the host unchanged; `unvetted` names those of them that may
    change what is billed.
    """

    id: str
    messages: tuple[Mapping[str, Any], ...]
    models: tuple[str, ...] = ("auto",)
    stream: bool = False
    tools: tuple[Mapping[str, Any], ...] = ()
    tool_choice: Any = None
    response_format: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    unvetted: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    timeout: float = 600.0
    max_retries: int = 2
    patience: float = 0.0
    cached: bool = True

    def arranged(self, layout: Layout) -> Request:
        """The same request in this layout."""
        asked, tools, wanted = layout.messages, layout.tools, layout.response_format
        return replace(self, messages=asked, tools=tools, response_format=wanted)

    @property
    def wants_json(self) -> bool:
        """Whether the answer must be JSON."""
        return bool(self.response_format) and (self.response_format or {}).get("type") != "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one call, normalised over providers.

    `input_tokens` includes the cached ones, `output_tokens` the reasoning ones,
    `cache_write_tokens` those kept for an hour (`cache_write_1h_tokens`). `estimated` is True
    when the host did not report them and we counted, or it contradicted itself and was repaired.
    `reported_cost` is what the host says it charged, in pico-dollars; nothing is billed by it.

    Raises:
        ValueError: a count is negative, or a part is larger than its whole.
    """

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False
    cache_write_1h_tokens: int = 0
    reported_cost: int | None = None

    def __post_init__(self) -> None:
        counts = (
            self.input_tokens,
            self.cache_read_tokens,
            self.cache_write_tokens,
            self.cache_write_1h_tokens,
            self.output_tokens,
            self.reasoning_tokens,
            self.reported_cost or 0,
        )
        if min(counts) < 0:
            raise ValueError(f"token counts are not negative: {self}")
        if self.cache_read_tokens + self.cache_write_tokens > self.input_tokens:
            raise ValueError(f"cached tokens are part of input_tokens: {self}")
        if self.cache_write_1h_tokens > self.cache_write_tokens:
            raise ValueError(f"cache_write_1h_tokens are part of cache_write_tokens: {self}")
        if self.reasoning_tokens > self.output_tokens:
            raise ValueError(f"reasoning_tokens are part of output_tokens: {self}")

    @property
    def cache_miss_tokens(self) -> int:
        """Input tokens that no cache held; with `cache_read_tokens` they make the input."""
        return self.input_tokens - self.cache_read_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a usage costs under one price row, in pico-dollars (1e-12 USD).

    `pico` is rounded once, up; the parts are rounded down and explain it. `request` is the host's
    fee for each request, whatever its tokens. `rates_id` names the price row, "" when the price is
    not known.
    """

    pico: int
    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    rates_id: str = ""
    request: int = 0

    @property
    def usd(self) -> Decimal:
        """The cost in USD, exactly."""
        return to_usd(self.pico)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One attempt: a request bound to a candidate, ready for a transport.

    `timeout` (seconds) is what is left of the request's own; `max_tokens` is what was reserved,
    None only where nothing limits the answer. `base_url` is that of the replica it goes to, None
    where the host has a single address.
    """

    request: Request
    candidate: Candidate
    max_tokens: int | None
    timeout: float
    input_tokens: int
    base_url: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole answer: the provider's JSON as it came, and the usage read from it."""

    body: Mapping[str, Any]
    usage: Usage | None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One piece of a streamed answer: the provider's JSON, its text, and usage if it has one."""

    body: Mapping[str, Any]
    text: str = ""
    reasoning: str = ""
    usage: Usage | None = None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at one candidate, for the record: how it ended, after how long, at what cost.

    `outcome` is "ok", a word for how it failed, or "rejected": it answered, was charged, and the
    verifier's `grade` was below one half. `grade` is None where nothing verified the answer.
    `finish_reason` is the host's word for why it ended, None where it gave none.
    """

    candidate: str
    outcome: str
    seconds: float
    usage: Usage | None = None
    cost: Cost | None = None
    grade: float | None = None
    finish_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How a request was served: the decision, what was forecast, and what came of it.

    `usage` and `cost` are those of the attempt that served, `attempts` has all of them. `cost`
    is None where the price is not known. `verified` is the verifier's grade of the answer, from 0
    to 1; None where there is no verifier, or it failed.
    """

    request_id: str
    decision: Decision
    forecasts: Mapping[str, Forecast]
    candidate: str
    started_at: datetime
    usage: Usage | None = None
    cost: Cost | None = None
    attempts: tuple[Attempt, ...] = ()
    finished_at: datetime | None = None
    notes: tuple[str, ...] = ()
    verified: float | None = None
    grounds: Grounds | None = field(default=None, repr=False, compare=False)

    @property
    def record(self) -> DecisionRecord:
        """The decision with all it rests on, to be kept and replayed."""
        return _record_of(self.grounds)

    @property
    def forecast(self) -> Forecast:
        """The forecast of the candidate that served."""
        return self.forecasts[self.candidate]

    @property
    def host(self) -> str:
        """Where it was served; `replay` means a recording answered, not a model."""
        return self.candidate.rpartition("@")[2]

    @property
    def total_cost_usd(self) -> Decimal | None:
        """USD of all attempts together, failed ones that were charged included.

        None where the price of any that was charged is not known.
        """
        total = 0
        for attempt in self.attempts:
            cost = attempt.cost
            if attempt.usage is not None and (cost is None or not (cost.rates_id or cost.pico)):
                return None
            total += 0 if cost is None else cost.pico
        return to_usd(total)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What would be done with a request, decided and forecast without spending.

    `layout` is the prompt as it would be sent, `reading` what a scorer that learns made of it (of
    one that only observes lengths, the prompt itself), `chain` the prompt as prefix caches see it.
    As text, it is its table.
    """

    decision: Decision
    forecasts: Mapping[str, Forecast]
    input_tokens: int
    layout: Layout = field(repr=False)
    reading: Any = field(default=None, repr=False, compare=False)
    chain: Chain = field(default=NO_BLOCKS, repr=False, compare=False)
    grounds: Grounds | None = field(default=None, repr=False, compare=False)

    @property
    def record(self) -> DecisionRecord:
        """The decision with all it rests on, to be kept and replayed."""
        return _record_of(self.grounds)

    @property
    def notes(self) -> tuple[str, ...]:
        """What keeps caches from hitting and is the caller's to change, and what was moved."""
        return (*self.layout.notes, *self.layout.moved)

    @property
    def forecast(self) -> Forecast:
        """The forecast of the chosen candidate."""
        return self.forecasts[self.decision.chosen]

    def table(self) -> str:
        """All forecasts as a table of text: P(correct), tokens, dollars, seconds, price rows."""
        return plan_text(self.decision, self.forecasts, why=False)

    def __str__(self) -> str:
        return plan_text(self.decision, self.forecasts, why=True)

    def _repr_html_(self) -> str:
        return plan_html(self.decision, self.forecasts)


def _record_of(grounds: Grounds | None) -> DecisionRecord:
    if grounds is None:
        raise RecordError("this was made by hand, without what a decision rests on")
    return grounds.record
