"""What a policy that never ran would have got on logged traffic, with an interval that holds."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from policies.types import Policy
from router.errors import ConfigError
from router.tuning import known
from router.tuning.clusters import Clusters, clusters_of
from router.tuning.estimated import Estimate
from router.tuning.estimators import Bools
from router.tuning.exact import replayed
from router.tuning.given import PolicyLike, TrafficLike, policy_of, traffic_of
from router.tuning.logged import Cluster
from router.tuning.replay import Cases, cases, words
from router.tuning.score import (
    IntervalName,
    Method,
    Of,
    Part,
    checked_share,
    checked_value,
    checked_word,
    models,
    parts,
    requests_of,
    seen,
)
from router.tuning.traffic import Traffic

__all__ = ["Estimate", "estimate", "estimates"]

Amount = str | int | float | Decimal
_WHOLE = 1 - 1e-9
_SUPPORT = (
    "{:.1%} of its choices the log never made, nor could have: there the worst case is taken"
)
_UNEVEN = 3.0


def estimate(
    traffic: TrafficLike,
    policy: PolicyLike | None,
    *,
    of: Of = "quality",
    method: Method = "dr",
    value_usd: Amount | None = None,
    confidence: float = 0.95,
    interval: IntervalName = "design",
    clip: float | None = None,
    cluster: Cluster | None = None,
) -> Estimate:
    """The mean quality, cost or worth (value_usd x quality - cost) of `policy` on such traffic.

    Traffic may be whatever `load` takes, a policy the name of a preset or a file;
    `policy=None` is the one that logged it. Costs rest on all requests with a known cost, quality
    on the graded ones: whether a request is graded must not depend on the answer, which users'
    feedback often does. "dr" starts from the quotes' predictions, recalibrated; "direct" is these
    alone. `clip` cuts weights above it, for less width and some bias. Where every outcome is known
    it is the plain mean, whatever the method.

    `cluster` names a tag, or is a function of a request (`Logged`): requests of one value belong
    together, as those of a conversation or a user do, and the interval counts clusters; a request
    without a value stands for itself. None: all do, and intervals are too narrow where requests
    are alike. Where a few clusters have most requests no interval can be told (quality 0 to 1),
    and with fewer than ten that tell 95 % may hold as 90 %: notes say so.

    What never came up is in no interval: a policy that sends one request in a hundred to a dear
    candidate needs several hundred before that of its cost holds.

    Raises:
        ConfigError: no request has quotes, there are fewer than 5 clusters, or an argument or a
            logged chance is none.
    """
    checked_word("of", of, Of)
    found = estimates(
        traffic_of(traffic),
        None if policy is None else policy_of(policy),
        method=method,
        value_usd=checked_value(value_usd, of),
        confidence=confidence,
        interval=interval,
        clip=clip,
        cluster=cluster,
    )
    return found[of]


def estimates(
    traffic: Traffic,
    policy: Policy | None,
    *,
    method: Method = "dr",
    value_usd: Amount | None = None,
    confidence: float = 0.95,
    interval: IntervalName = "design",
    clip: float | None = None,
    cluster: Cluster | None = None,
) -> dict[Of, Estimate]:
    """As `estimate`: quality, cost and, with `value_usd`, worth, of one replay.

    Raises:
        ConfigError: as `estimate`.
    """
    return estimates_and_shares(
        traffic,
        policy,
        method=method,
        value_usd=value_usd,
        confidence=confidence,
        interval=interval,
        clip=clip,
        cluster=cluster,
    )[0]


def estimates_and_shares(
    traffic: Traffic,
    policy: Policy | None,
    *,
    method: Method = "dr",
    value_usd: Amount | None = None,
    confidence: float = 0.95,
    interval: IntervalName = "design",
    clip: float | None = None,
    cluster: Cluster | None = None,
) -> tuple[dict[Of, Estimate], dict[str, float]]:
    """As `estimates`, and how often each candidate is chosen, of the same replay.

    Raises:
        ConfigError: as `estimate`.
    """
    checked_word("method", method, Method)
    checked_word("interval", interval, IntervalName)
    checked_share("confidence", confidence)
    if clip is not None:
        clip = _checked_clip(clip)
    value = checked_value(value_usd, "")
    name = words(policy)
    if policy is not None and traffic.complete:
        exact = replayed(traffic, policy)
        clusters = clusters_of(traffic, cluster)
        means = known.of(exact, value, clusters)
        told = {
            of: _estimate(
                of,
                part,
                Estimate(
                    of=of,
                    policy=name,
                    method="exact",
                    interval=interval,
                    confidence=confidence,
                    value=None,
                    low=None,
                    high=None,
                    bounds=None,
                    n=part.count,
                    effective_n=float(part.count),
                    support=1.0,
                    refused=means.refused,
                ),
                interval,
                value,
                clusters,
            )
            for of, part in means.parts.items()
        }
        return told, {name: chances / len(traffic) for name, chances in exact.chances.items()}
    found = cases(traffic, [policy], cluster)
    target = found.targets[0]
    log = seen(found.log)
    made = parts(found, models(found), target, method, value, clip)
    notes = _notes(traffic, found, target, clip)
    told = {
        of: _estimate(
            of,
            part,
            Estimate(
                of=of,
                policy=name,
                method=method,
                interval=interval,
                confidence=confidence,
                value=part.direct if method == "direct" else None,
                low=None,
                high=None,
                bounds=None,
                n=part.count,
                effective_n=log.effective(target, _told(found, of)),
                support=log.support(target),
                refused=found.refused[0],
                notes=(*notes, *_graded(traffic, found, of)),
            ),
            interval,
            value,
            log.clusters,
        )
        for of, part in made.items()
    }
    return told, found.shares(0)


def _estimate(
    of: Of,
    part: Part,
    blank: Estimate,
    interval: IntervalName,
    value: float | None,
    clusters: Clusters | None,
) -> Estimate:
    """`blank` with the figures: an interval where all is supported, else bounds alone."""
    found = part.interval(interval, blank.confidence)
    if found is None or part.scored is None:
        return blank
    if clusters is not None:
        blank = replace(
            blank,
            clusters=part.scored.clusters,
            effective_n=blank.effective_n / part.scored.effect,
            notes=(*blank.notes, *clusters.notes(part.scored.freedom)),
        )
    floor = -math.inf if of == "worth" else 0.0
    top = {"quality": 1.0, "cost": math.inf, "worth": value or math.inf}[of]
    low, high = (min(top, max(floor, end)) for end in found)
    if blank.support < _WHOLE:
        return replace(blank, bounds=(low, high))
    middle = min(top, max(floor, part.scored.value))
    return replace(blank, value=middle, low=low, high=high, bounds=(low, high))


def _notes(
    traffic: Traffic, found: Cases, target: np.ndarray[Any, Any], clip: float | None
) -> list[str]:
    log = seen(found.log)
    notes = []
    if found.lacking:
        notes.append(f"{found.lacking:,} of {requests_of(len(traffic))} have no quotes: left out")
    missing = 1 - log.support(target)
    if missing > 1 - _WHOLE:
        notes.append(_SUPPORT.format(missing) + advice(found))
    if found.refused[0]:
        refused = requests_of(found.refused[0])
        notes.append(f"{refused} it refuses: counted as grade 0 for $0")
    if clip is not None:
        over = np.maximum(np.abs(target) - clip * log.chance, 0.0)[log.chance > 0]
        cut = float(over.sum()) / log.n
        notes.append(f"weights above {clip:g} cut: quality may be off by {cut:.3f} either way")
    return notes


def advice(found: Cases) -> str:
    """What shows next time what this log could not."""
    if not np.any((found.log.chance > 0) & (found.log.chance < 1)):
        return ". It left nothing to chance: explore(policy, 0.02) does"
    return ". Its lots seldom or never fall there: more requests, or a larger share by lot"


def _told(found: Cases, of: Of) -> Bools:
    """The requests that tell of it: of worth those with both a grade and a cost."""
    graded, paid = np.isfinite(found.quality), np.isfinite(found.cost)
    return {"quality": graded, "cost": paid, "worth": graded & paid}[of]


def _graded(traffic: Traffic, found: Cases, of: Of) -> list[str]:
    """Who was graded, where that may tilt the estimate."""
    if of == "cost":
        return []
    notes = []
    if any(r.quality_by == "feedback" for r in traffic):
        notes.append("grades by feedback: it holds if those who rate are like those who do not")
    arms = found.log.arm[found.log.taken]
    graded = np.isfinite(found.quality)
    share = float(graded.mean())
    if not 0 < share < 1:
        return notes
    for arm in np.unique(arms):
        own = graded[arms == arm]
        off = float(own.mean()) - share
        if abs(off) > _UNEVEN * math.sqrt(share * (1 - share) / len(own)):
            notes.append(
                f"{own.mean():.0%} of the answers of {found.names[arm]} have grades, of all "
                f"{share:.0%}: quality is tilted if that follows from how good they were"
            )
    return notes


def _checked_clip(clip: object) -> float:
    if isinstance(clip, bool) or not isinstance(clip, (int, float)) or not clip >= 1:
        raise ConfigError(f"clip: expected a largest weight of 1 or more, got {clip!r}")
    return float(clip)
