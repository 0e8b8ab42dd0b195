"""What the shipped arrays say: token quantiles, floors, names, and prompts one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from classifiers import Scorer
from classifiers.calibration import sigmoid
from classifiers.prior import MAX_STACKS, Prior, noise_of
from classifiers.spread import LEVELS, N_MEAN, quantiles_of, token_quantiles
from classifiers.store import HEAD, POOL, SCALED, shipped_placements, shipped_weights
from classifiers.words import load_words

TEXTS = ["What is 2 plus 3?", "Prove that no cube is a sum of two cubes.", "def f(x): return x"]


@pytest.fixture(scope="module")
def weights():
    return shipped_weights()


@pytest.fixture(scope="module")
def prior(weights) -> Prior:
    return Prior(weights, shipped_placements())


@pytest.fixture(scope="module")
def readings(weights):
    scorer = Scorer(weights, shipped_placements(), load_words())
    return [scorer.read(text) for text in TEXTS]


@pytest.mark.parametrize("centre", [-3.0, 0.0, 2.0, 5.5, 9.0, 13.0, 40.0])
@pytest.mark.parametrize("spread", [0.08, 1.0, 2.0])
def test_quantiles_of_one_are_those_of_many(centre, spread) -> None:
    """Plain Python and numpy agree to 1e-9, at the ends of the range, too."""
    rng = np.random.default_rng(0)
    for offsets in (np.sort(rng.normal(size=len(LEVELS))), rng.normal(size=len(LEVELS))):
        residuals = np.sort(rng.normal(size=N_MEAN))
        one = quantiles_of(centre, spread, offsets.tolist(), residuals.tolist())
        many = token_quantiles(np.array([centre]), np.array([spread]), offsets, residuals)[0]
        found = [one.p10, one.p50, one.p90, one.p99, one.mean]
        assert found == pytest.approx(many.tolist(), rel=1e-9, abs=1e-9)
        assert 0 <= one.p10 <= one.p50 <= one.p90 <= one.p99 <= 262144


def test_lengths_are_those_of_the_arrays(weights, prior, readings) -> None:
    """Heads and pooled profiles, computed again in float64 from the stored values."""
    names = [n for n, k in zip(weights.profiles, weights.length_kind, strict=True) if k <= HEAD]
    pool = len(weights.offsets) - 2
    for reading in readings:
        seen = prior.see(reading.x, reading.structure)
        x = reading.x.astype(np.float64)
        hidden = np.maximum(x @ weights.length_w1.astype(float) + weights.length_b1, 0)
        logs = np.concatenate([x, hidden]) @ weights.length_coef.astype(float)
        logs += weights.length_intercept
        spread = np.exp(np.clip(logs[-1:], -2.5, 0.7))
        for name, (found, reasoning) in zip(names, prior.lengths(seen, names), strict=True):
            p = weights.profiles.index(name)
            head = weights.length_kind[p] == HEAD
            at = weights.length_ref[p] if head else pool
            row = at if head else pool + (weights.basis[p] == "placed")
            centre = logs[at : at + 1] + (0.0 if head else weights.length_value[p])
            (q,) = token_quantiles(centre, spread, weights.offsets[row], weights.residuals[row])
            got = [found.p10, found.p50, found.p90, found.p99, found.mean]
            assert got == pytest.approx(q.tolist(), rel=1e-4), name
            assert reasoning.mean == 0.0


def test_a_scaled_profile_is_longer_by_its_factor(weights, prior, readings) -> None:
    """`token_ratio` times the one that it refers to."""
    seen = prior.see(readings[1].x, readings[1].structure)
    scaled = np.flatnonzero(weights.length_kind == SCALED)
    assert scaled.size
    for p in scaled:
        below = weights.profiles[weights.length_ref[p]]
        (one, _), (two, _) = prior.lengths(seen, [below, weights.profiles[p]])
        assert two.mean == pytest.approx(one.mean * weights.length_value[p])


def test_profiles_side_by_side_are_as_each_alone(prior, weights, readings) -> None:
    """Order and company do not matter, nor does asking twice for the same name."""
    names = list(weights.profiles)
    for reading in readings:
        seen = prior.see(reading.x, reading.structure)
        every = dict(zip(names, prior.beliefs(seen, names), strict=True))
        back = dict(zip(names[::-1], prior.beliefs(seen, names[::-1]), strict=True))
        for name in names:
            one, two = prior.beliefs(seen, [name, name])
            assert one == two
            for other in (every[name], back[name]):
                assert one.p == pytest.approx(other.p, abs=1e-6)
                assert one.base == pytest.approx(other.base, abs=1e-6)
                assert one.draws == pytest.approx(other.draws, abs=1e-6)
    assert prior.beliefs(seen, []) == []
    assert prior.lengths(seen, []) == []


def test_floors_may_stand_on_floors(weights, readings) -> None:
    """The best of the chain, even when the one in the middle is the worst."""
    names = ("a", "b", "c")
    at = [
        weights.profiles.index(n) for n in ("gpt-4o-mini", "mixtral-8x7b-instruct-v0.1", "gpt-4o")
    ]
    end = len(weights.profiles)
    chained = replace(
        weights,
        profiles=(*weights.profiles, *names),
        basis=(*weights.basis, *["trained"] * 3),
        floor=np.array([*weights.floor, end + 1, end + 2, -1]),
        theta=np.concatenate([weights.theta, weights.theta[:, :, at]], axis=2),
        base=np.concatenate([weights.base, weights.base[:, at]], axis=1),
        length_kind=np.array([*weights.length_kind, POOL, POOL, POOL]),
        length_ref=np.array([*weights.length_ref, -1, -1, -1]),
        length_value=np.array([*weights.length_value, 0.0, 0.0, 0.0]),
    )
    prior = Prior(chained, shipped_placements())
    for reading in readings:
        seen = prior.see(reading.x, reading.structure)
        for asked in (["a"], ["a", "b", "c"], ["c", "b", "a"]):
            found = dict(zip(asked, prior.beliefs(seen, asked), strict=True))
            (top,) = prior.beliefs(seen, ["gpt-4o"])
            assert all(found[name].p >= top.p - 1e-6 for name in asked)
            assert all(found[name].base >= top.base - 1e-6 for name in asked)


def test_noise_is_by_name_alone() -> None:
    """Of mean 0 and deviation 1; a single member has some, too."""
    for name in ("gpt-4o", "数学", ""):
        noise = noise_of(name, 6)
        assert (noise == noise_of(name, 6)).all()
        assert noise.mean() == pytest.approx(0.0, abs=1e-6)
        assert noise.std() == pytest.approx(1.0, abs=1e-5)
        assert np.isfinite(noise_of(name, 1)).all()
    assert (noise_of("a", 6) != noise_of("b", 6)).any()


def test_what_learning_reads_of_a_prompt_is_on_scale(prior, readings) -> None:
    """Demands of length about 1; the lean of models in general within 3 logits."""
    for reading in readings:
        seen = prior.see(reading.x, reading.structure)
        demands = prior.scaled_demands(seen)
        assert demands.dtype == np.float32
        assert 0.05 < np.linalg.norm(demands) < 10
        assert -3 <= prior.lean(seen) <= 3
        assert seen.kind in prior.weights.kinds


def test_many_sets_of_profiles_do_not_pile_up(weights, readings) -> None:
    """What is kept ready is bounded."""
    prior = Prior(weights, shipped_placements())
    seen = prior.see(readings[0].x, readings[0].structure)
    for i in range(MAX_STACKS + 20):
        prior.beliefs(seen, [f"model-{i}"])
    assert len(prior._stacks) <= MAX_STACKS


def test_float32_costs_nothing_that_matters(weights, prior, readings) -> None:
    """P(correct) of the shipped arrays in float64 is that of the scorer to 1e-6."""
    at = [p for p, name in enumerate(weights.profiles) if weights.floor[p] < 0]
    theta, base = (a.astype(float)[..., at] for a in (weights.theta, weights.base))
    for reading in readings:
        demands = weights.net.exact_demands(reading.x[None])[0]
        logits = np.einsum("kd,kdm->km", demands, theta[:, :-1]) + theta[:, -1]
        known = weights.familiar.known(reading.x.astype(float), reading.structure)
        expected = sigmoid((base + known * (logits - base)).mean(axis=0))
        seen = prior.see(reading.x, reading.structure)
        found = prior.beliefs(seen, [weights.profiles[p] for p in at])
        assert [belief.p for belief in found] == pytest.approx(expected, abs=1e-6)
