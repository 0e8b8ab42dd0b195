"""A conversation forecast from its first turn: what each answer costs, read again ever after."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from router.catalog import Candidate, Catalog, Rates
from router.forecast import cacheable
from router.horizon import Horizon, Prices, Unpriced
from router.outlook import Forecast
from router.pricing import ceiling

if TYPE_CHECKING:
    from router.catalog.schema import Rate

_MILLION = 10**6
_UNSURE = "its price later on is not certain: the list of holidays ends"


class Ahead:
    """The prices that the calls of a job may meet if each is sent within a span from now on.

    Looking hours ahead takes long; a job's many requests ask the same few questions.
    """

    def __init__(
        self, catalog: Catalog, now: datetime, within: timedelta, unpriced: Unpriced
    ) -> None:
        self._catalog, self._now, self._within, self._unpriced = catalog, now, within, unpriced
        self._horizons: dict[tuple[str, float], Horizon] = {}
        self._steps: dict[str, list[int]] = {}
        self._known: dict[tuple[str, str, float, int, int], Prices] = {}

    def prices(
        self, candidate: Candidate, tier: str, timeout: float, tokens: int, most: int
    ) -> Prices:
        """As of `Horizon.prices`, for a call that may be sent at the end of the span."""
        steps = self._steps.get(candidate.endpoint)
        if steps is None:
            rows = self._catalog.rows(candidate, self._now)
            steps = sorted({step for row in rows for step in _steps(row.rate)})
            self._steps[candidate.endpoint] = steps
        lengths = bisect_left(steps, tokens), bisect_left(steps, most)
        key = candidate.endpoint, tier, timeout, *lengths
        found = self._known.get(key)
        if found is None:
            horizon = self._horizons.get((tier, timeout))
            if horizon is None:
                seconds = self._within.total_seconds() + timeout
                horizon = self._horizons[tier, timeout] = Horizon(
                    self._catalog,
                    self._now,
                    seconds,
                    service_tier=tier,
                    unpriced=self._unpriced,
                )
            found = self._known[key] = horizon.prices(candidate, tokens, most)
        return found


def _steps(rate: Rate) -> Iterator[int]:
    """Lengths of input from which on a row has other prices, whatever the service tier."""
    for prices in (rate, rate.batch, rate.flex, rate.priority):
        if prices is not None:
            yield from (tier.above_input_tokens for tier in prices.tiers)


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

    `legs` are None where the price is not known. `fitted` turns fit into the context. `varies`
    says that the price changes within the span that the ceilings are for, `dearer` how much more
    (pico-dollars) is expected at its dearest; `doubts` is what is to be said of the price itself.
    """

    legs: tuple[Leg, ...] | None
    caps: tuple[int, ...]
    input_tokens: float
    varies: bool = False
    dearer: float = 0.0
    doubts: tuple[str, ...] = ()

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
    ahead: Callable[[int, int], Prices],
) -> Trip:
    """What `turns` turns take, of which `forecast` is the first.

    The history grows by each answer's visible tokens and by a question of `question_tokens`.
    What the host has read before comes from its cache where it has one; each answer is new to it
    once. `answer_tokens` are those expected of an answer; `bound` and `question_bound` are the
    most that the first turn and a question can be billed as; `look` gives the prices of so many
    input tokens, and so many at most, for a call sent now, `ahead` those until the last call can
    end, which the ceilings are for.
    """
    visible = _visible_share(forecast)
    step = question_tokens + visible * answer_tokens
    most_step = question_bound + forecast.max_tokens
    inputs: list[float] = []
    caps: list[int] = []
    rates: list[Rates | None] = []
    worst: list[Rates | None] = []
    ceilings: list[int | None] = []
    varies, doubts = False, dict[str, None]()
    for k in range(turns):
        tokens = forecast.input_tokens + k * step
        room = candidate.context_tokens - int(tokens)
        if k and room < min(answer_tokens, forecast.max_tokens):
            break
        cap = min(forecast.max_tokens, room)
        most = max(bound, min(bound + k * most_step, candidate.context_tokens - 1))
        prices, later = look(int(tokens), most), ahead(int(tokens), most)
        dearest = later.dearest
        inputs.append(tokens)
        caps.append(cap)
        rates.append(prices.at(forecast.priced_at or prices.now) or prices.rates)
        worst.append(ahead(int(tokens), int(tokens)).dearest)  # `most` may be of a dearer length
        ceilings.append(None if dearest is None else ceiling(most, cap, dearest))
        varies = varies or later.boundary is not None
        doubts |= dict.fromkeys(prices.doubts)
        if dearest and dearest.uncertain and prices.rates and not prices.rates.uncertain:
            doubts[_UNSURE] = None
    known, dear = ([r for r in each if r is not None] for each in (rates, worst))
    sure = [c for c in ceilings if c is not None]
    if not len(known) == len(dear) == len(rates):
        return Trip(None, tuple(caps), sum(inputs), doubts=tuple(doubts))

    def legs(rates: list[Rates]) -> tuple[Leg, ...]:
        again = _read_again(candidate, inputs, rates)
        each = range(len(caps))
        return tuple(
            _leg(k, forecast, question_tokens, visible, caps[k], sure[k], rates, again)
            for k in each
        )

    found, dearer = legs(known), 0.0
    if varies:
        for leg, dear_leg in zip(found, legs(dear), strict=True):
            dearer += dear_leg.fixed - leg.fixed
            dearer += (dear_leg.weight - leg.weight) * min(answer_tokens, leg.cap)
    return Trip(found, tuple(caps), sum(inputs), varies, max(0.0, dearer), tuple(doubts))


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
