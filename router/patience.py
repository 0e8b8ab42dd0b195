"""Plan a request now, or, where its caller can wait, when money allows."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from router.effects import Effect, Sleep
from router.errors import BudgetExceededError, BudgetFrozenError
from router.services import Services
from router.types import Plan, Request

_PAUSE, _LONGEST = 0.5, 60.0
"""Seconds until who waits for calls under way asks again: at first, and at most."""
_SPREAD, _SPREAD_SHARE = 30.0, 0.01
"""Seconds, and the share of the wait, over which those who waited come back."""
Planner: TypeAlias = Callable[[Request, Services], Generator[Effect, Any, Plan]]


def patiently(
    planner: Planner, request: Request, services: Services
) -> Generator[Effect, Any, tuple[Plan, datetime, float]]:
    """The plan, and when it was begun: the instant, and the monotonic clock.

    Waits, as far as `request.patience` goes, until the policy would send it (`defer_until`), until
    calls under way return what they hold, or until a budget resets; then decides anew. A top-up
    meanwhile is not noticed.

    Raises:
        DeferredError: it would take longer than that.
        BudgetExceededError: no budget resets in time, or its limit is below what it takes.
    """
    end, pause = services.now() + timedelta(seconds=request.patience), _PAUSE
    while True:
        began, now = services.monotonic(), services.now()
        left = max(0.0, (end - now).total_seconds())
        try:
            plan = yield from planner(replace(request, patience=left), services)
        except BudgetExceededError as error:
            at = _again(error, now, end, pause)
            if at is None:
                raise
            pause = min(2 * pause, _LONGEST)
        else:
            at = plan.decision.defer_until
            if at is None or at <= now:
                return plan, now, began
        wait = (at - services.now()).total_seconds()
        # Not all who wait for one instant come at once.
        spread = min(_SPREAD, wait * _SPREAD_SHARE, (end - at).total_seconds())
        yield Sleep(max(0.0, wait) + services.random() * max(0.0, spread))


def _again(
    error: BudgetExceededError, now: datetime, end: datetime, pause: float
) -> datetime | None:
    """When to ask again after a refusal; None for not at all."""
    if error.requested > error.limit or now >= end:  # what never fits is not waited for
        return None
    free = error.limit - error.spent
    if 0 < error.requested <= free and not isinstance(error, BudgetFrozenError):
        # Calls under way hold it, and return what they do not use.
        return min(end, now + timedelta(seconds=pause))
    at = error.resets_at
    return at if at is not None and now < at <= end else None
