"""How long models think: what answers of reasoning models say, and what is published of others.

The outcomes are few (3,400, of 24 models) and of few kinds, so all that is learned is two slopes:
over the length of an answer without thinking, and over the chance to be right without it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import Ridge

from classifiers.placement import Anchor
from classifiers.spread import LEVELS, SCORES, ordered, quantiles_of

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

ALPHA = 3.0
_LEASH = 0.15
"""How far slopes may leave those of `ASSUMED`: the data sets are few, and along a line from
(0, -0.4) to (0.5, -0.2) what is left out is forecast about as well (0.87 to 0.90 by data set, 0.88
to 0.82 by source)."""
_OWN = 10.0
"""Answers at which half of a model's own level is believed."""
FOLDS = 5
_START = 8.0


@dataclass(frozen=True, slots=True)
class Thoughts:
    """m answers of reasoning models: row of the prompt, data set, model, all tokens, visible ones
    or NaN.
    """

    row: Index
    dataset: npt.NDArray[Any]
    model: npt.NDArray[Any]
    tokens: Array
    visible: Array

    def take(self, mask: npt.NDArray[np.bool_]) -> Thoughts:
        """The answers where `mask` holds."""
        return Thoughts(
            self.row[mask], self.dataset[mask], self.model[mask], self.tokens[mask],
            self.visible[mask],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Thinking:
    """Slopes over (pool's centre, logit), offsets of log tokens around it, the same of what is
    visible over the pool's centre, and each model's level.
    """

    slopes: tuple[float, float]
    offsets: Array
    visible: tuple[float, float]
    visible_offsets: Array
    levels: Mapping[str, float]


ASSUMED = Thinking((0.5, -0.2), np.array(SCORES), (0.5, 0.9), 0.8 * np.array(SCORES), {})
"""Where there is no answer of a reasoning model to learn from; about what the shipped ones say."""


def load_thoughts(data: Path, ids: list[str]) -> Thoughts:
    """Answers whose reasoning was counted, from outcomes.parquet."""
    import pandas as pd

    table = pd.read_parquet(data / "outcomes.parquet")
    where = {prompt_id: row for row, prompt_id in enumerate(ids)}
    reported = table.token_kind.isin(["api_usage"])
    counted = reported & (table.reasoning_tokens > 0)
    counted |= table.model.str.fullmatch(r"qwen3-\w+-think")
    # One model reports more reasoning than output: its counts are not of one kind.
    sane = ~(table.reasoning_tokens > 1.02 * table.output_tokens) & (table.output_tokens > 0)
    table = table[counted & sane & table.prompt_id.isin(where)]
    tokens = table.output_tokens.to_numpy(dtype=np.float64)
    reasoning = table.reasoning_tokens.to_numpy(dtype=np.float64)
    return Thoughts(
        row=np.array([where[prompt_id] for prompt_id in table.prompt_id], dtype=np.int64),
        dataset=np.array([f"{a}/{b}" for a, b in zip(table.source, table.dataset, strict=True)]),
        model=table.model.to_numpy(dtype=object),
        tokens=tokens,
        visible=np.maximum(tokens - reasoning, 0.0),
    )


def fit_thinking(thoughts: Thoughts, centre: Array, logit: Array) -> Thinking:
    """Fit on answers to prompts whose pooled centre (n,) and base logit (n,) are given by row."""
    log = np.log1p(thoughts.tokens)
    design = np.column_stack((centre[thoughts.row], logit[thoughts.row]))
    names, model = np.unique(thoughts.model.astype(str), return_inverse=True)
    sets, dataset = np.unique(thoughts.dataset.astype(str), return_inverse=True)
    weight = 1.0 / np.sqrt(np.bincount(dataset)[dataset])
    fold = np.random.default_rng(0).permutation(len(sets))[dataset] % FOLDS
    misses = np.zeros(len(log))
    for k in range(FOLDS):
        out = fold == k
        slopes, levels = _fit(design[~out], log[~out], weight[~out], model[~out], len(names))
        misses[out] = log[out] - design[out] @ slopes - levels[model[out]]
    slopes, levels = _fit(design, log, weight, model, len(names))
    shown = ~np.isnan(thoughts.visible)
    over = np.column_stack((np.ones(shown.sum()), centre[thoughts.row[shown]]))
    visible = np.log1p(thoughts.visible[shown])
    root = np.sqrt(weight[shown])[:, None]
    line = np.linalg.lstsq(over * root, visible * root[:, 0], rcond=None)[0]
    around = visible - over @ line
    return Thinking(
        slopes=(float(slopes[0]), float(slopes[1])),
        offsets=_weighted_quantiles(misses, weight),
        visible=(float(line[0]), float(line[1])),
        visible_offsets=_weighted_quantiles(around, weight[shown]),
        levels=dict(zip(names.tolist(), levels.tolist(), strict=True)),
    )


def level_from_means(
    rows_of: Mapping[Anchor, Index],
    thinking: Thinking,
    centre: Array,
    logit: Array,
) -> float:
    """The level at which mean tokens over each anchor's prompts meet what is published, on
    average over anchors.
    """
    gaps = []
    for anchor, rows in rows_of.items():
        if not rows.size:
            continue
        middle = thinking.slopes[0] * centre[rows] + thinking.slopes[1] * logit[rows]
        gap = _START
        for _ in range(12):  # the mean is not linear in the level near the longest answers
            means = [
                quantiles_of(ordered(*(m + gap + thinking.offsets).tolist())).mean for m in middle
            ]
            gap += math.log(anchor.mean_tokens / float(np.mean(means)))
        gaps.append(gap)
    return float(np.mean(gaps)) if gaps else 0.0


def own_level(thinking: Thinking, names: list[str], otherwise: float, counts: list[int]) -> float:
    """A model's own level, over all names it goes by, drawn to that of all."""
    found = [(thinking.levels[n], c) for n, c in zip(names, counts, strict=True) if c]
    answers = sum(count for _, count in found)
    if not answers:
        return otherwise
    mean = sum(level * count for level, count in found) / answers
    return otherwise + (mean - otherwise) * answers / (answers + _OWN)


def _fit(
    design: Array, log: Array, weight: Array, model: npt.NDArray[np.intp], models: int
) -> tuple[Array, Array]:
    """Slopes (2,), and a level for each model, drawn to their mean."""
    one = 3.0 * (model[:, None] == np.arange(models))
    centre = np.average(design, axis=0, weights=weight)
    around, usual = design - centre, np.array(ASSUMED.slopes)
    inputs = np.hstack((_LEASH * around, one))
    ridge = Ridge(alpha=ALPHA).fit(inputs, log - around @ usual, sample_weight=weight)
    slopes = usual + _LEASH * ridge.coef_[:2]
    rest = Ridge(alpha=ALPHA).fit(one, log - around @ slopes, sample_weight=weight)
    return slopes, float(rest.intercept_) + 3.0 * rest.coef_ - float(centre @ slopes)


def _weighted_quantiles(values: Array, weight: Array) -> Array:
    order = np.argsort(values)
    reached = np.cumsum(weight[order]) / weight.sum()
    at = np.minimum(np.searchsorted(reached, LEVELS), len(values) - 1)
    return np.asarray(values[order][at], dtype=np.float64)
