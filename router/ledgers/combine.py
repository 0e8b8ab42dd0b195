"""Many callers, one transaction: whoever comes first works for all who wait.

A commit costs one fsync however much is in it. The first caller leads: it takes what has queued up
and performs it in one transaction. Those who come meanwhile wait, and are the next batch.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeAlias, TypeVar

B = TypeVar("B")
Operation: TypeAlias = Callable[[B], Any]
"""What is to be done with the rows of a transaction."""
Perform: TypeAlias = Callable[[Sequence[Operation[B]]], list[Any]]
"""Performs operations in one transaction: a result for each, or the exception it raised. Raises
when the transaction failed as a whole: then none of them was performed."""

_MOST = 128
"""Operations in one transaction: enough to make the fsync cheap, few enough to let others in."""


@dataclass(slots=True, eq=False)
class _Ticket(Generic[B]):
    """One caller's operation. `woken` is held until it is done, or its caller is to lead."""

    operation: Operation[B]
    woken: threading.Lock = field(default_factory=threading.Lock)
    leads: bool = False
    left: bool = False
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
        self._mutex = threading.Lock()
        self._queue: deque[_Ticket[B]] = deque()
        self._led = False

    def submit(self, operation: Operation[B]) -> Any:
        """Perform an operation and return its result, or raise what it raised.

        Interrupted (Ctrl-C), it may still be performed, before whatever is submitted later.
        """
        ticket = _Ticket(operation)
        ticket.woken.acquire()
        try:
            with self._mutex:
                self._queue.append(ticket)
                ticket.leads, self._led = not self._led, True
            if not ticket.leads:
                ticket.woken.acquire()
            if ticket.leads:
                self._lead(ticket)
        except BaseException:
            ticket.left = True
            self._pass_on(ticket)
            raise
        if ticket.error is not None:
            raise ticket.error
        return ticket.result

    def _lead(self, own: _Ticket[B]) -> None:
        """Work until one's own is done, then let the next one lead."""
        while not own.done:
            with self._mutex:
                batch = [self._queue.popleft() for _ in range(min(_MOST, len(self._queue)))]
            self._serve(batch)
        self._pass_on(own)

    def _pass_on(self, own: _Ticket[B]) -> None:
        with self._mutex:
            if not own.leads:
                return
            own.leads = False
            # Who was interrupted waits no longer; the next caller performs what it left behind.
            heir = next((ticket for ticket in self._queue if not ticket.left), None)
            if heir is None:
                self._led = False
            else:
                heir.leads = True
                _wake(heir)

    def _serve(self, batch: list[_Ticket[B]]) -> None:
        try:
            results = self._perform([ticket.operation for ticket in batch])
        except Exception as error:  # noqa: BLE001 - it is raised where it belongs
            # One of them may have spoilt it for all: each alone.
            if len(batch) > 1 and not isinstance(error, self._outages):
                for i, ticket in enumerate(batch):
                    try:
                        self._serve([ticket])
                    except BaseException:
                        self._give_up(batch[i + 1 :])
                        raise
                return
            results = [error] * len(batch)
        except BaseException:
            self._give_up(batch)
            raise
        try:
            self._tell(batch, results)
        except BaseException:
            self._tell(batch, results)
            raise

    def _give_up(self, batch: list[_Ticket[B]]) -> None:
        """We were interrupted: what was not performed goes back, for another one to perform."""
        with self._mutex:
            self._queue.extendleft(reversed(batch))

    def _tell(self, batch: list[_Ticket[B]], results: list[Any]) -> None:
        for ticket, result in zip(batch, results, strict=True):
            if isinstance(result, BaseException):
                ticket.error = result
            else:
                ticket.result = result
            ticket.done = True
            _wake(ticket)


def _wake(ticket: _Ticket[Any]) -> None:
    if ticket.woken.locked():
        ticket.woken.release()
