"""Where a decision stands on `ladder`: how tight money is, who is still allowed, what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from policies.types import Context, Decision, Policy, Quote


@dataclass(frozen=True, slots=True)
class Pinch:
    """How tight money is for one request: `left` is the tightest purse's money over its need.

    `hard_left` is the same among the purses that may refuse and that will be renewed, and `ends`
    when the tightest purse is renewed (None: never).
    """

    left: float
    hard_left: float
    ends: datetime | None


@dataclass(frozen=True, slots=True)
class Stand:
    """How far down the ladder a decision has come.

    `quotes` are still allowed, `out` says why the others are not. `ended`: no rung after this one
    has anything left to do.
    """

    policy: Policy
    context: Context
    pinch: Pinch
    quotes: tuple[Quote, ...]
    found: Decision
    out: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[str, ...] = ()
    ended: bool = False

    @property
    def chosen(self) -> Quote:
        """The quote of the present choice."""
        return next(q for q in self.quotes if q.name == self.found.chosen)

    def only(self, kept: Sequence[Quote], why: str, step: str) -> Stand:
        """The policy's own decision among `kept`; unchanged if that leaves nobody.

        It is a step only if it changes who is asked: to lose a fallback is none.
        """
        if not kept or len(kept) == len(self.quotes):
            return self
        found = self.policy(kept, self.context)
        if not found.ranking:
            return self
        out = {q.name: why for q in self.quotes if q not in kept}
        asked = (self.found.chosen, self.found.escalation)
        taken = (step,) if (found.chosen, found.escalation) != asked else ()
        return replace(
            self,
            quotes=tuple(kept),
            found=found,
            out={**self.out, **out},
            steps=self.steps + taken,
        )
