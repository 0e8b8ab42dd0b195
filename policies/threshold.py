"""Cheap where it will do, strong where it must: the cheapest candidate that is sure enough."""

from __future__ import annotations

from collections.abc import Sequence

from policies._ranking import decision, usd
from policies.types import Context, Decision, Policy, Quote


def threshold(quality: float = 0.7, *, max_cost_usd: float | None = None) -> Policy:
    """The cheapest candidate with P(correct) >= `quality`; if none, the one likeliest to be right.

    `max_cost_usd` keeps candidates out whose expected cost of this request is above it, as long
    as one stays.

    Raises:
        ValueError: `quality` is not in [0, 1], or `max_cost_usd` is not above 0.
    """
    if not 0.0 <= quality <= 1.0:
        raise ValueError(f"quality: expected 0 to 1, got {quality!r}")
    if max_cost_usd is not None and not max_cost_usd > 0:
        raise ValueError(f"max_cost_usd: expected above 0, got {max_cost_usd!r}")
    name = f"threshold({quality:g})"

    def choose(quotes: Sequence[Quote], context: Context) -> Decision:  # noqa: ARG001
        cap = None if max_cost_usd is None else round(max_cost_usd * 10**12)
        within = [q for q in quotes if cap is None or q.cost <= cap] or list(quotes)
        sure = sorted((q for q in within if q.quality >= quality), key=_cheapest_first)
        unsure = sorted((q for q in within if q.quality < quality), key=_best_first)
        dear = sorted((q for q in quotes if q not in within), key=_cheapest_first)
        order = [*sure, *unsure, *dear]
        if sure:
            reason = f"the cheapest with P(correct) {order[0].quality:.2f} >= {quality:g}"
        else:
            reason = (
                f"none reaches P(correct) {quality:g}; the likeliest has {order[0].quality:.2f}"
            )

        def why_not(quote: Quote, chosen: Quote) -> str:
            if quote in dear:
                return f"expected cost {usd(quote.cost)} is above max_cost_usd"
            if quote.quality >= quality:
                return f"dearer: {usd(quote.cost)} against {usd(chosen.cost)}"
            return f"P(correct) {quote.quality:.2f} is below {quality:g}"

        return decision(name, order, reason, why_not)

    return choose


def _cheapest_first(quote: Quote) -> tuple[int, float, str]:
    return quote.cost, -quote.quality, quote.name


def _best_first(quote: Quote) -> tuple[float, int, str]:
    return -quote.quality, quote.cost, quote.name
