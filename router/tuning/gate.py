"""Is a candidate policy better than the present one, and what would it have saved?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast, overload

import numpy as np

from policies.types import Policy
from router.errors import ConfigError
from router.money import to_usd
from router.tuning import arms as lots
from router.tuning import known
from router.tuning.arms import Arms
from router.tuning.clusters import Clusters, clusters_of
from router.tuning.exact import replayed
from router.tuning.given import PolicyLike, TrafficLike, policy_of, traffic_of
from router.tuning.logged import Cluster
from router.tuning.off_policy import Amount, advice
from router.tuning.replay import Cases, cases, words
from router.tuning.score import (
    IntervalName,
    Of,
    Part,
    checked_share,
    checked_value,
    models,
    parts,
    seen,
)
from router.tuning.traffic import Traffic
from router.tuning.verdict import LOGGED, PRESENT, Difference, Verdict, decided

__all__ = ["Verdict", "gate"]


@dataclass(frozen=True, slots=True)
class _Compared:
    """Parts of both policies and of their difference, and the traffic they are of."""

    candidate: dict[Of, Part]
    present: dict[Of, Part]
    difference: dict[Of, Part]
    n: int
    spent: int
    spent_by: str
    names: tuple[str, str]
    notes: tuple[str, ...]
    clusters: Clusters | None
    logged: bool = False


@overload
def gate(
    traffic: TrafficLike,
    candidate: PolicyLike | None = None,
    present: PolicyLike | None = None,
    *,
    value_usd: Amount | None = None,
    quality_margin: float = 0.0,
    confidence: float = 0.95,
    sequential: bool = False,
    arms: Arms | None = None,
    cluster: Cluster | None = None,
) -> Verdict: ...
@overload
def gate(
    traffic: TrafficLike,
    candidate: Sequence[Policy] | list[str],
    present: PolicyLike | None = None,
    *,
    value_usd: Amount | None = None,
    quality_margin: float = 0.0,
    confidence: float = 0.95,
    sequential: bool = False,
    arms: Arms | None = None,
    cluster: Cluster | None = None,
) -> list[Verdict]: ...
def gate(
    traffic: TrafficLike,
    candidate: PolicyLike | Sequence[Policy] | list[str] | None = None,
    present: PolicyLike | None = None,
    *,
    value_usd: Amount | None = None,
    quality_margin: float = 0.0,
    confidence: float = 0.95,
    sequential: bool = False,
    arms: Arms | None = None,
    cluster: Cluster | None = None,
) -> Verdict | list[Verdict]:
    """Compare a policy with the present one (None: the one that logged), request by request.

    Traffic may be whatever `load` takes, a policy the name of a preset or a file.
    With `value_usd`, what a right answer is worth, "better" is: surely worth more. Without it:
    surely cheaper, and surely no more than `quality_margin` worse in quality. `arms` compares
    two parts of the traffic that were told apart by lot instead: ("tag", "canary", "yes") are the
    requests with that tag against the rest, ("policy", "utility(0.02)") those that it decided.

    An interval holds for one look, decided on beforehand; who looks every day, and stops when it
    pleases, takes `sequential=True`, whose wider intervals hold for all looks together. Of several
    candidates each verdict is at 1 - (1 - confidence) / k, so that all hold together.
    `cluster`, a tag's name or a function of a request, says which requests belong together, as in
    `estimate`; with None each stands for itself, and verdicts are too sure where they are alike.

    Raises:
        ConfigError: nothing to compare, fewer than 5 clusters, or an argument or a logged chance
            is none.
    """
    checked_share("confidence", confidence)
    value = checked_value(value_usd, "")
    number = isinstance(quality_margin, (int, float)) and not isinstance(quality_margin, bool)
    if not number or not 0 <= quality_margin < 1:
        raise ConfigError(f"quality_margin: expected 0 to below 1, got {quality_margin!r}")
    interval: IntervalName = "sequence" if sequential else "design"
    several = isinstance(candidate, Sequence) and not isinstance(candidate, str)
    given = cast("Sequence[PolicyLike | None]", candidate if several else (candidate,))
    asked = [None if one is None else policy_of(one, "candidate") for one in given]
    present = None if present is None else policy_of(present, "present")
    traffic = traffic_of(traffic)

    def judged(one: Policy | None, sure: float) -> Verdict:
        if arms is not None:
            if one is not None or present is not None:
                raise ConfigError("arms: expected no policies beside it: the traffic has both")
            compared = _by_lot(traffic, arms, value, cluster)
        elif one is None:
            raise ConfigError("candidate: expected a policy to compare, or arms=..., got None")
        else:
            compared = _compared(traffic, one, present, value, cluster)
        return _verdict(compared, value, quality_margin, sure, interval)

    if several:
        if not asked:
            raise ConfigError("candidate: expected a policy or several, got none")
        each = 1 - (1 - confidence) / len(asked)
        return [judged(one, each) for one in asked]
    return judged(asked[0], confidence)


def _compared(
    traffic: Traffic,
    candidate: Policy,
    present: Policy | None,
    value: float | None,
    cluster: Cluster | None,
) -> _Compared:
    old = known.logged(traffic) if present is None else None
    if traffic.complete and (old is not None or present is not None):
        new = replayed(traffic, candidate)
        old = replayed(traffic, present) if present is not None else old
        assert old is not None
        spent = sum(map(int, old.cost))
        clusters = clusters_of(traffic, cluster)
        return _Compared(
            known.of(new, value).parts,
            known.of(old, value).parts,
            known.difference(new, old, value, clusters),
            len(traffic),
            spent,
            PRESENT,
            (words(candidate), _decided_by(traffic) if present is None else words(present)),
            (),
            clusters,
        )
    found = cases(traffic, [candidate, present], cluster)
    new_target, old_target = found.targets
    fitted = models(found)
    spent = sum(r.cost for r in traffic if r.record is not None and r.cost is not None)
    new_part, old_part, between = (
        parts(found, fitted, target, "dr", value)
        for target in (new_target, old_target, new_target - old_target)
    )
    return _Compared(
        new_part,
        old_part,
        between,
        found.log.n,
        spent,
        _spent_by(found),
        (words(candidate), words(present)),
        _notes(traffic, found),
        found.log.clusters,
        logged=present is None,
    )


def _spent_by(found: Cases) -> str:
    lots = np.any((found.log.chance > 0) & (found.log.chance < 1))
    return f"{LOGGED}, lots included" if lots else LOGGED


def _decided_by(traffic: Traffic) -> str:
    """Whose decisions the traffic has: nobody need have logged it."""
    names = {request.policy for request in traffic}
    return names.pop() if len(names) == 1 and "" not in names else words(None)


def _notes(traffic: Traffic, found: Cases) -> tuple[str, ...]:
    log = seen(found.log)
    notes = []
    if found.lacking:
        notes.append(f"{found.lacking:,} of {len(traffic):,} requests have no quotes: left out")
    missing = 1 - log.support(found.targets[0])
    if missing > 1e-9:
        notes.append(
            f"{missing:.1%} of the candidate's choices the log could not have made: there the "
            f"worst case is taken{advice(found)}"
        )
    if not np.isfinite(found.quality).all():
        graded = int(np.isfinite(found.quality).sum())
        notes.append(f"{graded:,} of {log.n:,} have grades: that must not depend on the answer")
    return tuple(notes)


def _by_lot(
    traffic: Traffic, arms: Arms, value: float | None, cluster: Cluster | None
) -> _Compared:
    split = lots.split(traffic, arms, cluster)
    return _Compared(
        split.parts(value, canary=True),
        split.parts(value, canary=False),
        split.difference(value),
        len(traffic),
        sum(r.cost for r in traffic if r.cost is not None),
        f"{LOGGED}, both parts",
        split.names,
        ("it holds if chance alone decided who went where",),
        split.clusters,
    )


def _verdict(
    compared: _Compared,
    value: float | None,
    margin: float,
    confidence: float,
    interval: IntervalName,
) -> Verdict:
    made: dict[Of, Difference] = {}
    clusters = compared.clusters
    notes = list(compared.notes)
    for of, part in compared.difference.items():
        found = part.interval(interval, confidence)
        if found is None or part.scored is None:
            continue
        top = {"quality": 1.0, "cost": math.inf, "worth": math.inf}[of]
        sure = part.least == part.most
        notes += [] if clusters is None else clusters.notes(part.scored.freedom)
        made[of] = Difference(
            of=of,
            value=part.scored.value if sure else None,
            low=max(-top, found[0]),
            high=min(top, found[1]),
            candidate=_value(compared.candidate[of]),
            present=_value(compared.present[of]),
            n=part.count,
            clusters=part.scored.clusters,
            effective_n=None if clusters is None else part.count / part.scored.effect,
        )
    outcome, reason, needed = decided(made, value, margin, compared.n)
    cost = made.get("cost")
    return Verdict(
        outcome=outcome,
        reason=reason,
        candidate=compared.names[0],
        present=compared.names[1],
        quality=made.get("quality"),
        cost=cost,
        worth=made.get("worth"),
        confidence=confidence,
        interval=interval,
        n=compared.n,
        spent_usd=to_usd(compared.spent),
        spent_by=compared.spent_by,
        present_usd=_present_usd(compared),
        more=needed,
        notes=tuple(dict.fromkeys(notes)),
    )


def _present_usd(compared: _Compared) -> float | None:
    if compared.logged or compared.spent_by == PRESENT:
        return float(to_usd(compared.spent))
    mean = _value(compared.present["cost"])
    return None if mean is None else mean * compared.n


def _value(part: Part) -> float | None:
    sure = part.scored is not None and part.least == part.most
    return part.scored.value if sure and part.scored is not None else None
