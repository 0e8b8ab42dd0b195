"""A conversation forecast from its first turn: what each answer costs, read again ever after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from router.catalog import Candidate, Rates
from router.forecast import cacheable
from router.horizon import Prices
from router.outlook import Forecast
from router.pricing import ceiling

_MILLION = 10**6


@dataclass(frozen=True, slots=True)
class Leg:
    """One answer as a part of a total: `fixed` + `weight` x its output tokens, in pico-dollars.

    At most `cap` output tokens; `ceiling` is the most that its call can cost.
    """

    cap: int
    weight: float
    fixed: float
    ceiling: int


@dataclass(frozen=True, slots=True)
class Trip:
    """All answers of a conversation, and the input tokens expected of all its calls.

    `legs` are None where the price is not known. `fitted` turns fit into the context.
    """

    legs: tuple[Leg, ...] | None
    caps: tuple[int, ...]
    input_tokens: float

    @property
    def fitted(self) -> int:
        """How many turns there are room for."""
        return len(self.caps)


def trip(
    candidate: Candidate,
    forecast: Forecast,
    turns: int,
    *,
    question_tokens: int,
    question_bound: int,
    bound: int,
    answer_tokens: float,
    look: Callable[[int, int], Prices],
) -> Trip:
    """What `turns` turns take, of which `forecast` is the first.

    The history grows by each answer's visible tokens and by a question of `question_tokens`.
    What the host has read before comes from its cache where it has one; each answer is new to it
    once. `answer_tokens` are those expected of an answer; `bound` and `question_bound` are the
    most that the first turn and a question can be billed as; `look` gives the prices of so many
    input tokens, and so many at most.
    """
    visible = _visible_share(forecast)
    step = question_tokens + visible * answer_tokens
    most_step = question_bound + forecast.max_tokens
    inputs: list[float] = []
    caps: list[int] = []
    rates: list[Rates | None] = []
    ceilings: list[int | None] = []
    for k in range(turns):
        tokens = forecast.input_tokens + k * step
        room = candidate.context_tokens - int(tokens)
        if k and room < min(answer_tokens, forecast.max_tokens):
            break
        cap = min(forecast.max_tokens, room)
        most = max(bound, min(bound + k * most_step, candidate.context_tokens - 1))
        prices = look(int(tokens), most)
        dearest = prices.dearest
        inputs.append(tokens)
        caps.append(cap)
        rates.append(prices.at(forecast.priced_at or prices.now) or prices.rates)
        ceilings.append(None if dearest is None else ceiling(most, cap, dearest))
    known = [r for r in rates if r is not None]
    sure = [c for c in ceilings if c is not None]
    legs = None
    if len(known) == len(rates) == len(sure):
        again = _read_again(candidate, inputs, known)
        legs = tuple(
            _leg(k, forecast, question_tokens, visible, caps[k], sure[k], known, again)
            for k in range(len(caps))
        )
    return Trip(legs, tuple(caps), sum(inputs))


def _leg(
    k: int,
    forecast: Forecast,
    question_tokens: int,
    visible: float,
    cap: int,
    most: int,
    rates: list[Rates],
    again: list[float],
) -> Leg:
    """The k-th answer (from 0): its own price, and that of reading it in all later turns."""
    own = rates[k]
    if k == 0:
        cached = forecast.cache_read_tokens
        fixed = float((forecast.input_tokens - cached) * own.input + cached * own.cache_read)
    else:
        before = forecast.input_tokens + (k - 1) * question_tokens
        fixed = before * again[k] + question_tokens * own.input
    later = sum(again[k + 2 :]) + (rates[k + 1].input if k + 1 < len(rates) else 0)
    return Leg(
        cap=cap,
        weight=(own.output + visible * later) / _MILLION,
        fixed=fixed / _MILLION + own.per_request,
        ceiling=most,
    )


def _read_again(candidate: Candidate, inputs: list[float], rates: list[Rates]) -> list[float]:
    """For each turn the price of a token that the turn before had sent (pico per million)."""
    prices = [0.0]
    for before, own in zip(inputs, rates[1:], strict=False):
        share = cacheable(candidate, int(before)) / before if before else 0.0
        prices.append(share * own.cache_read + (1 - share) * own.input)
    return prices


def _visible_share(forecast: Forecast) -> float:
    """The share of output tokens that stays in the history: reasoning is not sent again."""
    output, visible = forecast.output_tokens.mean, forecast.visible_tokens
    if output <= 0:
        return 0.0
    kept = output - forecast.reasoning_tokens.mean if visible is None else visible.mean
    return min(1.0, max(0.0, kept / output))
