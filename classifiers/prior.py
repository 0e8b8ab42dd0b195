"""What the shipped arrays say of a prompt, before its user has taught anything. Numpy only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import copy
from statistics import NormalDist
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

from classifiers.ability import Population, base_logits, place_one
from classifiers.checks import refusal
from classifiers.familiar import LENGTH, known_at
from classifiers.features import N_DENSE
from classifiers.placement import THINKING_SUFFIX, logistic
from classifiers.store import N_INPUT, Weights

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

SPREAD = 2.0
"""The members of the ensemble share their training data, so they differ less than they err. By
data set, the error of a gain was 1.5 times their spread where the data set had been trained on,
2.6 to 3.0 times where it had been left out; a prompt does not tell which it is."""
SPREAD_NEW = 0.75
"""Logits by which a model's place among others moves on an unknown kind of task: there gains were
off by 0.23 to 0.29 of P(correct), whatever the members said."""
PRIOR, PRIOR_THINKING = "prior", "prior:thinking"
EASIEST = 6.0
MAX_STACKS = 256
"""Sets of profiles kept ready; a client asks for the same few."""


class Profile(NamedTuple):
    """One model to the scorer: what it can do, as arrays over K members."""

    theta: F32  # (K, D + 1)
    base: F32  # (K,)
    noise: F32  # (K,)
    basis: str
    floor: str


class Belief(NamedTuple):
    """P(correct) of a profile: the mean, paired draws, and the mean before reading."""

    p: float
    draws: list[float]
    base: float


class Seen(NamedTuple):
    """One prompt through the networks.

    `demands` (K, D), how known it is and of what kind.
    """

    demands: F32
    known: float
    kind: str


class _Stack(NamedTuple):
    """Profiles side by side, with those that some of them must not fall below at the end."""

    profiles: tuple[Profile, ...]
    theta: F32  # (K, D, C)
    bias: F32  # (K, C)
    base: F32
    noise: F32
    floors: tuple[tuple[int, int], ...]
    bases: list[float]


class Prior:
    """Correctness of any profile from weights that do not change."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.standard = weights.standard
        f32 = np.float32
        net, kinds = weights.net, len(weights.kinds)
        self.members = net.members
        self._w2 = net.w2
        reference = weights.kind_demands.astype(f32).reshape(-1, *weights.kind_demands.shape[2:])
        self._centre, scale = reference.mean(axis=0), reference.std(axis=0) + f32(1e-6)
        self._inverse = (1.0 / (scale * math.sqrt(scale.size))).astype(f32)
        # All that is linear in the inputs is one product: hidden units, skips, distances, kinds.
        whiten = weights.whiten.astype(f32).transpose(2, 0, 1).reshape(N_DENSE, -1)
        blocks = [net.w1, net.skip, _padded(whiten), weights.kind_weights]
        moved = np.einsum("fij,fj->fi", weights.whiten.astype(f32), weights.centres)
        biases = [
            net.b1,
            np.zeros(net.skip.shape[1], f32),
            -moved.ravel(),
            weights.kind_bias,
        ]
        self._first = np.ascontiguousarray(np.concatenate(blocks, axis=1))
        self._bias = np.concatenate(biases)
        ends = np.cumsum([len(bias) for bias in biases]).tolist()
        self._hidden = slice(0, ends[0])
        self._skip, self._white = slice(ends[0], ends[1]), slice(ends[1], ends[2])
        self._kind = slice(ends[2], ends[3])
        self._kinds = kinds
        self._profiles = {
            name: Profile(
                theta=np.ascontiguousarray(weights.theta[:, :, p]),
                base=np.ascontiguousarray(weights.base[:, p]),
                noise=noise_of(name, net.members),
                basis=weights.basis[p],
                floor=weights.profiles[at] if (at := int(weights.floor[p])) >= 0 else "",
            )
            for p, name in enumerate(weights.profiles)
        }
        self._stacks: dict[tuple[str, ...], _Stack] = {}

    def names(self, basis: str) -> tuple[str, ...]:
        """Profiles that rest on this basis."""
        return tuple(name for name, p in self._profiles.items() if p.basis == basis)

    @property
    def known_names(self) -> frozenset[str]:
        """All profiles that are not made up for a name never heard of."""
        return frozenset(self._profiles)

    def profile(self, name: str) -> Profile:
        """The profile of a name; one never heard of is a middling model, thinking or not."""
        found = self._profiles.get(name)
        if found is None:
            average = PRIOR_THINKING if name.endswith(THINKING_SUFFIX) else PRIOR
            found = self._profiles[average]._replace(noise=noise_of(name, self.members))
        return found

    def placed(
        self,
        name: str,
        published: Mapping[str, float],
        relative: str | None = None,
        gain: float = 0.0,
    ) -> Prior:
        """The same with one more profile, placed by published scores; see `Scorer.place`."""
        weights = self.weights
        demands = {
            kind: weights.benchmark_demands[at].astype(np.float64)
            for at, kind in enumerate(weights.benchmarks)
        }
        if unknown := sorted(set(published) - set(demands)):
            raise refusal(f"expected scores of {', '.join(demands)}; got {unknown[0]!r}")
        populations = [
            Population(mean, cov) for mean, cov in zip(weights.mean, weights.cov, strict=True)
        ]
        near = None if relative is None else self.profile(relative).theta.astype(np.float64)
        theta = place_one(published, demands, populations, near, gain)
        reference = dict(enumerate(weights.kind_demands.astype(np.float64)))
        new = copy(self)
        new._profiles = self._profiles | {
            name: Profile(
                theta=theta.astype(np.float32),
                base=base_logits(reference, theta[:, :, None])[:, 0].astype(np.float32),
                noise=noise_of(name, self.members),
                basis="placed",
                floor="",
            )
        }
        new._stacks = {}
        return new

    def see(self, x: F32, structure: F32) -> Seen:
        """Run the networks."""
        first = x @ self._first
        first += self._bias
        hidden = np.maximum(first[self._hidden], 0.0)
        k, h, d = self._w2.shape
        demands = np.matmul(hidden.reshape(k, 1, h), self._w2).reshape(k, d)
        demands += first[self._skip].reshape(k, d)
        white = first[self._white].reshape(self._kinds, -1)
        square = min(np.add.reduce(white * white, axis=1).tolist()) / white.shape[1]
        kind = self.weights.kinds[int(first[self._kind].argmax())]
        known = known_at(square, structure, float(x[LENGTH]), bool(x[N_DENSE:].any()))
        return Seen(demands, known, kind)

    def scaled_demands(self, seen: Seen) -> F32:
        """Demands as a vector of length about 1, for telling how alike prompts are."""
        return np.asarray(((seen.demands - self._centre) * self._inverse).ravel(), np.float32)

    def lean(self, seen: Seen) -> float:
        """Half the logit by which models in general find this prompt easier than others."""
        average = self._profiles[PRIOR]
        logits = (seen.demands * average.theta[:, :-1]).sum(axis=1) + average.theta[:, -1]
        return float(np.clip(0.5 * (logits - average.base).mean(), -3.0, 3.0))

    def beliefs(self, seen: Seen, names: Sequence[str]) -> list[Belief]:
        """What the networks believe of each profile."""
        if not names:
            return []
        stack = self._stacked(tuple(names))
        logits = np.matmul(seen.demands[:, None, :], stack.theta)[:, 0]
        logits += stack.bias
        for low, high in stack.floors:
            np.maximum(logits[:, low], logits[:, high], out=logits[:, low])
        logits -= stack.base
        logits *= np.float32(seen.known)
        logits += stack.base
        middle = logits.sum(axis=0)
        middle *= np.float32(1.0 / self.members)
        logits -= middle
        logits *= np.float32(SPREAD)
        logits += middle
        if seen.known < 1.0:
            logits += np.float32(SPREAD_NEW * (1.0 - seen.known)) * stack.noise
        logits *= np.float32(0.5)
        draws = np.tanh(logits, out=logits)
        draws *= np.float32(0.5)
        draws += np.float32(0.5)
        columns = draws.T.tolist()
        means = middle.tolist()
        return [
            Belief(logistic(means[at]), columns[at], stack.bases[at]) for at in range(len(names))
        ]

    def logit(self, seen: Seen, name: str) -> float:
        """How easy a profile finds the prompt: its mean logit as the networks say, however known
        the prompt is; within 6 of even. For lengths: that a greeting is easy needs no proof.
        """
        own = self.profile(name)
        logits = (seen.demands * own.theta[:, :-1]).sum(axis=1) + own.theta[:, -1]
        return min(max(float(logits.sum()) / self.members, -EASIEST), EASIEST)

    def usual_logit(self, name: str) -> float:
        """The same before a prompt is read."""
        return float(self.profile(name).base.mean())

    def _stacked(self, names: tuple[str, ...]) -> _Stack:
        found = self._stacks.get(names)
        if found is not None:
            return found
        profiles = [self.profile(name) for name in names]
        extended = list(profiles)
        floors = []
        for at, profile in enumerate(profiles):
            low, above = at, profile.floor
            while above:  # a floor may stand on a floor: the lowest first
                extended.append(self._profiles[above])
                floors.append((low, len(extended) - 1))
                low, above = len(extended) - 1, self._profiles[above].floor
        theta = np.stack([p.theta for p in extended], axis=2)
        base = np.stack([p.base for p in extended], axis=1)
        for low, high in reversed(floors):
            base[:, low] = np.maximum(base[:, low], base[:, high])
        stack = _Stack(
            profiles=tuple(profiles),
            theta=np.ascontiguousarray(theta[:, :-1]),
            bias=np.ascontiguousarray(theta[:, -1]),
            base=base,
            noise=np.stack([p.noise for p in extended], axis=1),
            floors=tuple(reversed(floors)),
            bases=[logistic(b) for b in base.mean(axis=0).tolist()],
        )
        if len(self._stacks) >= MAX_STACKS:
            self._stacks.clear()
        self._stacks[names] = stack
        return stack


def _padded(columns: F32) -> F32:
    """Columns over the hand features as columns over all inputs."""
    rows = np.zeros((N_INPUT, columns.shape[1]), dtype=np.float32)
    rows[:N_DENSE] = columns
    return rows


def noise_of(name: str, members: int) -> F32:
    """Numbers like draws from a normal distribution, of mean 0 and deviation 1, by name alone."""
    normal = NormalDist()
    units = [(crc32(f"{name}/{k}".encode()) + 0.5) / 2**32 for k in range(members)]
    values = np.array([normal.inv_cdf(unit) for unit in units])
    if members > 1:
        values = (values - values.mean()) / values.std()
    return values.astype(np.float32)
