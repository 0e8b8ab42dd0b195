"""The lowest expected cost, above a quality floor if one is set."""

from __future__ import annotations

from collections.abc import Sequence

from policies._ranking import decision, usd
from policies.types import Context, Decision, Policy, Quote


def cheapest(min_quality: float = 0.0) -> Policy:
    """The cheapest candidate whose P(correct) is at least `min_quality`; ties go to quality.

    When none reaches the floor, the best one is taken and the reason says so.

    Raises:
        ValueError: `min_quality` is not in [0, 1].
    """
    if not 0.0 <= min_quality <= 1.0:
        raise ValueError(f"min_quality: expected 0 to 1, got {min_quality!r}")
    name = f"cheapest(min_quality={min_quality:g})" if min_quality else "cheapest"

    def choose(quotes: Sequence[Quote], context: Context) -> Decision:  # noqa: ARG001
        enough = [q for q in quotes if q.quality >= min_quality]
        below = sorted((q for q in quotes if q.quality < min_quality), key=_best_first)
        order = [*sorted(enough, key=_cheapest_first), *below]
        if enough:
            reason = f"cheapest: {usd(order[0].cost)}"
            if min_quality:
                reason += f" at P(correct) {order[0].quality:.2f} >= {min_quality:g}"
        else:
            reason = (
                f"none reaches P(correct) {min_quality:g}; the best has {order[0].quality:.2f}"
            )
        return decision(name, order, reason, lambda q, chosen: _why_not(q, chosen, min_quality))

    return choose


def _why_not(quote: Quote, chosen: Quote, min_quality: float) -> str:
    if quote.quality < min_quality:
        return f"P(correct) {quote.quality:.2f} is below {min_quality:g}"
    return f"dearer: {usd(quote.cost)} against {usd(chosen.cost)}"


def _cheapest_first(quote: Quote) -> tuple[int, float, str]:
    return quote.cost, -quote.quality, quote.name


def _best_first(quote: Quote) -> tuple[float, int, str]:
    return -quote.quality, quote.cost, quote.name
