"""Spend a budget evenly until it is renewed, by a price on its money that follows its pace."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import datetime

from policies import _check, _window
from policies._ranking import decision, usd
from policies._worth import choose, why_not
from policies.types import Context, Decision, Purse, Quote
from policies.utility import scale_of


@dataclass(frozen=True, slots=True)
class pacing:  # noqa: N801 - used like a function
    """`utility` with a shadow price: a dollar counts for more while a budget is ahead of its pace.

    The price is `exp(strength x (share taken - share of the window gone + reserve))`, at least 1,
    for money is never worth less than itself, and at most `max_price`. This is the online dual
    update (exponentiated gradient) in closed form. Of several budgets the highest price counts.

    A larger `strength` keeps nearer to the pace and reacts more to chance. `reserve` raises the
    price from the start, as if that share of the budget were spent; without it a tight budget is
    always ahead of its pace and ends early. The defaults did well over budgets of 30 to 90 % of
    the demand and six shapes of traffic: see `benchmarks/pacing.py`.

    `profile` says when requests are expected, as 24 weights by hour of the day or 168 by hour of
    the week from Monday, in UTC: "evenly" then means in step with them; None means by the clock.

    A budget without end has no pace. There no request may expect more than `endless_share` of
    what is left, as in `sparing`; the cheapest candidate always stays.

    `value_usd`, `wait_usd_per_hour`, `default` and `z` are those of `utility`.

    Raises:
        ValueError: a parameter is out of its range, or the profile is not 24 or 168 weights of 0
            or more, one of them above 0.
    """

    value_usd: _check.Amount = "0.01"
    _: KW_ONLY
    strength: float = 12.0
    reserve: float = 0.1
    max_price: float = 100.0
    profile: Sequence[float] | None = None
    endless_share: float = 0.05
    wait_usd_per_hour: _check.Amount = "0"
    default: str | None = None
    z: float = 0.5

    def __post_init__(self) -> None:
        _check.text_or_none("default", self.default)
        _check.settle(
            self,
            value_usd=_check.money("value_usd", self.value_usd),
            strength=_check.above_0("strength", self.strength),
            reserve=_check.from_0_to_1("reserve", self.reserve),
            max_price=_check.at_least("max_price", self.max_price, 1.0),
            profile=_window.weights(self.profile),
            endless_share=_check.above_0_to_1("endless_share", self.endless_share),
            wait_usd_per_hour=_check.money("wait_usd_per_hour", self.wait_usd_per_hour, or_0=True),
            z=_check.at_least("z", self.z),
        )

    def __str__(self) -> str:
        return f"pacing({self.value_usd})"

    def __call__(self, quotes: Sequence[Quote], context: Context, /) -> Decision:
        price = max((self.price(p, context.now) for p in context.purses), default=1.0)
        scale = scale_of(self.value_usd, self.wait_usd_per_hour, price)
        endless = [p.remaining for p in context.purses if p.ends is None]
        allowed = min(endless, default=math.inf) * self.endless_share
        within = [q for q in quotes if q.cost <= allowed]
        within = within or [min(quotes, key=lambda q: (q.cost, q.name))]
        choice = choose(within, scale, self.default, self.z)
        reason = choice.reason
        if price > 1.0:
            reason += f"; ahead of the budget's pace, a dollar counts as {price:.2f}"
        found = decision(str(self), choice.order, reason, lambda q, c: why_not(q, c, scale))
        left = f"{self.endless_share:.0%} of what a budget without end has left"
        out = {q.name: f"{usd(q.cost)} is more than {left}" for q in quotes if q not in within}
        return Decision(
            ranking=found.ranking,
            reason=found.reason,
            rejected={**found.rejected, **out},
            policy=found.policy,
        )

    def price(self, purse: Purse, now: datetime) -> float:
        """What a dollar of this budget counts at this instant, in dollars; 1 without an end."""
        if purse.starts is None or purse.ends is None:
            return 1.0
        if purse.limit <= 0:
            return self.max_price
        ahead = purse.taken / purse.limit - _window.gone(
            self.profile, purse.starts, purse.ends, now
        )
        exponent = self.strength * (ahead + self.reserve)
        return math.exp(min(max(exponent, 0.0), math.log(self.max_price)))
