"""Quality minus lambda times dollars: spend more only where it buys enough."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

from policies._ranking import decision, usd
from policies.types import Context, Decision, Policy, Quote


def utility(answer_value_usd: str | Decimal | float = "0.01") -> Policy:
    """The candidate with the highest P(correct) x value - expected cost.

    `answer_value_usd` is what a correct answer is worth to you: a candidate that costs a cent
    more must be right more often by a cent's worth. It is 1/lambda of "quality minus lambda
    times dollars".

    Raises:
        ValueError: the value is not a finite amount above 0.
    """
    try:
        value = Decimal(str(answer_value_usd))
    except InvalidOperation:
        value = Decimal("NaN")
    if not (value.is_finite() and value > 0):
        raise ValueError(f"answer_value_usd: expected an amount above 0, got {answer_value_usd!r}")
    worth = float(value.scaleb(12))
    name = f"utility({value.normalize():f})"

    def gain(quote: Quote) -> float:
        return quote.quality * worth - quote.cost

    def choose(quotes: Sequence[Quote], context: Context) -> Decision:  # noqa: ARG001
        order = sorted(quotes, key=lambda q: (-gain(q), q.cost, q.name))
        best = order[0]
        reason = f"P(correct) {best.quality:.2f} for {usd(best.cost)}: the most for the money"
        return decision(name, order, reason, _why_not)

    return choose


def _why_not(quote: Quote, chosen: Quote) -> str:
    better, dearer = quote.quality - chosen.quality, quote.cost - chosen.cost
    if better > 0 and dearer > 0:
        return f"P(correct) +{better:.2f} is not worth {usd(dearer)} more"
    if better > 0:
        return "as good for the money, later in the order"
    if dearer >= 0:
        return f"P(correct) {quote.quality:.2f}, no better, at {usd(quote.cost)}"
    return f"saves {usd(-dearer)} but P(correct) is {-better:.2f} lower"
