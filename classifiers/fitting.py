"""From prompts and outcomes to fitted heads: pooled scales first, then one head per profile."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.calibration import conformal_quantile, platt, shift_to_mean
from classifiers.dataset import PROFILES, Outcomes, Prompts
from classifiers.difficulty import CorrectnessClassifier
from classifiers.length import LengthForecaster
from classifiers.linear import Array, Linear, rounded
from classifiers.placement import Placements, logistic
from classifiers.spread import LEVELS, N_MEAN, spread_of, token_quantiles
from classifiers.store import Weights
from classifiers.trunk import fit_trunk, pooled_rows
from classifiers.vectorizer import PromptVectorizer

TRUNK_C, TRUNK_ALPHA, SPREAD_ALPHA = 0.03, 100.0, 300.0
HEAD_C, HEAD_ALPHA = (0.05, 0.1, 0.2), (5.0, 10.0, 30.0)
"""Chosen per head on the calibration rows; the test split chooses nothing."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """Everything `export` needs; `matrix` (n, d) is kept for evaluation.

    `loose` and `tight` are offsets and residuals of the pooled length, for a model of unknown
    verbosity (all models pooled) and of known verbosity (the median head).
    """

    matrix: Any
    vectorizer: PromptVectorizer
    heads: dict[str, CorrectnessClassifier]
    lengths: dict[str, LengthForecaster]
    pool: Linear
    pool_length: Linear
    spread: Linear
    loose: tuple[Array, Array]
    tight: tuple[Array, Array]


def with_tokens(outcomes: Outcomes) -> Outcomes:
    """Only outcomes whose whole output was counted."""
    return outcomes.take(~np.isnan(outcomes.tokens))


def fit(
    prompts: Prompts,
    outcomes: Outcomes,
    train: npt.NDArray[np.bool_],
    profiles: tuple[str, ...] = tuple(PROFILES),
) -> Fitted:
    """Fit on the training prompts (n,) alone; their calibration part is kept from every fit."""
    calibration = prompts.calibration & train
    learn = train & ~calibration
    rows = np.flatnonzero(learn)
    vectorizer = PromptVectorizer().fit_features([prompts.features[i] for i in rows])
    matrix = vectorizer.transform_features(prompts.features)
    counted = with_tokens(outcomes)
    trunk = fit_trunk(
        matrix, outcomes, outcomes.score, learn, prompts.fold, kind="logistic", strength=TRUNK_C
    )
    log_tokens = np.log1p(counted.tokens)
    length = fit_trunk(
        matrix, counted, log_tokens, learn, prompts.fold, kind="ridge", strength=TRUNK_ALPHA
    )
    residual = log_tokens - length.output[counted.row]
    misses = np.log(np.abs(_within_model(residual, counted, learn)) + 0.05)
    spread = fit_trunk(
        matrix, counted, misses, learn, prompts.fold, kind="ridge", strength=SPREAD_ALPHA
    ).scale
    heads, lengths = {}, {}
    for name in profiles:
        own = outcomes.take((outcomes.model == name) & train[outcomes.row])
        held = calibration[own.row]
        heads[name] = _best_head(
            matrix[own.row], own.score, trunk.output[own.row], held, trunk.scale
        )
        own = counted.take((counted.model == name) & train[counted.row])
        held = calibration[own.row]
        lengths[name] = _best_length(
            matrix[own.row], own.tokens, length.output[own.row], held, length.scale, spread
        )
    keep = pooled_rows(outcomes, calibration)
    judged = outcomes.take(keep)
    slope, offset = platt(trunk.scale(matrix[judged.row]), judged.score)
    pool = Linear(rounded(trunk.scale.coef * slope), trunk.scale.intercept * slope + offset)
    judged = counted.take(pooled_rows(counted, calibration))
    centre = length.scale(matrix[judged.row])
    scale = spread_of(spread(matrix[judged.row]))
    residual = np.log1p(judged.tokens) - centre
    return Fitted(
        matrix=matrix,
        vectorizer=vectorizer,
        heads=heads,
        lengths=lengths,
        pool=pool,
        pool_length=length.scale,
        spread=spread,
        loose=_offsets(residual / scale),
        tight=(
            np.median([head.offsets_ for head in lengths.values()], axis=0),
            np.median([head.residuals_ for head in lengths.values()], axis=0),
        ),
    )


def _offsets(residual: Array) -> tuple[Array, Array]:
    grid = (np.arange(N_MEAN) + 0.5) / N_MEAN
    offsets = np.array([conformal_quantile(residual, level) for level in LEVELS])
    return offsets, np.quantile(residual, grid)


def _within_model(residual: Array, outcomes: Outcomes, learn: npt.NDArray[np.bool_]) -> Array:
    """Residuals less the median of their model over learning rows."""
    _, code = np.unique(outcomes.model.astype(str), return_inverse=True)
    seen = learn[outcomes.row]
    centred = residual.copy()
    for model in range(int(code.max()) + 1):
        mine = code == model
        if (mine & seen).any():
            centred[mine] -= np.median(residual[mine & seen])
    return centred


def _best_head(
    rows: Any, grades: Array, trunk_output: Array, held: npt.NDArray[np.bool_], trunk: Linear
) -> CorrectnessClassifier:
    best, least = None, np.inf
    for strength in HEAD_C:
        head = CorrectnessClassifier(C=strength, trunk=trunk)
        head.fit(rows, grades, trunk_output=trunk_output, held_out=held)
        logits, y = head.decision_function(rows[held]), grades[held]
        loss = float((np.logaddexp(0.0, logits) - y * logits).mean())
        if loss < least:
            best, least = head, loss
    assert best is not None
    return best


def _best_length(
    rows: Any,
    tokens: Array,
    trunk_output: Array,
    held: npt.NDArray[np.bool_],
    trunk: Linear,
    spread: Linear,
) -> LengthForecaster:
    best, least = None, np.inf
    for strength in HEAD_ALPHA:
        head = LengthForecaster(alpha=strength, trunk=trunk, spread=spread)
        head.fit(rows, tokens, trunk_output=trunk_output, held_out=held)
        miss = np.abs(np.log1p(tokens[held]) - np.log1p(head.predict(rows[held])))
        if float(miss.mean()) < least:
            best, least = head, float(miss.mean())
    assert best is not None
    return best


def export(fitted: Fitted, placements: Placements, benchmark: npt.NDArray[np.bool_]) -> Weights:
    """Stack the heads; fit the placed shifts on the benchmark's training prompts (n,)."""
    names = tuple(fitted.heads)
    correct = [Linear(h.coef_, h.intercept_) for h in fitted.heads.values()] + [fitted.pool]
    tokens = [Linear(h.coef_, h.intercept_) for h in fitted.lengths.values()]
    columns = [*correct, *tokens, fitted.pool_length, fitted.spread]
    lengths = fitted.lengths.values()
    weights = Weights(
        profiles=names,
        dense_mean=fitted.vectorizer.mean_,
        dense_scale=fitted.vectorizer.scale_,
        hashed_scale=fitted.vectorizer.hashed_scale,
        coef=np.column_stack([c.coef for c in columns]).astype(np.float16),
        intercept=np.array([c.intercept for c in columns]),
        offsets=np.stack([*(h.offsets_ for h in lengths), fitted.loose[0], fitted.tight[0]]),
        residuals=np.stack([*(h.residuals_ for h in lengths), fitted.loose[1], fitted.tight[1]]),
        placed=(),
        placed_logit_shift=np.empty(0),
        placed_token_shift=np.empty(0),
    )
    shifts = _placed_shifts(fitted, placements, fitted.matrix[np.flatnonzero(benchmark)])
    return replace(
        weights,
        placed=tuple(shifts),
        placed_logit_shift=np.array([logit for logit, _ in shifts.values()]),
        placed_token_shift=np.array([token for _, token in shifts.values()]),
    )


