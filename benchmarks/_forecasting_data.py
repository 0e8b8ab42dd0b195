"""The outcome tables as lengths: prompts as the scorer reads them, whole tokens by profile."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks._forecasting_folds import LeftOut, leave_out
from classifiers import load_default, load_scorer
from classifiers.length.correction import Extra
from classifiers.runtime import Scorer
from classifiers.training.dataset import PROFILES, Outcomes, Prompts, load, token_matrix

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]
CHARS, WORDS, NUMBERS = 0, 1, 4
"""Columns of the matrix that `History` has as features."""


@dataclass
class Bench:
    """n prompts: inputs (n, d), log1p of whole tokens (n, M) of M models, NaN where none."""

    data: Path
    scorer: Scorer
    prompts: Prompts
    outcomes: Outcomes
    matrix: npt.NDArray[np.float32]
    lean: Array
    models: tuple[str, ...]
    logs: Array
    sets: npt.NDArray[np.str_]

    @cached_property
    def left_out(self) -> LeftOut:
        """Forecasts of each prompt by a network that saw nothing of its data set."""
        return leave_out(self.prompts, self.outcomes, self.matrix, self.sets, self.models)

    def extra(self, row: int) -> Extra:
        """What a history is told of a prompt."""
        chars, words, numbers = self.matrix[row, [CHARS, WORDS, NUMBERS]].tolist()
        return Extra(chars, words, float(self.lean[row]), numbers)

    def rows_of(self, dataset: str, model: int) -> Rows:
        """Prompts of a data set that a model answered."""
        return np.flatnonzero((self.sets == dataset) & ~np.isnan(self.logs[:, model]))

    def streams(self, least: int, most: int) -> list[tuple[str, int, Rows]]:
        """Data set, model and up to `most` prompts in random order, where there are `least`."""
        rng = np.random.default_rng(0)
        found = []
        for model in range(len(self.models)):
            for name in np.unique(self.sets[~np.isnan(self.logs[:, model])]):
                rows = self.rows_of(name, model)
                if len(rows) >= least:
                    found.append((str(name), model, rng.permutation(rows)[:most]))
        return found


def load_bench(data: Path, weights: Path | None = None) -> Bench:
    """Read the tables, and all prompts with the shipped scorer or with that of `weights`."""
    scorer = load_default() if weights is None else load_scorer(weights)
    prompts, outcomes = load(data)
    prior = scorer._prior
    rows = [prior.standard(found.dense, found.words) for found in prompts.features]
    lean = [
        prior.lean(prior.see(x, found.structure))
        for x, found in zip(rows, prompts.features, strict=True)
    ]
    names, tokens = token_matrix(outcomes, len(prompts.ids))
    models = tuple(name for name in PROFILES if name in names)
    return Bench(
        data=data,
        scorer=scorer,
        prompts=prompts,
        outcomes=outcomes,
        matrix=np.stack(rows).astype(np.float32),
        lean=np.array(lean),
        models=models,
        logs=tokens[:, [names.index(name) for name in models]].astype(np.float64),
        sets=np.array([f"{a}/{b}" for a, b in zip(prompts.source, prompts.dataset, strict=True)]),
    )
