"""Requests that belong together: one conversation, one user, one template of prompts.

What comes of them is alike, so sums over clusters are what is independent, not requests (Liang and
Zeger 1986). Few clusters, and clusters of unlike sizes, get the corrections of Bell and McCaffrey
2002 for a mean: each sum over the root of one less its share (CR2), and fewer degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router.errors import ConfigError
from router.tuning.logged import Cluster, Logged, cluster_words, keys_of

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Index = npt.NDArray[np.intp]

FEWEST = 5
"""Below so many clusters there is nothing to go by."""
FREEDOM = 3.0
"""Below so many degrees of freedom an interval is without ends."""
_MANY = 30
_FEW = 10
"""With fewer that tell, 95 % intervals held down to 90 %: `benchmarks._off_policy_clusters`."""
_ALIKE = 0.05
"""Requests of a cluster are taken to be at least so alike where clusters differ in size."""
_DOUBT = 1.0
"""So many clusters whose requests are all alike are mixed in, by `alike_at_most`."""


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Of each request the number of its cluster, from 0 to `count` - 1.

    `alone` requests have no value of what tells clusters apart (`by`, in words): each is its own.
    """

    of: Index
    count: int
    alone: int = 0
    by: str = ""

    def at(self, which: Index) -> Clusters:
        """Of these requests alone; the numbers stay, so that some may have none."""
        return Clusters(self.of[which], self.count, self.alone, self.by)

    def sums(self, values: Array) -> Array:
        """Of each cluster the sum over its requests."""
        return np.bincount(self.of, values, self.count).astype(np.float64)

    def pairs(self, values: Array) -> float:
        """The sum over all ordered pairs of requests of one cluster of their product."""
        sums = self.sums(values)
        return float(sums @ sums - values @ values)

    def sizes(self, known: Bools) -> Array:
        """How many requests of each are known."""
        return self.sums(known.astype(np.float64))

    def units(self, influence: Array, known: Bools) -> Array:
        """The influence of clusters, which stands for that of requests (n, 0 where not known).

        The sum of its squares over count x (count - 1) is the variance by clusters.
        """
        sizes = self.sizes(known)
        rest = np.maximum(1 - sizes / max(1.0, float(sizes.sum())), 1e-12)
        scale = self.count / len(influence) * np.sqrt((self.count - 1) / self.count / rest)
        found: Array = self.sums(influence) * scale
        return found

    def alike(self, values: Array, known: Bools) -> float:
        """The correlation within clusters, 0 to 1; 1 where nothing varies, for then none shows.

        It is over pairs of requests: how much single ones vary says nothing of how alike the
        others are.
        """
        sizes = self.sizes(known)
        power, total = float(values @ values), float(sizes.sum())
        others = np.maximum(sizes - 1, 0)
        if not others.any():
            return 0.0
        most = float(others @ self.sums(values**2))
        if not most:
            return 1.0
        sums = self.sums(values)
        # Sums are about the mean that they helped to make: without this they look less alike.
        squares = float((sums**2 / np.maximum(1 - sizes / total, 1e-12)).sum())
        within = power * total / max(1.0, total - 1)
        return min(1.0, max(0.0, (squares - within) / most))

    def alike_at_most(self, values: Array, known: Bools) -> float:
        """As `alike`, but more where few clusters tell: these may agree by chance."""
        found = self.alike(values, known)
        if not (self.sizes(known) > 1).any():
            return found
        tell = self.freedom(values, known) + 1
        return (tell * found + _DOUBT) / (tell + _DOUBT)

    def freedom(self, values: Array, known: Bools) -> float:
        """Degrees of freedom: clusters that tell, as if all were equal, less one (Satterthwaite).

        With clusters of one size it is their number less one.
        """
        sizes = self.sizes(known)
        alike = max(_ALIKE, self.alike(values, known))
        variance = sizes * (1 + np.maximum(sizes - 1, 0) * alike)
        squares = float(variance @ variance)
        return float(variance.sum()) ** 2 / squares - 1 if squares else 0.0

    def notes(self, freedom: float | None = None) -> tuple[str, ...]:
        """What a reader must know of them; `freedom` as an interval has it."""
        said = []
        if self.alone:
            said.append(
                f"{self.alone:,} of {len(self.of):,} requests have no value by {self.by}: each "
                "counts by itself"
            )
        if freedom is not None and freedom < FREEDOM:
            biggest = float(self.sums(np.ones(len(self.of))).max()) / len(self.of)
            said.append(
                f"too few clusters by {self.by} tell for an interval (the largest has "
                f"{biggest:.0%} of the requests): more clusters are needed, not more requests"
            )
        elif freedom is not None and freedom < _MANY:
            words = (
                f"few clusters by {self.by}: their spread is as well known as that of "
                f"{freedom + 1:.0f} equal ones, and intervals are wider for it"
            )
            if freedom + 1 < _FEW:
                words += f"; below {_FEW} they may still hold less often than they say"
            said.append(words)
        return tuple(said)


def clusters_of(requests: Sequence[Logged], cluster: Cluster | None) -> Clusters | None:
    """Which of these requests belong together; None: each stands for itself.

    Raises:
        ConfigError: nothing has such a tag, or there are fewer than `FEWEST` clusters.
    """
    if cluster is None:
        return None
    keys = keys_of(requests, cluster)
    numbers: dict[object, int] = {}
    of = np.empty(len(requests), dtype=np.intp)
    for i, key in enumerate(keys):
        # What has no value gets a key that nothing else has.
        of[i] = numbers.setdefault((i,) if key is None else ("", key), len(numbers))
    by = cluster_words(cluster)
    if len(numbers) < FEWEST:
        raise ConfigError(
            f"cluster: {len(requests):,} requests make {len(numbers)} "
            f"cluster{'' if len(numbers) == 1 else 's'} by {by}, and {FEWEST} are the fewest that "
            "tell how unlike clusters are. Log more of them"
        )
    return Clusters(of, len(numbers), keys.count(None), by)


def shared(
    clusters: Clusters,
    known: Bools,
    middle: Array,
    lines: tuple[Index, Index, Array],
    errors: Array,
) -> float:
    """What the variance of a sum over requests has beyond that of independent ones.

    `middle` (n) is what is expected of each request, less the mean; `errors` (n) what the model is
    off by, over its spread (0 where not known); `lines` are the row, the arm and the target's
    chance times the spread of each line. Lots are taken to be drawn for each request.
    """
    row, arm, weight = lines
    weight = np.where(known[row], weight, 0.0)
    found = max(0.0, clusters.pairs(np.where(known, middle, 0.0)))
    alike = clusters.alike_at_most(errors, known) if errors.any() else 0.0
    if alike:
        # Whether arms go wrong together nobody knows: the wider of both.
        arms = int(arm.max(initial=0)) + 1
        cells = np.bincount(clusters.of[row] * arms + arm, weight, clusters.count * arms)
        apart = float(cells @ cells - weight @ weight)
        joint = clusters.pairs(np.bincount(row, weight, len(middle)).astype(np.float64))
        found += alike * max(0.0, apart, joint)
    return found
