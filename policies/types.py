"""What a policy sees and what it answers: values only, no behaviour.

A policy is any callable `(quotes, context) -> Decision`. It is pure: the same
quotes and context give the same decision; clock, chance and the network
stay outside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One candidate as a policy sees it: its name, its chance to be right, its forecast cost.

    `quality` is P(correct) in [0, 1] of this prompt and `quality_se` its standard error;
    `base_quality` and `base_cost` are P(correct) and the expected cost before the prompt is read,
    but for its input tokens (None: unknown).
    Costs are pico-dollars (1e-12 USD) of the whole request: `cost` the expected one, `cost_p90`
    exceeded once in ten, `cost_ceiling` never exceeded, for it is what would be reserved.
    `seconds` is the expected time to the whole answer (None: unknown). `region` is where the host
    keeps data ("" when nobody says). `basis` says what the numbers rest on. `quality_draws` are a
    few equally likely values of `quality`, paired between the quotes of one request.

    `output_tokens_p50` and `output_tokens_p90` are lengths of the answer, `max_tokens` where it
    would be cut off (None: nowhere). `cheaper_at` is the next instant within a day at which the
    expected cost is lower, `cheaper_cost` what it is then (None: it stays).

    `cache_read_tokens` are expected to be read from its prefix cache. `leaving` is the part of
    `cost` that is due to another candidate's cache being warmer: the price of the switch.
    """

    name: str
    quality: float
    cost: int
    cost_p90: int
    cost_ceiling: int
    self_hosted: bool = False
    quality_se: float = 0.0
    base_quality: float | None = None
    base_cost: int | None = None
    seconds: float | None = None
    thinking: bool = False
    region: str = ""
    basis: str = ""
    quality_draws: tuple[float, ...] = ()
    output_tokens_p50: float = 0.0
    output_tokens_p90: float = 0.0
    max_tokens: int | None = None
    cheaper_at: datetime | None = None
    cheaper_cost: int | None = None
    cache_read_tokens: int = 0
    leaving: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Purse:
    """A budget that this request would be paid from, in pico-dollars, over its present window.

    `taken` is spent and reserved together; `starts` and `ends` are aware UTC instants, None for a
    budget without end. One that is not `hard` refuses nothing.
    """

    limit: int
    taken: int
    starts: datetime | None = None
    ends: datetime | None = None
    hard: bool = True

    @property
    def remaining(self) -> int:
        """What is left; never negative."""
        return max(0, self.limit - self.taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a policy may know besides the quotes.

    `now` is an aware UTC instant. `remaining` is what the tightest budget still holds, in pico-
    dollars (None: no hard budget); `purses` are all budgets with their windows, soft ones too.
    `tags` are the caller's own labels of the request. `draw` is a number in [0, 1) that
    follows from the request id: the only chance a policy has, so that a decision can be
    replayed. `streaming` says that the caller gets the answer while it is made, `verifiable`
    that a verifier will judge it. `patience` is how many seconds the caller lets the request wait
    before it is sent.
    """

    now: datetime
    remaining: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    purses: tuple[Purse, ...] = ()
    draw: float = 0.5
    streaming: bool = False
    verifiable: bool = False
    patience: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A policy's answer: the chosen candidate, the order of fallbacks, and why not the others.

    `ranking[0]` is the choice; the rest are tried in this order if it fails to answer. `rejected`
    maps every other candidate to the reason in one line; `reason` says why the choice was made.
    An empty `ranking` says that the policy allows none of the candidates.

    `escalation` names candidates to ask next, in order, when a verifier finds the answer wrong.
    `propensities` are the chances that this policy had to choose each candidate, where it left it
    to chance; empty means that it was certain.

    `max_tokens` cuts the answer shorter than it would be, `defer_until` says when to send it at
    the earliest, and `steps` what was done because money is tight, one line each.
    """

    ranking: tuple[str, ...]
    reason: str
    rejected: Mapping[str, str]
    policy: str
    escalation: tuple[str, ...] = ()
    propensities: Mapping[str, float] = field(default_factory=dict)
    max_tokens: int | None = None
    defer_until: datetime | None = None
    steps: tuple[str, ...] = ()

    @property
    def chosen(self) -> str:
        """The name of the chosen candidate."""
        return self.ranking[0]

    @property
    def propensity(self) -> float:
        """The chance that the chosen candidate had: 1.0 where nothing was left to chance."""
        return self.propensities.get(self.chosen, 1.0)


class Policy(Protocol):
    """Anything that turns quotes (never empty) and a context into a decision."""

    def __call__(self, quotes: Sequence[Quote], context: Context, /) -> Decision: ...
