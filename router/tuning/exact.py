"""A policy on traffic whose outcomes are known: what it would have got, request by request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np
import numpy.typing as npt

from policies.types import Context, Decision, Policy
from router.errors import ConfigError
from router.tuning.traffic import Logged, Traffic

RIGHT = 0.5
"""From this grade on an answer counts as right, as where a client verifies."""
UNDRAWN = 1 - 2.0**-53
"""The draw that falls last: with it a policy that explores makes its own choice."""


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """Of each request the grade (0..1) and the cost (pico-dollars) that a policy would have got.

    A request that it refuses has grade 0 and costs nothing. `chances` are how often each
    candidate was chosen, in requests.
    """

    quality: npt.NDArray[np.float64]
    cost: npt.NDArray[np.int64]
    chances: Mapping[str, float]
    refused: int


def replayed(traffic: Traffic, policy: Policy) -> Replayed:
    """Decide every request anew and look its outcome up. A stochastic policy gets what it expects.

    A decision with an escalation is taken to have a verifier that is as good as the grades.
    Answers cut shorter (`max_tokens`) count as whole ones: what they would be is not known.

    Raises:
        ConfigError: some outcome is not known.
    """
    quality = np.zeros(len(traffic))
    cost = np.zeros(len(traffic), dtype=np.int64)
    chances: dict[str, float] = {}
    refused = 0
    for i, request in enumerate(traffic):
        found = decided(request, policy)
        if found is None:
            refused += 1
            continue
        shares = found.propensities or {found.chosen: 1.0}
        stages = stages_of(request, policy, found)
        gets = [(share, *_outcome(request, stages, name)) for name, share in shares.items()]
        quality[i] = sum(share * score for share, score, _ in gets)
        cost[i] = (
            gets[0][2] if len(gets) == 1 else round(sum(share * pico for share, _, pico in gets))
        )
        for name, share in shares.items():
            chances[name] = chances.get(name, 0.0) + share
    return Replayed(quality, cost, chances, refused)


def decided(request: Logged, policy: Policy) -> Decision | None:
    """What the policy decides on the logged quotes; None where it would refuse the request.

    Raises:
        ConfigError: the request has no decision record.
    """
    record = request.record
    if record is None or not record.quotes:
        raise ConfigError(
            f"request {request.request_id!r} has no quotes, so no other policy can decide it: "
            "log with Client(log_decisions=True), or take traffic.replayable"
        )
    found = policy(record.quotes, record.context)
    return found if found.ranking and _in_time(found, record.context) else None


def stages_of(request: Logged, policy: Policy, found: Decision) -> Mapping[str, tuple[str, ...]]:
    """Whom the policy asks next, by whom it asked first.

    What is drawn by lot has no stages; those of the policy's own choice show undrawn, so that
    what is replayed does not depend on the lot that the log happened to draw.
    """
    stages = {found.chosen: found.escalation}
    if found.propensities and request.record is not None:
        record = request.record
        undrawn = policy(record.quotes, replace(record.context, draw=UNDRAWN))
        if undrawn.ranking:
            stages.setdefault(undrawn.chosen, undrawn.escalation)
    return stages


def _in_time(found: Decision, context: Context) -> bool:
    wait = found.defer_until
    return wait is None or wait <= context.now + timedelta(seconds=context.patience)


def _outcome(
    request: Logged, stages: Mapping[str, tuple[str, ...]], name: str
) -> tuple[float, int]:
    """Grade and pico-dollars where `name` answers first."""
    score, cost = _known(request, name)
    assert request.record is not None
    if request.record.context.verifiable:
        for stage in stages.get(name, ()):
            if score >= RIGHT:
                break
            better, more = _known(request, stage)
            score, cost = max(score, better), cost + more
    return score, cost


def _known(request: Logged, name: str) -> tuple[float, int]:
    outcome = request.outcomes.get(name)
    if outcome is None:
        raise ConfigError(
            f"request {request.request_id!r}: what {name!r} would have made of it is not known"
        )
    return outcome.score, outcome.cost


def best(traffic: Traffic) -> Replayed:
    """The oracle: of each request the highest grade there is, at the lowest cost it has.

    Raises:
        ConfigError: some outcome is not known.
    """
    quality = np.zeros(len(traffic))
    cost = np.zeros(len(traffic), dtype=np.int64)
    chances: Counter[str] = Counter()
    for i, request in enumerate(traffic):
        record = request.record
        if record is None or not request.known:
            raise ConfigError(
                f"request {request.request_id!r}: an oracle needs the outcome of every candidate"
            )
        names = [quote.name for quote in record.quotes]
        name = min(names, key=lambda n: (-request.outcomes[n].score, request.outcomes[n].cost))
        quality[i], cost[i] = request.outcomes[name].score, request.outcomes[name].cost
        chances.update([name])
    return Replayed(quality, cost, dict(chances), 0)
