"""What the shipped arrays say of correctness: floors, names, and prompts one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from classifiers import Scorer
from classifiers.calibration import sigmoid
from classifiers.length.arrays import POOL
from classifiers.prior import EASIEST, MAX_STACKS, Prior, noise_of
from classifiers.store import shipped_placements, shipped_weights
from classifiers.words import load_words

TEXTS = ["What is 2 plus 3?", "Prove that no cube is a sum of two cubes.", "def f(x): return x"]


@pytest.fixture(scope="module")
def weights():
    return shipped_weights()


@pytest.fixture(scope="module")
def prior(weights) -> Prior:
    return Prior(weights)


@pytest.fixture(scope="module")
def readings(weights):
    scorer = Scorer(weights, shipped_placements(), load_words())
    return [scorer.read(text) for text in TEXTS]


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


def test_floors_may_stand_on_floors(weights, readings) -> None:
    """The best of the chain, even when the one in the middle is the worst."""
    names = ("a", "b", "c")
    at = [
        weights.profiles.index(n) for n in ("gpt-4o-mini", "mixtral-8x7b-instruct-v0.1", "gpt-4o")
    ]
    end, lengths = len(weights.profiles), weights.lengths
    chained = replace(
        weights,
        profiles=(*weights.profiles, *names),
        basis=(*weights.basis, *["trained"] * 3),
        floor=np.array([*weights.floor, end + 1, end + 2, -1]),
        theta=np.concatenate([weights.theta, weights.theta[:, :, at]], axis=2),
        base=np.concatenate([weights.base, weights.base[:, at]], axis=1),
        lengths=replace(
            lengths,
            kind=np.array([*lengths.kind, POOL, POOL, POOL]),
            ref=np.array([*lengths.ref, -1, -1, -1]),
            value=np.array([*lengths.value, 0.0, 0.0, 0.0]),
        ),
    )
    prior = Prior(chained)
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
    prior = Prior(weights)
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


def test_how_easy_a_prompt_is_does_not_wait_for_its_being_known(prior, readings) -> None:
    """For lengths: the networks' own logit, bounded; that of P(correct) where one is known."""
    names = [name for name in prior.names("trained") if not prior.profile(name).floor]
    for reading in readings:
        seen = prior.see(reading.x, reading.structure)
        sure = seen._replace(known=1.0)
        for name, belief in zip(names, prior.beliefs(sure, names), strict=True):
            logit = prior.logit(seen, name)
            assert -EASIEST <= logit <= EASIEST
            assert prior.logit(sure, name) == logit
            if abs(logit) < EASIEST:
                assert float(sigmoid(np.array(logit))) == pytest.approx(belief.p, abs=1e-6)
