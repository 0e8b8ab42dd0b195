"""What explains the models of one invoice together: what one is sure of tells of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from router.bills.case import Case, misfit
from router.bills.causes import Cause
from router.bills.causes_prices import at_ratio
from router.bills.causes_usage import may_be_attempts
from router.bills.explain import OF_RATIO, Explanation, explain

_LIKE_OTHERS = 700
"""Thousandths of a misfit that a cause must explain which all other models have for certain."""
_SAME_RATIO = 1500
"""Millionths by which the ratios of two models may differ, where all is billed at one."""
_ATTEMPTS: Cause = "failed attempts"


def explain_all(cases: Sequence[Case], least: Callable[[int], int]) -> list[Explanation]:
    """What explains each bill, and of those that more than one cause would fit, the one that
    all others of the same invoice have. One ratio for everything is the same for every model.
    `least` is what nobody need look at of so much money: no second cause is named for it.
    """
    found = [_or_attempts(case, explain(case, least)) for case in cases]
    found = _at_their_ratio(cases, found)
    sure = [e.fits[0].cause for e in found if len(e.fits) == 1]
    if len(set(sure)) == 1:
        for i, one in enumerate(found):
            near = ((f, n) for f, n in one.near if f.cause == sure[0] and n >= _LIKE_OTHERS)
            like = next(near, None)
            if not one.fits and like is not None:
                found[i] = Explanation((like[0],), like[1])
    ratios = [fit.ratio for one in found for fit in one.fits if fit.ratio]
    if ratios and max(ratios) - min(ratios) > _SAME_RATIO:
        found = [_doubted(one) for one in found]
    return found


def _at_their_ratio(cases: Sequence[Case], found: Sequence[Explanation]) -> list[Explanation]:
    """Models without a name at the ratio of those that are sure of one: lost calls, which are
    charged in full, bend the ratio that fits best, and hide the one that leaves nothing.
    """
    ratios = [e.fits[0].ratio for e in found if len(e.fits) == 1 and e.fits[0].ratio]
    if not ratios or max(ratios) - min(ratios) > _SAME_RATIO:
        return list(found)
    named = []
    for case, one in zip(cases, found, strict=True):
        start = misfit(case, case.base)
        if not one.fits and start:
            fit = at_ratio(case.base, ratios[0])
            explained = 1000 - misfit(case, case.base.plus(fit.change)) * 1000 // start
            if explained >= OF_RATIO:
                named.append(Explanation((fit,), explained))
                continue
        named.append(one)
    return named


def _or_attempts(case: Case, found: Explanation) -> Explanation:
    """Calls that the ledger lacks may be attempts that failed, where it has as many of these."""
    causes = tuple(fit.cause for fit in found.fits)
    if "calls not in the ledger" not in causes or not may_be_attempts(case):
        return found
    return Explanation((), 0, (*causes, _ATTEMPTS))


def _doubted(found: Explanation) -> Explanation:
    """The same, where a ratio that others do not share is no name any more."""
    causes = tuple(fit.cause for fit in found.fits)
    return Explanation((), 0, causes) if any(fit.ratio for fit in found.fits) else found
