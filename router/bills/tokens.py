"""A bill of tokens without amounts: by kind and day, beyond what is in doubt."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from router.bills.case import MISCOUNT, PICO, Case
from router.bills.causes import Cause
from router.bills.figures import day_in
from router.bills.lines import KINDS, Kind
from router.bills.rates import UNREAD
from router.bills.state import OTHER, OUTPUT, Priced, billed_of

CAUSES: frozenset[Cause] = frozenset(
    {
        *("missing cache hits", "cache hits not in the ledger", "aborted streams"),
        *("failed attempts", "calls not in the ledger", "calls not billed", "not yet billed"),
        *("day boundary", "duplicate lines", "reasoning billed twice"),
    }
)
"""What tokens alone can show: no cause of prices."""
_APART = (
    ("fresh input", (0,)), ("input read from the cache", (1,)), ("input written to it", (2,)),
    ("input written to it for an hour", (3,)), ("output", (OUTPUT,)),
)  # fmt: skip
_WHOLE = (("input", (0, 1, 2, 3)), ("output", (OUTPUT,)))
_ANY = 10**18
"""What a call of unknown usage may have of tokens that cost nothing."""


@dataclass(frozen=True, slots=True)
class TokensOff:
    """What of the tokens is off: `days` has each day's alarm, `says` what to tell people."""

    days: tuple[bool, ...]
    says: tuple[str, ...]

    @property
    def alarm(self) -> bool:
        """Whether the model is off, by its sums or by its days."""
        return bool(self.says)


def tokens_off(case: Case, share: Decimal) -> TokensOff:
    """Where tokens of a kind differ by more than this share of all input, or of all output."""
    return case.once(f"tokens {share}", lambda: _tokens_off(case, share))


def _tokens_off(case: Case, share: Decimal) -> TokensOff:
    told, n = case.billed.tokens, len(case.days)
    days, says = [False] * n, []
    if told is None:
        return TokensOff(tuple(days), ())
    inputs = case.billed.inputs
    for name, places in _APART if inputs is None else _WHOLE:
        ours = [sum(day[k] for k in places) for day in case.base.tokens]
        billed = [sum(day[k] for k in places) for day in told]
        if inputs is not None and OUTPUT not in places:
            billed = [a + b for a, b in zip(billed, inputs, strict=True)]
        side = [day[OUTPUT] if OUTPUT in places else sum(day[:OUTPUT]) for day in case.base.tokens]
        room, moved = _doubt(case, places)
        gaps = [b - a for a, b in zip(ours, billed, strict=True)]
        off = []
        for day in range(n):
            less, more = (a + b for a, b in zip(room[day], moved[day], strict=True))
            beyond = max(0, gaps[day] - more, -gaps[day] - less)
            off.append(beyond if beyond > share * side[day] else 0)
            days[day] |= bool(off[day])
        low, high = (sum(day[i] for day in room) for i in (0, 1))
        whole = max(0, sum(gaps) - high, -sum(gaps) - low)
        if whole > share * sum(side):
            says.append(_said(name, sum(billed), sum(ours)))
        elif sum(off) > share * sum(side):
            worst = max(range(n), key=lambda d: off[d])
            on = f"{name} on {sum(map(bool, off))} days, such as {case.days[worst]}"
            says.append(_said(on, billed[worst], ours[worst]))
    return TokensOff(tuple(days), tuple(says))


def _said(name: str, billed: int, ours: int) -> str:
    share = f" ({Decimal(billed - ours) * 100 / ours:+.1f} %)" if ours else ""
    return f"{name}: billed {billed:,} tokens, ours {ours:,}{share}"


def output_off(case: Case) -> int:
    """By how much money (atto-dollars) the output of days without lost calls is beyond doubt: what
    these were charged in full hides in the sum of all that streams were billed beyond our count.
    """
    told = case.billed.tokens
    if told is None:
        return 0
    lost = {day for day, priced in case.calls if priced.call.state == "assumed"}
    room, moved = _doubt(case, (OUTPUT,))
    gap = less = more = 0
    for day in range(len(case.days)):
        if day not in lost:
            gap += told[day][OUTPUT] - case.base.tokens[day][OUTPUT]
            less += room[day][0] + moved[day][0]
            more += room[day][1] + moved[day][1]
    return max(0, gap - more, -gap - less) * case.prices[OUTPUT]


_Room = list[tuple[int, int]]


def _doubt(case: Case, places: tuple[int, ...]) -> tuple[_Room, _Room]:
    """By day, how much less and more of these kinds there may be: of calls that nobody reported,
    and of calls over midnight, which cancel over the days.
    """
    room, moved = ([[0, 0] for _ in case.days] for _ in range(2))
    at = {day: i for i, day in enumerate(case.days)}
    for day, priced in case.calls:
        tokens = sum(priced.tokens[k] for k in places)
        began = at.get(day_in(priced.call.began, case.zone))
        if began != day:
            moved[day][0] += tokens
            if began is not None:
                moved[began][1] += tokens
        less, more = _unsure(case, priced, places, tokens)
        room[day][0] += less
        room[day][1] += more
    return [(a, b) for a, b in room], [(a, b) for a, b in moved]


def _unsure(case: Case, priced: Priced, places: tuple[int, ...], tokens: int) -> tuple[int, int]:
    call = priced.call
    if call.state == "told":
        return 0, 0
    if call.state == "assumed":  # charged in full: the host may have billed as much, or nothing
        prices = [case.prices[k] for k in places if case.prices[k]]
        return tokens, call.cost * PICO // min(prices) if prices else _ANY
    tenth = -(-tokens // MISCOUNT)
    less, more = (tenth, tenth) if call.outcome == "ok" else (tokens, tenth)
    if OUTPUT in places and call.outcome != "ok":
        more += UNREAD
    if not call.usage.cache_read_tokens:  # our own count sees no cache hits
        less = tokens if places == (0,) else less
        more = call.usage.input_tokens if places == (1,) else more
    return less, more


def at_our_prices(case: Case) -> Case:
    """The same bill with its tokens at the ledger's own prices of each day: causes are judged by
    money, and here only those of tokens can be found in it.
    """
    if case.billed.priced or case.billed.tokens is None:
        return case
    at = {day: i for i, day in enumerate(case.days)}
    prices = [_prices(case, day) for day in range(len(case.days))]
    lines = [
        line
        if line.tokens is None
        else replace(line, amount=line.tokens * prices[at[line.day]].get(line.kind, 0))
        for line in case.lines
    ]
    shown = billed_of(lines, case.days)
    for day in {at[line.day] for line in lines if line.tokens}:
        shown.money[day][OTHER] += case.base.money[day][OTHER]
    return replace(case, lines=lines, billed=shown, memo={})


def _prices(case: Case, day: int) -> dict[Kind, int]:
    """What a token of each kind, and one of any input, costs on a day."""
    tokens, money = case.base.tokens[day], case.base.money[day]
    found = {
        kind: money[k] // tokens[k] if tokens[k] else case.prices[k]
        for k, kind in enumerate(KINDS)
    }
    inputs = sum(tokens[:OUTPUT])
    found["all"] = sum(money[:OUTPUT]) // inputs if inputs else case.prices[0]
    return found
