"""Causes that leave tokens as they are and change what they are billed at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date

from router.bills.case import Case
from router.bills.causes import (
    DISCRETE,
    FITTED,
    Cause,
    Fit,
    scaled,
    share,
    thousandths,
    usd,
)
from router.bills.lines import KINDS
from router.bills.rates import TIERS, parts, prices_of
from router.bills.state import OTHER, State
from router.catalog import Rates
from router.errors import RouterError

_ROWS, _MOST_ROWS = 4, 6
_SAME = 2
"""Thousandths: prices closer than that are the same."""
_STEPS = (10**18 // 10**6, 10**18 // 10**5, 10**18 // 10**4, 10**18 // 10**3, 10**18 // 100)
"""What a host may round each request up to: from a millionth of a dollar to a cent."""
_HIGHEST_FEE = 10**18 // 50


def stale_price(case: Case, state: State) -> Iterator[Fit]:
    """The host's price of one kind of token, or of some, is not the catalogue's any more."""
    n = len(case.days)
    priced = [k for k in range(5) if any(day[k] for day in state.money)]
    if not case.billed.by_kind:
        for kind in priced:
            full = _only(state, [kind], range(n))
            found = share(case, state, full, most=20_000, least=-1000, unit=10**6)
            if found is not None and abs(found) > _SAME * 1000 and len(priced) > 1:
                change = scaled(full, found, 10**6)
                yield _price_fit(case, [kind], [10**6 + found], change)
        return
    for first in _starts(case, state, priced):
        days = range(first, n)
        ratios = {k: _middle(case, state, [(d, k) for d in days]) for k in priced}
        changed = [k for k in priced if abs(ratios[k] - 10**6) > _SAME * 1000]
        if changed:
            gap = {k: abs(ratios[k] - 10**6) * _money(state, k, days) for k in changed}
            spread = max(ratios.values()) - min(ratios.values())
            alike = len(priced) > 1 and spread < 5000  # that is no kind's price
            for kinds in ([max(changed, key=lambda k: gap[k])], changed):
                if alike:
                    break
                change = State.zero(n)
                for kind in kinds:
                    part = _only(state, [kind], days)
                    change = change.plus(scaled(part, ratios[kind] - 10**6, 10**6))
                millionths = [ratios[k] for k in kinds]
                since = case.days[first] if first else None
                yield _price_fit(case, kinds, millionths, change, since)
                if len(changed) == 1:
                    break


def _starts(case: Case, state: State, kinds: Sequence[int]) -> list[int]:
    """The first day, and for each kind the day from which on another price fits best."""
    n, found = len(case.days), {0}
    for kind in kinds:
        ours = [state.money[d][kind] for d in range(n)]
        gap = [case.billed.money[d][kind] - ours[d] for d in range(n)]
        before = [0]
        for value in gap:
            before.append(before[-1] + abs(value))
        best = (before[-1] + 1, 0)
        for first in range(n):
            ratio = _middle(case, state, [(d, kind) for d in range(first, n)]) - 10**6
            after = sum(abs(gap[d] - ours[d] * ratio // 10**6) for d in range(first, n))
            best = min(best, (before[first] + after, first))
        found.add(best[1])
    return sorted(found)


def _price_fit(
    case: Case,
    kinds: Sequence[int],
    ratios: Sequence[int],
    change: State,
    since: date | None = None,
    only: str = "",
) -> Fit:
    names: list[str] = []
    wrong: set[str] = set()
    for kind, ratio in zip(kinds, ratios, strict=True):
        rows = _rows_of(case, kind, since, only)
        wrong |= rows.keys()
        prices = dict.fromkeys(prices_of(rates)[kind] for rates in rows.values())
        figures = " or ".join(
            f"${ours * ratio / 10**18:.3g} instead of ${ours / 10**12:.3g}" for ours in prices
        )
        names.append(f"{KINDS[kind]} at about {figures} a million tokens")
    when = f" from {since} on" if since else ""
    if case.billed.tokens is None:  # then more tokens look the same
        when += ", or so many more tokens, for this bill tells none"
    row = ", ".join(sorted(wrong)[:_ROWS])
    return Fit(
        "stale price",
        change,
        FITTED + len(kinds) - 1 + (since is not None) + bool(only),
        f"billed {' and '.join(names)}{when}",
        f"compare the price row {row} with the host's page, and correct it in an overlay",
    )


def _rows_of(case: Case, kind: int, since: date | None, only: str) -> dict[str, Rates]:
    """The rates that billed a kind of token, from a day on, or of one row alone."""
    first = case.days.index(since) if since is not None else 0
    return {
        priced.rates.id: priced.rates
        for day, priced in case.calls
        if priced.rates is not None
        and day >= first
        and priced.tokens[kind]
        and only in {"", priced.rates.id}
    }


def _of_rows(case: Case) -> dict[tuple[str, int], State]:
    """What each price row charged for each kind of token, where there are several rows."""
    found: dict[tuple[str, int], State] = {}
    for day, priced in case.calls:
        if priced.rates is None:
            continue
        for kind, amount in enumerate(priced.money[:OTHER]):
            if amount:
                name = priced.rates.id, kind
                if name not in found:
                    found[name] = State.zero(len(case.days))
                found[name].money[day][kind] += amount
    several = len({row for row, _ in found}) in range(2, _MOST_ROWS + 1)
    return found if several else {}


def stale_row(case: Case, state: State) -> Iterator[Fit]:
    """One of several price rows of a model is not the host's: that of an hour, or of some days."""
    for (row, kind), full in case.once("rows", lambda: _of_rows(case)).items():
        found = share(case, state, full, most=20_000, least=-1000, unit=10**6)
        if found is not None and abs(found) > _SAME * 1000:
            yield _price_fit(case, [kind], [10**6 + found], scaled(full, found, 10**6), only=row)


