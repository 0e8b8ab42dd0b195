"""One span per attempt: forecast, reservation and actual cost side by side.

Cost is float here, for OpenTelemetry knows nothing else; the ledger is the exact record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from router.money import PICO_PER_USD
from router.outlook import Forecast
from router.telemetry import names
from router.telemetry.content import Capture
from router.telemetry.names import Generation
from router.telemetry.observation import Ending
from router.types import Call, Cost, Usage

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

_WORD = re.compile(r"[\w.:/@+-]{1,128}", re.ASCII)
"""What hosts may say of an answer: an id, a model, a reason. Anything else may be its text."""


def begun(
    tracer: Tracer,
    call: Call,
    forecast: Forecast,
    policy: str,
    reserved: int | None,
    tags: Mapping[str, str],
    address: Callable[[Call], str | None],
) -> Span:
    """Start the span of an attempt. `tags` are those that may be recorded."""
    from opentelemetry.trace import SpanKind

    candidate, request = call.candidate, call.request
    span = tracer.start_span(
        f"chat {candidate.model_id}",
        kind=SpanKind.CLIENT,
        attributes={  # what samplers decide by
            names.OPERATION: "chat",
            names.PROVIDER: candidate.provider,
            names.REQUEST_MODEL: candidate.model_id,
            **_server(address(call)),
        },
    )
    if not span.is_recording():
        return span
    more: dict[str, Any] = {
        names.CANDIDATE: candidate.name,
        names.HOST: candidate.host,
        names.POLICY: policy,
        names.REQUEST_ID: request.id,
        names.REQUEST_STREAM: request.stream,
        **_expected(forecast),
        **{f"{names.TAG}{tag}": value for tag, value in tags.items()},
    }
    if "conversation" in tags:
        more[names.CONVERSATION] = tags["conversation"]
    if call.max_tokens is not None:
        more[names.REQUEST_MAX_TOKENS] = call.max_tokens
    if reserved is not None:
        more[names.RESERVED] = dollars(reserved)
    span.set_attributes(more)
    return span


def ended(
    span: Span, ending: Ending, call: Call, generation: Generation, capture: Capture
) -> None:
    """End the span of an attempt, whatever cannot be said of it."""
    try:
        if span.is_recording():
            _tell(span, ending, generation)
            capture.answered(span, call, ending)
    finally:
        span.end()


def _tell(span: Span, ending: Ending, generation: Generation) -> None:
    found: dict[str, Any] = {}
    if ending.failed:
        from opentelemetry.trace import Status, StatusCode

        found[names.ERROR_TYPE] = ending.outcome
        span.set_status(Status(StatusCode.ERROR, ending.outcome))
    for name, key in ((names.RESPONSE_ID, "id"), (names.RESPONSE_MODEL, "model")):
        if (said := _word((ending.response or {}).get(key))) is not None:
            found[name] = said
    if (reason := _word(ending.finish_reason)) is not None:
        found[names.FINISH_REASONS] = [reason]
    if ending.first_chunk is not None:
        found[names.FIRST_CHUNK] = ending.first_chunk
    usage, cost = ending.usage, ending.priced
    if usage is not None:
        found |= _used(usage, generation)
    if cost is not None:
        charge = _charge(cost, ending.source)
        found |= charge
        span.add_event(names.SETTLED, charge)
    if usage is not None and usage.reported_cost is not None:
        span.add_event(names.REPORTED, _reported(usage.reported_cost))
    span.set_attributes(found)


def dollars(pico: int) -> float:
    """An amount as OpenTelemetry takes it."""
    return pico / PICO_PER_USD


def _expected(forecast: Forecast) -> dict[str, Any]:
    found: dict[str, Any] = {
        "basis": forecast.basis,
        "quality": forecast.quality,
        "input_tokens": forecast.input_tokens,
        "cache_read_tokens": forecast.cache_read_tokens,
        "output_tokens.p50": forecast.output_tokens.p50,
        "output_tokens.p90": forecast.output_tokens.p90,
    }
    if forecast.cost is not None and forecast.cost_p90 is not None:
        found |= {"cost": dollars(forecast.cost), "cost.p90": dollars(forecast.cost_p90)}
    return {f"{names.FORECAST}{name}": value for name, value in found.items()}


def _used(usage: Usage, generation: Generation) -> dict[str, Any]:
    return {
        names.USAGE_INPUT: usage.input_tokens,
        names.USAGE_OUTPUT: usage.output_tokens,
        names.USAGE_CACHE_READ: usage.cache_read_tokens,
        generation.cache_write: usage.cache_write_tokens,
        names.USAGE_REASONING: usage.reasoning_tokens,
        names.ESTIMATED_USAGE: usage.estimated,
    }


def _charge(cost: Cost, source: str) -> dict[str, Any]:
    return {
        names.COST_AMOUNT: dollars(cost.pico),
        names.COST_CURRENCY: "USD",
        names.COST_SOURCE: names.LOCAL,
        names.SOURCE: source,
        names.RATES_ID: cost.rates_id,
    }


def _reported(pico: int) -> dict[str, Any]:
    return {
        names.COST_AMOUNT: dollars(pico),
        names.COST_CURRENCY: "USD",
        names.COST_SOURCE: names.PROVIDER_SAYS,
        names.SOURCE: names.PROVIDER_SAYS,
    }


def _server(address: str | None) -> dict[str, Any]:
    """Host name and port of a URL, and nothing else of it: the rest may hold a password."""
    if not address:
        return {}
    plain = address.lower().startswith("http://")
    # A password that was not quoted may hold a slash: a parser would find a host before it.
    try:
        parts = urlsplit("//" + address.rpartition("@")[2].rpartition("://")[2])
        host, port = parts.hostname, parts.port
    except ValueError:
        return {}
    if not host:
        return {}
    return {names.SERVER_ADDRESS: host, names.SERVER_PORT: port or (80 if plain else 443)}


def _word(said: Any) -> str | None:
    return said if isinstance(said, str) and _WORD.fullmatch(said) else None
