"""What a hypothesis is: from a state and a bill, what the bill would be if it were true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from router.bills.case import Case
from router.bills.state import State

Cause: TypeAlias = Literal[
    "missing cache hits",
    "cache hits not in the ledger",
    "peak hours",
    "aborted streams",
    "failed attempts",
    "stale price",
    "calls not in the ledger",
    "calls not billed",
    "not yet billed",
    "day boundary",
    "duplicate lines",
    "currency, tax or fee",
    "discount",
    "rounding or fee per request",
    "service tier",
    "reasoning billed twice",
    "no known price",
    "unexplained",
]

DISCRETE, FITTED, BOUNDED, FREE = 1, 2, 3, 6
"""How much a hypothesis is free to bend: not at all, one number, days within bounds, each day."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A hypothesis with what it changes in the state, how freely, and what it says to people.

    `ratio` (millionths) is what everything is billed at, where that is the cause. `harmless` is
    what our own counts could not see: it is told beside another cause, and is none.
    """

    cause: Cause
    change: State
    freedom: int
    says: str
    advice: str
    ratio: int = 0
    harmless: bool = False


Hypothesis: TypeAlias = Callable[[Case, State], Iterator[Fit]]


def scaled(state: State, up: int, down: int) -> State:
    """A state times up/down, each number rounded towards zero."""

    def part(value: int) -> int:
        whole = abs(value) * up // down
        return whole if value >= 0 else -whole

    return State(
        [[part(v) for v in day] for day in state.tokens],
        [[part(v) for v in day] for day in state.money],
        [part(v) for v in state.requests],
    )


def gaps(case: Case, state: State) -> list[int]:
    """What the bill of each day has beyond the state, in atto-dollars."""
    return [sum(case.billed.money[d]) - state.total(d) for d in range(len(case.days))]


def share(
    case: Case,
    state: State,
    full: State,
    *,
    most: int = 1000,
    least: int = 0,
    unit: int = 1000,
) -> int | None:
    """How much of `full` fits the bill best, in thousandths (or another `unit`), by least squares;
    None if that is no more than `least` or above `most` thousandths.

    By kind of money where the bill has it, else by what it makes each day. Days of which much is
    in doubt weigh less.
    """
    top = bottom = 0
    for day in range(len(case.days)):
        ours = abs(state.total(day)) + 1
        weight = 1000 * ours // (ours + 8 * sum(case.doubt(day)))
        if case.billed.by_kind:
            pairs = [
                (case.billed.money[day][k] - state.money[day][k], full.money[day][k])
                for k in range(6)
            ]
        else:
            gap = sum(case.billed.money[day]) - state.total(day)
            pairs = [(gap, full.total(day))]
        top += weight * sum(gap * effect for gap, effect in pairs)
        bottom += weight * sum(effect * effect for _, effect in pairs)
    if not bottom:
        return None
    found = (2 * unit * top + bottom) // (2 * bottom)
    return found if least * unit < found * 1000 <= (most + most // 20) * unit else None


def usd(atto: int) -> str:
    """Dollars for people, cents or finer where there are few."""
    places = 2 if abs(atto) >= 10**18 else 4
    return f"{'-' if atto < 0 else ''}${abs(atto) / 10**18:,.{places}f}"


def thousandths(found: int) -> str:
    """A share of a thousand as a percentage."""
    return f"{found / 10:.1f} %".replace(".0 %", " %")
