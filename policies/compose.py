"""Policies made of policies."""

from __future__ import annotations

from collections.abc import Sequence

from policies._ranking import usd
from policies.types import Context, Decision, Policy, Quote


def sparing(policy: Policy, share: float = 0.05) -> Policy:
    """`policy`, but no request may expect to take more than `share` of what the budget has left.

    So a budget that runs low is stretched: dear candidates go first, the cheap ones carry on.
    When all are dearer than that, the cheapest stays. Without a budget it changes nothing.

    Raises:
        ValueError: `share` is not in (0, 1].
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share: expected above 0 and at most 1, got {share!r}")

    def choose(quotes: Sequence[Quote], context: Context) -> Decision:
        if context.remaining is None:
            return policy(quotes, context)
        allowed = context.remaining * share
        within = [q for q in quotes if q.cost <= allowed]
        within = within or [min(quotes, key=lambda q: (q.cost, q.name))]
        decision = policy(within, context)
        out = {
            q.name: f"{usd(q.cost)} is more than {share:.0%} of what the budget has left"
            for q in quotes
            if q not in within
        }
        return Decision(
            ranking=decision.ranking,
            reason=decision.reason,
            rejected=decision.rejected | out,
            policy=f"sparing({decision.policy}, {share:g})",
        )

    return choose
