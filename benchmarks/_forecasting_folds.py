"""Forecasts of whole data sets by networks that saw nothing of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.length.net import fit_net, moved
from classifiers.training.dataset import Outcomes, Prompts, token_matrix
from classifiers.training.kinds import fit_kinds
from classifiers.training.lengths import by_kind, kinds_of, with_pool

Array = npt.NDArray[np.float64]
FOLDS = 5


@dataclass(frozen=True)
class LeftOut:
    """Of n prompts: the fold, how known each is, log tokens (n, M, 4) of M models, those of a
    model of known level alone (n, M, 4).
    """

    fold: npt.NDArray[np.int64]
    known: Array
    knots: Array
    pool: Array

    def widened(self, factor: float) -> Array:
        """(n, M, 4) with spreads of unknown prompts widened, as the scorer does."""
        middle = self.knots[..., 1:2]
        wider = 1.0 + (1.0 - self.known[:, None, None]) * (factor - 1.0)
        return np.asarray(middle + wider * (self.knots - middle))


def fold_of(prompts: Prompts, sets: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    """(n,) which fold each data set is left out in; every source is dealt evenly."""
    rng = np.random.default_rng(7)
    fold: dict[str, int] = {}
    for source in np.unique(prompts.source.astype(str)):
        names = rng.permutation(np.unique(sets[prompts.source == source]))
        fold |= {str(name): (len(fold) + k) % FOLDS for k, name in enumerate(names)}
    return np.array([fold[name] for name in sets.tolist()])


def leave_out(
    prompts: Prompts,
    outcomes: Outcomes,
    matrix: npt.NDArray[np.float32],
    sets: npt.NDArray[np.str_],
    models: tuple[str, ...],
) -> LeftOut:
    """Five fits as in training, one member each; kinds of task are learned anew as well."""
    names, tokens = token_matrix(outcomes, len(sets))
    at = [names.index(model) for model in models]
    fold, counted = fold_of(prompts, sets), ~np.isnan(tokens).all(axis=1)
    knots = np.full((len(sets), len(at), 4), np.nan)
    pool, known = np.full_like(knots, np.nan), np.ones(len(sets))
    for k in range(FOLDS):
        seen, out = counted & (fold != k), np.flatnonzero(fold == k)
        learn = np.flatnonzero(seen & ~prompts.calibration)
        held = np.flatnonzero(seen & prompts.calibration)
        target, level = with_pool(matrix, tokens, learn)
        net = fit_net(matrix[learn], target[learn], members=1)
        familiar = fit_kinds(matrix[learn], prompts.kind[learn], sets[learn].astype(object))
        shapes, logs = net.knots(matrix[held]), tokens[held].astype(np.float64)
        every = np.column_stack((logs[:, at], target[held, -1]))
        columns = [*at, len(names)]
        kind = kinds_of(familiar, matrix[held])
        offsets = by_kind(shapes[:, columns], every, kind, len(familiar.names))
        own = offsets[:, kinds_of(familiar, matrix[out])].transpose(1, 0, 2)
        found = moved(net.knots(matrix[out])[:, columns], own)
        knots[out] = found[:, :-1]
        pool[out] = found[:, -1:] + level[at][None, :, None]
        known[out] = [
            familiar.known(matrix[row].astype(np.float64), prompts.features[row].structure)
            for row in out
        ]
    return LeftOut(fold, known, knots, pool)
