"""The rows of a catalogue file, validated by pydantic. Unknown keys are refused.

Tables: `[[host]]`, `[[model]]`, `[[endpoint]]`, `[[cache]]`, `[[rate]]`, `[[fleet]]`,
`[[utilisation]]`, `[[exchange]]`, `[[schedule]]`, `[[calendar]]`. Rows are frozen; what several
rows must agree on is checked in `router.catalog.book`. `json_schema` describes a file, for
editors and other programs.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, create_model, model_validator

from router.catalog.caches import Cache
from router.catalog.fields import HostName, Hours, Instant, ModelName, Row, Tokens
from router.catalog.fleet_rows import FleetRow, UtilisationRow
from router.catalog.prices import Exchange, Prices, Rate, ServicePrices, Tier

__all__ = [
    "TABLES",
    "Cache",
    "Calendar",
    "Endpoint",
    "Exchange",
    "Host",
    "Kind",
    "Mode",
    "ModeOptions",
    "Model",
    "Prices",
    "Rate",
    "Row",
    "Schedule",
    "Served",
    "ServicePrices",
    "Tier",
    "json_schema",
    "row_key",
]

Mode = Literal["chat", "thinking"]
Kind = Literal[
    "openai",
    "vllm",
    "sglang",
    "ollama",
    "llamacpp",
    "engine",
    "replay",
    "reference",
    "unsupported",
]


class Host(Row):
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
    stops_when_left: bool = False
    """Whether it stops working, and billing, soon after the reader of a stream goes. Where it is
    not known to, a hard budget is charged all that was reserved for a stream that is left."""
    cache: str | None = None
    """The `[[cache]]` row that says how it caches prompts."""
    source: str = ""
    checked: date | None = None


class Model(Row):
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


class ModeOptions(Row):
    """What differs in one mode at one endpoint: fields sent, ignored and refused; limits."""

    model_id: str | None = None
    max_output_tokens: Tokens | None = None
    request_extra: dict[str, Any] = Field(default_factory=dict)
    ignored_fields: frozenset[str] = frozenset()
    refused_fields: frozenset[str] = frozenset()


class Served(Row):
    """From when on a name meant which weights."""

    since: Instant
    model: str


class Endpoint(Row):
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
    cache: str | None = None
    """Overrides the host's."""
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


class Schedule(Row):
    """Weekly hours in a zone that belong to `window`; all other hours are the other window."""

    name: str
    window: Literal["peak", "off-peak"] = "peak"
    zone: str
    weekdays: tuple[Annotated[int, Field(ge=1, le=7)], ...] = (1, 2, 3, 4, 5, 6, 7)
    """ISO weekdays, 1 is Monday, by the date in `zone`."""
    hours: tuple[Hours, ...] = Field(min_length=1)
    calendar: str | None = None
    """On this calendar's days none of the hours count."""
    decided_by: Literal["completion", "start", ""] = ""
    """Which instant of a request decides its window; "" where the host does not say."""
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


class Calendar(Row):
    """Days (local dates) on which a schedule's hours do not count.

    A list of `days`, or the public holidays of a `country` as the package `holidays` knows them.
    """

    name: str
    days: frozenset[date] = frozenset()
    country: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    """ISO 3166."""
    until: date | None = None
    """The last day it speaks for; all days after it are ordinary ones, and `uncertain`."""
    source: str = ""
    checked: date | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Calendar:
        if bool(self.days) == (self.country is not None):
            raise ValueError("expected either days or a country")
        if self.until is not None and self.days and self.until < max(self.days):
            raise ValueError(f"expected until on or after the last day, got {self.until}")
        return self


TABLES: dict[str, type[Row]] = {
    "host": Host,
    "model": Model,
    "endpoint": Endpoint,
    "cache": Cache,
    "rate": Rate,
    "fleet": FleetRow,
    "utilisation": UtilisationRow,
    "exchange": Exchange,
    "schedule": Schedule,
    "calendar": Calendar,
}


def row_key(row: Row) -> str:
    """The name under which a later row of the same table replaces an earlier one."""
    if isinstance(row, Rate | FleetRow):
        later = f"/{row.known.isoformat()}" if row.known != row.valid_from else ""
        return f"{row.endpoint}/{row.valid_from.isoformat()}{later}"
    if isinstance(row, UtilisationRow):
        return f"{row.endpoint}/{row.valid_from.isoformat()}"
    if isinstance(row, Exchange):
        return f"{row.currency}/{row.valid_from.isoformat()}"
    if isinstance(row, Host | Model | Endpoint | Schedule | Calendar | Cache):
        return row.name
    raise AssertionError(f"no key for {type(row).__name__}")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a catalogue file: every table a list of rows, as they are written."""
    tables: dict[str, Any] = {name: (list[row], []) for name, row in TABLES.items()}  # type: ignore[valid-type]
    model = create_model("CatalogFile", __base__=Row, **tables)
    schema = model.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_untitled(schema)}


def _untitled(value: Any) -> Any:
    # pydantic's titles only repeat the names, and differ between its versions.
    if isinstance(value, dict):
        titled = isinstance(value.get("title"), str)
        return {k: _untitled(v) for k, v in value.items() if not (titled and k == "title")}
    return [_untitled(item) for item in value] if isinstance(value, list) else value
