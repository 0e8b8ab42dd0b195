"""Tokens, dollars and seconds of each candidate before the call: from score, rates and pace."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from classifiers.scores import Quantiles, Score
from router.catalog import Candidate, Rates
from router.horizon import Prices
from router.limits import Unaffordable, size
from router.money import format_usd
from router.outlook import Forecast
from router.pace import Pace, Times
from router.pricing import output_costs
from router.prompts.layout import sent_text
from router.purses import Room
from router.types import Request

_MARGIN = 32
"""Input tokens over our own count; besides, one in a hundred."""
_HORIZON = 600.0
"""Seconds that a call may take for all we know, where its endpoint has no history here."""


def spread(draws: Sequence[float]) -> float:
    """The standard deviation of equally likely values; 0.0 of none."""
    if not draws:
        return 0.0
    n, squares = len(draws), 0.0
    mean = sum(draws) / n
    for p in draws:
        squares += (p - mean) * (p - mean)
    return math.sqrt(squares / n)


def input_bound(candidate: Candidate, input_tokens: int, input_bytes: int) -> int:
    """The most input tokens the host can bill.

    Close where we have the model's own vocabulary, with a margin, for a host's chat template may
    differ from the published one; else no byte-level vocabulary makes more
    tokens than bytes. `input_bytes` has room for the chat template (`size_of`).
    """
    if candidate.kind == "replay":  # recordings are counted as we count
        return input_tokens
    if candidate.tokenizer:
        return input_tokens + _MARGIN + input_tokens // 100
    return max(input_tokens, input_bytes)


def size_of(request: Request) -> int:
    """Bytes of all that is sent, with room for the chat template.

    Raises:
        InvalidRequestError: a message holds what JSON cannot express.
    """
    text = sent_text(request.messages, request.tools, request.response_format)
    # Chat templates add a few tokens a message, and some a default system prompt or the date.
    return len(text.encode("utf-8", "replace")) + 8 * len(request.messages) + 64


def cacheable(candidate: Candidate, tokens: int) -> int:
    """How many of so many tokens, sent before, the host keeps: whole units, from its minimum."""
    rule = candidate.cache
    return rule.hit(tokens, tokens + rule.recomputes_tokens)


def leaving_cost(
    candidate: Candidate, rates: Rates | None, forecast: Forecast, warmest: int
) -> int:
    """What of a forecast's cost a cache as warm as the `warmest` would save, in pico-dollars."""
    more = cacheable(candidate, min(warmest, forecast.input_tokens)) - forecast.cache_read_tokens
    if rates is None or more <= 0:
        return 0
    return max(0, more * (rates.input - rates.cache_read) // 10**6)


def forecast(
    candidate: Candidate,
    request: Request,
    score: Score,
    prices: Prices,
    *,
    input_tokens: int,
    bound: int,
    cache_read_tokens: int,
    room: Room,
    pace: Pace,
    quality_se: float,
    means: dict[tuple[str, int], float],
    cap: int | None = None,
) -> Forecast | Unaffordable:
    """Forecast one candidate.

    `bound` is the most input tokens that can be billed (`input_bound`); `room` is what hard
    budgets leave, `cap` the policy's limit on the answer. The ceiling counts the whole input as
    uncached and all of `max_tokens` as used, at the dearest price until the timeout.
    `quality_se` is the `spread` of the score's draws; `means` keeps the expected lengths of one
    request, for they are the same at every host of a model.
    """
    cached = min(cache_read_tokens, input_tokens)
    output = score.output_tokens
    found = size(
        candidate,
        request,
        score,
        room,
        input_tokens=input_tokens,
        bound=bound,
        dearest=prices.dearest,
        cap=cap,
    )
    if isinstance(found, Unaffordable):
        return found
    limit, notes = found.max_tokens, list(found.notes)
    mean = means.get((candidate.profile, limit), -1.0)
    if mean < 0.0:
        mean = means[candidate.profile, limit] = _capped_mean()(output, limit)
    base = output.mean if score.base_tokens is None else score.base_tokens
    tokens = (base, mean, output.p50, output.p90)
    lengths = [limit if n >= limit else math.ceil(n) for n in tokens]
    times = pace.times(candidate.endpoint, mean, lengths[2], lengths[3])
    rates, at, straddles = prices.rates, prices.now, None
    amounts: Sequence[int | None] = (None,) * 4
    if rates is not None:
        at = _instant(prices, rates, times, request.timeout)
        if prices.boundary is not None:
            rates = prices.at(at) or rates
        writes = candidate.cache.writes
        amounts = spent = output_costs(rates, input_tokens, cached, lengths, writes=writes)
        if prices.boundary is not None:
            straddles, late, note = _straddled(
                prices, times, request.timeout, input_tokens, cached, lengths, writes=writes
            )
            if straddles is not None:
                amounts = (*spent[:3], max(spent[3], late))
                notes.append(note)
        notes += prices.doubts
    base_cost, expected, p50, p90 = amounts
    return Forecast(
        candidate=candidate.name,
        quality=float(score.p_correct),
        basis=score.basis,
        input_tokens=input_tokens,
        cache_read_tokens=cached,
        output_tokens=output,
        reasoning_tokens=score.reasoning_tokens,
        max_tokens=limit,
        cost=expected,
        cost_p50=p50,
        cost_p90=p90,
        cost_ceiling=found.cost,
        cost_likely=found.likely_cost,
        tokens_ceiling=found.tokens,
        tokens_likely=found.likely_tokens,
        rates_id="" if rates is None else rates.id,
        notes=tuple(notes),
        quality_se=quality_se,
        base_quality=None if score.base is None else float(score.base),
        base_cost=base_cost,
        known=float(score.known),
        task=score.task,
        graded=score.graded,
        visible_tokens=score.visible_tokens,
        tokens_basis=score.tokens_basis,
        tokens_calls=score.tokens_calls,
        seconds=times.seconds,
        seconds_p90=times.p90,
        first_token_seconds=times.first_token,
        priced_at=at,
        straddles=straddles,
    )


@lru_cache(maxsize=1)
def _capped_mean() -> Callable[[Quantiles, float], float]:
    # Scorers bring numpy along; importing this package must not.
    from classifiers.spread import capped_mean

    return capped_mean


def _instant(prices: Prices, rates: Rates, times: Times, timeout: float) -> datetime:
    """When the call's price is decided: at its start where that is published, else at its end.

    A call that takes longer than its timeout is given up then.
    """
    if rates.decided_by == "start" or not times.seconds:
        return prices.now
    return prices.now + timedelta(seconds=min(times.seconds, timeout))


def _straddled(
    prices: Prices,
    times: Times,
    timeout: float,
    input_tokens: int,
    cached: int,
    lengths: Sequence[int],
    *,
    writes: bool,
) -> tuple[datetime | None, int, str]:
    """The first boundary that the call may cross to another price, the note on it, and the p90
    at the dearest of all prices that it may meet.
    """
    boundary, before = prices.boundary, prices.rates
    assert boundary is not None and before is not None
    lasts = max(_HORIZON if times.p90 is None else times.p90, times.seconds or 0.0)
    end = prices.now + timedelta(seconds=min(lasts, timeout))
    if before.decided_by == "start":
        return None, 0, ""
    first = output_costs(before, input_tokens, cached, lengths, writes=writes)
    crossed, most, note = None, first[3], ""
    while boundary is not None and boundary <= end:
        after = prices.at(boundary)
        then = (
            None
            if after is None
            else output_costs(after, input_tokens, cached, lengths, writes=writes)
        )
        # Another row may have the same price.
        if crossed is None and (then is None or (then[1], then[3]) != (first[1], first[3])):
            told = "unknown" if then is None else format_usd(then[1])
            crossed = boundary
            note = (
                f"may cross the price boundary at {boundary:%H:%M} UTC: {format_usd(first[1])} "
                f"before, {told} after (expected cost)"
            )
        if then is not None:
            most = max(most, then[3])
        boundary = prices.next_boundary(boundary, end)
    return crossed, most, note
