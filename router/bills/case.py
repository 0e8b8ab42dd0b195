"""One model at one host: what its bill says by day, and what the ledger predicts it should say.

All money here is in atto-dollars (1e-18 USD), so that tokens times prices are whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, TypeVar

from router.bills.calls import Paid
from router.bills.figures import day_in
from router.bills.lines import BillLine
from router.bills.rates import UNREAD, own_rates, parts, prices_of
from router.bills.state import OUTPUT, Billed, Priced, State, billed_of
from router.catalog import Catalog
from router.errors import RouterError

T = TypeVar("T")
PICO = 10**6
"""Atto-dollars of a pico-dollar."""
MISCOUNT = 10
"""Our own count of tokens may be off by a tenth: another vocabulary than the host's."""
_BIN = timedelta(minutes=30)


@dataclass(slots=True)
class Case:
    """Everything that is known of one model's bill and of our calls.

    `low` and `high` are by how much the bill of a day may be below and above ours by what the
    ledger only counted or assumed; `around` has calls a day before and after, for shifted days.
    """

    endpoint: str
    days: list[date]
    zone: tzinfo
    catalog: Catalog
    lines: list[BillLine]
    billed: Billed
    calls: list[tuple[int, Priced]] = field(default_factory=list)
    released: list[tuple[int, Paid]] = field(default_factory=list)
    around: list[Priced] = field(default_factory=list)
    base: State = field(default_factory=lambda: State.zero(0))
    low: list[int] = field(default_factory=list)
    high: list[int] = field(default_factory=list)
    slack: list[int] = field(default_factory=list)
    unpriced: int = 0
    edited: int = 0
    prices: list[int] = field(default_factory=list)
    """The mean price of a token of each kind, atto-dollars; 0 where there is none."""
    over: list[tuple[int, int]] = field(default_factory=list)
    """What of each day may stand on the next or the one before, for calls over midnight: how much
    less and more there may be. It cancels over the days.
    """
    unsure: list[int] = field(default_factory=list)
    """Money of each day without a known usage: the bill may have it at any kind, or not at all."""
    unseen: list[int] = field(default_factory=list)
    """What the input of calls that we counted would cost if it were cached: of any of it, the bill
    may have these tokens as cached and not as fresh.
    """
    like: dict[str, Priced] = field(default_factory=dict)
    """The answered attempt of a request, at this model's own prices, wherever it was made."""
    memo: dict[str, Any] = field(default_factory=dict)
    """What hypotheses worked out of the calls once."""

    def doubt(self, day: int) -> tuple[int, int]:
        """How far below and above ours the bill of a day may be."""
        less, more = self.over[day]
        return self.low[day] + less, self.high[day] + more

    def once(self, name: str, make: Callable[[], T]) -> T:
        """What `make` gives, made once."""
        if name not in self.memo:
            self.memo[name] = make()
        found: T = self.memo[name]
        return found

    def bins(self) -> dict[datetime, State]:
        """Half hours (UTC) with what was billed in them, the days around included."""
        found: dict[datetime, State] = {}
        for priced in self.around:
            at = priced.call.ended.astimezone(UTC)
            start = at - (at - datetime.min.replace(tzinfo=UTC)) % _BIN
            found.setdefault(start, State.zero(1)).add(0, priced)
        return found


def case_of(
    endpoint: str,
    lines: list[BillLine],
    calls: Sequence[Paid],
    days: list[date],
    zone: tzinfo,
    catalog: Catalog,
    answered: Mapping[str, Paid] | None = None,
) -> Case:
    """The case of one model: `calls` may reach a day beyond `days` at both ends. `answered` has
    the attempts, at any host, that answered a request, by its id.
    """
    case = Case(endpoint, days, zone, catalog, lines, billed_of(lines, days))
    n, at = len(days), {day: i for i, day in enumerate(days)}
    case.base, case.low, case.high = State.zero(n), [0] * n, [0] * n
    case.slack, case.unsure, case.over = [0] * n, [0] * n, [(0, 0)] * n
    case.unseen = [0] * n
    for line in lines:
        case.low[at[line.day]] += line.rounding
        case.high[at[line.day]] += line.rounding
    for call in calls:
        day = at.get(day_in(call.ended, zone))
        if call.state == "released":
            if day is not None:
                case.released.append((day, call))
                if (like := _like(case, call, (answered or {}).get(call.request_id))) is not None:
                    case.like[call.request_id] = like
            continue
        priced, edited = _priced(call, catalog)
        case.around.append(priced)
        if day is None:
            continue
        case.unpriced += priced.rates is None and call.state != "assumed" and not call.cost
        case.edited += edited
        case.calls.append((day, priced))
        case.base.add(day, priced)
        _doubt(case, day, at, priced)
    case.prices = [_mean_price(case, kind) for kind in range(5)]
    return case