def factor(case: Case, state: State) -> Iterator[Fit]:
    """Everything is billed at the same ratio: a tax, a fee, another exchange rate, a discount."""
    days = range(len(case.days))
    kinds = range(5) if case.billed.by_kind else (-1,)
    ratio = _middle(case, state, [(day, kind) for day in days for kind in kinds])
    if abs(ratio - 10**6) <= _SAME * 1000 or not 10**5 < ratio < 2 * 10**7:
        return
    yield at_ratio(state, ratio)


def at_ratio(state: State, ratio: int) -> Fit:
    """Everything billed at this ratio (millionths)."""
    cause: Cause = "currency, tax or fee" if ratio > 10**6 else "discount"
    return Fit(
        cause,
        _money_only(scaled(state, ratio - 10**6, 10**6)),
        FITTED,
        f"everything is billed at {ratio / 10**6:.4g} times ours",
        "look for a tax, a fee for payment or an exchange rate; is it due, put it in an overlay"
        if ratio > 10**6
        else "look for a discount or credit; put the price that you really pay in an overlay",
        ratio,
    )


def service_tier(case: Case, state: State) -> Iterator[Fit]:
    """Calls are billed at the prices of a service tier, or at the standard ones instead of it."""
    changes = case.once("tiers", lambda: {tier: _at_tier(case, tier) for tier in (*TIERS, "")})
    for tier, change in changes.items():
        if not any(any(day) for day in change.money):
            continue
        found = share(case, state, change)
        if found:
            whole = 950 <= found <= 1050
            name = tier or "standard"
            yield Fit(
                "service tier",
                change if whole else scaled(change, found, 1000),
                DISCRETE if whole else FITTED,
                f"{'all' if whole else thousandths(found)} of the calls are billed at the {name} "
                "tier's prices",
                "compare the service tier that was asked for with the one on the bill",
            )


def _at_tier(case: Case, tier: str) -> State:
    """What the prices of a service tier would change."""
    change = State.zero(len(case.days))
    for day, priced in case.calls:
        rates = priced.rates
        if rates is None or rates.service_tier == (tier or "standard"):
            continue
        call = priced.call
        try:
            other = case.catalog.rates(
                call.endpoint,
                call.ended,
                input_tokens=call.usage.input_tokens,
                service_tier=tier,
            )
        except RouterError:
            other = None
        if other is None:
            continue
        prices = zip(parts(call), prices_of(other), prices_of(rates), strict=True)
        for kind, (tokens, new, old) in enumerate(prices):
            change.money[day][kind] += tokens * (new - old)
    return change


def per_request(case: Case, state: State) -> Iterator[Fit]:
    """Each request is rounded up, or charged a fee that the catalogue lacks."""
    n = len(case.days)
    changes = case.once("steps", lambda: {step: _rounded_up(case, step) for step in _STEPS})
    for step, change in changes.items():
        found = share(case, state, change, most=1300)
        if found is not None and 700 <= found <= 1300:
            yield Fit(
                "rounding or fee per request",
                change,
                DISCRETE,
                f"each request is rounded up to {usd(step)}",
                "fewer, larger requests cost less there; there is no row for it in a catalogue",
            )
    calls = sum(state.requests)
    gap = sum(map(sum, case.billed.money)) - sum(map(sum, state.money))
    fee = gap // calls if calls else 0
    if 0 < fee <= _HIGHEST_FEE:
        change = State.zero(n)
        for day in range(n):
            change.money[day][OTHER] = fee * state.requests[day]
        yield Fit(
            "rounding or fee per request",
            change,
            FITTED,
            f"about ${fee / 10**18:.6f} more for each request",
            "set per_request in the price row, if the host's page has such a fee",
        )


def _rounded_up(case: Case, step: int) -> State:
    change = State.zero(len(case.days))
    for day, priced in case.calls:
        if priced.call.state == "told":
            change.money[day][OTHER] += -sum(priced.money) % step
    return change


def _money(state: State, kind: int, days: range) -> int:
    return sum(state.money[d][kind] for d in days)


def _middle(case: Case, state: State, places: Sequence[tuple[int, int]]) -> int:
    """Millionths: the middle ratio of billed to state over days and kinds (-1: all of a day), by
    weight of money. A day with much in doubt would not move it as it moves a mean.
    """
    found = []
    for day, kind in places:
        ours = state.total(day) if kind < 0 else state.money[day][kind]
        theirs = sum(case.billed.money[day]) if kind < 0 else case.billed.money[day][kind]
        doubt = sum(case.doubt(day))
        if ours > 0:
            found.append((theirs * 10**6 // ours, ours * ours // (ours + 8 * doubt)))
    found.sort()
    half, weight = sum(w for _, w in found), 0
    for ratio, heavy in found:
        weight += heavy
        if 2 * weight >= half:
            return ratio
    return 10**6


def _only(state: State, kinds: Sequence[int], days: range) -> State:
    part = State.zero(len(state.requests))
    for day in days:
        for kind in kinds:
            part.money[day][kind] = state.money[day][kind]
    return part


def _money_only(state: State) -> State:
    n = len(state.requests)
    return State([[0] * 5 for _ in range(n)], state.money, [0] * n)
