"""The rows of a catalogue file, validated by pydantic. Unknown keys are refused.

Tables: `[[host]]`, `[[model]]`, `[[endpoint]]`, `[[rate]]`, `[[schedule]]`, `[[calendar]]`.
Rows are frozen; what several rows must agree on is checked in `router.catalog.book`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from router.money import to_pico

Mode = Literal["chat", "thinking"]
Kind = Literal[
    "openai", "vllm", "sglang", "ollama", "llamacpp", "replay", "reference", "unsupported"
]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _instant(value: Any) -> Any:
    """An aware UTC instant; a bare date is its midnight in UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(
                f"expected an instant such as 2026-08-16T16:00:00Z, got {value!r}"
            ) from None
        if value.tzinfo is None and value.time() == time():
            return value.replace(tzinfo=UTC)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(
                f"expected an instant with its offset, such as {value.isoformat()}Z, got none"
            )
        return value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    return value


def _rate(value: Any) -> int:
    """Pico-dollars per million tokens, of a rate written as a string in USD per million."""
    if isinstance(value, float):
        raise ValueError(f'write rates as strings, "{value!r}" not {value!r}: floats lose cents')
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(
            f'expected USD per million tokens as a string such as "0.28", got {value!r}'
        )
    pico = to_pico(value)
    if pico < 0:
        raise ValueError(f"expected a rate of zero or more, got {value!r}")
    return pico


def _hours(value: Any) -> Any:
    """Minutes of the day of a span such as "09:00-12:00": start inclusive, end exclusive."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"(\d\d):(\d\d)-(\d\d):(\d\d)", value)
    if not match:
        raise ValueError(f'expected hours such as "09:00-12:00", got {value!r}')
    h1, m1, h2, m2 = map(int, match.groups())
    start, end = h1 * 60 + m1, h2 * 60 + m2
    if m1 > 59 or m2 > 59 or not 0 <= start < end <= 24 * 60:
        raise ValueError(
            f"expected a start before its end within one day (at most 24:00), got {value!r}; "
            "write hours across midnight as two spans"
        )
    return start, end


Instant = Annotated[datetime, BeforeValidator(_instant)]
Rate_ = Annotated[int, BeforeValidator(_rate)]
Hours = Annotated[tuple[int, int], BeforeValidator(_hours)]
HostName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
ModelName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
Tokens = Annotated[int, Field(gt=0)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Host(_Row):
    """Who serves: where to send requests and with which key."""

    name: HostName
    provider: str = ""
    """OpenTelemetry's `gen_ai.provider.name`; the host's own name where that list has none."""
    kind: Kind = "openai"
    base_url: str | None = Field(default=None, pattern=r"^https?://")
    base_url_env: str | None = None
    api_key_env: str | None = None
    api_key_required: bool = True
    self_hosted: bool = False
    region: str = ""
    """Where it keeps data, in words of your own ("eu", "us", "cn"); one's own host: "on-prem"."""
    max_tokens_field: str = "max_tokens"
    source: str = ""
    checked: date | None = None


class Model(_Row):
    """Weights and what they can do, wherever they are served."""

    name: ModelName
    title: str = ""
    modes: tuple[Mode, ...] = Field(default=("chat",), min_length=1)
    tools: bool = False
    json_mode: bool = False
    tokenizer: Literal["", "deepseek-v3"] = ""
    """Whose vocabulary counts its input exactly; "" where we have none."""
    aliases: tuple[ModelName, ...] = ()
    source: str = ""
    checked: date | None = None

    @model_validator(mode="after")
    def _speciale_never_uses_tools(self) -> Model:
        if "speciale" in self.name.lower() and (self.tools or self.json_mode):
            raise ValueError(
                "expected tools = false and json_mode = false: V3.2-Speciale was trained without "
                "tool calls and its JSON mode was never served"
            )
        return self


class ModeOptions(_Row):
    """What differs in one mode at one endpoint: fields sent, ignored and refused; limits."""

    model_id: str | None = None
    max_output_tokens: Tokens | None = None
    request_extra: dict[str, Any] = Field(default_factory=dict)
    ignored_fields: frozenset[str] = frozenset()
    refused_fields: frozenset[str] = frozenset()


class Served(_Row):
    """From when on a name meant which weights."""

    since: Instant
    model: str


