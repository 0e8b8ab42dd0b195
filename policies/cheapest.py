"""The lowest expected cost: of all candidates, or of those that are likely enough to be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from policies import _check
from policies._ranking import best_first, cheapest_first, decision, usd
from policies.types import Context, Decision, Quote


@dataclass(frozen=True, slots=True)
class cheapest:  # noqa: N801 - used like a function
    """The cheapest candidate, whatever its quality; ties go to quality."""

    def __str__(self) -> str:
        return "cheapest"

    def __call__(self, quotes: Sequence[Quote], context: Context, /) -> Decision:  # noqa: ARG002
        order = sorted(quotes, key=cheapest_first)
        return decision(str(self), order, f"cheapest: {usd(order[0].cost)}", _dearer)


@dataclass(frozen=True, slots=True)
class cheapest_adequate:  # noqa: N801
    """The cheapest candidate with P(correct) >= `quality`; if none, the one likeliest to be right.

    `z` asks for certainty: P(correct) must reach `quality` even when `z` standard errors are taken
    off. `max_cost_usd` keeps candidates out of the choice whose expected cost of this request is
    above it, as long as one stays; they remain the last fallbacks.

    Raises:
        ValueError: `quality` is not in [0, 1], `z` is below 0, or `max_cost_usd` is not above 0.
    """

    quality: float = 0.7
    _: KW_ONLY
    z: float = 0.0
    max_cost_usd: _check.Amount | None = None

    def __post_init__(self) -> None:
        _check.settle(
            self,
            quality=_check.from_0_to_1("quality", self.quality),
            z=_check.at_least("z", self.z),
        )
        if self.max_cost_usd is not None:
            _check.settle(self, max_cost_usd=_check.money("max_cost_usd", self.max_cost_usd))

    def __str__(self) -> str:
        return f"cheapest_adequate({self.quality:g})"

    def __call__(self, quotes: Sequence[Quote], context: Context, /) -> Decision:  # noqa: ARG002
        cap = None if self.max_cost_usd is None else _check.pico(self.max_cost_usd)
        within = [q for q in quotes if cap is None or q.cost <= cap] or list(quotes)
        sure = sorted(filter(self._is_sure, within), key=cheapest_first)
        unsure = sorted((q for q in within if not self._is_sure(q)), key=best_first)
        dear = sorted((q for q in quotes if q not in within), key=cheapest_first)
        best = (sure or unsure)[0]
        if sure:
            reason = f"the cheapest with P(correct) {self._spell(best)} >= {self.quality:g}"
        else:
            reason = f"none reaches P(correct) {self.quality:g}; the likeliest has "
            reason += self._spell(best)

        def why_not(quote: Quote, chosen: Quote) -> str:
            if quote in dear:
                return f"expected cost {usd(quote.cost)} is above max_cost_usd"
            if self._is_sure(quote):
                return _dearer(quote, chosen)
            return f"P(correct) {self._spell(quote)} is below {self.quality:g}"

        return decision(str(self), [*sure, *unsure, *dear], reason, why_not)

    def _is_sure(self, quote: Quote) -> bool:
        return quote.quality - self.z * quote.quality_se >= self.quality

    def _spell(self, quote: Quote) -> str:
        margin = self.z * quote.quality_se
        return f"{quote.quality:.2f} - {margin:.2f}" if margin else f"{quote.quality:.2f}"


def _dearer(quote: Quote, chosen: Quote) -> str:
    return f"dearer: {usd(quote.cost)} against {usd(chosen.cost)}"