def _like(case: Case, failed: Paid, answered: Paid | None) -> Priced | None:
    """What answered a request after an attempt here had failed, at the price of this attempt."""
    if answered is None:
        return None
    try:
        tokens = answered.usage.input_tokens
        rates = case.catalog.rates(failed.endpoint, failed.ended, input_tokens=tokens)
    except RouterError:  # the catalogue knows no such endpoint
        return None
    if rates is None:
        return None
    counts = parts(answered)
    money = [count * price for count, price in zip(counts, prices_of(rates), strict=True)]
    return Priced(answered, rates, counts, (*money, rates.per_request * PICO))


def _mean_price(case: Case, kind: int) -> int:
    tokens = sum(day[kind] for day in case.base.tokens)
    money = sum(day[kind] for day in case.base.money)
    dearest = max((prices_of(c.rates)[kind] for _, c in case.calls if c.rates), default=0)
    return money // tokens if tokens else dearest


def _priced(call: Paid, catalog: Catalog) -> tuple[Priced, bool]:
    tokens = parts(call)
    rates = own_rates(catalog, call) if call.rates_id or call.cost else None
    if call.state == "assumed" or rates is None or call.late:
        return Priced(call, None, tokens, (0, 0, 0, 0, 0, call.cost * PICO)), False
    prices = prices_of(rates)
    money = [count * price for count, price in zip(tokens, prices, strict=True)]
    rest = rates.per_request * PICO
    booked = call.cost * PICO
    off = booked - sum(money) - rest
    edited = not 0 <= off < PICO  # rounded up by less than a pico-dollar
    if edited:  # the row was changed since, or more than the usage was charged
        rest += off
    return Priced(call, rates, tokens, (*money, rest)), edited and call.state == "told"


def _doubt(case: Case, day: int, at: dict[date, int], priced: Priced) -> None:
    """Widen what may be above and below for a call that nobody reported, or over midnight."""
    call, amount = priced.call, sum(priced.money)
    began = at.get(day_in(call.began, case.zone))
    if began != day:
        case.over[day] = case.over[day][0] + amount, case.over[day][1]
        if began is not None:
            case.over[began] = case.over[began][0], case.over[began][1] + amount
    if call.state == "told":
        return
    if call.state == "assumed":
        case.low[day] += amount
        case.unsure[day] += amount
        case.slack[day] += 1
        return
    unread = 0 if priced.rates is None else UNREAD * priced.rates.output
    case.high[day] += max(amount // MISCOUNT, unread if call.outcome != "ok" else 0)
    cheaper = 0
    if priced.rates is not None and not call.usage.cache_read_tokens:
        # Our own count sees no cache hits; the host may have billed all of it as cached.
        cached = call.usage.input_tokens * priced.rates.cache_read
        cheaper = max(0, sum(priced.money[:OUTPUT]) - cached)
        case.unseen[day] += cached
    case.low[day] += min(amount, amount // MISCOUNT + cheaper if call.outcome == "ok" else amount)
    case.slack[day] += call.outcome != "ok"


def misfit(case: Case, state: State) -> int:
    """How far a bill is from this state beyond what is in doubt: money, tokens at their price,
    and requests at half the mean cost of one, summed over days. Atto-dollars.
    """
    billed, total, prices = case.billed, 0, case.prices
    calls = sum(state.requests) or 1
    each = abs(sum(map(sum, state.money))) // calls // 2
    for day in range(len(case.days)):
        (low, high), unsure, unseen = case.doubt(day), case.unsure[day], case.unseen[day]
        ours, theirs = state.money[day], billed.money[day]
        if billed.priced:
            apart = (
                [b - a for a, b in zip(ours, theirs, strict=True)]
                if billed.by_kind
                else [sum(theirs) - sum(ours)]
            )
            kinds = billed.by_kind
            total += _beyond(
                apart,
                low + (unseen if kinds else 0),
                high + (unsure + unseen if kinds else 0),
            )
        if billed.tokens is not None:
            mine, told = state.tokens[day], billed.tokens[day]
            off = [(b - a) * p for a, b, p in zip(mine, told, prices, strict=True)]
            if billed.inputs is not None:
                off = [(billed.inputs[day] - sum(mine[:OUTPUT])) * prices[0], off[OUTPUT]]
            total += _beyond(off, low + unseen, high + unsure + unseen)
        if billed.requests is not None:
            off_by = abs(billed.requests[day] - state.requests[day])
            total += max(0, off_by - case.slack[day]) * each
    return total


def _beyond(apart: Sequence[int], low: int, high: int) -> int:
    above = below = 0
    for value in apart:  # the innermost loop of every search
        if value > 0:
            above += value
        else:
            below -= value
    return max(0, above - high) + max(0, below - low)
