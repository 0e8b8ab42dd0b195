"""Ask a cheap candidate first and a dear one only where a verifier finds the answer wrong."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import permutations

from policies import _check
from policies._ranking import decision, usd
from policies._worth import Scale, choose, why_not
from policies.types import Context, Decision, Quote
from policies.utility import scale_of


@dataclass(frozen=True, slots=True)
class _Pair:
    """First `a`, then `b` if the verifier objects; sums are expectations over one request."""

    a: Quote
    b: Quote
    right: float
    cost: float
    utility: float
    slopes: tuple[float, float]  # of the utility in P(correct) of a and of b


@dataclass(frozen=True, slots=True)
class cascade:  # noqa: N801 - used like a function
    """The best by expected utility of every single candidate and every pair, cheap before dear.

    The verifier finds a share `catches` of the wrong answers wrong, and a share `false_alarms` of
    the right ones. `overlap` says how far candidates are right on the same prompts: 1 - the weaker
    is right only where the stronger is; 0 - one being right says nothing of the other. After an
    escalation the last answer is final. `max_stages=1` never escalates.

    A pair must beat the single choice of `utility` by more than `z` standard errors of the gain.
    Without a verifier, or when the answer is streamed to the caller while it is made, there is no
    second stage, and the reason says so. The cost of verifying is not counted.

    Raises:
        ValueError: a share is not in [0, 1], `max_stages` is not 1 or 2, or as in `utility`.
    """

    value_usd: _check.Amount = "0.01"
    _: KW_ONLY
    catches: float = 0.8
    false_alarms: float = 0.05
    overlap: float = 0.5
    max_stages: int = 2
    wait_usd_per_hour: _check.Amount = "0"
    z: float = 0.5

    def __post_init__(self) -> None:
        if self.max_stages not in {1, 2} or not isinstance(self.max_stages, int):
            raise _check.refusal(f"max_stages: expected 1 or 2, got {self.max_stages!r}")
        _check.settle(
            self,
            value_usd=_check.money("value_usd", self.value_usd),
            catches=_check.from_0_to_1("catches", self.catches),
            false_alarms=_check.from_0_to_1("false_alarms", self.false_alarms),
            overlap=_check.from_0_to_1("overlap", self.overlap),
            max_stages=int(self.max_stages),
            wait_usd_per_hour=_check.money("wait_usd_per_hour", self.wait_usd_per_hour, or_0=True),
            z=_check.at_least("z", self.z),
        )

    def __str__(self) -> str:
        return f"cascade({self.value_usd})"

    def __call__(self, quotes: Sequence[Quote], context: Context, /) -> Decision:
        scale = scale_of(self.value_usd, self.wait_usd_per_hour)
        single = choose(quotes, scale, None, self.z)

        def reject(quote: Quote, chosen: Quote) -> str:
            return why_not(quote, chosen, scale)

        if self.max_stages == 1 or context.streaming or not context.verifiable:
            reason = single.reason
            if self.max_stages > 1:
                why = "the answer is streamed" if context.streaming else "nothing verifies it"
                reason += f"; no second stage: {why}"
            return decision(str(self), single.order, reason, reject)
        alone = scale(single.chosen)
        sure = [p for p in self._pairs(quotes, scale) if self._is_sure(p, single.chosen, scale)]
        if not sure:
            reason = f"{single.reason}; no second stage is worth it"
            return decision(str(self), single.order, reason, reject)
        pair = min(sure, key=lambda p: (-p.utility, p.cost, p.a.name, p.b.name))
        reason = (
            f"{pair.a.name}, then {pair.b.name} if found wrong: P(correct) {pair.right:.2f} for "
            f"{usd(pair.cost)}, worth {usd(pair.utility - alone)} more than one alone"
        )
        order = [pair.a, *(q for q in single.order if q is not pair.a)]

        def reject_in_pair(quote: Quote, chosen: Quote) -> str:
            if quote is pair.b:
                return "the second stage: asked if the first answer is found wrong"
            if quote is single.chosen:
                return f"alone worth {usd(pair.utility - alone)} less than the two stages"
            return reject(quote, chosen)

        escalation = (pair.b.name,)
        return decision(str(self), order, reason, reject_in_pair, escalation=escalation)

    def _pairs(self, quotes: Sequence[Quote], scale: Scale) -> Iterator[_Pair]:
        for a, b in permutations(quotes, 2):
            if a.cost <= b.cost:
                yield self._pair(a, b, scale)

    def _pair(self, a: Quote, b: Quote, scale: Scale) -> _Pair:
        """Both right with P = overlap x min(a, b) + (1 - overlap) x a b: b keeps its own P."""
        caught, alarm = self.catches, self.false_alarms
        both = self.overlap * min(a.quality, b.quality)
        both += (1 - self.overlap) * a.quality * b.quality
        # a right and kept, a right but doubted and b right too, a caught wrong and b right
        right = (1 - alarm) * a.quality + alarm * both + caught * (b.quality - both)
        onward = alarm * a.quality + caught * (1 - a.quality)
        extra = scale.price * b.cost + scale.second * (b.seconds or 0.0)
        first = scale.price * a.cost + scale.second * (a.seconds or 0.0)
        both_by_a = self.overlap * (a.quality <= b.quality) + (1 - self.overlap) * b.quality
        both_by_b = self.overlap * (b.quality < a.quality) + (1 - self.overlap) * a.quality
        return _Pair(
            a,
            b,
            right=right,
            cost=a.cost + onward * b.cost,
            utility=right * scale.worth - first - onward * extra,
            slopes=(
                (1 - alarm + (alarm - caught) * both_by_a) * scale.worth
                - (alarm - caught) * extra,
                (caught + (alarm - caught) * both_by_b) * scale.worth,
            ),
        )

    def _is_sure(self, pair: _Pair, single: Quote, scale: Scale) -> bool:
        """The gain over the single choice against its noise, to first order in each P(correct)."""
        gain = pair.utility - scale(single)
        by_a = pair.slopes[0] - scale.worth * (pair.a is single)
        by_b = pair.slopes[1] - scale.worth * (pair.b is single)
        by_single = 0.0 if single in {pair.a, pair.b} else scale.worth
        noise = math.hypot(
            by_a * pair.a.quality_se, by_b * pair.b.quality_se, by_single * single.quality_se
        )
        return gain > 0 and gain > self.z * noise
