"""After a call was charged: warn of budgets that are spent up to one of their shares."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from datetime import UTC, datetime
from typing import Any

from router.budgets import Hold
from router.budgets.warning import shares_reached, warning_of
from router.effects import Balances, Effect, Notify, Warned
from router.errors import LedgerError
from router.services import Services

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MOST = 10_000
"""Kept of what was told: the ledger knows all of it, this only saves asking."""


def watch(holds: Iterable[Hold], services: Services) -> Generator[Effect, Any, None]:
    """Tell the caller's `on_warning` of each share once; over all processes, as the ledger knows.

    A ledger that fails here costs a warning, never the answer.
    """
    if services.on_warning is None:
        return
    told = services.told
    if len(told) > _MOST:
        told.clear()
    watched = [
        hold
        for hold in holds
        if not hold.single and any((hold.key, _span(hold), s) not in told for s in hold.warn)
    ]
    if not watched:
        return
    try:
        balances = yield Balances(watched)
        for hold, balance in zip(watched, balances, strict=True):
            for share in shares_reached(hold, balance):
                this = hold.key, _span(hold), share
                if this in told:
                    continue
                if (yield Warned(*this)):
                    yield Notify(services.on_warning, warning_of(hold, balance, share))
                told.add(this)
    except LedgerError:
        return


def _span(hold: Hold) -> datetime:
    """When the span began that is warned of once: of a rolling window one as long as itself.

    Its own start moves with every bucket.
    """
    if hold.since is None:
        return hold.window_start
    length = hold.window_start - hold.since
    return _BEGINNING + (hold.window_start - _BEGINNING) // length * length
