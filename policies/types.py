"""What a policy sees and what it answers: values only, no behaviour.

A policy is any callable `(quotes, context) -> Decision`. It is pure: the same
quotes and context give the same decision; clock, randomness and the network
stay outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One candidate as a policy sees it: its name, its chance to be right, its forecast cost.

    `quality` is P(correct) in [0, 1]; costs are pico-dollars (1e-12 USD) of the whole request:
    `cost` the expected one, `cost_p90` exceeded once in ten, `cost_ceiling` never exceeded,
    for it is what would be reserved.
    """

    name: str
    quality: float
    cost: int
    cost_p90: int
    cost_ceiling: int
    self_hosted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a policy may know besides the quotes.

    `now` is an aware UTC instant. `remaining` is what the tightest budget still holds, in
    pico-dollars (None: no budget). `tags` are the caller's own labels of the request.
    """

    now: datetime
    remaining: int | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A policy's answer: the chosen candidate, the order of fallbacks, and why not the others.

    `ranking[0]` is the choice; the rest are tried in this order if it fails. `rejected` maps
    every other candidate to the reason in one line. `reason` says why the choice was made.
    """

    ranking: tuple[str, ...]
    reason: str
    rejected: dict[str, str]
    policy: str

    @property
    def chosen(self) -> str:
        """The name of the chosen candidate."""
        return self.ranking[0]


class Policy(Protocol):
    """Anything that turns quotes (never empty) and a context into a decision."""

    def __call__(self, quotes: Sequence[Quote], context: Context, /) -> Decision: ...
