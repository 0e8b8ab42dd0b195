"""Output tokens of each profile, from answers whose whole length was counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.calibration import conformal_quantile
from classifiers.demand import DemandNet
from classifiers.length import LengthForecaster
from classifiers.linear import Array, Linear
from classifiers.spread import N_MEAN, spread_of
from classifiers.training.dataset import PROFILES, Outcomes, Prompts, token_matrix
from classifiers.training.pooled import fit_pooled

SPREAD_ALPHA, POOL_ALPHA = 300.0, 100.0
HEAD_ALPHA = (5.0, 30.0, 200.0)
"""Chosen per head on the calibration rows; the test split chooses nothing."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Fitted lengths: inputs beyond the matrix (`w1`, `b1`), heads by profile, pool and spread."""

    w1: npt.NDArray[np.float32]
    b1: npt.NDArray[np.float32]
    heads: dict[str, LengthForecaster]
    pool: Linear
    spread: Linear
    loose: tuple[Array, Array]
    tight: tuple[Array, Array]

    def inputs(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(n, d) to (n, N)."""
        hidden = np.maximum(matrix @ self.w1 + self.b1, 0.0)
        return np.concatenate((matrix, hidden), axis=1)


def fit_lengths(
    prompts: Prompts,
    outcomes: Outcomes,
    matrix: npt.NDArray[np.float32],
    train: npt.NDArray[np.bool_],
) -> Lengths:
    """Output tokens of each profile whose answers were counted whole."""
    calibration = prompts.calibration & train
    learn = np.flatnonzero(train & ~calibration)
    models, tokens = token_matrix(outcomes, len(prompts.ids))
    sets = np.array(
        [f"{a}/{b}" for a, b in zip(prompts.source, prompts.dataset, strict=True)], dtype=object
    )
    centred = tokens - np.nanmean(tokens[learn])
    net = DemandNet(n_members=2, hidden=64, link="identity", dropout=0.1, random_state=1)
    net.fit(matrix[learn], centred[learn], sets[learn])
    shared = net.net_
    w1, b1 = shared.w1.astype(np.float16).astype(np.float32), shared.b1
    wide = np.concatenate((matrix, np.maximum(matrix @ w1 + b1, 0.0)), axis=1)
    pool = fit_pooled(wide[learn], tokens[learn], POOL_ALPHA)
    misses = tokens - pool(wide)[:, None]
    own_level = np.nanmedian(misses[learn], axis=0)
    spread = fit_pooled(
        wide[learn], np.log(np.abs(misses[learn] - own_level) + 0.05), SPREAD_ALPHA
    )
    pooled = pool(wide)
    heads = {}
    for name in PROFILES:
        column = models.index(name)
        rows = np.flatnonzero(train & ~np.isnan(tokens[:, column]))
        heads[name] = _best_length(
            wide[rows],
            np.expm1(tokens[rows, column].astype(np.float64)),
            pooled[rows],
            calibration[rows],
            pool,
            spread,
        )
    held = np.flatnonzero(calibration)
    residual = (tokens[held] - pooled[held, None]) / spread_of(spread(wide[held]))[:, None]
    return Lengths(
        w1=w1,
        b1=b1,
        heads=heads,
        pool=pool,
        spread=spread,
        loose=_offsets(residual[~np.isnan(residual)].astype(np.float64)),
        tight=(
            np.median([head.offsets_ for head in heads.values()], axis=0),
            np.median([head.residuals_ for head in heads.values()], axis=0),
        ),
    )


def _offsets(residual: Array) -> tuple[Array, Array]:
    grid = (np.arange(N_MEAN) + 0.5) / N_MEAN
    offsets = np.array([conformal_quantile(residual, level) for level in (0.1, 0.5, 0.9, 0.99)])
    return offsets, np.quantile(residual, grid)


def _best_length(
    rows: Any,
    tokens: Array,
    pooled: Array,
    held: npt.NDArray[np.bool_],
    pool: Linear,
    spread: Linear,
) -> LengthForecaster:
    best, least = None, np.inf
    for strength in HEAD_ALPHA:
        head = LengthForecaster(alpha=strength, trunk=pool, spread=spread)
        head.fit(rows, tokens, trunk_output=pooled, held_out=held)
        miss = np.abs(np.log1p(tokens[held]) - np.log1p(head.predict(rows[held])))
        if float(miss.mean()) < least:
            best, least = head, float(miss.mean())
    assert best is not None
    return best
