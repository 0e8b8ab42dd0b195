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

Planner: TypeAlias = Callable[[Request, Services], Generator[Effect, Any, Plan]]


def patiently(
    planner: Planner, request: Request, services: Services
) -> Generator[Effect, Any, tuple[Plan, datetime, float]]:
    """The plan, and when it was begun: the instant, and the monotonic clock.

    Waits, as far as `request.patience` goes, until the policy would send it (`defer_until`), or
    until a budget resets that holds too little now; then decides anew.

    Raises:
        DeferredError: it would take longer than that.
        BudgetExceededError: no budget resets in time.
    """
    end = services.now() + timedelta(seconds=request.patience)
    while True:
        began, now = services.monotonic(), services.now()
        left = max(0.0, (end - now).total_seconds())
        try:
            plan = yield from planner(replace(request, patience=left), services)
        except BudgetExceededError as error:
            at = error.resets_at
            if at is None or not now < at <= end:
                raise
        else:
            at = plan.decision.defer_until
            if at is None or at <= now:
                return plan, now, began
        yield Sleep((at - services.now()).total_seconds())
