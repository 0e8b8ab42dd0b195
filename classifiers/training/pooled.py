"""What all models agree on: one linear scale for every model, each shifted by its own mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import Ridge

from classifiers.linear import Linear, rounded

ROUNDS = 4


def fit_pooled(matrix: Any, targets: npt.NDArray[Any], alpha: float) -> Linear:
    """Ridge on (n, d) of the mean over models of `targets` (n, M), NaN where there is none.

    A model's own level is taken out first, so that a prompt answered by terse models only does
    not look short; the intercept is that of the average model. Prompts count by the square root
    of how many models answered them.

    Raises:
        ValueError: no target at all.
    """
    seen = ~np.isnan(targets)
    if not seen.any():
        raise ValueError("expected at least one target, got none")
    rows = np.flatnonzero(seen.any(axis=1))
    values, mask = np.nan_to_num(targets[rows]).astype(np.float64), seen[rows]
    count = mask.sum(axis=1)
    level = np.zeros(targets.shape[1])
    output = np.zeros(len(rows))
    model = Ridge(alpha=alpha)
    for _ in range(ROUNDS):
        residual = (values - output[:, None]) * mask
        level = residual.sum(axis=0) / np.maximum(1, mask.sum(axis=0))
        goal = ((values - level) * mask).sum(axis=1) / count
        model.fit(matrix[rows], goal, sample_weight=np.sqrt(count))
        output = np.asarray(model.predict(matrix[rows]), dtype=np.float64)
    own = np.flatnonzero(mask.any(axis=0))
    coef = rounded(np.asarray(model.coef_, dtype=np.float64))
    return Linear(coef, float(model.intercept_) + float(level[own].mean()))
