"""What a policy that never ran would have got: the estimators, on arrays alone.

IPS and SNIPS weigh what was logged by how much likelier the policy was to do it than the log; the
doubly robust estimate corrects a model's prediction by the weighted error of the model where it
can be seen (Dudik, Langford, Li 2011, arXiv:1103.4601). Chances are known, never estimated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from router.tuning.calibrate import Fitted
from router.tuning.clusters import Clusters, shared

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.intp]
Bools = npt.NDArray[np.bool_]
T = TypeVar("T", int, float)


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """What could be done with each request, one line for each action, and what was done.

    Lines (m of them) have the `row` of their request, the `arm` (kind of action, from 0) and the
    chance that the logging policy had to do it. `taken` is the line of what was done, for each of
    the n requests. `clusters` say which requests belong together (None: each by itself).
    """

    row: Index
    arm: Index
    chance: Array
    taken: Index
    clusters: Clusters | None = None

    @property
    def n(self) -> int:
        """Requests."""
        return len(self.taken)

    def sums(self, lines: Array) -> Array:
        """Of each request the sum over its lines."""
        return np.bincount(self.row, lines, self.n).astype(np.float64)

    def weights(self, target: Array) -> Array:
        """Of each line the target's chance over the log's; 0 where the log had none."""
        return np.divide(target, self.chance, out=np.zeros_like(target), where=self.chance > 0)

    def support(self, target: Array) -> float:
        """The share of the target's choices that the log had a chance to make."""
        everything = float(np.abs(target).sum())
        within = float(np.abs(target[self.chance > 0]).sum())
        return within / everything if everything else 1.0

    def effective(self, target: Array, known: Bools | None = None) -> float:
        """So many requests, answered by the target itself, would tell as much as these do.

        It is n over the mean of the squared weights that the log's chances make one expect. Those
        that are not `known` (n; None: all are) tell nothing.
        """
        told = self.chance > 0 if known is None else (self.chance > 0) & known[self.row]
        power = float((target * self.weights(target))[told].sum())
        mass = float(target[told].sum())
        return mass * mass / power if power else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """An estimate of a mean over n requests, with what its intervals are made of.

    `influence` is of each request what it adds to the error, times n: its mean is 0. `variance` is
    that of `value` as the known chances and the model's errors make one expect it: it counts what
    could have been drawn as well as what was, and so does `third`, the third central moment (0
    where the model knows of no long tail). `reach` bounds a single request's part in `value` times
    n (None: unbounded).

    Where requests belong together n counts clusters, `influence` is theirs, `freedom` are the
    degrees of freedom that they leave, `clusters` how many of them tell, and `requests` is the
    influence of each request.
    """

    value: float
    influence: Array
    variance: float
    reach: float | None = None
    third: float = 0.0
    freedom: float | None = None
    clusters: int | None = None
    requests: Array | None = None

    @property
    def empirical(self) -> float:
        """The variance of `value` as the influence of the requests shows it."""
        return variance_of(self.influence)

    @property
    def effect(self) -> float:
        """The variance over that of as many requests that are independent (at least 1)."""
        alone = 0.0 if self.requests is None else variance_of(self.requests)
        return max(1.0, self.empirical / alone) if alone else 1.0

    def clustered(self, clusters: Clusters | None, known: Bools, variance: float) -> Scored:
        """With clusters as its units; `influence` was of requests, `variance` is by clusters."""
        if clusters is None:
            return self
        n, sizes = len(self.influence), clusters.sizes(known)
        return Scored(
            self.value,
            clusters.units(self.influence, known),
            variance,
            None if self.reach is None else self.reach * float(sizes.max()) * clusters.count / n,
            self.third,
            clusters.freedom(self.influence, known),
            int((sizes > 0).sum()),
            self.influence,
        )

    def plus(self, other: Scored, weight: float, covariance: float = 0.0) -> Scored:
        """Its sum with `weight` times the other, of the same requests.

        `covariance` is that of the two values, as expected.
        """
        variance = self.variance + weight**2 * other.variance + 2 * weight * covariance
        ends = (self.reach, other.reach)
        return Scored(
            self.value + weight * other.value,
            self.influence + weight * other.influence,
            max(0.0, variance),
            None if None in ends else (ends[0] or 0.0) + abs(weight) * (ends[1] or 0.0),
            self.third + weight**3 * other.third,
            _least(self.freedom, other.freedom),
            _least(self.clusters, other.clusters),
            _added(self.requests, other.requests, weight),
        )


