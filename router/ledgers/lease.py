"""A ledger that pays calls out of slabs: parts of a budget that its process holds already.

A slab is reserved in the store before anything is paid from it, so the store's spent + reserved
covers whatever happens here: no process passes a limit, and what several spend at once is never
more than what they hold. `router.ledgers.slabs` says what goes to the store.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from router._clock import utcnow
from router.budgets.holds import Balance, Hold
from router.errors import BudgetExceededError, LedgerError, RouterError
from router.ledgers._lease.background import Flusher, keep
from router.ledgers._lease.desk import Desk
from router.ledgers._lease.till import Takes, charged
from router.ledgers._lease.turn import MOST_ROWS, Aim
from router.ledgers.entries import Adjustment, Entry, Grade, Reservation, Settlement
from router.ledgers.ledger import SlabLedger
from router.ledgers.notices import Notices
from router.types import Cost, Usage

_log = logging.getLogger("router")
_BEAT, _QUIET_BEAT, _LONGEST_PAUSE, _FRESH = 0.05, 0.25, 5.0, 1.0
_FULL = 2048
"""Calls to be posted, beyond which whoever settles helps to post them."""


class LeasedLedger:
    """Reserves and settles in this process; the store hears of it about every 50 ms.

    A slab is about `seconds` of this process's spending, at most 1/8 of what the account has
    left, and lives `ttl` seconds unless renewed. Idle ones are given back, so that others can use
    the money; near the limit a call may be refused for what other processes hold. Calls under a
    hard rolling window go to the store one by one. A freeze is noticed when the store is next
    heard of: within `ttl` / 3, for an account in use within a beat.

    If the process dies its slabs are charged in full when their lease ends, which is at least
    what it spent: one slab per account is the most that is charged too much. The rows of the
    calls since the last beat are lost then, their cost is not. (What a call costs beyond the whole
    slab is posted before `settle` returns, unless the store fails just then.)

    Args:
        store: where slabs and rows are kept, such as `SQLiteLedger`.
        background: False for no thread: then `flush` must be called.
    """

    def __init__(
        self,
        store: SlabLedger,
        *,
        seconds: float = 2.0,
        ttl: float = 60.0,
        now: Callable[[], datetime] = utcnow,
        monotonic: Callable[[], float] = time.monotonic,
        background: bool = True,
    ) -> None:
        self.store, self._background = store, background
        self.notices = Notices()
        self._desk_for = store, seconds, timedelta(seconds=ttl), now, monotonic, self.notices
        self.forget()
        keep(self)

    def forget(self) -> None:
        """Drop all slabs and rows without a word to the store, which charges what was out.

        A forked child does so: they are its parent's.
        """
        self._desk = Desk(*self._desk_for)
        self._flusher = Flusher(self)

    def reserve(self, reservation: Reservation) -> None:
        """Take the amounts from slabs, all or none; see `Ledger.reserve`."""
        desk = self._desk
        till = desk.till
        with desk.lock:
            if till.repeated(reservation):
                return
            wants = till.wants(reservation)
            if wants is not None and not till.short(wants):
                till.take(reservation, wants, desk.monotonic())
                return
            wish = None if wants is None else desk.wish(reservation)
        if wish is not None:
            desk.grant(wish)
            self._run()
            if not wish.direct:
                return
        try:
            self.store.reserve(reservation)
        except BudgetExceededError:
            ours = desk.purses(reservation.holds)
            if not ours:
                raise
            # What is free in our slabs is this call's to have.
            desk.turn_all(Aim(shrink=ours))
            self.store.reserve(reservation)

    def settle(self, reservation_id: str, settlement: Settlement) -> Entry:
        """Turn a reservation into spend; see `Ledger.settle`."""
        with self._desk.lock:
            call = self._desk.till.calls.get(reservation_id)
            if call is not None:
                charged(settlement)  # raised before anything changes
                del self._desk.till.calls[reservation_id]
                entry = self._end(*call, settlement)
                over = any(purse.guarded and purse.free < 0 for purse, _ in call[1])
                if self._desk.failures or not (over or len(self._desk.till.rows) > _FULL):
                    return entry
            past, costs = self._desk.till.ended.get(reservation_id, (None, []))
            moving = reservation_id in self._desk.moving
        if call is not None:
            # It cost more than the slab has, so the store must know at once; or it lags behind.
            with suppress(LedgerError):
                self.flush()
            return entry
        if past is not None and past.kind == "settle":
            if (past.cost, past.usage) != (settlement.cost.pico, settlement.usage):
                raise LedgerError(f"{reservation_id!r} was settled with another cost already")
            return past
        if past is not None or moving:
            # The store must have heard of it first; and what was free again pays for it now.
            self._desk.turn_all(Aim(shrink={purse for purse, _ in costs}))
        return self.store.settle(reservation_id, settlement)

    def release(self, reservation_id: str, *, at: datetime, outcome: str) -> None:
        """Return a reservation whose call was not charged; see `Ledger.release`."""
        with self._desk.lock:
            call = self._desk.till.calls.pop(reservation_id, None)
            if call is not None:
                nothing = Settlement(
                    at=at, usage=Usage(), cost=Cost(pico=0), outcome=outcome, released=True
                )
                self._end(*call, nothing)
                return
            past, _ = self._desk.till.ended.get(reservation_id, (None, []))
            moving = reservation_id in self._desk.moving
        if past is not None and past.kind == "settle":
            raise LedgerError(f"{reservation_id!r} is settled and can no longer be released")
        if moving:
            self.flush()
        if past is None:
            self.store.release(reservation_id, at=at, outcome=outcome)

    def post(self, reservation: Reservation, settlement: Settlement) -> Entry:
        """Record a call that nobody reserved; one that costs nothing is written with the next."""
        with self._desk.lock:
            ours = (
                reservation.id in self._desk.till.calls or reservation.id in self._desk.till.ended
            )
            if not ours and not settlement.charged:
                return self._end(reservation, [], settlement)
        if ours:
            return self.settle(reservation.id, settlement)
        return self.store.post(reservation, settlement)

    def sweep(self, now: datetime) -> int:
        """Charge every reservation past its lease in full; see `Ledger.sweep`."""
        with self._desk.lock:
            lost = {i for i, (r, _) in self._desk.till.calls.items() if r.lease_until < now}
        self._desk.turn_all(Aim(keep=lost))
        return self.store.sweep(now)

    def balances(self, holds: Sequence[Hold]) -> list[Balance]:
        """Each account as the store told last, with what happened here since."""
        with self._desk.lock:
            since, turned = self._desk.monotonic() - _FRESH, self._desk.turned
            found = [self._desk.till.view(hold, since) for hold in holds]
        unknown = [hold for hold, balance in zip(holds, found, strict=True) if balance is None]
        if unknown:
            told = iter(zip(unknown, self.store.balances(unknown), strict=True))
            with self._desk.lock:
                heard = self._desk.heard
                found = [b or heard(*next(told), turned) for b in found]
        return [balance for balance in found if balance is not None]

    def entries(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Entry]:
        """Entries with since <= at < until, oldest first; those from here are written first."""
        self.flush()
        return self.store.entries(since=since, until=until)

    def adjust(self, adjustments: Sequence[Adjustment], holds: Sequence[Hold]) -> None:
        """Book changes of budgets, all or none; what is free here of them is given back first."""
        self._desk.turn_all(Aim(shrink=self._desk.purses(holds)))
        self.store.adjust(adjustments, holds)
        turned = self._desk.turned
        told = self.store.balances(holds)
        with self._desk.lock:
            for hold, balance in zip(holds, told, strict=True):
                self._desk.heard(hold, balance, turned)

    def adjustments(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Adjustment]:
        """Changes of budgets with since <= at < until, oldest first."""
        return self.store.adjustments(since=since, until=until)

    def grade(self, grades: Iterable[Grade]) -> int:
        """Keep grades of answers, all or none; see `Ledger.grade`."""
        self.flush()  # it may be of a call that is here only
        return self.store.grade(grades)

    def decisions(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[tuple[str, str]]:
        """Request ids with their packed decision records; see `Ledger.decisions`."""
        self.flush()
        return self.store.decisions(since=since, until=until)

    def grades(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Grade]:
        """Grades with since <= at < until, in the order in which they were given."""
        return self.store.grades(since=since, until=until)

    def warned(self, key: str, window_start: datetime, share: float) -> bool:
        """Whether this caller is the first to warn of this share; see `Ledger.warned`."""
        return self.store.warned(key, window_start, share)

    def waiting(self) -> tuple[int, int]:
        """Calls that ended and that the store does not take, and what they cost (pico-dollars).

        None while it answers: those since the last beat come with the next.
        """
        return self._desk.waiting()

    def flush(self) -> None:
        """Write what ended here to the store.

        Raises:
            LedgerError: the store failed; nothing is lost, and the next flush tries again.
        """
        self._desk.turn_all(Aim())

    def close(self) -> None:
        """Write everything, give all slabs back, and close the store. Further calls open it again.

        Calls that are still open are the store's own from then on.

        Raises:
            LedgerError: the store failed. Then it charges the slabs in full when they expire.
        """
        try:
            with self._desk.lock:
                calls = set(self._desk.till.calls)
            self._desk.turn_all(Aim(keep=calls))
            with self._desk.lock:
                purses = set(self._desk.till.purses.values())
            self._desk.turn_all(Aim(shrink=purses))
        finally:
            self.store.close()

    def beat(self) -> float | None:
        """What the thread does: write, renew, give back. Seconds to the next, None at the end."""
        desk = self._desk
        try:
            with desk.turning:
                written = desk.turn(desk.due())
        except RouterError:
            return max(_BEAT, desk.again - desk.monotonic())
        except Exception:  # noqa: BLE001 - the thread must live on
            _log.exception("a leased ledger failed")
            return _LONGEST_PAUSE
        with desk.lock:
            if len(desk.till.rows) >= MOST_ROWS:
                return 0.0
            if desk.till.rows or desk.till.calls or any(p.slab for p in desk.till.purses.values()):
                return _BEAT if written else _QUIET_BEAT
            self._flusher.running = False
            return None

    def _end(self, reservation: Reservation, takes: Takes, settlement: Settlement) -> Entry:
        entry = self._desk.till.end(reservation, takes, settlement)
        if self._background and not self._flusher.running:
            self._flusher.start()
        return entry

    def _run(self) -> None:
        with self._desk.lock:
            if self._background and not self._flusher.running:
                self._flusher.start()
