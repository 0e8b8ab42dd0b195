"""A canary that ran: two parts of the traffic, told apart by lot, and the difference of means."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from router.errors import ConfigError
from router.tuning import known
from router.tuning.clusters import Clusters, clusters_of
from router.tuning.estimators import Array, Scored
from router.tuning.logged import Cluster
from router.tuning.score import Of, Part, worth
from router.tuning.traffic import Traffic

Arms: TypeAlias = tuple[str, str] | tuple[str, str, str]
_WIDEST = 0.25
_USD = 1e12


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Rewards of each request (NaN unknown, costs in USD), and which ones are the candidate's."""

    canary: npt.NDArray[np.bool_]
    quality: Array
    cost: Array
    names: tuple[str, str]
    clusters: Clusters | None = None

    def parts(self, value: float | None, *, canary: bool) -> dict[Of, Part]:
        """The means of one side."""
        side = self.canary if canary else ~self.canary
        return self._made(side, np.zeros_like(side), value)

    def difference(self, value: float | None) -> dict[Of, Part]:
        """The canary's means less those of the rest."""
        return self._made(self.canary, ~self.canary, value)

    def _made(
        self, plus: npt.NDArray[np.bool_], minus: npt.NDArray[np.bool_], value: float | None
    ) -> dict[Of, Part]:
        quality = self._part(self.quality, plus, minus, _WIDEST)
        cost = self._part(self.cost, plus, minus, 0.0)
        made: dict[Of, Part] = {"quality": quality, "cost": cost}
        if value is not None:
            made["worth"] = worth(quality, cost, value)
        return made

    def _part(
        self,
        rewards: Array,
        plus: npt.NDArray[np.bool_],
        minus: npt.NDArray[np.bool_],
        widest: float,
    ) -> Part:
        scored = _side(rewards, plus, widest, self.clusters)
        if minus.any() and scored is not None:
            other = _side(rewards, minus, widest, self.clusters)
            scored = None if other is None else scored.plus(other, -1.0)
        told = np.isfinite(rewards) & (plus | minus)
        if scored is not None and self.clusters is not None:
            scored = replace(scored, clusters=len(np.unique(self.clusters.of[told])))
        count = int(told.sum())
        return Part(scored, 0.0, 0.0, count, math.nan)


def split(traffic: Traffic, arms: Arms, cluster: Cluster | None = None) -> Split:
    """The traffic by a tag, ("tag", name, value), or by who decided, ("policy", its words).

    Raises:
        ConfigError: `arms` is neither, a side has fewer than two requests, or there are too few
            clusters.
    """
    words = (
        arms if isinstance(arms, (tuple, list)) and all(isinstance(w, str) for w in arms) else ()
    )
    if len(words) == 3 and words[0] == "tag":
        canary = [r.tags.get(words[1]) == words[2] for r in traffic]
        name = f"{words[1]}={words[2]}"
    elif len(words) == 2 and words[0] == "policy":
        canary = [r.policy == words[1] for r in traffic]
        name = words[1]
    else:
        raise ConfigError(
            f'arms: expected ("tag", name, value) or ("policy", its words), got {arms!r}'
        )
    count = sum(canary)
    if min(count, len(canary) - count) < 2:
        raise ConfigError(
            f"arms: expected two requests or more on either side, got {count:,} with {name} of "
            f"{len(canary):,}"
        )
    return Split(
        np.array(canary),
        np.array([math.nan if r.quality is None else float(r.quality) for r in traffic]),
        np.array([math.nan if r.cost is None else r.cost / _USD for r in traffic]),
        (name, "the rest"),
        clusters_of(traffic, cluster),
    )


def _side(
    rewards: Array, side: npt.NDArray[np.bool_], widest: float, clusters: Clusters | None
) -> Scored | None:
    """The mean of one side, its influence spread over all requests."""
    at = np.flatnonzero(side & np.isfinite(rewards))
    if len(at) < 2:
        return None
    found = known.mean(rewards[at], widest, None if clusters is None else clusters.at(at))
    influence = np.zeros(len(rewards))
    own = found.influence if found.requests is None else found.requests
    influence[at] = own * (len(rewards) / len(at))
    if found.requests is None:
        return replace(found, influence=influence, reach=None)
    return replace(found, requests=influence, reach=None)