def doubly_robust(
    log: Log, target: Array, rewards: Array, fitted: Fitted, *, clip: float | None = None
) -> Scored | None:
    """The model's prediction of what the target does, corrected where it can be checked.

    `rewards` (n) are NaN where unknown: such requests are left out. `target` (m) may be the
    difference of two policies: then so is the value. Weights above `clip` are cut to it, which
    shrinks the correction and so lets the model's bias through. None without any known reward.
    """
    return _corrected(log, target, rewards, fitted, fitted.mean, clip)


def ips(
    log: Log, target: Array, rewards: Array, fitted: Fitted, *, clip: float | None = None
) -> Scored | None:
    """The mean of weighted rewards: unbiased, and wide. Arguments as in `doubly_robust`."""
    return _corrected(log, target, rewards, fitted, np.zeros_like(target), clip)


def snips(
    log: Log, target: Array, rewards: Array, fitted: Fitted, *, clip: float | None = None
) -> Scored | None:
    """As `ips`, over the sum of the weights: a little biased, much less wide.

    Arguments as in `doubly_robust`; None, too, where nothing was done that the target would do.
    """
    known = np.isfinite(rewards)
    weights = _clipped(log, target, clip)[log.taken]
    total = float(weights[known].sum())
    if not total:
        return None
    mean = float(weights[known] @ rewards[known]) / total
    shrink = float(_supported(log, target)[known].sum()) / total
    level = np.full_like(target, mean)
    found = _corrected(log, target, rewards, fitted, level, clip, shrink)
    return None if found is None else replace(found, reach=None)


def direct(log: Log, target: Array, fitted: Fitted) -> float:
    """What the model says of the target, unchecked: as biased as the model is."""
    return float(log.sums(target * fitted.mean).mean())


def _corrected(
    log: Log,
    target: Array,
    rewards: Array,
    fitted: Fitted,
    base: Array,
    clip: float | None,
    shrink: float = 1.0,
) -> Scored | None:
    known = np.isfinite(rewards)
    count = int(known.sum())
    if not count:
        return None
    held = np.where(log.chance > 0, target, 0.0)
    weights = _clipped(log, target, clip)
    expected = log.sums(held * base)
    error = np.where(known, rewards, 0.0) - base[log.taken]
    each = expected + shrink * weights[log.taken] * error
    value = float(each[known].mean())
    influence = np.where(known, each - value, 0.0) * (log.n / count)
    # Var = E[each^2] - E[each]^2, the chances known and the rewards as the model has them.
    off = fitted.mean - base
    gap = log.sums(held * off)
    noise = log.sums(weights**2 * log.chance * (fitted.spread + off**2))
    second = expected**2 + 2 * expected * gap + noise
    variance = float(second[known].mean()) - float((expected + gap)[known].mean()) ** 2
    reach = float(np.abs(weights).max(initial=0.0)) * (1.0 if not base.any() else 2.0)
    reach += float(np.ptp(expected)) if base.any() else 0.0
    variance = max(0.0, variance)
    middle = expected + gap
    apart = np.where(known, middle - float(middle[known].mean()), 0.0)
    third = 0.0
    if fitted.third is not None:
        cubes = log.sums(
            weights**3 * log.chance * (fitted.third + 3 * off * fitted.spread + off**3)
        )
        alone, lots = cubes - 3 * gap * noise + 2 * gap**3, noise - gap**2
        if log.clusters is None:
            third = float((apart**3 + 3 * apart * lots + alone)[known].mean())
        else:
            sums, spread = (log.clusters.sums(np.where(known, v, 0.0)) for v in (apart, lots))
            third = float((sums**3 + 3 * sums * spread).sum() + alone[known].sum()) / count
    scored = Scored(value, influence, variance / count, reach * log.n / count, third / count**2)
    if log.clusters is None:
        return scored
    root = np.sqrt(fitted.spread)
    own = root[log.taken]
    errors = np.divide(fitted.errors, own, out=np.zeros(log.n), where=known & (own > 0))
    more = shared(log.clusters, known, apart, (log.row, log.arm, held * root), errors)
    return scored.clustered(log.clusters, known, (variance + more / count) / count)


def variance_of(influence: Array) -> float:
    """The variance of a mean as the influence of its n parts shows it."""
    n = len(influence)
    return float(influence @ influence) / (n * max(1, n - 1))


def _least(one: T | None, other: T | None) -> T | None:
    return one if other is None else other if one is None else min(one, other)


def _added(one: Array | None, other: Array | None, weight: float) -> Array | None:
    if other is None:
        return one
    return weight * other if one is None else one + weight * other


def _clipped(log: Log, target: Array, clip: float | None) -> Array:
    weights = log.weights(target)
    return weights if clip is None else np.clip(weights, -clip, clip)


def _supported(log: Log, target: Array) -> Array:
    return log.sums(np.where(log.chance > 0, target, 0.0))
