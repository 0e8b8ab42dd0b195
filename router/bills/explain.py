"""Which causes explain a bill: the fewest and stiffest that leave next to nothing.

Each hypothesis predicts a bill; what it leaves (`misfit`) counts, and how free it was to bend.
Two causes are taken together where one is not enough. Where none is good enough, or two fit
alike, there is no name: a false one sends people to the wrong place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from router.bills.case import Case, misfit
from router.bills.causes import FREE, Cause, Fit, Hypothesis
from router.bills.causes_bill import day_boundary, duplicate_lines
from router.bills.causes_calls import not_billed, not_in_ledger
from router.bills.causes_clock import peak_hours
from router.bills.causes_prices import factor, per_request, service_tier, stale_price, stale_row
from router.bills.causes_usage import (
    aborted_streams,
    failed_attempts,
    missing_cache,
    reasoning_twice,
    unseen_cache,
)
from router.bills.state import State

HYPOTHESES: tuple[Hypothesis, ...] = (
    duplicate_lines,
    day_boundary,
    missing_cache,
    unseen_cache,
    aborted_streams,
    failed_attempts,
    reasoning_twice,
    not_billed,
    not_in_ledger,
    service_tier,
    peak_hours,
    stale_price,
    stale_row,
    factor,
    per_request,
)
_ENOUGH = 800
"""Thousandths of a misfit that one cause must explain to be named."""
_OF_PRICES = 950
"""The same of a cause that changes prices only: those are exact, so that little is left."""
_OF_TOTALS = 960
"""The same where the bill has one amount a day, which several prices would explain."""
OF_RATIO = 992
"""The same of one ratio for everything, which is near to any change of a dear kind's price."""
_BOTH = 930
_EACH = 60
"""Thousandths that the weaker one of two causes must explain beyond the other."""
_MORE = 100
"""The same where one alone has a name: what is left may be chance."""
_PRICE_OF_FREEDOM = 12
_AHEAD = 15
"""Thousandths by which the best must be ahead of another cause, or neither is named."""
_ROUNDS = 2
_TRIED = 6
_ALIKE = 2


@dataclass(frozen=True, slots=True)
class Explanation:
    """The causes of a residual, best first; none where no name is sure enough.

    `explained` is in thousandths of the misfit. `could_be` are causes that fit about as well
    where none is named, and `near` their fits; `beside` is what to know and is no cause.
    """

    fits: tuple[Fit, ...]
    explained: int
    could_be: tuple[Cause, ...] = ()
    near: tuple[tuple[Fit, int], ...] = ()
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Scored:
    fits: tuple[Fit, ...]
    rest: int

    @property
    def freedom(self) -> int:
        return sum(fit.freedom for fit in self.fits)

    @property
    def causes(self) -> frozenset[Cause]:
        return frozenset(fit.cause for fit in self.fits)


_PRICES: frozenset[Cause] = frozenset(
    {
        *("stale price", "currency, tax or fee", "discount", "rounding or fee per request"),
        *("peak hours", "service tier"),
    }
)


_RATIOS: frozenset[Cause] = frozenset({"currency, tax or fee", "discount"})


def explain(case: Case, least: Callable[[int], int]) -> Explanation:
    """What explains the difference between a bill and the ledger. Empty where nothing does."""
    start = misfit(case, case.base)
    if not start:
        return Explanation((), 1000)
    singles = _singles(case)
    best = _choose(singles, start)
    totals = not case.billed.by_kind
    if best is not None and _explained(best, start) >= _BOTH:
        return _named(best, singles, start, totals)
    alone = _named(best, singles, start, totals)
    pairs = _pairs(case, singles, start)
    if alone.fits:  # what is free to be anything explains the rest of any cause
        pairs = [pair for pair in pairs if all(fit.freedom < FREE for fit in pair.fits)]
        floor = least(sum(map(sum, case.base.money)))
        pairs = [pair for pair in pairs if min(map(_moved, pair.fits)) > floor]
    both = _choose(pairs, start)
    if both is not None and _explained(both, start) >= _BOTH:
        gained = _explained(both, start) - (_explained(best, start) if best else 0)
        named = _named(both, pairs, start, totals)
        if gained >= (_MORE if alone.fits else _EACH) and named.fits:
            return named
    return alone


def _singles(case: Case) -> list[_Scored]:
    return [
        _Scored((fit,), misfit(case, case.base.plus(fit.change)))
        for hypothesis in HYPOTHESES
        for fit in hypothesis(case, case.base)
    ]


