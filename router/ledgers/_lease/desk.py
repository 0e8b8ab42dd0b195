"""Where slabs are asked for: one turn with the store at a time, for all threads that wait.

Whoever comes first asks for all; the others find their wish granted. Calls that need no slab are
not held up: the till's lock is never held over a call of the store.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from router.budgets.holds import Balance, Hold
from router.errors import LedgerError
from router.ledgers._lease.purse import Purse
from router.ledgers._lease.till import Till
from router.ledgers._lease.turn import MOST_ROWS, Aim, Turn, Turns, Wish
from router.ledgers.entries import Reservation
from router.ledgers.ledger import SlabLedger
from router.ledgers.notices import Notices
from router.money import format_usd

_log = logging.getLogger("router")
_UPKEEP = 0.5
_IDLE = 2.0
"""Seconds between looks at leases; and how long a slab lies idle, in units of its spending."""
_BEAT, _LONGEST_PAUSE = 0.05, 5.0
"""Seconds until a store that failed is asked again, at first and at most."""


class Desk:
    """The till of one process and its turns with the store."""

    def __init__(
        self,
        store: SlabLedger,
        seconds: float,
        ttl: timedelta,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        notices: Notices,
    ) -> None:
        self.store, self.now, self.monotonic = store, now, monotonic
        self._notices = notices
        self.lock, self.turning = threading.Lock(), threading.Lock()
        self.till = Till()
        self.moving: set[str] = set()
        self.failures = self.turned = 0
        self._turns = Turns(self.till, seconds, ttl)
        self._idle = _IDLE * seconds
        self._stuck: Turn | None = None
        self._wishes: list[Wish] = []
        self._looked = self.again = float("-inf")
        self._error: Exception | None = None

    def wish(self, reservation: Reservation) -> Wish:
        """Note, under the lock, that a call waits for a slab.

        Raises:
            LedgerError: the store failed just now, and is not to be asked yet.
        """
        if self._error is not None and self.monotonic() < self.again:
            raise _like(self._error)
        wish = Wish(reservation)
        self._wishes.append(wish)
        return wish

    def grant(self, wish: Wish) -> None:
        """Wait until a wish is granted, or another way must be tried (`Wish.direct`).

        Raises:
            BudgetExceededError: the store has no slab for it.
            LedgerError: the store failed.
        """
        try:
            while not wish.done:
                with self.turning, suppress(LedgerError):  # it is noted in the wish
                    if not wish.done:
                        self.turn(Aim())
        except BaseException:
            wish.left = True  # if it was granted already, the caller releases it
            raise
        if wish.error is not None:
            raise wish.error

    def turn_all(self, aim: Aim) -> None:
        """Reach an aim, and write all rows that there are."""
        with self.turning:
            with self.lock:
                rounds = len(self.till.rows) // MOST_ROWS + 1
            self.turn(aim)
            while rounds and self.turn(Aim()):
                rounds -= 1

    def turn(self, aim: Aim) -> bool:
        """One exchange with the store, while `turning` is held; False if there was none to make.

        Raises:
            LedgerError: the store failed. What became of it is unknown, so the next turn begins
                with the same again; whoever waits for a slab is told.
        """
        if self._stuck is not None:
            # Those who waited for it were told; who waits now is not refused for it.
            self._ask(self._stuck, again=True)
        with self.lock:
            self._serve(set())
            plan = self._turns.plan(self._wishes, aim, self.now(), self.monotonic())
            if plan.idle:
                return False
            self.moving.update(reservation.id for reservation, _ in plan.moved)
        self._ask(plan)
        return True

    def due(self) -> Aim:
        """While `turning` is held: what leases, windows and lost calls ask for; mostly nothing."""
        with self.lock:
            mono = self.monotonic()
            if mono - self._looked < _UPKEEP:
                return Aim()
            self._looked, now, till = mono, self.now(), self.till
            idle = mono - self._idle
            # A turn that is stuck may still give one of them a slab.
            for purse in list(till.purses.values()) if self._stuck is None else ():
                if not (purse.single or purse.slab or purse.in_use) and purse.touched < idle:
                    till.drop(purse)
            held = [p for p in till.purses.values() if p.slab]
            return Aim(
                shrink={p for p in held if p.touched < idle or _over(p, now)},
                keep={i for i, (r, _) in till.calls.items() if r.lease_until < now},
                renew=[p for p in held if p.free < 0 or (p.renew_at and p.renew_at <= now)],
            )

    def purses(self, holds: Sequence[Hold]) -> set[Purse]:
        """The purses that hold slabs of these accounts."""
        with self.lock:
            found = [self.till.purses.get((h.key, h.window_start)) for h in holds]
            return {purse for purse in found if purse is not None and purse.slab}

    def waiting(self) -> tuple[int, int]:
        """See `LeasedLedger.waiting`."""
        with self.lock:
            if not self.failures:
                return 0, 0
            rows = [*(self._stuck.rows if self._stuck else ()), *self.till.rows]
        ended = [row.settlement for row in rows if not row.settlement.released]
        return len(ended), sum(end.cost.pico for end in ended if end.charged)

    def heard(self, hold: Hold, balance: Balance, turned: int) -> Balance:
        """Under the lock: what the store just told, with what happened here since.

        `turned` is how many turns there had been when it was asked: after another one it told of
        something else than the purse holds.
        """
        purse = self.till.purses.get((hold.key, hold.window_start))
        if hold.since is not None or purse is None or turned != self.turned:
            return balance
        purse.base, purse.contact = balance, self.monotonic()
        return purse.balance

    def _ask(self, plan: Turn, *, again: bool = False) -> None:
        try:
            answer = self.store.exchange(plan.exchange)
        except BaseException as error:
            with self.lock:
                self._stuck = plan
                if isinstance(error, Exception):
                    self._failed(error)
            if isinstance(error, Exception):
                self._notices.failed("write", "kept")
            raise
        with self.lock:
            self._stuck = None
            self.turned += 1
            denied = self._turns.apply(plan, answer, self.monotonic())
            self.moving.difference_update(reservation.id for reservation, _ in plan.moved)
            self._serve(set() if again else denied)
            if self.failures:
                self.failures, self._error = 0, None
                _log.warning("the ledger's store answers again")
        for row in plan.rows:
            why = answer.refused.get(row.reservation.id)
            if why is not None:
                cost = format_usd(row.settlement.cost.pico)
                _log.error("call %s of %s is not in the ledger: %s", row.reservation.id, cost, why)
                self._notices.failed("write", "lost")

    def _failed(self, error: Exception) -> None:
        if not self.failures:
            _log.warning("the ledger's store does not answer, so slabs are spent: %s", error)
        self._error, pause = error, _BEAT * (1 << min(self.failures, 10))
        self.again = self.monotonic() + min(_LONGEST_PAUSE, pause)
        self.failures += 1
        for wish in self._wishes:
            wish.error, wish.done = _like(error), True
        self._wishes.clear()

    def _serve(self, denied: Collection[Purse]) -> None:
        """Let wishes take what there is; those for which there is no more are refused."""
        till, mono = self.till, self.monotonic()
        waiting = []
        for wish in self._wishes:
            if wish.left:
                continue
            if wish.reservation.id in till.calls:  # asked twice at once
                wish.done = True
                continue
            wants = till.wants(wish.reservation)
            if wants is None:
                wish.direct = wish.done = True
            elif till.affords(wants):
                till.take(wish.reservation, wants, mono)
                wish.done = True
            elif (refusal := till.verdict(wants, denied)) is not None:
                # The slab is held under a tighter limit than this call's: the store can tell.
                wish.direct = any(h and h.limit > p.limit and p in denied for p, _, h in wants)
                wish.error = None if wish.direct else refusal
                wish.done = True
            else:
                waiting.append(wish)
        self._wishes = waiting


def _like(error: Exception) -> LedgerError:
    """An error for one more caller: several threads raise them."""
    kind = type(error) if isinstance(error, LedgerError) else LedgerError
    like = kind(str(error))
    like.__cause__ = error
    return like


def _over(purse: Purse, now: datetime) -> bool:
    ends = purse.hold.resets_at
    return (purse.base is not None and purse.base.frozen) or (ends is not None and ends <= now)
