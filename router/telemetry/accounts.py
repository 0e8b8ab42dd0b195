"""What the accounts of budgets are called in labels: no two of them alike in one process."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Iterable, MutableMapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeAlias

from router._locks import forkable
from router.ledgers import Ledger
from router.ledgers.status import BudgetStatus
from router.telemetry.guard import shortened

_log = logging.getLogger("router")

Account: TypeAlias = tuple[Hashable, ...]
_WRAPPED = ("ledger", "store")
"""Where a ledger that stands before another has it; at most one of each does."""


@dataclass(frozen=True, slots=True)
class Line:
    """One limit of a budget as the ledger has it. `window` is its length in seconds, None of a
    total; `account` is what tells the budget from others, `name` what it is to be called.
    """

    account: Account
    name: str
    window: float | None
    state: BudgetStatus

    def figure(self, short: str) -> float | None:
        """The value of one of `names.BUDGETS`."""
        return self.window if short == "window" else float(getattr(self.state, short))


class Names:
    """Gives a name to an account, and another where somebody else's has it already."""

    def __init__(self) -> None:
        self._lock = forkable(self)
        self._warned = False

    def of(
        self,
        account: Account,
        wanted: str,
        own: MutableMapping[Account, str],
        others: Iterable[MutableMapping[Account, str]],
    ) -> str:
        """The name of an account, `wanted` if it is free; once given it stays, in `own`."""
        if (known := own.get(account)) is not None:
            return known
        with self._lock:
            taken = set()
            for held in (own, *others):
                for other, name in list(held.items()):
                    if other == account:  # two clients of one ledger
                        return own.setdefault(account, name)
                    taken.add(name)
            name = next(n for n in _tried(wanted) if n not in taken)
            own[account] = name
        if name != shortened(wanted) and not self._warned:
            self._warned = True
            _log.warning(
                "telemetry: there are several budgets of one name, so labels have numbers; give "
                "each budget, and those of each ledger, a name= of its own"
            )
        return name


def place_of(ledger: Ledger) -> Hashable:
    """What says that two ledgers are one: their file or server, or else the object."""
    inner = ledger
    for _ in _WRAPPED:
        for wrapped in _WRAPPED:
            inner = getattr(inner, wrapped, None) or inner
    path, place = getattr(inner, "path", None), getattr(inner, "place", None)
    if isinstance(path, str) and path != ":memory:":
        return Path(path).resolve()
    return place if isinstance(place, str) else id(inner)


def _tried(name: str) -> Iterable[str]:
    yield shortened(name)
    for number in count(2):
        yield shortened(f"{name} #{number}")
