"""Causes in the calls themselves: the bill has some that the ledger lacks, or lacks some."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from router.bills.case import Case
from router.bills.causes import DISCRETE, FREE, Fit
from router.bills.rates import prices_of
from router.bills.state import OUTPUT, State


def not_in_ledger(case: Case, state: State) -> Iterator[Fit]:
    """The bill has calls that the ledger lacks: another program's, or another key's."""
    told, requests = case.billed.tokens, case.billed.requests
    if told is None or case.billed.inputs is not None:
        return
    n, change = len(case.days), State.zero(len(case.days))
    more = tokens = 0
    for day in range(n):
        extra = [max(0, told[day][k] - state.tokens[day][k]) for k in range(5)]
        calls = None if requests is None else requests[day] - state.requests[day]
        if (calls is not None and calls <= 0) or not (extra[OUTPUT] and sum(extra[:OUTPUT])):
            continue
        prices = _prices_of_day(case, state, day)
        change.tokens[day] = extra
        change.money[day][:5] = [a * b for a, b in zip(extra, prices, strict=True)]
        change.requests[day] = max(0, calls or 0)
        more += max(0, calls or 0)
        tokens += sum(extra)
    if not tokens:
        return
    keys = sorted({line.key for line in case.lines if line.key})
    named = f" The bill has lines of the keys {', '.join(keys[:6])}." if len(keys) > 1 else ""
    calls_said = f"{more:,} requests and " if requests is not None else ""
    yield Fit(
        "calls not in the ledger",
        change,
        FREE if requests is not None else FREE + 1,
        f"the bill has {calls_said}{tokens:,} tokens that this ledger does not know.{named}",
        "look for a program that calls with the same account and keeps another ledger or none",
    )


def not_billed(case: Case, state: State) -> Iterator[Fit]:
    """The bill lacks calls of the ledger: of the last days, which may still come, or of any."""
    told, requests = case.billed.tokens, case.billed.requests
    n = len(case.days)
    empty = [not sum(case.billed.money[d]) and not _tokens(case, d) for d in range(n)]
    tail = n
    while tail and empty[tail - 1]:
        tail -= 1
    if tail > 0 and (tail < n or told is not None):
        change = _less(state, range(tail, n))
        partly = tail - 1  # the bill may have been written in the middle of a day
        if told is not None and case.billed.inputs is None:
            change = change.plus(_fewer(case, state, [partly]))
        if any(map(any, change.money)):
            first = case.days[partly if any(change.money[partly]) else tail]
            yield Fit(
                "not yet billed",
                change,
                DISCRETE,
                f"nothing more is billed from {first} on",
                "read the invoice again when the host has closed these days",
            )
    if told is None or case.billed.inputs is not None:
        return
    change = _fewer(case, state, range(n))
    fewer = -sum(change.requests)
    if any(any(day) for day in change.tokens):
        said = f"{fewer:,} calls" if requests is not None else "tokens"
        yield Fit(
            "calls not billed",
            change,
            FREE if requests is not None else FREE + 1,
            f"the bill lacks {said} that the ledger has",
            "ask whether another account or project is billed; expect them on a later bill",
        )


def _fewer(case: Case, state: State, days: Sequence[int]) -> State:
    """What the bill of these days lacks, as calls: fewer requests, and less input and output."""
    told, requests = case.billed.tokens, case.billed.requests
    change = State.zero(len(case.days))
    assert told is not None
    for day in days:
        less = [min(0, told[day][k] - state.tokens[day][k]) for k in range(5)]
        calls = None if requests is None else requests[day] - state.requests[day]
        if (calls is not None and calls >= 0) or not (less[OUTPUT] and sum(less[:OUTPUT])):
            continue
        prices = _prices_of_day(case, state, day)
        change.tokens[day] = less
        change.money[day][:5] = [a * b for a, b in zip(less, prices, strict=True)]
        change.requests[day] = min(0, calls or 0)
    return change


def _tokens(case: Case, day: int) -> int:
    told = case.billed.tokens
    return 0 if told is None else sum(told[day])


def _less(state: State, days: range) -> State:
    change = State.zero(len(state.requests))
    for day in days:
        change.tokens[day] = [-v for v in state.tokens[day]]
        change.money[day] = [-v for v in state.money[day]]
        change.requests[day] = -state.requests[day]
    return change


def _prices_of_day(case: Case, state: State, day: int) -> list[int]:
    """What a token of each kind costs on this day, atto-dollars; the month's where there is none.

    As billed where the bill has money by kind, for these calls are known from it alone.
    """
    found = []
    told = case.billed.tokens
    for kind, usual in enumerate(case.prices):
        tokens, money = state.tokens[day][kind], state.money[day][kind]
        if case.billed.by_kind and told is not None and told[day][kind]:
            ours = money // tokens if tokens else usual
            theirs = case.billed.money[day][kind] // told[day][kind]
            dearest = max((prices_of(p.rates)[kind] for _, p in case.calls if p.rates), default=0)
            # The calls that we lack may have met another hour's price than ours did.
            low, high = min(ours, usual, dearest), max(ours, usual, dearest)
            extra = told[day][kind] - tokens
            if extra and low <= theirs <= high:
                worth = (case.billed.money[day][kind] - money) // extra
                found.append(worth if low <= worth <= high else ours)
                continue
        found.append(money // tokens if tokens else usual)
    return found
