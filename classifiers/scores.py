"""What the scorer answers: values only, without numpy."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Tokens that an answer may take: p10 <= p50 <= p90 <= p99, and the mean."""

    p10: float
    p50: float
    p90: float
    p99: float
    mean: float


@dataclass(frozen=True, slots=True)
class Score:
    """What one candidate is expected to do with one prompt.

    `p_correct` is P(correct); `draws` are a few equally likely values of it, whose spread says how
    sure it is. Draws are paired: the k-th of one candidate belongs to the k-th of another, so
    the spread of their differences is that of the gain. `base` is P(correct) before the prompt
    is read, `base_tokens` the mean output tokens. `output_tokens` is all that is billed as
    output, reasoning included; `reasoning_tokens` is that part of it.

    `basis` says where the numbers come from: "trained" (public graded answers of this very model),
    "placed" (published scores), "prior" (nothing is known of the model); `graded` counts the
    caller's own answers that have moved them since. `known` is how much the prompt is like those
    trained on, from 0 to 1; `task` is the kind of task it looks like.

    `visible_tokens` is the output without reasoning, None where nobody says. `tokens_basis` says
    what lengths rest on: "prior" (shipped figures alone), "pooled" (this model's own calls here,
    over all routes), "route" (this route's own calls); `tokens_calls` is how many calls.
    """

    p_correct: float
    output_tokens: Quantiles
    reasoning_tokens: Quantiles
    basis: str
    draws: tuple[float, ...] = ()
    base: float | None = None
    graded: int = 0
    known: float = 1.0
    task: str = ""
    base_tokens: float | None = None
    visible_tokens: Quantiles | None = None
    tokens_basis: str = "prior"
    tokens_calls: int = 0
