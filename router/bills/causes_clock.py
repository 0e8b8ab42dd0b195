"""Causes in the clock: which hours, days, zone or instant the host takes a price from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from router.bills.case import Case
from router.bills.causes import BOUNDED, DISCRETE, FITTED, Fit, scaled, share, thousandths
from router.bills.clocks import other_prices, windows_of
from router.bills.lines import KINDS
from router.bills.rates import prices_of
from router.bills.state import State


def peak_hours(case: Case, state: State) -> Iterator[Fit]:
    """The bill follows another clock: peak prices off peak, weekends or holidays not excepted,
    hours in another zone, or the start of a call instead of its end.
    """
    prices = case.once("line prices", lambda: _line_prices(case))
    if prices == "others":
        return  # they are of no window, so it is not the clock that is read otherwise
    if prices == "apart":
        more = case.once("windows", lambda: _by_line(case))
        yield _clock_fit(
            "its lines have more tokens at one window's price and fewer at the other's",
            more,
            BOUNDED,
        )
    changes = case.once("clock", lambda: _by_clock(case))
    for (says, partly), change in sorted(changes.items(), key=lambda found: found[0][1]):
        found = share(case, state, change)
        if found is None:
            continue
        if 700 <= found <= 1050:
            yield _clock_fit(says, change, DISCRETE)
        if partly and prices != "apart":
            partly_says = f"{says} ({thousandths(found)} of them)"
            yield _clock_fit(partly_says, scaled(change, found, 1000), FITTED)


def _clock_fit(says: str, change: State, freedom: int) -> Fit:
    return Fit(
        "peak hours",
        change,
        freedom,
        says,
        "compare the schedule in the catalogue with the host's page: hours, zone, weekdays, "
        "holidays, and whether a call's start or its end decides",
    )


def _by_clock(case: Case) -> dict[tuple[str, bool], State]:
    """What each other reading of the clock would change, by what it says."""
    n = len(case.days)
    found: dict[tuple[str, bool], State] = {}
    for day, priced in case.calls:
        if priced.rates is None or not priced.rates.window:
            continue
        for reading, prices in other_prices(case.catalog, priced.call, priced.rates).items():
            change = found.setdefault(reading, State.zero(n))
            for kind in range(5):
                change.money[day][kind] += priced.tokens[kind] * (
                    prices[kind] - prices_of(priced.rates)[kind]
                )
    return found


def _line_prices(case: Case) -> str:
    """What tokens cost on the lines of a bill: "apart" where each is of one window, "mixed" where
    both may be in one, "others" where they cannot be; "" where lines do not tell.
    """
    found = _dear_and_cheap(case)
    if found is None or not case.billed.by_kind or case.billed.tokens is None:
        return ""
    dear, cheap = found
    between: list[set[int]] = [set() for _ in KINDS]
    for line in case.lines:
        if not line.tokens or line.amount is None or line.kind not in KINDS:
            continue
        kind, each = KINDS.index(line.kind), line.amount // line.tokens
        high, low = dear[kind], cheap[kind]
        if each * 500 > high * 501 or each * 500 < low * 499:
            return "others"
        if not _near(each, high) and not _near(each, low):
            between[kind].add(each)
    if not any(between):
        return "apart"
    one_price = all(_near(min(found), max(found)) for found in between if found)
    return "others" if one_price and len(case.days) > 2 else "mixed"


def _near(price: int, other: int) -> bool:
    return abs(price - other) * 1000 <= other


def _dear_and_cheap(case: Case) -> tuple[Sequence[int], Sequence[int]] | None:
    found = (windows_of(case.catalog, priced) for _, priced in case.calls if priced.rates)
    return next((windows for windows in found if windows), None)


def _by_line(case: Case) -> State:
    """What the windows of its lines change: more tokens in one of them, fewer in the other."""
    n, at = len(case.days), {day: i for i, day in enumerate(case.days)}
    windows = _dear_and_cheap(case)
    assert windows is not None
    dear, cheap = windows
    more = [[0] * 5 for _ in range(n)]
    for line in case.lines:
        if line.tokens and line.amount is not None and line.kind in KINDS:
            kind = KINDS.index(line.kind)
            if _near(line.amount // line.tokens, dear[kind]) and dear[kind] != cheap[kind]:
                more[at[line.day]][kind] += line.tokens
    for day, priced in case.calls:
        if priced.rates is not None:
            for kind, price in enumerate(prices_of(priced.rates)):
                if price == dear[kind] != cheap[kind]:
                    more[day][kind] -= priced.tokens[kind]
    change = State.zero(n)
    for day in range(n):
        change.money[day][:5] = [
            t * (d - c) for t, d, c in zip(more[day], dear, cheap, strict=True)
        ]
    return change
