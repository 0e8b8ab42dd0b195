"""One model at one host: what its bill says by day, and what the ledger predicts it should say.

All money here is in atto-dollars (1e-18 USD), so that tokens times prices are whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, TypeVar

from router.bills.calls import Paid
from router.bills.figures import day_in
from router.bills.lines import KINDS, BillLine
from router.bills.rates import own_rates, parts, prices_of
from router.catalog import Catalog, Rates

T = TypeVar("T")
PICO = 10**6
"""Atto-dollars of a pico-dollar."""
OUTPUT, OTHER = 4, 5
"""Places in tokens and money by day: the four kinds of input, output, and what is no token's."""
_UNREAD = 128
"""Output tokens that a closed stream may have had on their way; see `router.loss`."""
_MISCOUNT = 10
"""Our own count of tokens may be off by a tenth: another vocabulary than the host's."""
_BIN = timedelta(minutes=30)


@dataclass(slots=True)
class State:
    """What a bill would be, by day: tokens of five kinds, money of these and the rest, calls."""

    tokens: list[list[int]]
    money: list[list[int]]
    requests: list[int]

    @classmethod
    def zero(cls, days: int) -> State:
        """Nothing on any day."""
        return cls([[0] * 5 for _ in range(days)], [[0] * 6 for _ in range(days)], [0] * days)

    def plus(self, other: State) -> State:
        """The sum of both, day by day."""
        return State(
            [
                [a + b for a, b in zip(x, y, strict=True)]
                for x, y in _two(self.tokens, other.tokens)
            ],
            [[a + b for a, b in zip(x, y, strict=True)] for x, y in _two(self.money, other.money)],
            [a + b for a, b in zip(self.requests, other.requests, strict=True)],
        )

    def add(self, day: int, call: Priced, times: int = 1) -> None:
        """Count a call on a day."""
        for kind in range(5):
            self.tokens[day][kind] += times * call.tokens[kind]
            self.money[day][kind] += times * call.money[kind]
        self.money[day][OTHER] += times * call.money[OTHER]
        self.requests[day] += times

    def total(self, day: int) -> int:
        """All money of a day."""
        return sum(self.money[day])


def _two(a: list[list[int]], b: list[list[int]]) -> Iterable[tuple[list[int], list[int]]]:
    return zip(a, b, strict=True)


@dataclass(frozen=True, slots=True)
class Priced:
    """A call with what it adds to a bill: tokens by kind, and money by kind and beside them."""

    call: Paid
    rates: Rates | None
    tokens: tuple[int, ...]
    money: tuple[int, ...]


@dataclass(slots=True)
class Billed:
    """The bill by day. What it does not tell is None; `by_kind` is money apart by kind."""

    tokens: list[list[int]] | None
    inputs: list[int] | None
    """Tokens of input where cached ones are not told apart."""
    money: list[list[int]]
    by_kind: bool
    priced: bool
    requests: list[int] | None


def billed_of(lines: Sequence[BillLine], days: Sequence[date]) -> Billed:
    """The usage lines of one model, by day."""
    at = {day: i for i, day in enumerate(days)}
    n = len(days)
    tokens, money = [[0] * 5 for _ in range(n)], [[0] * 6 for _ in range(n)]
    inputs, requests = [0] * n, [0] * n
    told = dict.fromkeys(("tokens", "inputs", "requests", "amount", "all"), False)
    for line in lines:
        day = at[line.day]
        place = KINDS.index(line.kind) if line.kind in KINDS else OTHER
        if line.tokens is not None:
            whole = place == OTHER
            told["inputs" if whole else "tokens"] = True
            if whole:
                inputs[day] += line.tokens
            else:
                tokens[day][place] += line.tokens
        if line.requests is not None:
            told["requests"] = True
            requests[day] += line.requests
        if line.amount is not None:
            told["amount"] = True
            told["all"] |= line.kind == "all"
            money[day][place] += line.amount
    return Billed(
        tokens=tokens if told["tokens"] or told["inputs"] else None,
        inputs=inputs if told["inputs"] else None,
        money=money,
        by_kind=told["amount"] and not told["all"],
        priced=told["amount"],
        requests=requests if told["requests"] else None,
    )


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
    repeated: frozenset[int] = frozenset()
    prices: list[int] = field(default_factory=list)
    """The mean price of a token of each kind, atto-dollars; 0 where there is none."""
    over: list[tuple[int, int]] = field(default_factory=list)
    """What of each day may stand on the next or the one before, for calls over midnight: how much
    less and more there may be. It cancels over the days.
    """
    unsure: list[int] = field(default_factory=list)
    """Money of each day without a known usage: the bill may have it at any kind, or not at all."""
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
    repeated: frozenset[int] = frozenset(),
) -> Case:
    """The case of one model: `calls` may reach a day beyond `days` at both ends."""
    case = Case(endpoint, days, zone, catalog, lines, billed_of(lines, days), repeated=repeated)
    n, at = len(days), {day: i for i, day in enumerate(days)}
    case.base, case.low, case.high = State.zero(n), [0] * n, [0] * n
    case.slack, case.unsure, case.over = [0] * n, [0] * n, [(0, 0)] * n
    for call in calls:
        day = at.get(day_in(call.ended, zone))
        if call.state == "released":
            if day is not None:
                case.released.append((day, call))
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
    unread = 0 if priced.rates is None else _UNREAD * priced.rates.output
    case.high[day] += max(amount // _MISCOUNT, unread if call.outcome != "ok" else 0)
    case.low[day] += amount // _MISCOUNT if call.outcome == "ok" else amount
    case.slack[day] += call.outcome != "ok"


def misfit(case: Case, state: State) -> int:
    """How far a bill is from this state beyond what is in doubt: money, tokens at their price,
    and requests at half the mean cost of one, summed over days. Atto-dollars.
    """
    billed, total, prices = case.billed, 0, case.prices
    calls = sum(state.requests) or 1
    each = abs(sum(map(sum, state.money))) // calls // 2
    for day in range(len(case.days)):
        (low, high), unsure = case.doubt(day), case.unsure[day]
        ours, theirs = state.money[day], billed.money[day]
        if billed.priced:
            apart = (
                [b - a for a, b in zip(ours, theirs, strict=True)]
                if billed.by_kind
                else [sum(theirs) - sum(ours)]
            )
            total += _beyond(apart, low, high + (unsure if billed.by_kind else 0))
        if billed.tokens is not None:
            mine, told = state.tokens[day], billed.tokens[day]
            off = [(b - a) * p for a, b, p in zip(mine, told, prices, strict=True)]
            if billed.inputs is not None:
                off = [(billed.inputs[day] - sum(mine[:OUTPUT])) * prices[0], off[OUTPUT]]
            total += _beyond(off, low, high + unsure)
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
