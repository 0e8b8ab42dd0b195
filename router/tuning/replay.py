"""Another policy on logged requests: what it would have done, and what the log could have done.

An action is the decision's choice with all that it decides besides: whom to ask next if a verifier
objects, where to cut the answer, whether to wait. What came of fallbacks is part of what came of
the action. Budgets and tags are those of the record.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np

from policies.types import Decision, Policy, Quote
from router.errors import ConfigError, RecordError
from router.record import DecisionRecord
from router.tuning.clusters import clusters_of
from router.tuning.estimators import Array, Index, Log
from router.tuning.exact import UNDRAWN, decided, stages_of
from router.tuning.given import PolicyLike, TrafficLike, policy_of, traffic_of
from router.tuning.logged import Cluster
from router.tuning.traffic import Logged, Traffic

_CLOSE = 1e-6
_USD = 1e12


Kind: TypeAlias = tuple[str, tuple[str, ...], bool, bool]


class Action(NamedTuple):
    """What a decision does with a request."""

    name: str
    escalation: tuple[str, ...] = ()
    max_tokens: int | None = None
    later: bool = False

    @property
    def kind(self) -> Kind:
        """What it has in common with actions on other requests."""
        return self.name, self.escalation, self.max_tokens is not None, self.later


def words(policy: Policy | None) -> str:
    """What a policy is called: its own words, or the name of a function."""
    if policy is None:
        return "the policy that logged"
    return str(getattr(policy, "__name__", None) or policy)


def choices(traffic: TrafficLike, policy: PolicyLike) -> list[dict[str, float] | None]:
    """Of each request the chances of the candidates under `policy`.

    None where it refuses the request, or no quotes were logged.

    Raises:
        ConfigError: the chances that it states are none.
    """
    asked = policy_of(policy)
    return [
        None if found is None else {action.name: chance for action, chance in found.items()}
        for found in (_target(request, asked) for request in traffic_of(traffic))
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Cases:
    """Replayable requests as arrays: the log, the targets, and what came of each request.

    `targets` has one (m,) array for each policy. `quality` (0..1) and `cost` (USD) are NaN where
    unknown. Of each line: `quoted` quality and `price` (USD) are the quotes' predictions,
    `ceiling` (USD) is what would be reserved. `refused` counts requests for each policy, `lacking`
    those that have no quotes and are left out. `names` are of the arms, `candidates` whom each
    asks first.
    """

    log: Log
    targets: tuple[Array, ...]
    quality: Array
    cost: Array
    quoted: Array
    price: Array
    ceiling: Array
    names: tuple[str, ...]
    refused: tuple[int, ...]
    lacking: int
    candidates: tuple[str, ...] = ()

    def shares(self, at: int) -> dict[str, float]:
        """How often each candidate is chosen by the target at this place, of what it decides."""
        found: dict[str, float] = {}
        sums = np.bincount(self.log.arm, self.targets[at], len(self.candidates))
        for name, chance in zip(self.candidates, sums, strict=True):
            if chance > 0:
                found[name] = found.get(name, 0.0) + float(chance)
        total = sum(found.values())
        return {name: chance / total for name, chance in found.items()}


def cases(
    traffic: Traffic, policies: Sequence[Policy | None], cluster: Cluster | None = None
) -> Cases:
    """The requests of `traffic` under these policies; None is the policy that logged them.

    Raises:
        ConfigError: no request has quotes; a chance is not above 0 and at most 1, or is at odds
            with the record; a grade is not from 0 to 1; there are too few clusters.
    """
    kept = [r for r in traffic if r.record and r.record.quotes and r.record.decision.ranking]
    if not kept:
        raise ConfigError(
            "no request has quotes, so no other policy can decide them: log with "
            "Client(log_decisions=True)"
        )
    clusters = clusters_of(kept, cluster)
    staged = any(r.record.decision.escalation for r in kept if r.record is not None)
    rows: list[int] = []
    arms: list[int] = []
    chances: list[float] = []
    values: list[list[float]] = [[] for _ in policies]
    predicted: list[tuple[float, float, float]] = []
    taken: list[int] = []
    kinds: dict[Kind, int] = {}
    refused = [0] * len(policies)
    for row, request in enumerate(kept):
        record = request.record
        assert record is not None
        logged = _logged(request, record, staged=staged)
        own = _action(record.decision, record)
        targets = [logged if p is None else _target(request, p) for p in policies]
        quotes = {quote.name: quote for quote in record.quotes}
        for at, found in enumerate(targets):
            refused[at] += found is None
        for action in dict.fromkeys([*logged, *(a for t in targets if t for a in t)]):
            if action == own:
                taken.append(len(rows))
            rows.append(row)
            arms.append(kinds.setdefault(action.kind, len(kinds)))
            chances.append(logged.get(action, 0.0))
            predicted.append(_predicted(request, action, quotes))
            for at, found in enumerate(targets):
                values[at].append(found.get(action, 0.0) if found else 0.0)
    table = np.array(predicted).reshape(-1, 3)
    log = Log(_index(rows), _index(arms), np.array(chances), _index(taken), clusters)
    return Cases(
        log=log,
        targets=tuple(np.array(each) for each in values),
        quality=np.array([_grade(r) for r in kept]),
        cost=np.array([math.nan if r.cost is None else r.cost / _USD for r in kept]),
        quoted=table[:, 0],
        price=table[:, 1],
        ceiling=table[:, 2],
        names=tuple(_spelled(kind) for kind in kinds),
        refused=tuple(refused),
        lacking=len(traffic) - len(kept),
        candidates=tuple(kind[0] for kind in kinds),
    )


def _target(request: Logged, policy: Policy) -> Mapping[Action, float] | None:
    record = request.record
    if record is None or not record.quotes:
        return None
    found = decided(request, policy)
    if found is None:
        return None
    stages = stages_of(request, policy, found)
    return _shares(request, found, record, stages, "the policy")


def _logged(request: Logged, record: DecisionRecord, *, staged: bool) -> Mapping[Action, float]:
    found = record.decision
    if request.chosen != found.chosen:
        raise ConfigError(
            f"request {request.request_id!r}: chosen is {request.chosen!r}, and by its decision "
            f"record {found.chosen!r}. Log both of one decision"
        )
    stages = {found.chosen: found.escalation}
    if staged and found.propensities and not found.escalation:
        undrawn = _undrawn(record)
        if undrawn is not None and undrawn.ranking:
            stages.setdefault(undrawn.chosen, undrawn.escalation)
    shares = _shares(request, found, record, stages, "the log")
    chance = shares.get(_action(found, record), 0.0)
    given = request.propensity
    if not isinstance(given, (int, float)) or not 0 < given <= 1:
        raise ConfigError(
            f"request {request.request_id!r}: propensity: expected above 0 and at most 1, got "
            f"{given!r}. It is the chance that the logging policy had to choose what it chose"
        )
    if not chance or abs(given - chance) > _CLOSE:
        raise ConfigError(
            f"request {request.request_id!r}: propensity is {given:g}, and by its decision record "
            f"{chance:g}. Take the record's: record.decision.propensity"
        )
    return shares


def _undrawn(record: DecisionRecord) -> Decision | None:
    try:
        return replace(record, context=replace(record.context, draw=UNDRAWN)).replay()
    except RecordError:  # a policy of the caller's own: then nobody can tell
        return None


def _shares(
    request: Logged,
    found: Decision,
    record: DecisionRecord,
    stages: Mapping[str, tuple[str, ...]],
    whose: str,
) -> dict[Action, float]:
    shares = found.propensities or {found.chosen: 1.0}
    if any(not 0 <= share <= 1 for share in shares.values()) or (
        abs(math.fsum(shares.values()) - 1) > _CLOSE
    ):
        raise ConfigError(
            f"request {request.request_id!r}: propensities: expected chances that add up to 1, "
            f"got {dict(shares)!r} of {whose}"
        )
    own = _action(found, record)
    return {
        own._replace(name=name, escalation=tuple(stages.get(name, ()))): share
        for name, share in shares.items()
        if share > 0
    }


def _action(found: Decision, record: DecisionRecord) -> Action:
    wait = found.defer_until
    later = wait is not None and wait > record.context.now
    return Action(found.chosen, tuple(found.escalation), found.max_tokens, later)


def _predicted(
    request: Logged, action: Action, quotes: Mapping[str, Quote]
) -> tuple[float, float, float]:
    """Quality, expected cost and ceiling; a stage costs as often as it is expected to be asked."""
    try:
        stages = [quotes[name] for name in (action.name, *action.escalation)]
    except KeyError as error:
        raise ConfigError(
            f"request {request.request_id!r}: {error.args[0]!r} was chosen, and has no quote "
            f"there. A policy chooses among the quotes: {', '.join(quotes)}"
        ) from None
    right, cost = 0.0, 0.0
    for quote in stages:
        cost += (1 - right) * quote.cost
        right = max(right, quote.quality)
    return right, cost / _USD, sum(quote.cost_ceiling for quote in stages) / _USD


def _grade(request: Logged) -> float:
    grade = request.quality
    if grade is None:
        return math.nan
    if not 0 <= grade <= 1:
        raise ConfigError(
            f"request {request.request_id!r}: quality: expected 0 to 1, got {grade!r}"
        )
    return float(grade)


def _spelled(kind: Kind) -> str:
    name, escalation, cut, later = kind
    words = [" > ".join((name, *escalation)), *(["cut"] if cut else []), *(["later"] * later)]
    return ", ".join(words)


def _index(values: Sequence[int]) -> Index:
    return np.array(values, dtype=np.intp)
