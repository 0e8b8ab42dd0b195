"""How long an answer may get and what is set aside for it: by budgets, forecast and caller."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from classifiers.scores import Quantiles, Score
from router.budgets import Hold
from router.budgets.holds import in_unit
from router.catalog import Candidate, Rates
from router.outlook import Forecast
from router.pricing import affordable_output, ceiling
from router.purses import Limit, Room
from router.types import Request

_HEADROOM = (1.25, "1.25 x the forecast's p99")
_HEADROOM_UNSEEN = (3.0, "3 x the forecast's p99")
"""Over the p99 forecast when the caller set no max_tokens: a forecast's tail is uncertain too, and
more so where no answer of the model was ever seen, in training or here. A cut-off answer is money
for nothing."""
_FEWEST, _FEWEST_UNSEEN = 256, 2048
"""`max_tokens` is not set below this. Lengths are learned from short questions: until calls of
one's own say so, a plan or an essay must not be cut off for looking like one."""


@dataclass(frozen=True, slots=True)
class Unaffordable:
    """The budgets cannot hold even a short answer of this candidate: what it takes at least."""

    needed: int
    reason: str
    limit: Limit


@dataclass(frozen=True, slots=True)
class Size:
    """The `max_tokens` that the host is told, and what follows from it.

    `cost` is the worst case in pico-dollars (None: no known price) and `tokens` in tokens;
    `likely_cost` and `likely_tokens` are those of the quantile that some budgets reserve.
    """

    max_tokens: int
    cost: int | None
    tokens: int
    likely_cost: int | None = None
    likely_tokens: int | None = None
    notes: tuple[str, ...] = ()


def size(
    candidate: Candidate,
    request: Request,
    score: Score,
    room: Room,
    *,
    input_tokens: int,
    bound: int,
    dearest: Rates | None,
    cap: int | None = None,
) -> Size | Unaffordable:
    """How long the answer may get; `bound` is the most input tokens that can be billed.

    `cap` is the policy's. Without a hard budget only caller, policy and context limit it.
    """
    fits = min(candidate.max_output_tokens, candidate.context_tokens - input_tokens)
    asked = request.max_tokens
    limit = min(asked or fits, fits)
    notes = []
    if asked and limit < asked:
        notes.append(f"max_tokens lowered from {asked:,} to {limit:,}: its cap")
    if room.blocked is not None:
        return _blocked(room.blocked)
    output, least, cause = score.output_tokens, limit, ""
    if room.hard and not asked:
        least = min(limit, max(1, math.ceil(output.p90)))
        limit, cause = _from_forecast(score, fits)
    if cap is not None and cap < limit:
        limit, cause = max(1, cap), "money is tight"
    least = min(least, limit) if cap is not None else least
    pays, tightest = _payable(room, bound, dearest)
    if tightest is not None and (pays < limit or limit < least):
        if pays < least:
            return _too_little(tightest, bound, least, dearest)
        if pays < limit:
            limit, cause = pays, "what the budget can pay"
    if cause:
        notes.append(f"max_tokens set to {limit:,}: {cause}")
    made = Size(
        max_tokens=limit,
        cost=None if dearest is None else ceiling(bound, limit, dearest),
        tokens=bound + limit,
        notes=tuple(notes),
    )
    return made if room.quantile is None else _likely(made, room, output, bound, dearest)


def amount_for(hold: Hold, forecast: Forecast) -> int:
    """What a call sets aside in a hold: the worst case, a quantile of it, or, soft, the p90."""
    if hold.unit == "requests":
        return 1
    usd = hold.unit == "usd"
    if not hold.hard:
        tokens = forecast.input_tokens + math.ceil(forecast.output_tokens.p90)
        return (forecast.cost_p90 or 0) if usd else min(tokens, forecast.tokens_ceiling)
    if hold.quantile is not None:
        likely = forecast.cost_likely if usd else forecast.tokens_likely
        return likely or 0
    return (forecast.cost_ceiling or 0) if usd else forecast.tokens_ceiling


def lost_cost(holds: Sequence[Hold], forecast: Forecast) -> int:
    """What a call is charged in pico-dollars if its outcome is lost.

    Under a hard budget nothing less than what was set aside keeps the promise.
    """
    hard = [h.amount or 0 for h in holds if h.hard and h.unit == "usd"]
    if hard:
        return max(hard)
    return (forecast.cost_ceiling if any(h.hard for h in holds) else forecast.cost_p90) or 0


def lost_tokens(holds: Sequence[Hold], forecast: Forecast) -> int:
    """The same in tokens: a soft budget's guess is not charged to a hard one."""
    found = [h for h in holds if h.unit == "tokens"]
    hard = [h.amount or 0 for h in found if h.hard]
    return max(hard or [h.amount or 0 for h in found], default=forecast.input_tokens)


def _from_forecast(score: Score, fits: int) -> tuple[int, str]:
    seen = score.basis == "trained" or score.tokens_basis != "prior"
    headroom, cause = _HEADROOM if seen else _HEADROOM_UNSEEN
    fewest = _FEWEST if score.tokens_basis != "prior" else _FEWEST_UNSEEN
    limit = math.ceil(score.output_tokens.p99 * headroom)
    if limit < fewest:
        limit, cause = fewest, "room for a long answer"
    return min(fits, limit), cause


def _payable(room: Room, bound: int, dearest: Rates | None) -> tuple[int, Limit | None]:
    """The most output tokens whose worst case the budgets hold, and which one limits it."""
    found: list[tuple[int, Limit]] = []
    if room.usd is not None and dearest is not None:
        tokens = affordable_output(room.usd.left, bound, dearest)
        if tokens is not None:
            found.append((tokens, room.usd))
    if room.tokens is not None:
        found.append((room.tokens.left - bound, room.tokens))
    return min(found, key=lambda pair: pair[0], default=(0, None))


def _likely(
    made: Size, room: Room, output: Quantiles, bound: int, dearest: Rates | None
) -> Size | Unaffordable:
    assert room.quantile is not None
    tokens = min(made.max_tokens, math.ceil(_output_at(output, room.quantile)))
    cost = None if dearest is None else ceiling(bound, tokens, dearest)
    usd, limit = room.likely_usd, room.likely_tokens
    if usd is not None and cost is not None and cost > usd.left:
        return _short(cost, usd)
    if limit is not None and bound + tokens > limit.left:
        return _short(bound + tokens, limit)
    return replace(made, likely_cost=cost, likely_tokens=bound + tokens)


def _output_at(output: Quantiles, quantile: float) -> float:
    from classifiers.spread import knots_of, log_at

    return math.expm1(log_at(knots_of(output), _score(quantile)))


@lru_cache(maxsize=64)
def _score(quantile: float) -> float:
    from statistics import NormalDist

    return NormalDist().inv_cdf(quantile)


def _too_little(limit: Limit, bound: int, least: int, dearest: Rates | None) -> Unaffordable:
    if limit.hold.unit == "tokens" or dearest is None:
        return _short(bound + least, limit)
    return _short(ceiling(bound, least, dearest), limit)


def _short(needed: int, limit: Limit) -> Unaffordable:
    unit = limit.hold.unit
    have = in_unit(limit.left, unit)
    return Unaffordable(
        needed, f"needs {in_unit(needed, unit)}, the budget has {have} left", limit
    )


def _blocked(limit: Limit) -> Unaffordable:
    why = "is frozen" if limit.balance.frozen else "has no request left"
    return Unaffordable(1, f"the budget of {limit.hold.name} {why}", limit)
