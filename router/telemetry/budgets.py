"""Gauges of budgets, read from the ledger when they are collected, and seldom enough.

A ledger may be on a server, or locked. So a thread reads it, and a collection waits for it a
moment and shows what was read last.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias, cast
from weakref import WeakSet

from router.budgets import Budget
from router.budgets.budget import Unit
from router.budgets.scopes import CANDIDATE_SCOPES, matched
from router.catalog import Candidate
from router.errors import BudgetExceededError
from router.ledgers import Ledger
from router.ledgers.status import status
from router.money import to_usd
from router.telemetry import names
from router.telemetry.accounts import Account, Line, Names, place_of
from router.telemetry.gauges import Point, Shower, present
from router.telemetry.guard import OTHER, shortened

_log = logging.getLogger("router")

FRESH = 2.0
"""Seconds for which what was read is shown again."""
STALE = 60.0
"""Seconds after which it is not shown any more, where the ledger does not answer."""
WAIT = 1.0
"""Seconds that a collection waits for the ledgers of all clients together."""
MOST = 100
"""Accounts shown of one client's budgets whose scope has a `*`."""

THREAD = "centroute-budgets"

Shown: TypeAlias = tuple[Budget, Mapping[str, str]]
"""A budget, and the tags by which it has the account that is meant."""

showing: WeakSet[Shower] = WeakSet()
_names = Names()


@dataclass(slots=True)
class _Reading:
    """A reading of the ledger that is under way, in which process since when."""

    at: float
    done: threading.Event = field(default_factory=threading.Event)
    pid: int = field(default_factory=os.getpid)


