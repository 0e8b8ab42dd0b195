"""Gauges of budgets, read from the ledger when they are collected, and seldom enough.

A ledger may be on a server, or locked. So a thread reads it, and a collection waits for it a
moment and shows what was read last.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from weakref import WeakSet

from router.budgets import Budget
from router.budgets.scopes import CANDIDATE_SCOPES, matched
from router.catalog import Candidate
from router.ledgers import Ledger
from router.ledgers.status import BudgetStatus, status
from router.telemetry import names
from router.telemetry.gauges import Point, Shower
from router.telemetry.guard import shortened

_log = logging.getLogger("router")

FRESH = 2.0
"""Seconds for which what was read is shown again."""
STALE = 60.0
"""Seconds after which it is not shown any more, where the ledger does not answer."""
WAIT = 1.0
"""Seconds that a collection waits for the ledger."""
MOST = 100
"""Accounts shown of the budgets whose scope has a `*`."""

THREAD = "centroute-budgets"

showing: WeakSet[Shower] = WeakSet()


@dataclass(slots=True)
class _Reading:
    """A reading of the ledger that is under way, in which process since when."""

    at: float
    done: threading.Event = field(default_factory=threading.Event)
    pid: int = field(default_factory=os.getpid)


class BudgetGauges:
    """The budgets of one client. `ledger` answers None until it is open.

    Of a scope with a `*` each value that a request had is an account of its own, and is shown
    where the tag is one of `metric_tags`: its value is in the name.
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
        self._ledger, self._now, self._clock = ledger, now, clock
        lasting = [budget for budget in budgets if budget.window != "request"]
        open_to = {*metric_tags, *CANDIDATE_SCOPES}
        self._fixed = [(b, {**tags, **b.scope}) for b in lasting if not _starred(b)]
        self._starred = [b for b in lasting if _starred(b) and set(_starred(b)) <= open_to]
        self._met: dict[tuple[int, tuple[str, ...]], dict[str, str]] = {}
        self._last: tuple[float, list[BudgetStatus]] = (-STALE, [])
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
                if key not in self._met and len(self._met) < MOST:
                    self._met[key] = own

    def points(self, short: str) -> Iterator[Point]:
        """The points of one of `names.BUDGETS`."""
        windows = dict(self._windows()) if short == "window" else {}
        for one in self.read():
            labels = {names.BUDGET: shortened(one.name), names.BUDGET_UNIT: one.unit}
            value = windows.get(one.name) if short == "window" else getattr(one, short)
            if value is not None:
                yield labels, float(value)

    def read(self) -> list[BudgetStatus]:
        """What is left of the budgets; nothing where the ledger has not answered for long."""
        read_at, found = self._last
        reading = self._reading
        if self._clock() - read_at >= FRESH:
            if reading is None or reading.done.is_set() or reading.pid != os.getpid():
                reading = self._begin()
            if reading is not None:
                reading.done.wait(max(0.0, reading.at + WAIT - self._clock()))
                read_at, found = self._last
        return found if self._clock() - read_at < STALE else []

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
            self._last = self._clock(), list(self._states(ledger))
        except Exception:
            _log.warning("telemetry could not read the budgets", exc_info=True)
        finally:
            reading.done.set()

    def _states(self, ledger: Ledger) -> Iterator[BudgetStatus]:
        for budget, tags in self._accounts():
            yield from status((budget,), ledger, tags, self._now())

    def _windows(self) -> Iterator[tuple[str, float]]:
        """How long the window of each lasts, in seconds, by name; nothing of a total."""
        now = self._now()
        for budget, tags in self._accounts():
            period = budget.period(now)
            length = (period.end or period.start) - (period.since or period.start)
            if length:
                yield budget.named(tags), length.total_seconds()

    def _accounts(self) -> list[tuple[Budget, dict[str, str]]]:
        met = [(self._starred[i], tags) for (i, _), tags in list(self._met.items())]
        return [*self._fixed, *met]

    def __str__(self) -> str:
        return "budgets"


def _starred(budget: Budget) -> list[str]:
    return [name for name, pattern in budget.scope.items() if "*" in pattern]
