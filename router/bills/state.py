"""What a bill is or would be, by day: tokens of five kinds, money and calls.

All money here is in atto-dollars (1e-18 USD), so that tokens times prices are whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from router.bills.calls import Paid
from router.bills.lines import KINDS, BillLine
from router.catalog import Rates

OUTPUT, OTHER = 4, 5
"""Places in tokens and money by day: the four kinds of input, output, and what is no token's."""


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