class BudgetGauges(Shower):
    """The budgets of one client. `ledger` answers None until it is open.

    Of a scope with a `*` each value that a request had is an account of its own, and is shown
    where the tag is one of `metric_tags`: its value is in the name. Budgets of one name have
    their window added, or a number, so that none is shown in another's place.
    """

    def __init__(
        self,
        budgets: Sequence[Budget],
        tags: Mapping[str, str],
        ledger: Callable[[], Ledger | None],
        now: Callable[[], datetime],
        *,
        metric_tags: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self.called: dict[Account, str] = {}
        self._ledger, self._now, self._clock = ledger, now, clock
        lasting = [budget for budget in budgets if budget.window != "request"]
        open_to = {*metric_tags, *CANDIDATE_SCOPES}
        self._fixed = [(b, {**tags, **b.scope}) for b in lasting if not _starred(b)]
        self._hidden = [b for b in lasting if _starred(b)]  # as far as no gauge shows them
        self._starred = [b for b in self._hidden if set(_starred(b)) <= open_to]
        windows: dict[str, set[object]] = {}
        for budget in lasting:
            windows.setdefault(budget.name, set()).add(budget.window)
        self._ambiguous = {name for name, found in windows.items() if len(found) > 1}
        self._met: dict[tuple[int, tuple[str, ...]], dict[str, str]] = {}
        self._by_key: dict[str, list[Shown]] = {}
        for budget, own in self._fixed:
            self._keep(budget, own)
        self._full = False
        self._place: Hashable = None
        self._last: tuple[float, list[Line]] = (-STALE, [])
        self._reading: _Reading | None = None

    def met(self, tags: Mapping[str, str], candidate: Candidate | None = None) -> None:
        """Note whose accounts a request with these tags, and who is called, counts against."""
        if not self._starred:
            return
        known = dict(tags)
        if candidate is not None:
            known |= {name: getattr(candidate, name) for name in ("model", "mode", "host")}
            known["candidate"] = candidate.name
        for i, budget in enumerate(self._starred):
            if budget.applies(known):
                own = {
                    name: matched(name, to, known[name]) or "" for name, to in budget.scope.items()
                }
                key = i, tuple(own.values())
                if key in self._met:
                    continue
                if len(self._met) < MOST:
                    self._met[key] = own
                    self._keep(budget, own)
                elif not self._full:
                    self._full = True
                    _log.warning(
                        "telemetry: of the accounts of budgets with a '*' in their scope the "
                        "first %d are shown; all of them hold",
                        MOST,
                    )

    def points(self, short: str) -> Iterator[Point]:
        """The points of one of `names.BUDGETS`."""
        for line in self.read():
            if (value := line.figure(short)) is not None:
                name = self._name(line.account, line.name)
                yield {names.BUDGET: name, names.BUDGET_UNIT: line.state.unit}, value

    def refusing(self, error: BudgetExceededError) -> str | None:
        """What the account that refused is called by its gauges, or else, where it has none but
        a budget of ours has it, that budget's name; None: it is no budget of ours.
        """
        shown = self._by_key.get(error.account, ())
        found = [(b, tags) for b, tags in shown if b.named(tags) == error.budget]
        if not found:
            return next((shortened(b.name) for b in self._hidden if _of(error, b)), None)
        # Of two limits on one account that have one name, the one that was in the way.
        budget, tags = min(found, key=lambda each: _distance(error, each[0]))
        if self._place is None and (ledger := self._ledger()) is not None:
            self._place = place_of(ledger)
        return self._name(*self._account(budget, tags))

    def ask(self) -> None:
        """Begin to read the ledger, where what was read last is not fresh."""
        self._asked()

    def read(self) -> list[Line]:
        """What is left of the budgets; nothing where the ledger has not answered for long."""
        if (reading := self._asked()) is not None:
            reading.done.wait(max(0.0, reading.at + WAIT - self._clock()))
        read_at, found = self._last
        return found if self._clock() - read_at < STALE else []

    def _asked(self) -> _Reading | None:
        """The reading to wait for; None where what was read last is fresh."""
        if self._clock() - self._last[0] < FRESH:
            return None
        reading = self._reading
        if reading is None or reading.done.is_set() or reading.pid != os.getpid():
            return self._begin()
        return reading

    def _begin(self) -> _Reading | None:
        ledger = self._ledger()
        if ledger is None or not (self._fixed or self._met):
            return None
        self._reading = reading = _Reading(self._clock())
        thread = threading.Thread(
            target=self._read, args=(ledger, reading), name=THREAD, daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the interpreter is going
            reading.done.set()
        return reading

    def _read(self, ledger: Ledger, reading: _Reading) -> None:
        try:
            found = list(self._lines(ledger))
            # The clock after it: what took longer than `FRESH` to read is news all the same.
            self._last = self._clock(), found
        except Exception:
            _log.warning("telemetry could not read the budgets", exc_info=True)
        finally:
            reading.done.set()

    def _lines(self, ledger: Ledger) -> Iterator[Line]:
        if self._place is None:
            self._place = place_of(ledger)
        for budget, tags in self._accounts():
            now = self._now()
            period = budget.period(now)
            length = (period.end or period.start) - (period.since or period.start)
            account, name = self._account(budget, tags)
            for state in status((budget,), ledger, tags, now):
                yield Line(account, name, length.total_seconds() or None, state)

    def _accounts(self) -> list[tuple[Budget, dict[str, str]]]:
        met = [(self._starred[i], tags) for (i, _), tags in list(self._met.items())]
        return [*self._fixed, *met]

    def _account(self, budget: Budget, tags: Mapping[str, str]) -> tuple[Account, str]:
        """What tells the account from others, and what it is to be called."""
        name = budget.named(tags)
        if budget.name in self._ambiguous:
            name = f"{name} ({budget.window})"
        return (self._place, budget.key(tags), budget.limits, name), name

    def _name(self, account: Account, wanted: str) -> str:
        all_of_them = (o for o in present(showing) if isinstance(o, BudgetGauges))
        others = [o.called for o in all_of_them if o is not self]
        return _names.of(account, wanted, self.called, others)

    def _keep(self, budget: Budget, tags: Mapping[str, str]) -> None:
        for unit, _ in budget.limits:
            self._by_key.setdefault(budget.key(tags, unit=unit), []).append((budget, tags))

    def __str__(self) -> str:
        return "budgets"


def refusing(error: BudgetExceededError, gauges: BudgetGauges | None) -> str:
    """The value of `names.BUDGET` for a refusal: no tag's value is in it that no gauge shows."""
    if error.account.removeprefix(f"{error.unit}:").startswith("request/"):
        return names.ONE_REQUEST
    return (gauges.refusing(error) if gauges is not None else None) or OTHER


def _of(error: BudgetExceededError, budget: Budget) -> bool:
    """Whether one of this budget's accounts refused; the name alone may be another's, too."""
    account = error.account.removeprefix(f"{error.unit}:")
    named = error.budget.startswith(f"{budget.name} [")
    return named and account.startswith(f"{budget.window}/")


def _distance(error: BudgetExceededError, budget: Budget) -> Decimal:
    limit = dict(budget.limits).get(cast("Unit", error.unit), 0)
    return abs((to_usd(limit) if error.unit == "usd" else Decimal(limit)) - error.limit)


def _starred(budget: Budget) -> list[str]:
    return [name for name, pattern in budget.scope.items() if "*" in pattern]
