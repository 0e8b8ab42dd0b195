"""What is said of one model: whether its bill is off beyond doubt and tolerance, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from router.bills.asked import amount_of
from router.bills.case import PICO, Case
from router.bills.causes import Cause
from router.bills.explain import Explanation
from router.bills.result import Finding, Residual
from router.bills.state import OUTPUT
from router.bills.tokens import CAUSES, output_off, tokens_off


@dataclass(frozen=True, slots=True)
class Tolerance:
    """A difference that nobody need look at: so much of ours, or so many USD, the larger; of a
    bill that has tokens alone, the share of these.

    Raises:
        InvalidRequestError: a float, what is no number, or a number below zero.
    """

    share: Decimal = Decimal("0.005")
    usd: Decimal = Decimal("0.01")

    def __post_init__(self) -> None:
        object.__setattr__(self, "share", amount_of("tolerance.share", self.share))
        object.__setattr__(self, "usd", amount_of("tolerance.usd", self.usd))

    def of(self, ours: int) -> int:
        """In the unit of `ours`, which is atto-dollars."""
        return max(int(self.share * abs(ours)), int(self.usd * 10**18))


_DAYS = 3
"""Times the least money of a tolerance: by so much days must be off where the whole agrees."""


def _beyond(gap: int, low: int, high: int) -> int:
    """How far a gap is outside of what is in doubt."""
    return max(0, gap - high, -gap - low)


def finding_of(case: Case, within: Tolerance, found: Explanation | None) -> Finding:
    """What is said of a model; `found` is what explains its difference, where it has one."""
    billed = sum(map(sum, case.billed.money)) if case.billed.priced or not case.lines else None
    ours = sum(map(sum, case.base.money))
    known = case.unpriced == 0
    plain = Finding(
        model=case.endpoint,
        billed=None if billed is None else billed // PICO,
        ours=ours // PICO if known else None,
        low=sum(case.low) // PICO,
        high=sum(case.high) // PICO,
        alarm=False,
    )
    tokens = _of_tokens(case, within) if billed is None else ()
    if not known:
        says = f"{case.unpriced:,} of its calls have no known price, so ours is not known"
        advice = "add a price row in an overlay, then reprice"
        return replace(
            plain, alarm=True, causes=("no known price",), says=(says, *tokens), advice=(advice,)
        )
    if not is_off(case, within):
        return replace(plain, says=tokens)
    if found is None:
        return _whole(case, plain)
    if billed is None and not {*found.could_be, *(f.cause for f in found.fits)} <= CAUSES:
        found = Explanation((), 0)  # a price cannot be seen in tokens
    if not found.fits:
        near = f"; it is a little like {' or '.join(found.could_be)}" if found.could_be else ""
        return replace(
            plain,
            alarm=True,
            causes=("unexplained",),
            could_be=found.could_be,
            says=(*tokens, f"no cause that we know explains it{near}"),
            advice=("compare the days in the table of residuals with the host's own page",),
        )
    return replace(
        plain,
        alarm=True,
        causes=tuple(fit.cause for fit in found.fits),
        explained=found.explained / 1000,
        says=(*tokens, *(fit.says for fit in found.fits), *found.beside),
        advice=tuple(dict.fromkeys(fit.advice for fit in found.fits)),
    )


def _of_tokens(case: Case, within: Tolerance) -> tuple[str, ...]:
    """What a bill without amounts says of tokens, the kinds that are off first."""
    if case.billed.tokens is None:
        return ("the bill has neither amounts nor tokens: nothing is compared",)
    off = tokens_off(case, within.share)
    only = "the bill has tokens and no amounts: only those are compared"
    return (*off.says, only) if off.alarm else (f"{only}, and agree",)


def is_off(case: Case, within: Tolerance) -> bool:
    """Whether a bill differs beyond doubt and tolerance: in all, or on any day."""
    if case.lines and not case.billed.priced:
        return tokens_off(case, within.share).alarm
    if case.unpriced:
        return False
    ours = sum(map(sum, case.base.money))
    gap = sum(map(sum, case.billed.money)) - ours
    if _beyond(gap, sum(case.low), sum(case.high)) > within.of(ours):
        return True
    if output_off(case) > within.of(ours):
        return True
    # Where the whole agrees, days must be off by more than a cent here and there.
    days = [d for d in range(len(case.days)) if _day_alarm(case, within, d)]
    return sum(_day_beyond(case, d) for d in days) > _DAYS * within.of(0)


def _whole(case: Case, plain: Finding) -> Finding:
    """A model that only one side has at all."""
    cause: Cause = "calls not in the ledger" if case.lines else "calls not billed"
    says = (
        "the ledger has no call of this model in these days"
        if case.lines
        else f"{len(case.calls):,} calls of the ledger have no line on the bill"
    )
    advice = (
        "look for another program with this account; or say with models= which model it is"
        if case.lines
        else "say with models= under which name the host bills it; or wait for its next bill"
    )
    return replace(
        plain, alarm=True, causes=(cause,), explained=1.0, says=(says,), advice=(advice,)
    )


def _day_alarm(case: Case, within: Tolerance, day: int) -> bool:
    return _day_beyond(case, day) > within.of(case.base.total(day))


def _day_beyond(case: Case, day: int) -> int:
    gap = sum(case.billed.money[day]) - case.base.total(day)
    return _beyond(gap, *case.doubt(day))


def residuals_of(case: Case, within: Tolerance, cause: str) -> list[Residual]:
    """The days of a model on which either side has anything."""
    found = []
    billed, known = case.billed, case.unpriced == 0
    told = not billed.priced and bool(case.lines)
    tokens_alarm = tokens_off(case, within.share).days if told else ()
    for day, when in enumerate(case.days):
        tokens = None if billed.tokens is None else billed.tokens[day]
        mine, amount = case.base.tokens[day], sum(billed.money[day])
        inputs = billed.inputs[day] if billed.inputs else 0
        if not (amount or case.base.requests[day] or inputs or (tokens and sum(tokens))):
            continue
        alarm = tokens_alarm[day] if told else known and _day_alarm(case, within, day)
        low, high = case.doubt(day)
        found.append(
            Residual(
                day=when,
                model=case.endpoint,
                billed=amount // PICO if billed.priced or not case.lines else None,
                ours=case.base.total(day) // PICO if known else None,
                low=low // PICO,
                high=high // PICO,
                alarm=alarm,
                billed_requests=None if billed.requests is None else billed.requests[day],
                our_requests=case.base.requests[day],
                billed_tokens=None
                if tokens is None
                else (sum(tokens[:OUTPUT]) + inputs, tokens[1], tokens[OUTPUT]),
                our_tokens=(sum(mine[:OUTPUT]), mine[1], mine[OUTPUT]),
                cause=cause if alarm else "",
            )
        )
    return found
