"""Calls that the ledger's store has not taken yet, and how they get there in the end."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from router.errors import CorruptLedgerError, LedgerError
from router.ledgers.entries import Reservation, Settlement
from router.ledgers.ledger import Ledger
from router.ledgers.slabs import softened
from router.ledgers.unposted import Unposted, find_unposted, read_unposted, write_unposted
from router.money import format_usd

_log = logging.getLogger("router")
_AT_ONCE = 64
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0


class Backlog:
    """What is to be posted, in the order in which it came, at most once per pause while it fails.

    `stem` is the path beside which files are left and found ("": none); `quiet` logs no outage.
    """

    def __init__(
        self, ledger: Ledger, stem: str, monotonic: Callable[[], float], *, quiet: bool
    ) -> None:
        self._ledger, self._stem, self._monotonic, self._quiet = ledger, stem, monotonic, quiet
        self._lock = threading.Lock()  # never held over a call of the ledger
        self._posting = threading.Lock()
        self._late: OrderedDict[str, Unposted] = OrderedDict()
        self._files: dict[Path, set[str]] = {}
        self._found = not stem
        self._written: set[str] = set()
        self._failures, self._again = 0, float("-inf")

    def __len__(self) -> int:
        return len(self._late)

    @property
    def down(self) -> bool:
        """Whether the store failed lately, and is not to be asked yet."""
        return self._failures > 0 and self._monotonic() < self._again

    def get(self, reservation_id: str) -> Unposted | None:
        """The call, if it is to be posted."""
        return self._late.get(reservation_id)

    def keep(self, reservation: Reservation, settlement: Settlement | None) -> None:
        """Remember how a call ended, or that it was admitted without a reservation (None)."""
        with self._lock:
            self._late[reservation.id] = Unposted(reservation, settlement)

    def drop(self, reservation_id: str) -> None:
        """Forget a call: what was to be posted of it holds no longer."""
        if self._late:
            with self._lock:
                self._late.pop(reservation_id, None)

    def failed(self, error: LedgerError) -> None:
        """The store failed: it is asked again after a pause, which grows."""
        with self._lock:
            if not self._failures and not self._quiet:
                _log.warning("the ledger's store does not answer: %s", error)
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * (1 << min(self._failures, 10)))
            self._failures += 1
            self._again = self._monotonic() + pause

    def answered(self) -> None:
        """The store answered."""
        if self._failures and not self._late:
            with self._lock:
                if self._failures and not self._quiet:
                    _log.warning("the ledger's store answers again, and has every call")
                self._failures = 0

    def post_some(self, most: int = _AT_ONCE) -> None:
        """Post some of it, unless another thread does or the store is not to be asked yet."""
        if not self._found:
            self._find()
        if not self._late or self.down or not self._posting.acquire(blocking=False):
            return
        try:
            with self._lock:
                due = list(self._late.items())[:most]
            for rid, call in due:
                if not self._post(rid, call):
                    return
            self._clear_files()
            self.answered()
        finally:
            self._posting.release()

    def close(self) -> None:
        """Post all of it, or leave it in a file.

        Raises:
            LedgerError: it could not be posted: how many calls, of how many dollars, and where.
        """
        self._again = float("-inf")
        while self._late:
            before = len(self._late)
            self.post_some(before)
            if len(self._late) >= before:
                break
        with self._lock:
            left = [c for rid, c in self._late.items() if c.settlement or rid not in self._written]
            if not left:
                return
            # That nothing came of a call is worth a line in the file, but no alarm.
            lost = [c for c in left if c.settlement is None or not c.settlement.released]
            pico = sum(_cost(call) for call in lost)
            where = "they are lost when this process ends"
            if self._stem:
                with suppress(OSError):
                    path = write_unposted(self._stem, left)
                    where = f"they are in {path}, which the next process posts"
                    self._written.update(self._late)
                    for call in left:
                        if call.settlement is not None:
                            del self._late[call.reservation.id]
        if not lost:
            return
        raise LedgerError(
            f"{len(lost):,} calls of {format_usd(pico)} are not in the ledger, whose store does "
            f"not answer; {where}"
        )

    def _post(self, rid: str, call: Unposted) -> bool:
        """Post one call; whether to go on with others."""
        end, ledger = call.settlement, self._ledger
        try:
            if end is None:
                ledger.reserve(softened(call.reservation))
            elif end.released:
                ledger.release(rid, at=end.at, outcome=end.outcome)
            else:
                ledger.post(call.reservation, end)
        except LedgerError as error:
            if is_outage(error):
                self.failed(error)
                return False
            _log.error(
                "call %s of %s is not in the ledger: %s", rid, format_usd(_cost(call)), error
            )
        with self._lock:
            if self._late.get(rid) is call:  # else it has ended meanwhile
                del self._late[rid]
        return True

    def _find(self) -> None:
        self._found = True
        for path in find_unposted(self._stem):
            try:
                calls = list(read_unposted(path))
            except LedgerError as error:
                _log.error("%s", error)
                continue
            with self._lock:
                self._files[path] = {call.reservation.id for call in calls}
                for call in calls:
                    self._late.setdefault(call.reservation.id, call)

    def _clear_files(self) -> None:
        for path in [p for p, ids in self._files.items() if not ids & self._late.keys()]:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            del self._files[path]


def is_outage(error: LedgerError) -> bool:
    """Whether the store failed; else it is what the ledger's rules say, or the file is damaged.

    A store raises its own errors from those of its driver.
    """
    raised_from = error.__cause__ is not None or error.__suppress_context__
    return raised_from and not isinstance(error, CorruptLedgerError)


def _cost(call: Unposted) -> int:
    return call.reservation.amount if call.settlement is None else call.settlement.cost.pico
