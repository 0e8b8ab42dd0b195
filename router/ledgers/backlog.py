"""What the ledger's store has not taken yet, and how it gets there in the end."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from router.errors import LedgerError
from router.ledgers.entries import Grade, Reservation, Settlement
from router.ledgers.failing import is_outage
from router.ledgers.late_grades import LateGrades, Which
from router.ledgers.ledger import Ledger
from router.ledgers.notices import Action, Notices
from router.ledgers.slabs import softened
from router.ledgers.unposted import Unposted, find_unposted, read_unposted, write_unposted
from router.money import format_usd

_log = logging.getLogger("router")
_AT_ONCE = 64
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_LOST: Action = "lost"
_FILED: Action = "filed"


class Backlog:
    """What is to be posted, in the order in which it came, at most once per pause while it fails.

    A call that the store refuses stands in no other one's way: it is tried once, and left in a
    file at the end. `stem` is the path beside which files are left and found ("": none); `quiet`
    logs no outage.
    """

    def __init__(
        self,
        ledger: Ledger,
        stem: str,
        monotonic: Callable[[], float],
        notices: Notices,
        grades: LateGrades,
        *,
        quiet: bool,
    ) -> None:
        self._notices, self._grades = notices, grades
        self._ledger, self._stem, self._monotonic, self._quiet = ledger, stem, monotonic, quiet
        self._lock = threading.Lock()  # never held over a call of the ledger
        self._posting = threading.Lock()
        self._late: OrderedDict[str, Unposted] = OrderedDict()
        self._refused: set[str] = set()
        self._files: dict[Path, tuple[set[str], set[Which]]] = {}
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

    def waiting(self) -> tuple[int, int]:
        """Calls that the store does not have, and what they cost (pico-dollars): of one that is
        under way, what it was to set aside.
        """
        with self._lock:
            lost = _missing(self._late.values())
        return len(lost), sum(map(_cost, lost))

    def keep(self, reservation: Reservation, settlement: Settlement | None) -> None:
        """Remember how a call ended, or that it was admitted without a reservation (None)."""
        rid = reservation.id
        with self._lock:
            if rid in self._refused and settlement is not None and settlement.released:
                self._forget(rid)  # nothing came of it, so nothing is missing
                return
            self._late[rid] = Unposted(reservation, settlement)
            self._written.discard(rid)

    def drop(self, reservation_id: str) -> None:
        """Forget a call: what was to be posted of it holds no longer."""
        if self._late:
            with self._lock:
                self._forget(reservation_id)

    def failed(self, error: Exception) -> None:
        """The store failed: it is asked again after a pause, which grows."""
        with self._lock:
            if not self._failures and not self._quiet:
                _log.warning("the ledger's store does not answer: %s", error)
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * (1 << min(self._failures, 10)))
            self._failures += 1
            self._again = self._monotonic() + pause

    def answered(self) -> None:
        """The store answered."""
        if self._failures and not self._all_due:
            with self._lock:
                if self._failures and not self._quiet:
                    has = "some calls are refused" if self._refused else "has every call"
                    _log.warning("the ledger's store answers again, and %s", has)
                self._failures = 0

    def post_some(self, most: int = _AT_ONCE) -> None:
        """Post some of it, unless another thread does or the store is not to be asked yet."""
        if not self._found:
            self._find()
        if not self._all_due or self.down or not self._posting.acquire(blocking=False):
            return
        try:
            with self._lock:
                due = ((i, call) for i, call in self._late.items() if i not in self._refused)
                batch = list(islice(due, most))
            for rid, call in batch:
                if not self._post(rid, call):
                    return
            if not self._due and not self._post_grades(most):
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
        while before := self._all_due:
            self.post_some(before)
            if self._all_due >= before:
                break
        with self._lock:
            left = [c for rid, c in self._late.items() if rid not in self._written]
            lost = _missing(left)
            grades, refused = self._grades.unfiled(), self._all_due == 0
            where, action = "they are lost when this process ends", _LOST
            if (left or grades) and self._stem:
                with suppress(OSError):
                    path = write_unposted(self._stem, (*left, *grades))
                    again = "tries again" if refused else "posts"
                    where, action = f"they are in {path}, which the next process {again}", _FILED
                    for call in left:
                        self._leave(call)
                    self._grades.leave(grades)
        if lost:
            self._notices.failed("close", action, len(lost))
        if grades:
            self._notices.failed("grade", action, len(grades))
        if lost or grades:
            why = "refuses them" if refused else "does not answer"
            raise LedgerError(
                f"{_told(lost, grades)} are not in the ledger, whose store {why}; {where}"
            )

    @property
    def _due(self) -> int:
        return len(self._late) - len(self._refused)

    @property
    def _all_due(self) -> int:
        return self._due + self._grades.due

    def _forget(self, rid: str) -> None:
        self._late.pop(rid, None)
        self._refused.discard(rid)
        self._written.discard(rid)

    def _leave(self, call: Unposted) -> None:
        """It is in a file. Of one that has not ended there will be more to say."""
        rid = call.reservation.id
        if call.settlement is None:
            self._written.add(rid)
        else:
            self._forget(rid)

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
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the others go on
            if is_outage(error):
                self.failed(error)
                return False
            self._refuse(rid, call, error)
            return True
        with self._lock:
            if self._late.get(rid) is call:  # else it has ended meanwhile
                self._forget(rid)
        return True

    def _post_grades(self, most: int) -> bool:
        """Post grades, when all calls are there that they may be of; whether the store answers."""
        try:
            self._grades.post(most)
        except Exception as error:  # noqa: BLE001 - an outage, however it is told
            self.failed(error)
            return False
        return True

    def _refuse(self, rid: str, call: Unposted, error: Exception) -> None:
        _log.error("call %s of %s is not in the ledger: %s", rid, format_usd(_cost(call)), error)
        with self._lock:
            known = self._late.get(rid)
            if known is not None and known.settlement is not None and known.settlement.released:
                self._forget(rid)
            elif known is not None:
                self._refused.add(rid)
            refused = rid in self._refused
        if refused:
            self._notices.failed("post", "rejected")

    def _find(self) -> None:
        self._found = True
        for path in find_unposted(self._stem):
            try:
                lines = list(read_unposted(path))
            except LedgerError as error:
                _log.error("%s", error)
                continue
            calls = {x.reservation.id: x for x in lines if isinstance(x, Unposted)}
            grades = self._grades.found([x for x in lines if isinstance(x, Grade)])
            with self._lock:
                self._files[path] = set(calls), grades
                self._written |= calls.keys()
                for rid, call in calls.items():
                    self._late.setdefault(rid, call)

    def _clear_files(self) -> None:
        for path, (calls, grades) in list(self._files.items()):
            if calls & self._late.keys() or grades & self._grades.which():
                continue
            with suppress(OSError):
                path.unlink(missing_ok=True)
            del self._files[path]


def _missing(calls: Iterable[Unposted]) -> list[Unposted]:
    """Without those that came to nothing: they are worth a line in the file, but no alarm."""
    return [c for c in calls if c.settlement is None or not c.settlement.released]


def _told(calls: Collection[Unposted], grades: Collection[Grade]) -> str:
    said = f"{len(calls):,} calls of {format_usd(sum(map(_cost, calls)))}"
    return " and ".join([said] * bool(calls) + [f"{len(grades):,} grades"] * bool(grades))


def _cost(call: Unposted) -> int:
    return call.reservation.amount if call.settlement is None else call.settlement.cost.pico
