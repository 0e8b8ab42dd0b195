"""From prompts and outcomes to the arrays of a scorer: correctness, lengths, placed models."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from classifiers.ability import Population, base_logits, place_one
from classifiers.length.arrays import POOL, LengthArrays
from classifiers.linear import Array
from classifiers.outcome import OutcomeClassifier
from classifiers.placement import Placements
from classifiers.prior import Prior
from classifiers.spread import SCORES
from classifiers.store import Weights
from classifiers.training.dataset import (
    GRADED,
    PROFILES,
    REASONING,
    Outcomes,
    Prompts,
    grade_matrix,
)
from classifiers.training.lengths import Lengths
from classifiers.training.placing import Placing, length_arrays
from classifiers.training.thinking import ASSUMED, Thoughts

BENCHMARK_PROMPTS = 48
PRIOR, PRIOR_THINKING = "prior", "prior:thinking"


def fit_outcomes(
    prompts: Prompts, outcomes: Outcomes, train: npt.NDArray[np.bool_]
) -> tuple[OutcomeClassifier, list[str]]:
    """P(correct) of every model in the outcomes, from the training prompts (n,) alone."""
    models, grades = grade_matrix(outcomes, len(prompts.ids))
    rows = np.flatnonzero(train)
    names = np.array(
        [f"{a}/{b}" for a, b in zip(prompts.source, prompts.dataset, strict=True)], dtype=object
    )
    fitted = OutcomeClassifier().fit_features(
        [prompts.features[i] for i in rows],
        grades[rows],
        names[rows].tolist(),
        prompts.kind[rows].tolist(),
        prompts.calibration[rows],
    )
    return fitted, models


def benchmark_demands(
    fitted: OutcomeClassifier,
    prompts: Prompts,
    placements: Placements,
    train: npt.NDArray[np.bool_],
) -> dict[str, npt.NDArray[np.float16]]:
    """Demands (R, K, D) of training prompts that stand for each benchmark; few are repeated."""
    found = {}
    for name, parts in placements.benchmarks.items():
        inside = np.zeros(len(prompts.ids), dtype=bool)
        for source, dataset in parts:
            mine = prompts.source == source
            inside |= mine if dataset == "*" else mine & (prompts.dataset == dataset)
        rows = np.flatnonzero(inside & train)
        order = np.argsort(prompts.fold[rows], kind="stable")
        picked = np.resize(rows[order], BENCHMARK_PROMPTS)
        matrix = fitted.vectorizer_.transform_features([prompts.features[i] for i in picked])
        found[name] = fitted.net_.all_demands(matrix).astype(np.float16)
    return found


def place_all(
    placements: Placements,
    demands: Mapping[str, npt.NDArray[np.float16]],
    theta: Mapping[str, Array],
    populations: list[Population],
) -> dict[str, Array]:
    """Abilities (K, D + 1) of every placed profile, each near the one it is like."""
    known = dict(theta)
    for name in placements.order():
        placement = placements.profiles[name]
        known[name] = place_one(
            placement.published,
            demands,
            populations,
            None if placement.like is None else known[placement.like],
            placement.gain,
        )
    return {name: known[name] for name in placements.profiles}


def plain_weights(fitted: OutcomeClassifier, models: list[str]) -> Weights:
    """Weights of a fit alone: its models as trained profiles, and no lengths (200 tokens each)."""
    theta = {name: fitted.theta_[:, :, at] for at, name in enumerate(models)}
    return _weights(fitted, theta, trained=models, placed={}, demands={}, lengths=None)


def _no_lengths(n_input: int, kinds: int, profiles: int) -> LengthArrays:
    """Every answer takes about 200 tokens."""
    levels, nothing = len(SCORES), np.zeros(0, dtype=np.float16)
    return LengthArrays(
        w1=np.zeros((n_input, 0), dtype=np.float16),
        b1=nothing,
        coef=np.zeros((n_input, levels), dtype=np.float16),
        intercept=np.array([np.log(200.0), 1.0, 1.0, 0.6]),
        offsets=np.zeros((2, kinds, levels)),
        means=np.ones((2, kinds)),
        kind=np.full(profiles, POOL),
        ref=np.full(profiles, -1),
        value=np.zeros(profiles),
        thinking=np.array(ASSUMED.slopes),
        thinking_offsets=ASSUMED.offsets,
        visible=np.array(ASSUMED.visible),
        visible_offsets=ASSUMED.visible_offsets,
        unfamiliar=np.ones(1),
    )


def export(
    fitted: OutcomeClassifier,
    models: list[str],
    lengths: Lengths,
    placements: Placements,
    prompts: Prompts,
    train: npt.NDArray[np.bool_],
    thoughts: Thoughts | None = None,
) -> Weights:
    """Everything as arrays: profiles trained, placed, and unknown."""
    trained = [name for name in (*PROFILES, *REASONING, *GRADED) if name in models]
    theta = {name: fitted.theta_[:, :, models.index(name)] for name in trained}
    populations = fitted.populations_
    demands = benchmark_demands(fitted, prompts, placements, train)
    theta |= place_all(placements, demands, theta, populations)
    weights = _weights(
        fitted, theta, trained=trained, placed=placements.profiles, demands=demands, lengths=None
    )
    names = weights.profiles
    floor = np.array([_floor(name, names, placements) for name in names])
    weights = replace(weights, floor=floor)
    placing = Placing(Prior(weights), fitted, prompts, lengths, train)
    return replace(weights, lengths=length_arrays(placing, placements, thoughts))


def _weights(
    fitted: OutcomeClassifier,
    theta: dict[str, Array],
    *,
    trained: Collection[str],
    placed: Collection[str],
    demands: Mapping[str, npt.NDArray[np.float16]],
    lengths: LengthArrays | None,
) -> Weights:
    """A fit as arrays, with the two profiles of models never heard of; all lengths pooled."""
    populations, familiar, net = fitted.populations_, fitted.familiar_, fitted.net_
    if familiar is None:
        raise ValueError("expected a fit on enough prompts to know kinds of task")
    theta = dict(theta)
    theta[PRIOR] = np.stack([p.mean for p in populations])
    reasoning = [theta[name] for name in REASONING if name in theta]
    theta[PRIOR_THINKING] = np.mean(reasoning, axis=0) if reasoning else theta[PRIOR]
    names = tuple(theta)
    stacked = np.stack(list(theta.values()), axis=2).astype(np.float32)
    kinds = [v.astype(np.float16) for v in fitted.reference_demands_.values()]
    size = max(len(v) for v in kinds)
    shape = (0, BENCHMARK_PROMPTS, *kinds[0].shape[1:])
    return Weights(
        profiles=names,
        basis=tuple(
            "trained" if n in trained else "placed" if n in placed else "prior" for n in names
        ),
        floor=np.full(len(names), -1),
        dense_mean=fitted.vectorizer_.standard_.mean,
        dense_inverse=fitted.vectorizer_.standard_.inverse_scale,
        w1=net.w1.astype(np.float16),
        b1=net.b1,
        w2=net.w2.astype(np.float16),
        skip=net.skip.astype(np.float16),
        theta=stacked,
        base=base_logits(fitted.reference_demands_, stacked.astype(np.float64)).astype(np.float32),
        kinds=familiar.names,
        centres=familiar.centres,
        whiten=familiar.whiten.astype(np.float16),
        kind_weights=familiar.weights,
        kind_bias=familiar.bias,
        mean=np.stack([p.mean for p in populations]),
        cov=np.stack([p.cov for p in populations]),
        benchmarks=tuple(demands),
        benchmark_demands=(
            np.stack(list(demands.values())) if demands else np.zeros(shape, dtype=np.float16)
        ),
        kind_demands=np.stack([np.resize(v, (size, *v.shape[1:])) for v in kinds]),
        lengths=lengths or _no_lengths(net.w1.shape[0], len(familiar.names), len(names)),
    )


def _floor(name: str, names: tuple[str, ...], placements: Placements) -> int:
    placement = placements.profiles.get(name)
    return -1 if placement is None or placement.floor is None else names.index(placement.floor)
