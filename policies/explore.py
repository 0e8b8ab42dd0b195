"""A small share of requests goes to a candidate drawn by lot, so that logs tell of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, replace

from policies import _check
from policies._ranking import label
from policies.types import Context, Decision, Policy, Quote

_BELOW_1 = 1 - 2.0**-53


@dataclass(frozen=True, slots=True)
class explore:  # noqa: N801 - used like a function
    """`policy`, but with chance `share` one of the candidates in its ranking, each as likely.

    Nobody is drawn whom `policy` keeps out of its ranking, nor one whose expected cost is above
    `max_cost_usd`; when all are, nothing is explored. The lot is `context.draw`, so a decision can
    be repeated. `propensities` holds the chance of every candidate of the ranking, which is what
    estimates from logs ("what would another policy have cost?") need.

    `policy` may leave things to chance, too: what is left of the draw is passed on to it. Then the
    *set* of names in its ranking must not depend on the draw, or the propensities are not exact.

    Raises:
        ValueError: `share` is not in (0, 1], `max_cost_usd` is not above 0, or `policy` is none.
    """

    policy: Policy
    share: float = 0.02
    _: KW_ONLY
    max_cost_usd: _check.Amount | None = None

    def __post_init__(self) -> None:
        _check.policy("policy", self.policy)
        _check.settle(self, share=_check.above_0_to_1("share", self.share))
        if self.max_cost_usd is not None:
            _check.settle(self, max_cost_usd=_check.money("max_cost_usd", self.max_cost_usd))

    def __str__(self) -> str:
        return self._spell(label(self.policy))

    def __call__(self, quotes: Sequence[Quote], context: Context, /) -> Decision:
        drawn = context.draw < self.share
        low, high = (0.0, self.share) if drawn else (self.share, 1.0)
        rest = min((context.draw - low) / (high - low), _BELOW_1)
        found = self.policy(quotes, replace(context, draw=rest))
        pool = self._pool(quotes, found)
        if not pool:
            return replace(found, policy=self._spell(found.policy))
        alone = found.propensities or {found.chosen: 1.0}
        chances = {
            name: (1 - self.share) * alone.get(name, 0.0)
            + (self.share / len(pool) if name in pool else 0.0)
            for name in found.ranking
        }
        found = replace(found, propensities=chances, policy=self._spell(found.policy))
        return self._moved(found, pool[int(rest * len(pool))]) if drawn else found

    def _pool(self, quotes: Sequence[Quote], found: Decision) -> list[str]:
        """Who may be drawn, in an order that does not depend on the draw."""
        cap = None if self.max_cost_usd is None else _check.pico(self.max_cost_usd)
        cheap = {q.name for q in quotes if cap is None or q.cost <= cap}
        return sorted(cheap.intersection(found.ranking))

    def _moved(self, found: Decision, drawn: str) -> Decision:
        """The decision with the drawn candidate first."""
        said = f"explored ({self._percent()}): {drawn} by lot"
        rejected = dict(found.rejected)
        rejected.pop(drawn, None)
        if drawn != found.chosen:
            rejected[found.chosen] = f"another was drawn by lot; else: {found.reason}"
        return replace(
            found,
            ranking=(drawn, *(name for name in found.ranking if name != drawn)),
            reason=f"{said}; else {found.chosen}: {found.reason}",
            rejected=rejected,
            # a cascade climbs from its own first stage: from another it may climb down
            escalation=found.escalation if drawn == found.chosen else (),
        )

    def _percent(self) -> str:
        return f"{100 * self.share:g} %"

    def _spell(self, inner: str) -> str:
        return f"explore({inner}, {self.share:g})"
