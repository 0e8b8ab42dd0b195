"""Is a candidate policy better than the present one, and what would it have saved?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from policies.types import Policy
from router.errors import ConfigError
from router.money import to_usd
from router.tuning import arms as lots
from router.tuning import known
from router.tuning.arms import Arms
from router.tuning.exact import replayed
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
from router.tuning.verdict import Difference, Outcome, Verdict

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


@overload
def gate(
    traffic: Traffic,
    candidate: Policy | None = None,
    present: Policy | None = None,
    *,
    value_usd: Amount | None = None,
    quality_margin: float = 0.0,
    confidence: float = 0.95,
    sequential: bool = False,
    arms: Arms | None = None,
) -> Verdict: ...
@overload
def gate(
    traffic: Traffic,
    candidate: Sequence[Policy],
    present: Policy | None = None,
    *,
    value_usd: Amount | None = None,
    quality_margin: float = 0.0,
    confidence: float = 0.95,
    sequential: bool = False,
    arms: Arms | None = None,
) -> list[Verdict]: ...
def gate(
    traffic: Traffic,
    candidate: Policy | Sequence[Policy] | None = None,
    present: Policy | None = None,
    *,
    value_usd: Amount | None = None,
    quality_margin: float = 0.0,
    confidence: float = 0.95,
    sequential: bool = False,
    arms: Arms | None = None,
) -> Verdict | list[Verdict]:
    """Compare a policy with the present one (None: the one that logged), request by request.

    With `value_usd`, what a right answer is worth, "better" is: surely worth more. Without it:
    surely cheaper, and surely no more than `quality_margin` worse in quality. `arms` compares
    two parts of the traffic that were told apart by lot instead: ("tag", "canary", "yes") are the
    requests with that tag against the rest, ("policy", "utility(0.02)") those that it decided.

    An interval holds for one look, decided on beforehand; who looks every day, and stops when it
    pleases, takes `sequential=True`, whose wider intervals hold for all looks together. Of several
    candidates each verdict is at 1 - (1 - confidence) / k, so that all hold together.
    Requests count as independent of each other: those of one conversation are not quite.

    Raises:
        ConfigError: nothing to compare, or an argument or a logged chance is none.
    """
    checked_share("confidence", confidence)
    value = checked_value(value_usd, "")
    number = isinstance(quality_margin, (int, float)) and not isinstance(quality_margin, bool)
    if not number or not 0 <= quality_margin < 1:
        raise ConfigError(f"quality_margin: expected 0 to below 1, got {quality_margin!r}")
    interval: IntervalName = "sequence" if sequential else "design"

    def judged(one: Policy | None, sure: float) -> Verdict:
        if arms is not None:
            if one is not None or present is not None:
                raise ConfigError("arms: expected no policies beside it: the traffic has both")
            compared = _by_lot(traffic, arms, value)
        elif one is None:
            raise ConfigError("candidate: expected a policy to compare, or arms=..., got None")
        else:
            compared = _compared(traffic, one, present, value)
        return _verdict(compared, value, quality_margin, sure, interval)

    if isinstance(candidate, Sequence):
        if not candidate:
            raise ConfigError("candidate: expected a policy or several, got none")
        each = 1 - (1 - confidence) / len(candidate)
        return [judged(one, each) for one in candidate]
    return judged(candidate, confidence)


def _compared(
    traffic: Traffic, candidate: Policy, present: Policy | None, value: float | None
) -> _Compared:
    names = (words(candidate), words(present))
    old = known.logged(traffic) if present is None else None
    if traffic.complete and (old is not None or present is not None):
        new = replayed(traffic, candidate)
        old = replayed(traffic, present) if present is not None else old
        assert old is not None
        spent = sum(map(int, old.cost))
        return _Compared(
            known.of(new, value).parts,
            known.of(old, value).parts,
            known.difference(new, old, value),
            len(traffic),
            spent,
            "as logged" if present is None else "with the present policy",
            names,
            (),
        )
    found = cases(traffic, [candidate, present])
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
        names,
        _notes(traffic, found),
    )


def _spent_by(found: Cases) -> str:
    lots = np.any((found.log.chance > 0) & (found.log.chance < 1))
    return "as logged, lots included" if lots else "as logged"


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


def _by_lot(traffic: Traffic, arms: Arms, value: float | None) -> _Compared:
    split = lots.split(traffic, arms)
    return _Compared(
        split.parts(value, canary=True),
        split.parts(value, canary=False),
        split.difference(value),
        len(traffic),
        sum(r.cost for r in traffic if r.cost is not None),
        "as logged, both parts",
        split.names,
        ("it holds if chance alone decided who went where",),
    )


def _verdict(
    compared: _Compared,
    value: float | None,
    margin: float,
    confidence: float,
    interval: IntervalName,
) -> Verdict:
    made: dict[Of, Difference] = {}
    for of, part in compared.difference.items():
        found = part.interval(interval, confidence)
        if found is None or part.scored is None:
            continue
        top = {"quality": 1.0, "cost": math.inf, "worth": math.inf}[of]
        sure = part.least == part.most
        made[of] = Difference(
            of=of,
            value=part.scored.value if sure else None,
            low=max(-top, found[0]),
            high=min(top, found[1]),
            candidate=_value(compared.candidate[of]),
            present=_value(compared.present[of]),
            n=part.count,
        )
    outcome, reason, needed = _decided(made, value, margin, compared.n)
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
        more=needed,
        notes=compared.notes,
    )


def _value(part: Part) -> float | None:
    sure = part.scored is not None and part.least == part.most
    return part.scored.value if sure and part.scored is not None else None


def _decided(
    made: dict[Of, Difference], value: float | None, margin: float, n: int
) -> tuple[Outcome, str, int | None]:
    """The outcome, why, and how many more requests it may take where it is open."""
    if value is not None:
        worth = made.get("worth")
        if worth is None:
            return "undecided", "no request has a grade and a cost", None
        if worth.low > 0:
            return "better", "surely worth more", None
        if worth.high < 0:
            return "worse", "surely worth less", None
        return "undecided", "the difference in worth may be nothing", worth.more(n, 0.0)
    cost, quality = made.get("cost"), made.get("quality")
    if cost is None or quality is None:
        lacks = "grade" if quality is None else "cost"
        return "undecided", f"no request has a {lacks}", None
    if quality.high < -margin:
        return "worse", _than("surely worse answers", margin), None
    if cost.low > 0 and quality.high <= margin:
        return "worse", _than("surely dearer, and answers surely not better", margin), None
    cheaper, as_good = cost.high < 0, quality.low >= -margin
    if cheaper and as_good:
        return "better", _than("surely cheaper, and answers surely not worse", margin), None
    open_ones = [
        *([] if cheaper else [("cheaper", cost.more(n, 0.0) if (cost.value or 0) < 0 else None)]),
        *([] if as_good else [("as good", quality.more(n, -margin))]),
    ]
    reason = f"not sure to be {' and '.join(word for word, _ in open_ones)}"
    needs = [more for _, more in open_ones]
    known_needs = [more for more in needs if more is not None]
    return "undecided", reason, max(known_needs) if len(known_needs) == len(needs) else None


def _than(words: str, margin: float) -> str:
    return f"{words} by more than {margin:g}" if margin else words