def _placed_shifts(
    fitted: Fitted, placements: Placements, rows: Any
) -> dict[str, tuple[float, float]]:
    """Logit and log-token shift of each placed profile: benchmark means as published.

    The shift of thinking only ever adds: a benchmark of mixed knowledge, on which thinking gains
    little, must not take away what it gains on hard problems.
    """
    pool = fitted.pool(rows)
    centre, spread = fitted.pool_length(rows), spread_of(fitted.spread(rows))
    offsets, residuals = fitted.tight
    logits: dict[str, Array] = {}
    shifts: dict[str, tuple[float, float]] = {}
    for name in placements.order():
        placement = placements.profiles[name]
        shift = token_shift = 0.0
        if placement.kind == "direct":
            assert placement.accuracy is not None
            assert placement.mean_tokens is not None
            shift = shift_to_mean(pool, placement.accuracy)
            logits[name] = pool + shift
            for _ in range(20):
                means = token_quantiles(centre + token_shift, spread, offsets, residuals)[:, 4]
                token_shift += float(np.log(placement.mean_tokens / means.mean()))
        elif placement.kind == "thinking":
            assert placement.accuracy is not None
            assert placement.base is not None
            base = logits[placement.base].tolist()
            low, high = 0.0, 5.0
            for _ in range(40):
                shift = 0.5 * (low + high)
                mean = np.mean([logistic(placements.thinking_logit(x, shift)) for x in base])
                low, high = (shift, high) if mean < placement.accuracy else (low, shift)
        shifts[name] = (shift, token_shift)
    return shifts
