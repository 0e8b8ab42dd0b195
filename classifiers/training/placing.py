"""Which length each profile follows, and where published means place it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.length.arrays import HEAD, POOL, SCALED, THINKING, LengthArrays
from classifiers.outcome import OutcomeClassifier
from classifiers.placement import Placement, Placements
from classifiers.prior import PRIOR, PRIOR_THINKING, Prior
from classifiers.spread import token_quantiles
from classifiers.training.dataset import REASONING, Prompts
from classifiers.training.lengths import Lengths
from classifiers.training.thinking import (
    ASSUMED,
    Thinking,
    Thoughts,
    fit_thinking,
    level_from_means,
    own_level,
)

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
_KINDS = {"pool": POOL, "thinking": THINKING, "scaled": SCALED}
_SAMPLE = 400
"""Prompts of a benchmark that stand for it."""


@dataclass(frozen=True, slots=True)
class Placing:
    """What was fitted, with the prompts (n,) that it was fitted on."""

    prior: Prior
    fitted: OutcomeClassifier
    prompts: Prompts
    lengths: Lengths
    train: npt.NDArray[np.bool_]

    def knots(self, rows: Index) -> Array:
        """(n, 4) log tokens of the pool at these prompts."""
        features = [self.prompts.features[row] for row in rows]
        return self.lengths.pool_knots(self.fitted.vectorizer_.transform_features(features))

    def centres(self, rows: Index) -> Array:
        """(n,) log tokens that the pool is centred on, before calibration."""
        features = [self.prompts.features[row] for row in rows]
        matrix = self.fitted.vectorizer_.transform_features(features)
        return self.lengths.net.knots(matrix)[:, -1, 1]

    def logits(self, rows: Index, name: str) -> Array:
        """(n,) how surely a profile is right on these prompts."""
        found = []
        for row in rows:
            features = self.prompts.features[row]
            x = self.prior.standard(features.dense, features.words)
            found.append(self.prior.logit(self.prior.see(x, features.structure), name))
        return np.array(found)

    def rows(self, parts: tuple[tuple[str, str], ...]) -> Index:
        """Training prompts of these (source, data set), a sample where there are many."""
        inside = np.zeros(len(self.prompts.ids), dtype=bool)
        for source, dataset in parts:
            mine = self.prompts.source == source
            inside |= mine if dataset == "*" else mine & (self.prompts.dataset == dataset)
        rows = np.flatnonzero(inside & self.train)
        return rows[np.argsort(self.prompts.fold[rows], kind="stable")][:_SAMPLE]


def length_arrays(
    placing: Placing, placements: Placements, thoughts: Thoughts | None
) -> LengthArrays:
    """All lengths as arrays."""
    names = placing.prior.weights.profiles
    lengths, heads = placing.lengths, list(placing.lengths.heads)
    base = _base(placements)
    fitted = _thinking(placing, thoughts, base)
    anchor = next(iter(placements.benchmarks.values()))
    pool = placing.knots(placing.rows(anchor))
    kind, ref = np.full(len(names), POOL), np.full(len(names), -1)
    value = np.zeros(len(names))
    for p, name in enumerate(names):
        placement = placements.profiles.get(name)
        if name in heads:
            kind[p], ref[p] = HEAD, heads.index(name)
        elif placement is None:
            if name in REASONING or name == PRIOR_THINKING:
                kind[p], ref[p] = THINKING, names.index(base)
                value[p] = _trained_level(placing, placements, fitted, thoughts, name)
        else:
            kind[p] = _KINDS[placement.length]
            if placement.base is not None:
                ref[p], value[p] = names.index(placement.base), placement.token_ratio
            if placement.length == "thinking":
                value[p] = _placed_level(placing, placements, fitted, placement)
            elif placement.mean_tokens is not None and pool.size:
                for _ in range(20):
                    means = token_quantiles(pool + value[p])[:, 4]
                    value[p] += math.log(placement.mean_tokens / float(means.mean()))
    return LengthArrays(
        w1=lengths.net.w1.astype(np.float16),
        b1=lengths.net.b1.astype(np.float16),
        coef=lengths.net.coef.astype(np.float16),
        intercept=lengths.net.intercept,
        offsets=lengths.offsets,
        means=lengths.means,
        kind=kind,
        ref=ref,
        value=value,
        thinking=np.array(fitted.slopes),
        thinking_offsets=fitted.offsets,
        visible=np.array(fitted.visible),
        visible_offsets=fitted.visible_offsets,
        unfamiliar=np.array([lengths.unfamiliar]),
    )


def _base(placements: Placements) -> str:
    """The profile whose chance to be right without thinking stands for how hard a prompt is."""
    bases = (p.base for p in placements.profiles.values() if p.length == "thinking")
    return next((base for base in bases if base is not None), PRIOR)


def _thinking(placing: Placing, thoughts: Thoughts | None, base: str) -> Thinking:
    """Slopes from the training prompts alone."""
    if thoughts is None:
        return ASSUMED
    own = thoughts.take(placing.train[thoughts.row])
    rows = np.unique(own.row)
    n = len(placing.prompts.ids)
    centre, logit = np.zeros(n), np.zeros(n)
    centre[rows], logit[rows] = placing.centres(rows), placing.logits(rows, base)
    return fit_thinking(own, centre, logit)


def _placed_level(
    placing: Placing, placements: Placements, fitted: Thinking, placement: Placement
) -> float:
    assert placement.base is not None
    n = len(placing.prompts.ids)
    centre, logit = np.zeros(n), np.zeros(n)
    rows_of = {anchor: placing.rows(anchor.parts) for anchor in placements.thinking}
    for rows in rows_of.values():
        if rows.size:
            centre[rows] = placing.centres(rows)
            logit[rows] = placing.logits(rows, placement.base)
    return level_from_means(rows_of, fitted, centre, logit)


def _trained_level(
    placing: Placing,
    placements: Placements,
    fitted: Thinking,
    thoughts: Thoughts | None,
    name: str,
) -> float:
    """That of a model's own answers; of the usual one for a model that nobody knows."""
    if thoughts is None or not fitted.levels:
        usual = Placement(like=None, published={}, length="thinking", base=_base(placements))
        return _placed_level(placing, placements, fitted, usual)
    own = thoughts.take(placing.train[thoughts.row])
    usual_level = float(np.mean(list(fitted.levels.values())))
    names = [known for _, known in REASONING.get(name, ())]
    counts = [int((own.model == known).sum()) for known in names]
    return own_level(fitted, names, usual_level, counts)
