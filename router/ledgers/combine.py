"""Many callers, one transaction: whoever comes first works for all who wait.

A commit costs one fsync however much is in it. Every caller queues up; one has the turn, and
performs all that is queued in one transaction. Those who come meanwhile wait for theirs to be
done, or for the turn.

Ctrl-C may fall anywhere. So an operation leaves the queue only when it is done, the turn is a lock
in a `with` statement, and who is not called looks after a while itself: whatever is interrupted,
the next one does what is left.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

B = TypeVar("B")
Operation: TypeAlias = Callable[[B], Any]
"""What is to be done with the rows of a transaction; done twice, it must be as done once."""
Perform: TypeAlias = Callable[[Sequence[Operation[B]]], list[Any]]
"""Performs operations in one transaction: a result for each, or the exception it raised. Raises
when the transaction failed as a whole: then none of them was performed."""

_MOST = 128
"""Operations in one transaction: enough to make the fsync cheap, few enough to let others in."""


_LOOK = 0.05
"""Seconds until a caller that nobody calls takes its turn: the one who should have was stopped."""


_GATHER = 0.0004
"""Seconds to wait where fewer are queued than were in the last transaction: those who were in it
are on their way. A caller alone never waits."""


@dataclass(slots=True, eq=False)
class _Ticket(Generic[B]):
    """One caller's operation, and what came of it. `called` is held until somebody calls."""

    operation: Operation[B]
    called: threading.Lock = field(default_factory=threading.Lock)
    done: bool = False
    result: Any = None
    error: BaseException | None = None


class Combiner(Generic[B]):
    """Performs operations of many threads, in the order in which they came."""

    def __init__(self, perform: Perform[B], *, outages: tuple[type[Exception], ...] = ()) -> None:
        """`outages` are errors of the store itself: no use in trying each operation alone."""
        self._perform = perform
        self._outages = outages
        self.reset()

    def reset(self) -> None:
        """Forget who waits: in a forked child those threads do not exist."""
        self._turn = threading.Lock()
        self._queue: deque[_Ticket[B]] = deque()
        self._last = 0

    def submit(self, operation: Operation[B]) -> Any:
        """Perform an operation and return its result, or raise what it raised.

        Interrupted (Ctrl-C), it may still be performed, before whatever is submitted later.
        """
        ticket = _Ticket(operation)
        ticket.called.acquire()
        self._queue.append(ticket)
        while not ticket.done:
            if self._turn.locked():
                ticket.called.acquire(timeout=_LOOK)
                continue
            with self._turn:
                while not ticket.done:
                    if len(self._queue) < self._last:
                        time.sleep(_GATHER)
                    batch = list(self._queue.copy())[:_MOST]
                    self._last = len(batch)
                    self._serve(batch)
            # The turn is free: who came before is in the queue, who comes later sees that.
            heir = next((each for each in self._queue.copy() if not each.done), None)
            if heir is not None:
                _call(heir)
        if ticket.error is not None:
            raise ticket.error
        return ticket.result

    def _serve(self, batch: list[_Ticket[B]]) -> None:
        try:
            results = self._perform([ticket.operation for ticket in batch])
        except Exception as error:  # noqa: BLE001 - it is raised where it belongs
            # One of them may have spoilt it for all: each alone.
            if len(batch) > 1 and not isinstance(error, self._outages):
                for ticket in batch:
                    self._serve([ticket])
                return
            results = [error] * len(batch)
        for ticket, result in zip(batch, results, strict=True):
            if isinstance(result, BaseException):
                ticket.error = result
            else:
                ticket.result = result
            ticket.done = True
            _call(ticket)
        while self._queue and self._queue[0].done:
            self._queue.popleft()


def _call(ticket: _Ticket[Any]) -> None:
    with suppress(RuntimeError):  # called already
        ticket.called.release()
