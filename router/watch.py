"""After a call was charged: warn of budgets that are spent up to one of their shares."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from router.budgets import Hold
from router.budgets.warning import shares_reached, warning_of
from router.effects import Balances, Effect, Notify, Warned
from router.errors import LedgerError
from router.services import Services


def watch(holds: Iterable[Hold], services: Services) -> Generator[Effect, Any, None]:
    """Tell the caller's `on_warning` of each share once; over all processes, as the ledger knows.

    A ledger that fails here costs a warning, never the answer.
    """
    watched = [hold for hold in holds if hold.warn and not hold.single]
    if not watched or services.on_warning is None:
        return
    try:
        balances = yield Balances(watched)
        for hold, balance in zip(watched, balances, strict=True):
            for share in shares_reached(hold, balance):
                told = hold.key, hold.window_start, share
                if told in services.told:
                    continue
                if (yield Warned(*told)):
                    yield Notify(services.on_warning, warning_of(hold, balance, share))
                services.told.add(told)
    except LedgerError:
        return
