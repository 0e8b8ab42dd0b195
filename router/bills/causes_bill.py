"""Causes in the bill itself: lines twice, and days that begin at another hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from router.bills.case import Case
from router.bills.causes import DISCRETE, Fit
from router.bills.figures import day_in
from router.bills.state import State, billed_of

_HALF_HOURS = (*range(-24, 0), *range(1, 29))
_FEW_DAYS = 3
_TWICE = range(1980, 2021)
"""Thousandths: a day that is billed at about twice what it should be."""


def duplicate_lines(case: Case, state: State) -> Iterator[Fit]:
    """Lines that repeat an earlier one were charged again; or whole days were."""
    again = [line for line in case.lines if line.repeats]
    if again:
        once = billed_of(again, case.days)
        change = State(
            once.tokens or State.zero(len(case.days)).tokens,
            _folded(case, once.money),
            once.requests or [0] * len(case.days),
        )
        numbers = sorted({(line.file, line.line) for line in again})
        several = len({line.file for line in case.lines}) > 1
        named = [f"{number} of {file}" if several else str(number) for file, number in numbers]
        shown = ", ".join(named[:6]) + (" ..." if len(named) > 6 else "")
        yield Fit(
            "duplicate lines",
            change,
            DISCRETE,
            f"{len(numbers):,} lines of the invoice repeat others (lines {shown})",
            "ask the host for a credit of these lines; where the file was joined, leave them out",
        )
        return
    twice = [d for d in range(len(case.days)) if _doubled(case, state, d)]
    if twice:
        change = State.zero(len(case.days))
        for day in twice:
            change.tokens[day] = list(state.tokens[day])
            change.money[day] = list(state.money[day])
            change.requests[day] = state.requests[day]
        days = ", ".join(str(case.days[d]) for d in twice[:6])
        yield Fit(
            "duplicate lines",
            change,
            DISCRETE + 1,
            f"{len(twice)} days are billed twice ({days})",
            "ask the host for a credit",
        )


def _folded(case: Case, money: list[list[int]]) -> list[list[int]]:
    return money if case.billed.by_kind else [[*[0] * 5, sum(day)] for day in money]


def _doubled(case: Case, state: State, day: int) -> bool:
    billed, ours = case.billed, state.total(day)
    pairs = [(sum(billed.money[day]), ours)]
    if billed.tokens is not None and billed.inputs is None:
        pairs.append((sum(billed.tokens[day]), sum(state.tokens[day])))
    elif billed.requests is None:
        return False  # a price that doubled looks the same
    if billed.requests is not None:
        pairs.append((billed.requests[day], state.requests[day]))
    return all(b > 0 and a * 1000 // b in _TWICE for a, b in pairs)


def day_boundary(case: Case, state: State) -> Iterator[Fit]:
    """The bill's days begin at another hour than we took them to, or count a call's start."""
    del state
    if len(case.days) < _FEW_DAYS or not any(map(any, case.billed.money)):
        return  # of a day or two, hours may be chosen until nothing is left
    yield from case.once("days", lambda: [*_other_hours(case), _by_start(case)])


def _other_hours(case: Case) -> Iterator[Fit]:
    bins = case.bins()
    at = {day: i for i, day in enumerate(case.days)}
    n, less = len(case.days), _negative(case.base)
    for halves in _HALF_HOURS:
        by = timedelta(minutes=30 * halves)
        moved = State.zero(n)
        for start, one in bins.items():
            day = at.get(day_in(start + by, case.zone))
            if day is None:
                continue
            for kind in range(5):
                moved.tokens[day][kind] += one.tokens[0][kind]
            for place in range(6):
                moved.money[day][place] += one.money[0][place]
            moved.requests[day] += one.requests[0]
        ahead = _utc(_offset(case) + by)
        yield Fit(
            "day boundary",
            moved.plus(less),
            DISCRETE,
            f"its days begin {abs(halves) / 2:g} hours "
            f"{'earlier' if halves > 0 else 'later'} than taken: at midnight of {ahead}",
            f"read the invoice with the zone of its days ({ahead})",
        )


def _by_start(case: Case) -> Fit:
    at = {day: i for i, day in enumerate(case.days)}
    by_start = State.zero(len(case.days))
    for priced in case.around:
        day = at.get(day_in(priced.call.began, case.zone))
        if day is not None:
            by_start.add(day, priced)
    return Fit(
        "day boundary",
        by_start.plus(_negative(case.base)),
        DISCRETE,
        "it counts a call on the day on which it began",
        "nothing is wrong: calls over midnight stand on the day before",
    )


def _offset(case: Case) -> timedelta:
    """By how much the zone of the bill is ahead of UTC, on its first day."""
    first = case.days[0]
    noon = _noon(first.year, first.month, first.day)
    return noon.astimezone(case.zone).utcoffset() or timedelta()


def _utc(offset: timedelta) -> str:
    hours, minutes = divmod(abs(offset) // timedelta(minutes=1), 60)
    sign = "-" if offset < timedelta() else "+"
    return f"UTC{sign}{hours}" + (f":{minutes:02d}" if minutes else "")


def _noon(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 12, tzinfo=UTC)


def _negative(state: State) -> State:
    return State(
        [[-v for v in day] for day in state.tokens],
        [[-v for v in day] for day in state.money],
        [-v for v in state.requests],
    )
