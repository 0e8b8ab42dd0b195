"""A score from its parts: what the networks believe, what was learned, how long it takes."""

from __future__ import annotations

from classifiers.learning.tenants import Learned
from classifiers.length.forecaster import Forecast
from classifiers.prior import Belief, Seen
from classifiers.scores import Score

FEW_ANSWERS = 3.0
"""Answers at which half of what they say is heard: one bad grade must not turn all traffic."""


def joined(
    basis: str, belief: Belief, tokens: Forecast, learned: Learned | None, seen: Seen
) -> Score:
    """The score of one profile; `learned` is None where no answer of its was graded."""
    p, draws, base = belief
    graded = 0
    if learned is not None:
        graded = learned.graded
        heard = graded / (graded + FEW_ANSWERS)
        p = min(1.0, max(0.0, p + heard * learned.shift))
        base = min(1.0, max(0.0, base + heard * learned.base_shift))
        middle = sum(draws) / len(draws)
        spread = 1.0 - heard * (1.0 - learned.spread)
        draws = [min(1.0, max(0.0, p + spread * (draw - middle))) for draw in draws]
    return Score(
        p_correct=p,
        output_tokens=tokens.output,
        reasoning_tokens=tokens.reasoning,
        basis=basis,
        draws=tuple(draws),
        base=base,
        graded=graded,
        known=seen.known,
        task=seen.kind if seen.known else "",
        base_tokens=tokens.usual,
        visible_tokens=tokens.visible,
        tokens_basis=tokens.basis,
        tokens_calls=tokens.calls,
    )
