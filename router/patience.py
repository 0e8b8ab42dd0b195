"""Plan a request now, or, where its caller can wait, when money allows."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from router.effects import Effect, Sleep
from router.errors import BudgetExceededError
from router.services import Services
from router.types import Plan, Request

_SPREAD, _SPREAD_SHARE = 30.0, 0.01
"""Seconds, and the share of the wait, over which those who waited come back."""
Planner: TypeAlias = Callable[[Request, Services], Generator[Effect, Any, Plan]]


def patiently(
    planner: Planner, request: Request, services: Services
) -> Generator[Effect, Any, tuple[Plan, datetime, float]]:
    """The plan, and when it was begun: the instant, and the monotonic clock.

    Waits, as far as `request.patience` goes, until the policy would send it (`defer_until`), or
    until a budget resets that holds too little now; then decides anew.

    Raises:
        DeferredError: it would take longer than that.
        BudgetExceededError: no budget resets in time, or its limit is below what it takes.
    """
    end = services.now() + timedelta(seconds=request.patience)
    while True:
        began, now = services.monotonic(), services.now()
        left = max(0.0, (end - now).total_seconds())
        try:
            plan = yield from planner(replace(request, patience=left), services)
        except BudgetExceededError as error:
            at = error.resets_at
            # What never fits is not waited for.
            if at is None or not now < at <= end or error.requested > error.limit:
                raise
        else:
            at = plan.decision.defer_until
            if at is None or at <= now:
                return plan, now, began
        wait = (at - services.now()).total_seconds()
        # Not all who wait for one instant come at once.
        spread = min(_SPREAD, wait * _SPREAD_SHARE, (end - at).total_seconds())
        yield Sleep(max(0.0, wait) + services.random() * max(0.0, spread))
