"""The errors for a request that nobody is to serve: which budget, which policy, until when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from policies.types import Decision
from router.constraints import Obstacle
from router.errors import BudgetExceededError, DeferredError, NoCandidateError, RouterError
from router.limits import Unaffordable
from router.money import to_usd
from router.purses import Purses


def too_little(short: Iterable[Unaffordable], out: Mapping[str, Obstacle]) -> BudgetExceededError:
    """Of the candidates that are too dear, the error of the one that needs least."""
    dollars = [s for s in short if s.limit.hold.unit == "usd"]
    least = min(dollars or list(short), key=lambda s: s.needed)
    why = "".join(f"\n  {name}: {o.reason}" for name, o in out.items())
    return least.limit.exceeded(least.needed, why)


def refused(decision: Decision, purses: Purses) -> RouterError:
    """The error for a policy that allows nobody: for want of money, or for another reason."""
    said = f"policy {decision.policy!r} allows none of the candidates ({decision.reason})"
    if decision.steps and purses.tightest() is not None:
        return BudgetExceededError(f"{said}. Nothing was sent.", **_figures(purses))
    return NoCandidateError(f"{said}:", reasons=decision.rejected)


def deferred(decision: Decision, until: datetime, purses: Purses) -> RouterError:
    """The error for a policy that would send it later than the caller waits."""
    said = (
        f"policy {decision.policy!r} would send this at {until:%Y-%m-%d %H:%M} UTC "
        f"({decision.reason}). Nothing was sent: try again then, or pass patience= (seconds)."
    )
    if purses.tightest() is None:
        return NoCandidateError(said, reasons=decision.rejected)
    return DeferredError(said, until=until, **_figures(purses))


def _figures(purses: Purses) -> dict[str, Any]:
    """What the error says of the tightest budget."""
    tight = purses.tightest()
    assert tight is not None
    hold, balance = tight
    return {
        "budget": hold.name,
        "account": hold.key,
        "limit": to_usd(hold.limit + balance.adjusted),
        "spent": to_usd(balance.spent),
        "reserved": to_usd(balance.reserved),
        "requested": to_usd(0),
        "resets_at": hold.resets_at,
    }
