"""Errors that a bill may have, put into a right one; each with the name it should be given."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fractions import Fraction

from _reconcile_month import (
    Made,
    Month,
    at_peak,
    bill_rows,
    billed,
    deepseek_csv,
    prices,
    totals_csv,
)


@dataclass
class Bill:
    """A host's bill while errors are put into it."""

    calls: list[Made]
    month: Month
    shift: int = 0
    price: dict[tuple[str, int], Fraction] = field(default_factory=dict)
    since: int = 1
    factor: Fraction = Fraction(1)
    step: Fraction | None = None
    again: float = 0.0
    until: int = 31
    seed: int = 0

    def prices_of(self, model: str, peak: bool, day) -> tuple[Fraction, ...]:
        """What is charged a million tokens, errors included."""
        each = prices(model, peak)
        on = day.month > 10 or day.day >= self.since
        return tuple(
            p * (self.price.get((model, k), Fraction(1)) if on else 1) * self.factor
            for k, p in enumerate(each)
        )

    def csv(self, form: str) -> str:
        """The file, by kind (DeepSeek's) or by day."""
        calls = [
            c for c in self.calls if (c.ended + timedelta(hours=self.shift)).day <= self.until
        ]
        if form == "days":
            text = totals_csv(calls, shift=self.shift, prices_of=self.prices_of, fee=self.fee)
        else:
            rows = bill_rows(calls, shift=self.shift, prices_of=self.prices_of)
            text = deepseek_csv(rows)
        if self.again:
            rng = random.Random(self.seed)
            head, *lines = text.splitlines()
            twice = [line for line in lines if rng.random() < self.again] or lines[:1]
            text = "\n".join([head, *lines, *twice]) + "\n"
        return text

    def fee(self, usd: Fraction) -> Fraction:
        """An amount rounded up, where the host does so."""
        return usd if self.step is None else -(-usd // self.step) * self.step


@dataclass(frozen=True)
class Error:
    """One injected error: `put` changes the bill; `name` is what it should be called."""

    name: str
    size: str
    put: Callable[[Bill, random.Random], None]
    forms: tuple[str, ...] = ("kinds", "days")


def _some(bill: Bill, rng: random.Random, share: float, test) -> list[Made]:
    return [c for c in bill.calls if test(c) and rng.random() < share]


def cache(share: float):
    def put(bill, rng):
        for c in _some(bill, rng, share, lambda c: c.cached):
            c.fresh, c.cached = c.fresh + c.cached, 0

    return put


def peak(share: float):
    def put(bill, rng):
        for c in _some(bill, rng, share, lambda c: not at_peak(c.ended)):
            c.peak = True

    return put


def clock(**rule):
    def put(bill, _):
        for c in bill.calls:
            c.peak = at_peak(c.ended, **rule)

    return put


def aborted(share: float):
    def put(bill, rng):
        for c in _some(bill, rng, share, lambda c: c.kind == "closed"):
            c.output = c.whole

    return put


def failed(share: float, whole: bool):
    def put(bill, rng):
        for c in bill.month.calls:
            if c.kind == "failed" and rng.random() < share:
                bill.calls.append(replace(c, output=c.output if whole else 0))

    return put


def stale(kind: int, times: str, since: int = 1):
    def put(bill, _):
        for model in ("deepseek-flash", "deepseek-v4-pro"):
            bill.price[model, kind] = Fraction(times)
        bill.since = since

    return put


def foreign(share: float):
    def put(bill, rng):
        pool = [c for c in bill.calls if c.kind == "ok"]
        for i in range(int(len(pool) * share)):
            c = rng.choice(pool)
            at = c.ended + timedelta(hours=rng.randrange(-8, 9))
            bill.calls.append(replace(c, id=f"x{i}", ended=max(at, pool[0].ended)))

    return put


def missing(share: float):
    def put(bill, rng):
        bill.calls = [c for c in bill.calls if rng.random() >= share]

    return put


def unbilled(days: int):
    def put(bill, _):
        bill.until = 31 - days

    return put


def shifted(hours: int):
    def put(bill, _):
        bill.shift = hours

    return put


def twice(share: float):
    def put(bill, rng):
        bill.again, bill.seed = share, rng.randrange(10**6)

    return put


def times(factor: str):
    def put(bill, _):
        bill.factor *= Fraction(factor)

    return put


def rounded(step: str):
    def put(bill, _):
        bill.step = Fraction(step)

    return put


ERRORS = [
    Error("missing cache hits", "5 % of calls", cache(0.05)),
    Error("missing cache hits", "25 % of calls", cache(0.25)),
    Error("missing cache hits", "all calls", cache(1.0)),
    Error("peak hours", "5 % of off-peak calls", peak(0.05)),
    Error("peak hours", "30 % of off-peak calls", peak(0.30)),
    Error("peak hours", "weekends and holidays too", clock(holidays=False)),
    Error("peak hours", "hours taken in UTC", clock(zone=0)),
    Error("aborted streams", "half of them", aborted(0.5)),
    Error("aborted streams", "all of them", aborted(1.0)),
    Error("failed attempts", "half, their input", failed(0.5, whole=False)),
    Error("failed attempts", "all, their input", failed(1.0, whole=False)),
    Error("failed attempts", "all, in full", failed(1.0, whole=True)),
    Error("stale price", "output +3 %", stale(2, "1.03")),
    Error("stale price", "output +20 %", stale(2, "1.20")),
    Error("stale price", "fresh input +10 %", stale(0, "1.10")),
    Error("stale price", "cached input x5", stale(1, "5")),
    Error("stale price", "output -25 % from day 15", stale(2, "0.75", since=15)),
    Error("calls not in the ledger", "2 % more", foreign(0.02)),
    Error("calls not in the ledger", "15 % more", foreign(0.15)),
    Error("calls not billed", "2 % fewer", missing(0.02)),
    Error("calls not billed", "15 % fewer", missing(0.15)),
    Error("not yet billed", "the last 2 days", unbilled(2)),
    Error("day boundary", "8 hours ahead", shifted(8)),
    Error("day boundary", "5 hours behind", shifted(-5)),
    Error("duplicate lines", "1 % of lines", twice(0.01)),
    Error("duplicate lines", "10 % of lines", twice(0.10)),
    Error("currency, tax or fee", "5.5 % fee", times("1.055")),
    Error("currency, tax or fee", "19 % tax", times("1.19")),
    Error("discount", "10 % off", times("0.9")),
    Error("rounding or fee per request", "up to $0.0001", rounded("0.0001"), ("days",)),
    Error("rounding or fee per request", "up to $0.001", rounded("0.001"), ("days",)),
]


def recounted(times_: str):
    def put(bill, _):
        for c in bill.calls:
            c.output = int(c.output * Fraction(times_))

    return put


def jittered(by: float):
    def put(bill, rng):
        for c in bill.calls:
            c.times = Fraction(rng.randrange(int((1 - by) * 100), int((1 + 2 * by) * 100)), 100)

    return put


def one_weekday(times_: str):
    def put(bill, _):
        for c in bill.calls:
            if c.ended.isoweekday() == 3:
                c.times = Fraction(times_)

    return put


UNKNOWN = [  # of no kind that has a name: saying one is false
    Error("", "output counted 8 % longer", recounted("1.08")),
    Error("", "amounts jitter by -20 to +40 %", jittered(0.2)),
    Error("", "Wednesdays at 1.3 times", one_weekday("1.3")),
]
PAIRS = [
    ("missing cache hits", "currency, tax or fee"),
    ("missing cache hits", "calls not in the ledger"),
    ("stale price", "missing cache hits"),
    ("stale price", "duplicate lines"),
    ("peak hours", "not yet billed"),
    ("failed attempts", "stale price"),
    ("day boundary", "currency, tax or fee"),
    ("calls not billed", "missing cache hits"),
    ("aborted streams", "stale price"),
    ("duplicate lines", "peak hours"),
]


def bill_of(month: Month, errors: list[Error], rng: random.Random) -> Bill:
    """The right bill of a month with these errors put in, in their order."""
    bill = Bill(billed(month.calls), month)
    for error in errors:
        error.put(bill, rng)
    return bill