class Endpoint(_Row):
    """A model at a host: the id on the wire, limits, modes, and until when."""

    model: ModelName
    host: HostName
    model_id: str
    modes: tuple[Mode, ...] | None = Field(default=None, min_length=1)
    kind: Kind | None = None
    context_tokens: Tokens
    max_output_tokens: Tokens
    tools: bool | None = None
    json_mode: bool | None = None
    streaming: bool = True
    self_hosted: bool | None = None
    """Overrides the host's: a recording of a model that ran on one's own GPUs."""
    region: str | None = None
    """Overrides the host's."""
    aliases: tuple[ModelName, ...] = ()
    """Other names that this host accepts for it."""
    options: dict[Mode, ModeOptions] = Field(default_factory=dict)
    served: tuple[Served, ...] = ()
    retires_at: Instant | None = None
    successor: str | None = None
    unpriced: str = ""
    """Why there is no rate row; empty where there is one."""
    source: str = ""
    checked: date | None = None

    @property
    def name(self) -> str:
        """`model@host`."""
        return f"{self.model}@{self.host}"

    @model_validator(mode="after")
    def _sane(self) -> Endpoint:
        if "speciale" in f"{self.model} {self.model_id}".lower() and (
            self.tools or self.json_mode
        ):
            raise ValueError("expected no tools and no json_mode: V3.2-Speciale has neither")
        if self.max_output_tokens > self.context_tokens:
            raise ValueError(
                f"expected max_output_tokens of at most context_tokens ({self.context_tokens}), "
                f"got {self.max_output_tokens}"
            )
        return self


class Prices(_Row):
    """Pico-dollars per million tokens; an absent cache price is the input price."""

    input: Rate_
    cache_read: Rate_ | None = None
    cache_write: Rate_ | None = None
    output: Rate_


class Rate(_Row):
    """What an endpoint charges from `valid_from` until the next row, `valid_to` or its end.

    Either one set of prices, or a `schedule` with `peak` and `off_peak` sets.
    """

    endpoint: str = Field(pattern=r"^[^@]+@[^@]+$")
    valid_from: Instant = EPOCH
    valid_to: Instant | None = None
    known_since: Instant | None = None
    input: Rate_ | None = None
    cache_read: Rate_ | None = None
    cache_write: Rate_ | None = None
    output: Rate_ | None = None
    schedule: str | None = None
    peak: Prices | None = None
    off_peak: Prices | None = None
    source: str = Field(min_length=1)
    checked: date

    @model_validator(mode="after")
    def _one_shape(self) -> Rate:
        flat = (self.input, self.cache_read, self.cache_write, self.output)
        if self.schedule is None:
            if self.peak or self.off_peak:
                raise ValueError("expected a schedule beside peak and off_peak")
            if self.input is None or self.output is None:
                raise ValueError("expected input and output, or a schedule with peak and off_peak")
        elif self.peak is None or self.off_peak is None or any(p is not None for p in flat):
            raise ValueError("expected peak and off_peak, and no other prices, beside a schedule")
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError(f"expected valid_to after valid_from, got {self.valid_to}")
        return self


class Schedule(_Row):
    """Weekly hours in a zone that belong to `window`; all other hours are the other window."""

    name: str
    window: Literal["peak", "off-peak"] = "peak"
    zone: str
    weekdays: tuple[Annotated[int, Field(ge=1, le=7)], ...] = (1, 2, 3, 4, 5, 6, 7)
    """ISO weekdays, 1 is Monday, by the date in `zone`."""
    hours: tuple[Hours, ...] = Field(min_length=1)
    calendar: str | None = None
    """On this calendar's days none of the hours count."""
    source: str = ""
    checked: date | None = None

    @model_validator(mode="after")
    def _known_zone(self) -> Schedule:
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(
                f"expected a zone such as 'Asia/Shanghai', got {self.zone!r}"
            ) from None
        return self


class Calendar(_Row):
    """Days (local dates) on which a schedule's hours do not count."""

    name: str
    days: frozenset[date] = Field(min_length=1)
    source: str = ""
    checked: date | None = None


TABLES: dict[str, type[_Row]] = {
    "host": Host,
    "model": Model,
    "endpoint": Endpoint,
    "rate": Rate,
    "schedule": Schedule,
    "calendar": Calendar,
}


def row_key(row: _Row) -> str:
    """The name under which a later row of the same table replaces an earlier one."""
    if isinstance(row, Rate):
        return f"{row.endpoint}/{row.valid_from.isoformat()}"
    if isinstance(row, Host | Model | Endpoint | Schedule | Calendar):
        return row.name
    raise AssertionError(f"no key for {type(row).__name__}")
