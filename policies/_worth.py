"""The rule under `utility`, `pacing` and `cascade`: what an answer is worth, less what it takes.

Everything is weighed in pico-dollars. A candidate's standard error of P(correct) is noise in what
it is worth; the choice leaves the default only for a gain that stands out of that noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from policies._ranking import matches, noise, usd
from policies.types import Quote


@dataclass(frozen=True, slots=True)
class Scale:
    """What things count, in pico-dollars: a right answer, a second of waiting, a pico-dollar."""

    worth: float
    second: float = 0.0
    price: float = 1.0

    def __call__(self, quote: Quote) -> float:
        """The utility of one candidate; a time that nobody knows counts as none."""
        return quote.quality * self.worth - self.price * quote.cost - self._wait(quote)

    def before_reading(self, quote: Quote) -> float:
        """Its utility as far as it is known without the prompt."""
        known = quote.quality if quote.base_quality is None else quote.base_quality
        cost = quote.cost if quote.base_cost is None else quote.base_cost
        return known * self.worth - self.price * cost - self._wait(quote)

    def _wait(self, quote: Quote) -> float:
        return self.second * (quote.seconds or 0.0)


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice among single candidates: the chosen first, the others by utility."""

    order: tuple[Quote, ...]
    reason: str

    @property
    def chosen(self) -> Quote:
        return self.order[0]


def choose(quotes: Sequence[Quote], scale: Scale, default: str | None, z: float) -> Choice:
    """The best by `scale` among the default and those whose gain over it is above `z` errors.

    `default` is a name or pattern. Of several that match, or of all when it is None or matches
    nobody, the one that is best before the prompt is read is meant.
    """
    pool = [q for q in quotes if default is not None and matches(q.name, default)] or quotes
    stands = min(pool, key=lambda q: (-scale.before_reading(q), q.cost, q.name))
    order = sorted(quotes, key=lambda q: (-scale(q), q.cost, q.name))
    sure = [q for q in order if is_sure(q, stands, scale, z)]
    chosen = sure[0] if sure else stands
    best = order[0]
    if not sure and scale(best) > scale(stands):
        reason = f"default {stands.name} stands: {unsure(best, stands)}"
    else:
        reason = f"P(correct) {chosen.quality:.2f} for {usd(chosen.cost)}: the most for the money"
    return Choice((chosen, *(q for q in order if q is not chosen)), reason)


def is_sure(quote: Quote, default: Quote, scale: Scale, z: float) -> bool:
    """Whether leaving `default` for `quote` gains more than `z` standard errors of the gain."""
    gain = scale(quote) - scale(default)
    return gain > 0 and gain > z * scale.worth * noise(quote, default)


def unsure(quote: Quote, default: Quote) -> str:
    """Says that a gain is lost in the noise."""
    step = f"P(correct) {quote.quality - default.quality:+.2f} +- {noise(quote, default):.2f}"
    saved = default.cost - quote.cost
    return f"{step} is not sure enough" + (f" to save {usd(saved)}" if saved > 0 else "")


def why_not(quote: Quote, chosen: Quote, scale: Scale) -> str:
    """Why `chosen` was preferred, in the figures that decided."""
    better, dearer = quote.quality - chosen.quality, quote.cost - chosen.cost
    later = (quote.seconds or 0.0) - (chosen.seconds or 0.0) if scale.second else 0.0
    if scale(quote) > scale(chosen):
        return unsure(quote, chosen)
    if better > 0 and dearer > 0:
        return f"P(correct) +{better:.2f} is not worth {usd(dearer)} more"
    if better > 0 and later > 0:
        return f"P(correct) +{better:.2f} is not worth {later:.1f} s more"
    if better > 0:
        return "as good for the money, later in the order"
    if dearer >= 0:
        return f"P(correct) {quote.quality:.2f}, no better, at {usd(quote.cost)}"
    if better == 0 and later > 0:
        return f"saves {usd(-dearer)} but takes {later:.1f} s longer"
    return f"saves {usd(-dearer)} but P(correct) is {-better:.2f} lower"