def _pairs(case: Case, singles: list[_Scored], start: int) -> list[_Scored]:
    """Two causes at once, each fitted to what the other leaves, a few times over."""
    ranked = sorted((s for s in singles if s.rest < start), key=lambda s: _score(s, start))
    firsts: list[_Scored] = []
    for single in ranked:
        if sum(s.causes == single.causes for s in firsts) < 2:
            firsts.append(single)
    found = []
    for first in firsts[:_TRIED]:
        for second in HYPOTHESES:
            found += _pair(case, first.fits[0], second)
    return found


def _pair(case: Case, first: Fit, second: Hypothesis) -> list[_Scored]:
    found = []
    state = case.base.plus(first.change)
    fits = (fit for fit in second(case, state) if fit.cause != first.cause)
    tried = [_Scored((first, f), misfit(case, state.plus(f.change))) for f in fits]
    for start in sorted(tried, key=lambda s: s.rest)[:_ALIKE]:
        score, (one, two) = start, start.fits
        for _ in range(_ROUNDS):
            again = _refit(case, one, two.change)
            other = None if again is None else _refit(case, two, again.change)
            if again is None or other is None:
                break
            whole = case.base.plus(again.change).plus(other.change)
            refit = _Scored((again, other), misfit(case, whole))
            if refit.rest >= score.rest:
                break
            one, two, score = again, other, refit
        found.append(score)
    return found


def _refit(case: Case, fit: Fit, beside: State) -> Fit | None:
    """The same cause, fitted with the other one in place."""
    state, best, least = case.base.plus(beside), None, None
    for hypothesis in HYPOTHESES:
        if hypothesis not in _MAKES.get(fit.cause, ()):
            continue
        for again in hypothesis(case, state):
            if again.cause == fit.cause and again.freedom == fit.freedom:
                rest = misfit(case, state.plus(again.change))
                if least is None or rest < least:
                    best, least = again, rest
    return best


_MAKES: dict[Cause, tuple[Hypothesis, ...]] = {
    "missing cache hits": (missing_cache,),
    "cache hits not in the ledger": (unseen_cache,),
    "peak hours": (peak_hours,),
    "aborted streams": (aborted_streams,),
    "failed attempts": (failed_attempts,),
    "stale price": (stale_price, stale_row),
    "calls not in the ledger": (not_in_ledger,),
    "calls not billed": (not_billed,),
    "not yet billed": (not_billed,),
    "day boundary": (),
    "duplicate lines": (),
    "currency, tax or fee": (factor,),
    "discount": (factor,),
    "rounding or fee per request": (per_request,),
    "service tier": (service_tier,),
}


def _moved(fit: Fit) -> int:
    """How much money a cause puts elsewhere, days apart."""
    return sum(abs(sum(day)) for day in fit.change.money)


def _explained(scored: _Scored, start: int) -> int:
    return 1000 - scored.rest * 1000 // start


def _score(scored: _Scored, start: int) -> int:
    """Thousandths left, and what freedom costs: the lower, the better."""
    return scored.rest * 1000 // start + _PRICE_OF_FREEDOM * scored.freedom


def _choose(scored: list[_Scored], start: int) -> _Scored | None:
    return min(scored, key=lambda s: _score(s, start), default=None)


def _enough(scored: _Scored, totals: bool) -> int:
    if len(scored.fits) > 1:
        # Two prices at once fit any row of amounts.
        return 1001 if totals and scored.causes <= _PRICES else _BOTH
    if not scored.causes & _PRICES:
        return _ENOUGH
    if not totals:
        return _OF_PRICES
    return OF_RATIO if scored.causes & _RATIOS else _OF_TOTALS


def _named(best: _Scored | None, among: list[_Scored], start: int, totals: bool) -> Explanation:
    if best is None:
        return Explanation((), 0)
    close = [
        s
        for s in sorted(among, key=lambda s: _score(s, start))
        if _score(s, start) < _score(best, start) + _AHEAD and not best.causes < s.causes
    ]
    rivals = {cause for s in close if s.causes != best.causes for cause in s.causes}
    explained = _explained(best, start)
    if explained >= _enough(best, totals) and not rivals:
        harmful = tuple(fit for fit in best.fits if not fit.harmless)
        beside = tuple(fit.says for fit in best.fits if fit.harmless)
        return Explanation(harmful or best.fits, explained, beside=beside if harmful else ())
    if explained < _ENOUGH // 2:
        return Explanation((), 0)
    near = tuple((s.fits[0], _explained(s, start)) for s in close if len(s.fits) == 1)
    return Explanation((), 0, tuple(sorted({*best.causes, *rivals})), near)
