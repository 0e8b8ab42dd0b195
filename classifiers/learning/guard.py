"""The guard: the learned prediction is weighed against the prior by how well each foretold.

Two experts, the prior and the learned prediction, both held within [CLIP, 1 - CLIP], are mixed by
Vovk's aggregating algorithm. For squared loss and grades in [0, 1] it takes the rate 2 (Vovk,
"Competitive On-line Statistics", 2001); a plain weighted mean would allow 1/2 only (Kivinen and
Warmuth, "Averaging Expert Predictions", 1999), four times slower to see a bad expert. After each
grade SHARE of the weight returns to where it began (fixed share: Herbster and Warmuth, "Tracking
the Best Expert", 1998), so that it recovers after a drift. Whatever the grades, over T of them the
sum of squared errors of what was predicted exceeds the prior's by at most

    (ln(1 / (1 - FIRST)) - (T - 1) ln(1 - SHARE * FIRST)) / RATE = 1.15 + 0.00226 (T - 1)

and the learned prediction's by at most 0.053 + 0.00025 (T - 1).
"""

from __future__ import annotations

import math

RATE = 2.0
FIRST = 0.9
"""The weight that the learned prediction starts with."""
SHARE = 0.005
CLIP = 0.01


def clipped(probability: float) -> float:
    """As an expert is heard."""
    return min(1.0 - CLIP, max(CLIP, probability))


def mixed(prior: float, shift: float, weight: float) -> float:
    """What is predicted: between the prior and prior + shift."""
    p, q = clipped(prior), clipped(prior + shift)
    rest = 1.0 - weight
    no = rest * math.exp(-RATE * p**2) + weight * math.exp(-RATE * q**2)
    yes = rest * math.exp(-RATE * (1.0 - p) ** 2) + weight * math.exp(-RATE * (1.0 - q) ** 2)
    return 0.5 + math.log(yes / no) / (2.0 * RATE)


def reweighed(weight: float, loss_prior: float, loss_learned: float) -> float:
    """The weight after a grade that gave the experts these squared errors."""
    learned = weight * math.exp(-RATE * loss_learned)
    kept = learned / (learned + (1.0 - weight) * math.exp(-RATE * loss_prior))
    return (1.0 - SHARE) * kept + SHARE * FIRST
