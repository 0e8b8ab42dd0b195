"""What becomes of calls while the ledger's store does not answer."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from router.budgets.holds import Balance, Hold
from router.errors import LedgerError, UnknownRequestError
from router.ledgers._lease.background import keep
from router.ledgers._lease.till import charged, entry_of
from router.ledgers.backlog import Backlog
from router.ledgers.entries import Adjustment, Entry, Grade, Reservation, Settlement
from router.ledgers.failing import is_outage, store_failure
from router.ledgers.late_grades import LateGrades
from router.ledgers.ledger import Ledger
from router.ledgers.notices import Notices
from router.ledgers.unposted import beside
from router.types import Cost, Usage

_REMEMBERED = 4096
_AWAY = "the ledger's store does not answer"


class Outage:
    """A ledger that keeps what its store does not take, and posts it when it answers again.

    Where a reservation fails because the store does, nothing is sent (`"deny"`, `"local-lease"`:
    there the ledger is a `LeasedLedger`, which needs no store while its slabs last), or the call
    is admitted without one (`"allow"`: no limit holds during an outage), up to `most` calls that
    are not in the ledger. A settlement that fails is kept in all modes, since its call is paid
    for, and so is a grade; `close` writes what is left to a file `<unposted>.unposted-....jsonl`,
    which the next process posts. `unposted` is the ledger's own path where it has one.

    Whether the store failed says `router.ledgers.failing`: a LedgerError of `store_failure`, or
    one raised from an OSError. Any other is an answer, such as to a row that the store cannot
    take, and passes through. `close` names and keeps what the store took from nobody, too.
    """

    def __init__(
        self,
        ledger: Ledger,
        mode: Literal["deny", "local-lease", "allow"] = "deny",
        *,
        most: int = 10_000,
        unposted: str | Path | None = None,
        owns: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ledger, self._mode, self._most, self._monotonic = ledger, mode, most, monotonic
        self._owns, self.notices = owns, Notices()
        self._stem = beside(ledger) if unposted is None else str(unposted)
        self.forget()
        keep(self)

    def forget(self) -> None:
        """Drop what is not posted: in a forked child it is the parent's."""
        local = self._mode == "local-lease"
        self._late = LateGrades(self.ledger, self._most)
        told = self._monotonic, self.notices, self._late
        self._backlog = Backlog(self.ledger, self._stem, *told, quiet=local)
        self._lock = threading.Lock()
        self._open: OrderedDict[str, Reservation] = OrderedDict()
        self._told: OrderedDict[tuple[str, datetime], Balance] = OrderedDict()

    @property
    def unposted(self) -> int:
        """Calls that the store does not have yet."""
        return len(self._backlog)

    def waiting(self) -> tuple[int, int]:
        """Calls that came to something and are in no ledger yet, and their cost (pico-dollars)."""
        return self._backlog.waiting()

    def reserve(self, reservation: Reservation) -> None:
        """Set money aside, or admit the call without; see `Ledger.reserve`."""
        self._backlog.post_some()
        allow = self._mode == "allow"
        try:
            if allow and self._backlog.down:
                raise store_failure(_AWAY)
            self.ledger.reserve(reservation)
        except LedgerError as error:
            if not is_outage(error):
                raise
            if not (allow and self._backlog.down):
                self._backlog.failed(error)
            if not allow:
                # It may have been made all the same: then it is returned, for nothing is sent.
                if len(self._backlog) < self._most:
                    self._backlog.keep(reservation, _nothing(reservation.at, "not sent"))
                raise
            if len(self._backlog) >= self._most:
                raise LedgerError(
                    f"{len(self._backlog):,} calls are not in the ledger, whose store does not "
                    "answer: no more are admitted"
                ) from error
            self._backlog.keep(reservation, None)
            self.notices.failed("reserve", "admitted")
        else:
            self._backlog.drop(reservation.id)
            self._backlog.answered()
        with self._lock:
            self._open[reservation.id] = reservation
            if len(self._open) > self._most:
                self._open.popitem(last=False)

    def settle(self, reservation_id: str, settlement: Settlement) -> Entry:
        """Turn a reservation into spend, now or when the store answers; see `Ledger.settle`."""
        charge, late = charged(settlement), self._backlog.get(reservation_id)
        if late is not None:
            past = late.settlement
            if past is not None and not past.released:
                if (past.cost.pico, past.usage) != (settlement.cost.pico, settlement.usage):
                    raise LedgerError(f"{reservation_id!r} was settled with another cost already")
                return entry_of(late.reservation, past, charged(past))
            # Nobody has reserved it, or nobody knows whether: it is recorded as it ended.
            self._backlog.keep(late.reservation, settlement)
            self._backlog.post_some()
            return entry_of(late.reservation, settlement, charge)
        with self._lock:
            reservation = self._open.get(reservation_id)
        try:
            if reservation is not None and self._waits:
                raise store_failure(_AWAY)
            entry = self.ledger.settle(reservation_id, settlement)
        except LedgerError as error:
            if reservation is None or not is_outage(error):
                raise
            self._end(reservation, settlement, error)
            return entry_of(reservation, settlement, charge)
        self._done(reservation_id)
        return entry

    def release(self, reservation_id: str, *, at: datetime, outcome: str) -> None:
        """Return a reservation whose call was not charged; see `Ledger.release`."""
        late = self._backlog.get(reservation_id)
        if late is not None:
            if late.settlement is not None and not late.settlement.released:
                raise LedgerError(f"{reservation_id!r} is settled and can no longer be released")
            self._backlog.keep(late.reservation, _nothing(at, outcome))
            self._backlog.post_some()
            return
        with self._lock:
            reservation = self._open.get(reservation_id)
        try:
            if reservation is not None and self._waits:
                raise store_failure(_AWAY)
            self.ledger.release(reservation_id, at=at, outcome=outcome)
        except LedgerError as error:
            if reservation is None or not is_outage(error):
                raise
            self._end(reservation, _nothing(at, outcome), error)
        else:
            self._done(reservation_id)

    def post(self, reservation: Reservation, settlement: Settlement) -> Entry:
        """Record a call that nobody reserved, now or when the store answers; see `Ledger.post`."""
        charge = charged(settlement) if settlement.charged else (0, 0, 0)
        try:
            if self._waits:
                raise store_failure(_AWAY)
            entry = self.ledger.post(reservation, settlement)
        except LedgerError as error:
            if not is_outage(error):
                raise
            self._end(reservation, settlement, error)
            return entry_of(reservation, settlement, charge)
        self._done(reservation.id)
        return entry

    def balances(self, holds: Sequence[Hold]) -> list[Balance]:
        """The balances; in an outage those that were told last, or nothing yet (`"allow"`)."""
        self._backlog.post_some()
        try:
            if self._mode == "allow" and self._backlog.down:
                raise store_failure(_AWAY)
            found = self.ledger.balances(holds)
        except LedgerError as error:
            if not is_outage(error):
                raise
            if not self._backlog.down:
                self._backlog.failed(error)
            with self._lock:
                last = [self._told.get((hold.key, hold.window_start)) for hold in holds]
            if self._mode != "allow" and None in last:
                raise
            self.notices.failed("balances", "remembered")
            return [balance or Balance() for balance in last]
        self._backlog.answered()
        with self._lock:
            for hold, balance in zip(holds, found, strict=True):
                self._told[hold.key, hold.window_start] = balance
                self._told.move_to_end((hold.key, hold.window_start))
            while len(self._told) > _REMEMBERED:
                self._told.popitem(last=False)
        return found

    def sweep(self, now: datetime) -> int:
        """Charge every reservation past its lease in full; see `Ledger.sweep`."""
        self._backlog.post_some()
        return self.ledger.sweep(now)

    def entries(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Entry]:
        """Entries with since <= at < until, oldest first, of what the store has."""
        self._backlog.post_some()
        return self.ledger.entries(since=since, until=until)

    def adjust(self, adjustments: Sequence[Adjustment], holds: Sequence[Hold]) -> None:
        """Book changes of budgets, all or none; see `Ledger.adjust`."""
        self.ledger.adjust(adjustments, holds)

    def adjustments(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Adjustment]:
        """Changes of budgets with since <= at < until, oldest first."""
        return self.ledger.adjustments(since=since, until=until)

    def grade(self, grades: Iterable[Grade]) -> int:
        """Keep grades, now or, up to `most`, when the store answers; see `Ledger.grade`."""
        found = tuple(grades)
        self._backlog.post_some()
        if not (self._waits or self._late.due):  # else they come after those given before
            try:
                return self.ledger.grade(found)
            except UnknownRequestError:
                if not self._backlog:  # else it may be of a call that the store does not have yet
                    raise
            except LedgerError as error:
                if not is_outage(error):
                    raise
                self._backlog.failed(error)
        new = self._late.keep(found)
        self.notices.failed("grade", "kept")
        return new

    def decisions(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[tuple[str, str]]:
        """Request ids with their packed decision records; see `Ledger.decisions`."""
        return self.ledger.decisions(since=since, until=until)

    def grades(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Grade]:
        """Grades with since <= at < until, in the order in which they were given."""
        self._backlog.post_some()
        return self.ledger.grades(since=since, until=until)

    def warned(self, key: str, window_start: datetime, share: float) -> bool:
        """Whether to warn; in an outage not now, the next call asks again."""
        try:
            return self.ledger.warned(key, window_start, share)
        except LedgerError as error:
            if not is_outage(error):
                raise
            self._backlog.failed(error)
            self.notices.failed("warn", "skipped")
            return False

    def close(self) -> None:
        """Post what is left, or write it to a file, and close the ledger if it `owns` that.

        Raises:
            LedgerError: calls or grades are not in the ledger: how many, for how much, and where.
        """
        try:
            self._backlog.close()
        finally:
            if self._owns:
                self.ledger.close()

    @property
    def _waits(self) -> bool:
        """Whether to keep what ended rather than to ask a store that failed just now."""
        return self._mode != "local-lease" and self._backlog.down

    def _end(self, reservation: Reservation, settlement: Settlement, error: LedgerError) -> None:
        if not self._waits:
            self._backlog.failed(error)
        self._backlog.keep(reservation, settlement)
        self.notices.failed("release" if settlement.released else "settle", "kept")
        with self._lock:
            self._open.pop(reservation.id, None)

    def _done(self, reservation_id: str) -> None:
        with self._lock:
            self._open.pop(reservation_id, None)
        self._backlog.answered()


def _nothing(at: datetime, outcome: str) -> Settlement:
    return Settlement(at=at, usage=Usage(), cost=Cost(pico=0), outcome=outcome, released=True)
