"""Stay with the default unless another candidate is clearly likelier to be right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass

from policies import _check
from policies._ranking import best_first, cheapest_first, decision, matches, noise, usd
from policies.types import Context, Decision, Quote

_ROUNDING = 1e-9  # 0.6 is 0.1 more than 0.5, whatever floats say


@dataclass(frozen=True, slots=True)
class threshold:  # noqa: N801 - used like a function
    """The default, unless another candidate's P(correct) is at least `gain` higher, and surely so.

    This is the rule of RouteLLM, for any number of candidates: strong where it must be, else weak.
    `default` is a candidate's name or a pattern (of several the cheapest is meant; None: of all).
    The gain must also be above `z` standard errors of the difference. Of the candidates that pass,
    the likeliest to be right is taken, and of equals the cheapest.

    Raises:
        ValueError: `gain` is not in [0, 1], `z` is below 0, or `default` is no text.
    """

    gain: float = 0.1
    _: KW_ONLY
    default: str | None = None
    z: float = 0.5

    def __post_init__(self) -> None:
        _check.text_or_none("default", self.default)
        _check.settle(
            self, gain=_check.from_0_to_1("gain", self.gain), z=_check.at_least("z", self.z)
        )

    def __str__(self) -> str:
        return f"threshold({self.gain:g})"

    def __call__(self, quotes: Sequence[Quote], context: Context, /) -> Decision:  # noqa: ARG002
        pool = [q for q in quotes if self.default is not None and matches(q.name, self.default)]
        default = min(pool or quotes, key=cheapest_first)
        others = sorted((q for q in quotes if q is not default), key=best_first)
        better = [q for q in others if self._is_worth_it(q, default)]
        order = [*better, default, *(q for q in others if q not in better)]
        if better:
            reason = f"P(correct) {_step(better[0], default)} over the default {default.name}"
        else:
            reason = f"default {default.name} stands: no P(correct) is {self.gain:g} higher"
            # Told only of one that would have moved the choice, were it surer.
            if unsure := [q for q in others if self._is_far_enough(q, default)]:
                reason = f"default {default.name} stands: P(correct) "
                reason += f"{_step(unsure[0], default)} is not sure enough"

        def why_not(quote: Quote, chosen: Quote) -> str:
            if quote is default:
                return f"the default, but P(correct) is {chosen.quality - quote.quality:.2f} lower"
            if quote in better:
                lower = chosen.quality - quote.quality
                return f"P(correct) is {lower:.2f} lower" if lower else _dearer(quote, chosen)
            if self._is_far_enough(quote, default):
                return f"P(correct) {_step(quote, default)} is not sure enough"
            return f"P(correct) {_step(quote, default)} over the default is below {self.gain:g}"

        return decision(str(self), order, reason, why_not)

    def _is_far_enough(self, quote: Quote, default: Quote) -> bool:
        step = quote.quality - default.quality
        return step > 0 and step >= self.gain - _ROUNDING

    def _is_worth_it(self, quote: Quote, default: Quote) -> bool:
        step = quote.quality - default.quality
        return self._is_far_enough(quote, default) and step > self.z * noise(quote, default)


def _step(quote: Quote, default: Quote) -> str:
    step, error = quote.quality - default.quality, noise(quote, default)
    return f"{step:+.2f} +- {error:.2f}" if error else f"{step:+.2f}"


def _dearer(quote: Quote, chosen: Quote) -> str:
    return f"as likely right, later in the order, at {usd(quote.cost)} against {usd(chosen.cost)}"
