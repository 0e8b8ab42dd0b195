"""The metrics of one attempt, when it has ended; amounts are USD."""

from __future__ import annotations

from collections.abc import Mapping

from router.telemetry import names
from router.telemetry.instruments import Instruments
from router.telemetry.labels import Labels
from router.telemetry.observation import Ending, Observation
from router.telemetry.spans import dollars
from router.types import Usage


def measure(
    instruments: Instruments, observed: Observation, ending: Ending, bounds: Labels
) -> None:
    """Record how an attempt ended: once, with the labels that it began with.

    What the ledger did not take is no spend yet: see `Ending`.
    """
    labels = typed = observed.labels
    if ending.failed:
        typed = bounds.failed(labels, ending.outcome)
    instruments.attempts.add(1, {names.ERROR_TYPE: "", **typed})
    instruments.duration.record(ending.seconds, typed)
    if ending.first_chunk is not None:
        instruments.first_chunk.record(ending.first_chunk, labels)
    if ending.usage is not None:
        for kind, tokens in kinds_of(ending.usage).items():
            instruments.token_count.add(tokens, {**labels, names.TOKEN_TYPE: kind})
    _conventional(instruments, labels, ending)
    if ending.priced is not None and ending.booked:
        _spent(instruments, observed, ending.priced.pico, ending.source)


def kinds_of(usage: Usage) -> dict[str, int]:
    """Tokens by kind. "cache_read" and "cache_write" are part of the input, "reasoning" of the
    output, so that not all of them add up.
    """
    return {
        "input": usage.input_tokens,
        "cache_read": usage.cache_read_tokens,
        "cache_write": usage.cache_write_tokens,
        "output": usage.output_tokens,
        "reasoning": usage.reasoning_tokens,
    }


def _spent(instruments: Instruments, observed: Observation, pico: int, source: str) -> None:
    """Spend, and beside it what was forecast and set aside for the same calls."""
    labels, forecast, reserved = observed.labels, observed.forecast.cost, observed.reserved
    usd, sourced = dollars(pico), {**labels, names.SOURCE: source}
    instruments.spend.add(usd, sourced)
    instruments.cost.record(usd, sourced)
    if forecast is not None:
        instruments.forecast_cost.add(dollars(forecast), labels)
        if forecast:
            instruments.forecast_error.record(pico / forecast, labels)
    if reserved is not None:
        instruments.reservation_cost.add(dollars(reserved), labels)
        if reserved:
            instruments.reservation_used.record(pico / reserved, labels)


def _conventional(instruments: Instruments, labels: Mapping[str, str], ending: Ending) -> None:
    """Tokens as the GenAI conventions have them, those of the client's generation."""
    usage = ending.usage
    if instruments.tokens is not None and usage is not None:
        for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
            instruments.tokens.record(count, {**labels, names.TOKEN_TYPE: kind})
    if not instruments.usage:
        return
    # All that can be sent is text; of a call without a usage nobody knows what it took.
    counted = {**labels, names.TOKEN_MODALITY: "unknown" if usage is None else "text"}
    told = kinds_of(usage or Usage())
    for kind, count in (
        ("input_tokens", told["input"]),
        ("output_tokens", told["output"]),
        ("cache_read.input_tokens", told["cache_read"]),
        ("cache_write.input_tokens", told["cache_write"]),
        ("reasoning.output_tokens", told["reasoning"]),
    ):
        instruments.usage[kind].add(count, counted)
    if usage is not None and not ending.failed:
        instruments.sizes["input_tokens"].record(usage.input_tokens, labels)
        instruments.sizes["output_tokens"].record(usage.output_tokens, labels)
