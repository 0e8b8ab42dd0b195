"""Output tokens of each profile, from answers whose whole length was counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.familiar import Familiar
from classifiers.length.estimator import offsets_of
from classifiers.length.net import QuantileNet, fit_net, moved
from classifiers.spread import token_quantiles
from classifiers.training.dataset import PROFILES, Outcomes, Prompts, token_matrix
from classifiers.training.pooled import fit_pooled

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Matrix = npt.NDArray[np.float32]

POOL_ALPHA = 100.0
FOLDS = 5
FEW = np.array([60.0, 60.0, 60.0, 400.0])
"""Rows at which half of what they say of each level is believed; p99 takes more of them."""
MEANS = 0.6, 1.5
"""Bounds of a factor on the mean."""


@dataclass(frozen=True, slots=True)
class Lengths:
    """Fitted lengths: a network of heads by profile with the pool last, and their calibration.

    `offsets` (H + 2, F, 4) and `means` (H + 2,) as in `LengthArrays`; `unfamiliar` is how much
    wider data sets left out want it.
    """

    net: QuantileNet
    heads: tuple[str, ...]
    offsets: Array
    means: Array
    unfamiliar: float
    kind_of: Familiar

    def pool_knots(self, matrix: Matrix) -> Array:
        """(n, d) to (n, 4): log tokens of a model of known and average verbosity."""
        return moved(
            self.net.knots(matrix)[:, -1], self.offsets[-1][kinds_of(self.kind_of, matrix)]
        )


def fit_lengths(
    prompts: Prompts, outcomes: Outcomes, matrix: Matrix, train: Mask, familiar: Familiar
) -> Lengths:
    """Output tokens of each profile whose answers were counted whole."""
    calibration = prompts.calibration & train
    learn = np.flatnonzero(train & ~calibration)
    models, tokens = token_matrix(outcomes, len(prompts.ids))
    target, level = with_pool(matrix, tokens, learn)
    net = fit_net(matrix[learn], target[learn])
    heads = tuple(name for name in PROFILES if name in models)
    at = [models.index(name) for name in heads]
    held = np.flatnonzero(calibration)
    knots = net.knots(matrix[held])
    logs = tokens[held].astype(np.float64)
    pooled = [_drawn(logs - shift) for shift in (0.0, level)]
    every = np.column_stack((logs[:, at], *pooled))
    shapes = np.concatenate((knots[:, at], knots[:, -1:], knots[:, -1:]), axis=1)
    kind = kinds_of(familiar, matrix[held])
    offsets = by_kind(shapes, every, kind, len(familiar.names))
    columns = [4 * j + k for j in (*at, len(models)) for k in range(4)]
    return Lengths(
        net=QuantileNet(net.w1, net.b1, net.coef[:, columns], net.intercept[columns]),
        heads=heads,
        offsets=offsets,
        means=_means(shapes, every, offsets, kind, len(familiar.names)),
        unfamiliar=_unfamiliar(prompts, matrix, tokens, train, offsets[-1].mean(axis=0)),
        kind_of=familiar,
    )


def kinds_of(familiar: Familiar, matrix: Matrix) -> npt.NDArray[np.intp]:
    """(n,) which kind of task each prompt looks like, as the runtime tells it."""
    logits = matrix @ familiar.weights + familiar.bias
    return np.asarray(logits.argmax(axis=1), dtype=np.intp)


def by_kind(knots: Array, logs: Array, kind: npt.NDArray[np.intp], kinds: int) -> Array:
    """(M, F, 4) conformal offsets for each kind of task, few rows drawn to those of all."""
    nothing = np.zeros(logs.shape, dtype=bool)
    whole = offsets_of(knots, logs, nothing)
    found = np.repeat(whole[:, None], kinds, axis=1)
    for f in range(kinds):
        inside = kind == f
        count = (~np.isnan(logs[inside])).sum(axis=0)
        own = offsets_of(knots[inside], logs[inside], nothing[inside])
        share = count[:, None] / (count[:, None] + FEW)
        found[:, f] = share * own + (1.0 - share) * whole
    return found


def _means(
    knots: Array, logs: Array, offsets: Array, kind: npt.NDArray[np.intp], kinds: int
) -> Array:
    """(M, F) actual mean tokens over forecast ones, by kind of task; few rows are drawn to those
    of all, and those to 1.
    """
    found = np.ones((logs.shape[1], kinds))
    for j in range(logs.shape[1]):
        own = ~np.isnan(logs[:, j])
        table = token_quantiles(moved(knots[own, j], offsets[j][kind[own]]))
        actual, told = np.expm1(logs[own, j]), table[:, 4]
        whole = _ratio(actual, told, 1.0)
        for f in range(kinds):
            inside = kind[own] == f
            found[j, f] = _ratio(actual[inside], told[inside], whole)
    return found


def _ratio(actual: Array, told: Array, usual: float) -> float:
    """Mean over mean, few rows drawn to `usual`."""
    if not len(actual) or told.mean() <= 0.0:
        return usual
    ratio = float(np.clip(actual.mean() / told.mean(), *MEANS))
    share = len(actual) / (len(actual) + FEW[1])
    return float(ratio**share * usual ** (1.0 - share))


def with_pool(
    matrix: Matrix, tokens: Matrix, learn: npt.NDArray[np.int64]
) -> tuple[Matrix, Array]:
    """Log tokens (n, M + 1), the last column one model of each prompt, its level taken out; and
    the levels (M,) of verbosity.
    """
    pool = fit_pooled(matrix[learn], tokens[learn], POOL_ALPHA)
    with np.errstate(invalid="ignore"):
        misses = tokens[learn] - pool(matrix[learn])[:, None]
        level = np.array([np.median(m[~np.isnan(m)]) if (~np.isnan(m)).any() else 0.0
                          for m in misses.T])  # fmt: skip
    return np.column_stack((tokens, _drawn(tokens - level))).astype(np.float32), level


def _drawn(tokens: npt.NDArray[np.floating]) -> Array:
    """(n,) what one model of each prompt took, so that each prompt counts once."""
    seen = ~np.isnan(tokens)
    order = np.random.default_rng(5).random(tokens.shape)
    drawn = np.where(seen, order, -1.0).argmax(axis=1)
    return np.asarray(tokens[np.arange(len(tokens)), drawn], dtype=np.float64)


def _unfamiliar(
    prompts: Prompts, matrix: Matrix, tokens: Matrix, train: Mask, tight: Array
) -> float:
    """By how much p90 must lie higher over the median on data sets left out than on known ones."""
    counted = train & ~np.isnan(tokens).all(axis=1)
    sets = np.array([f"{a}/{b}" for a, b in zip(prompts.source, prompts.dataset, strict=True)])
    names = np.unique(sets[counted])
    if len(names) < FOLDS:
        return 1.0
    fold_of = dict(
        zip(names, np.random.default_rng(7).permutation(len(names)) % FOLDS, strict=True)
    )
    fold = np.array([fold_of.get(name, -1) for name in sets])
    needed = []
    for k in range(FOLDS):
        learn = np.flatnonzero(counted & (fold != k))
        target, level = with_pool(matrix, tokens, learn)
        net = fit_net(matrix[learn], target[learn], members=1)
        out = np.flatnonzero(counted & (fold == k))
        pooled = moved(net.knots(matrix[out])[:, -1], tight)
        seen = ~np.isnan(tokens[out])
        misses = (tokens[out] - level - pooled[:, 1, None])[seen]
        up = np.maximum(np.repeat(pooled[:, 2] - pooled[:, 1], seen.sum(axis=1)), 1e-6)
        needed.append(misses / up)
    return float(np.clip(np.quantile(np.concatenate(needed), 0.9), 1.0, 3.0))
