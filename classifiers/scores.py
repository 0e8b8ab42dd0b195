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

    `output_tokens` is all that is billed as output, reasoning included; `reasoning_tokens` is
    that part of it. `basis` says where the numbers come from: "trained" (graded answers of this
    very model), "placed" (published scores moved a trained scale), "prior" (nothing is known).
    """

    p_correct: float
    output_tokens: Quantiles
    reasoning_tokens: Quantiles
    basis: str
