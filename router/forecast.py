"""Tokens and dollars of each candidate before the call, from its score and its rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from classifiers.scores import Score
from router.catalog import Candidate, Rates
from router.money import format_usd
from router.pricing import affordable_output, ceiling, cost
from router.types import Forecast, Request, Usage

_HEADROOM = {"trained": 1.25}
_HEADROOM_UNTRAINED = 3.0
"""Over the p99 forecast when the caller set no max_tokens: a forecast's tail is uncertain too, and
more so without answers of the model itself. A cut-off answer is money for nothing."""
_FEWEST = 256
_MARGIN = 32
"""Input tokens over our own count; besides, one in a hundred."""


@dataclass(frozen=True, slots=True)
class Unaffordable:
    """The budget cannot hold even a short answer of this candidate: what it takes at least."""

    needed: int
    reason: str


def spread(draws: Sequence[float]) -> float:
    """The standard deviation of equally likely values; 0.0 of none."""
    if not draws:
        return 0.0
    mean = math.fsum(draws) / len(draws)
    return math.sqrt(math.fsum((p - mean) ** 2 for p in draws) / len(draws))


def input_bound(candidate: Candidate, input_tokens: int, input_bytes: int) -> int:
    """The most input tokens the host can bill.

    Close where we have the model's own vocabulary, with a margin, for a host's chat template may
    differ from the published one; else no byte-level vocabulary makes more
    tokens than bytes. `input_bytes` has room for the chat template (`decide._size`).
    """
    if candidate.kind == "replay":  # recordings are counted as we count
        return input_tokens
    if candidate.tokenizer:
        return input_tokens + _MARGIN + input_tokens // 100
    return max(input_tokens, input_bytes)


def forecast(
    candidate: Candidate,
    request: Request,
    score: Score,
    *,
    input_tokens: int,
    input_bytes: int,
    cache_read_tokens: int,
    rates: Rates | None,
    dearest: Rates | None,
    remaining: int | None,
) -> Forecast | Unaffordable:
    """Forecast one candidate.

    `rates` are those expected, `dearest` the highest that may hold while the call runs;
    `remaining` is what hard budgets still hold in pico-dollars, None without any. The ceiling
    counts the whole input as uncached and all of `max_tokens` as used.
    """
    cached = min(cache_read_tokens, input_tokens)
    bound = input_bound(candidate, input_tokens, input_bytes)
    room = min(candidate.max_output_tokens, candidate.context_tokens - input_tokens)
    limit = min(request.max_tokens or room, room)
    notes = []
    if request.max_tokens and limit < request.max_tokens:
        notes.append(f"max_tokens lowered from {request.max_tokens:,} to {limit:,}: its cap")
    output = score.output_tokens
    if remaining is not None and dearest is not None:
        least = min(limit, max(1, math.ceil(output.p90)))
        if not request.max_tokens:
            headroom = _HEADROOM.get(score.basis, _HEADROOM_UNTRAINED)
            limit = min(room, max(_FEWEST, math.ceil(output.p99 * headroom)))
            cause = f"{headroom:g} x the forecast's p99"
        else:
            least, cause = limit, ""
        affordable = affordable_output(remaining, bound, dearest)
        if affordable is not None and affordable < least:
            needed = ceiling(bound, least, dearest)
            return Unaffordable(
                needed, f"needs {format_usd(needed)}, the budget has {format_usd(remaining)} left"
            )
        if affordable is not None and affordable < limit:
            limit, cause = affordable, "what the budget can pay"
        if cause:
            notes.append(f"max_tokens set to {limit:,}: {cause}")
    if rates is None or dearest is None:
        amounts: tuple[int | None, ...] = (None,) * 5
    else:
        amounts = (
            *(
                cost(
                    Usage(
                        input_tokens=input_tokens,
                        cache_read_tokens=cached,
                        output_tokens=min(limit, math.ceil(tokens)),
                    ),
                    rates,
                ).pico
                for tokens in (
                    output.mean if score.base_tokens is None else score.base_tokens,
                    output.mean,
                    output.p50,
                    output.p90,
                )
            ),
            ceiling(bound, limit, dearest),
        )
    return Forecast(
        candidate=candidate.name,
        quality=float(score.p_correct),
        basis=score.basis,
        input_tokens=input_tokens,
        cache_read_tokens=cached,
        output_tokens=output,
        reasoning_tokens=score.reasoning_tokens,
        max_tokens=limit,
        cost=amounts[1],
        cost_p50=amounts[2],
        cost_p90=amounts[3],
        cost_ceiling=amounts[4],
        rates_id=rates.id if rates else "",
        notes=tuple(notes),
        quality_se=spread(score.draws),
        base_quality=None if score.base is None else float(score.base),
        base_cost=amounts[0],
        known=float(score.known),
        task=score.task,
        graded=score.graded,
    )
