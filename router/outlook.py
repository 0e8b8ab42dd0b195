"""What one candidate would take for a request, known before it is sent: the forecast's values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from classifiers.scores import Quantiles
from router.money import to_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What one candidate would do with a request, known before it is sent.

    `quality` is P(correct), `quality_se` its standard error, `base_quality` and `base_cost` what
    it and the expected cost were before the prompt was read. `basis` says on what they rest:
    trained, placed or prior; `graded` counts your own answers that moved them. `known`, from 0
    to 1, is how much the prompt is like those trained on, `task` the kind of task it looks
    like.

    `output_tokens` is all that is billed as output, `reasoning_tokens` and `visible_tokens` its
    parts. `tokens_basis` says on what lengths rest: "prior" (shipped figures), "pooled" (the
    model's own calls here) or "route" (its calls of this route), `tokens_calls` on how many.

    Costs are pico-dollars: `cost` expected, `cost_p50`/`cost_p90` quantiles, `cost_ceiling` what
    is reserved: the whole input uncached and `max_tokens` of output. All are None when the
    candidate has no known price. `priced_at` is the instant whose rates were used, the expected
    one of completion; `straddles` the price boundary that the call may cross, `cost_p90` being
    that of the dearer side then.

    `tokens_ceiling` is the most input and output together; `cost_likely` and `tokens_likely` are
    those of the quantile that some budget reserves (None: none does).

    Times are seconds, from this endpoint's own history, None while too little is known: `seconds`
    expected to the whole answer, `seconds_p90`, and `first_token_seconds` (median, of streams).
    """

    candidate: str
    quality: float
    basis: str
    input_tokens: int
    cache_read_tokens: int
    output_tokens: Quantiles
    reasoning_tokens: Quantiles
    max_tokens: int
    cost: int | None
    cost_p50: int | None
    cost_p90: int | None
    cost_ceiling: int | None
    rates_id: str = ""
    notes: tuple[str, ...] = ()
    quality_se: float = 0.0
    base_quality: float | None = None
    base_cost: int | None = None
    known: float = 1.0
    task: str = ""
    graded: int = 0
    visible_tokens: Quantiles | None = None
    tokens_basis: str = "prior"
    tokens_calls: int = 0
    seconds: float | None = None
    seconds_p90: float | None = None
    first_token_seconds: float | None = None
    priced_at: datetime | None = None
    straddles: datetime | None = None
    tokens_ceiling: int = 0
    cost_likely: int | None = None
    tokens_likely: int | None = None

    @property
    def cost_usd(self) -> Decimal | None:
        """The expected cost in USD."""
        return None if self.cost is None else to_usd(self.cost)

    @property
    def cost_p90_usd(self) -> Decimal | None:
        """The cost in USD that one call in ten exceeds."""
        return None if self.cost_p90 is None else to_usd(self.cost_p90)

    @property
    def cost_ceiling_usd(self) -> Decimal | None:
        """The most in USD that the call can cost."""
        return None if self.cost_ceiling is None else to_usd(self.cost_ceiling)
