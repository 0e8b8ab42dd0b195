"""When money gets tight: down a ladder of measures, one rung after another."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from policies import _check, _window
from policies._ranking import label
from policies._rungs import Rung, Shorter, rungs_of
from policies._stand import Pinch, Stand
from policies.types import Context, Decision, Policy, Purse, Quote

RUNGS: tuple[Mapping[str, Any], ...] = (
    {"do": "cheaper"},
    {"do": "shorter"},
    {"do": "self_hosted"},
    {"do": "defer"},
    {"do": "refuse"},
)
"""The rungs of `ladder`, in their order, each with its own defaults."""


@dataclass(frozen=True, slots=True)
class ladder:  # noqa: N801 - used like a function
    """`policy` while the money will last; from there on down the rungs that are on, in order.

    What is left is measured as the share of a budget's money over the share of its window still
    to come: 1 is on pace, 0.5 that only half of what the rest of the window needs is there. The
    tightest budget counts, soft ones too. One without an end is tight when less than `endless` of
    it is left. A rung is on while less than its `below` is left, and several add up; 1 or more is
    `policy` alone. Nobody is chosen whom `policy` keeps out of its ranking, nor one whose expected
    cost is above that of its own choice. Each step that was taken is in `steps`.

    Rungs, with what `below` and the other parameters are by default:

    - `cheaper` (0.95): nobody dearer than who is worth most while a dollar counts as (`below` /
      what is left) to the power of `strength` (8); `value_usd` is what a right answer is worth
    - `shorter` (0.5): `max_tokens` at a `quantile` (0.95) of the forecast length, `least` 256
    - `self_hosted` (0.35): one's own machines, where there are any that cost no more
    - `defer` (0.9): until the price falls by a share `saving` (0.2) or the budget is renewed, at
      most `hours` (24); below `impatient` (0.05) also who does not wait, as a refusal with a date
    - `refuse` (0.05): what would take more than a `share` (0.001) of what a hard budget has left

    `profile` says when requests are expected, as in `pacing`. While on pace a single request may
    take much of a small budget: put `pacing` or `sparing` on the ladder (`benchmarks/ladder.py`).

    Raises:
        ValueError: no rungs, an unknown one or one twice; a parameter is out of its range; or
            `policy` is none.
    """

    policy: Policy
    rungs: Sequence[Mapping[str, Any] | Rung] = RUNGS
    profile: Sequence[float] | None = None
    endless: float = 0.2

    def __post_init__(self) -> None:
        _check.policy("policy", self.policy)
        _check.settle(
            self,
            rungs=rungs_of(self.rungs),
            profile=_window.weights(self.profile),
            endless=_check.above_0_to_1("endless", self.endless),
        )

    def __str__(self) -> str:
        return self._spell(label(self.policy))

    def __call__(self, quotes: Sequence[Quote], context: Context, /) -> Decision:
        found = self.policy(quotes, context)
        pinch = self._pinch(context)
        on = [rung for rung in cast("tuple[Rung, ...]", self.rungs) if pinch.left < rung.below]
        if not on or not found.ranking:
            return replace(found, policy=self._spell(found.policy))
        stand = Stand(
            policy=self.policy,
            context=context,
            pinch=pinch,
            quotes=tuple(q for q in quotes if q.name in found.ranking),
            found=found,
        )
        # Where an answer is cut depends on whose it is, so that comes last.
        for rung in sorted(on, key=lambda r: isinstance(r, Shorter)):
            stand = stand if stand.ended else rung(stand)
        return self._told(stand, found)

    def _told(self, stand: Stand, own: Decision) -> Decision:
        """The decision at the end of the ladder, with a reason for everyone."""
        found = stand.found
        rejected = {**own.rejected, **found.rejected, **stand.out}
        for name in found.ranking[:1]:
            rejected.pop(name, None)
        return replace(
            found,
            rejected=rejected,
            reason="; ".join([*stand.steps, found.reason]),
            policy=self._spell(found.policy),
            steps=(*found.steps, *stand.steps),
        )

    def left(self, purse: Purse, context: Context) -> float:
        """The purse's money over what its window still needs: 1 is on pace; 0 is nothing."""
        share = purse.remaining / purse.limit if purse.limit > 0 else 0.0
        if purse.starts is None or purse.ends is None:
            return share / self.endless
        rest = 1.0 - _window.gone(self.profile, purse.starts, purse.ends, context.now)
        return share / rest if rest > 0 else math.inf if share else 0.0

    def _pinch(self, context: Context) -> Pinch:
        lefts = [(self.left(purse, context), purse) for purse in context.purses]
        left, tightest = min(lefts, key=lambda one: one[0], default=(math.inf, None))
        hard = [one for one, p in lefts if p.ends is not None and p.hard]
        ends = None if tightest is None else tightest.ends
        return Pinch(left=left, hard_left=min(hard, default=math.inf), ends=ends)

    def _spell(self, inner: str) -> str:
        return f"ladder({inner})"
