"""What a ledger tells whoever watches it: lines that come late, and what its store did not take.

Telemetry counts both. Nobody has to watch, and then nothing is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, Protocol, TypeAlias
from weakref import ReferenceType, ref

from router.ledgers.entries import Entry, Record
from router.ledgers.view import Known

Action: TypeAlias = Literal[
    "refused",
    "unsettled",
    "admitted",
    "kept",
    "remembered",
    "skipped",
    "rejected",
    "filed",
    "lost",
]
"""What was done about an operation that the store did not take. "refused": the request was, and
nothing was sent; "unsettled": a reservation stands until its lease ends; "admitted": sent without
a reservation, so that no limit held; "kept": written when the store answers; "remembered": what
it had told last was taken; "skipped": a warning was put off; "rejected": the store answers, and
takes this call from nobody; "filed": left in a file for the next process; "lost": in no ledger."""
_LAYERS = 3


@dataclass(frozen=True, slots=True)
class Late:
    """What a line changes that the end of no call tells, in pico-dollars.

    Above zero it was charged for a call whose outcome was lost; below, that was taken back, for
    the truth came. The truth itself is told where its call ends.
    """

    entry: Entry
    amount: int

    @property
    def record(self) -> Record:
        """The call that it is of."""
        return self.entry.record


class Watcher(Protocol):
    """Whoever is told. Nothing may be raised; what is told has happened already."""

    def tells(self, record: Record) -> int:
        """How many of the tags of a call it would tell of."""

    def late(self, lines: Sequence[Late]) -> None:
        """Lines that were booked in this process, each once."""

    def failed(self, operation: str, action: Action, calls: int = 1) -> None:
        """An operation that the store did not take, and what was done about it."""


class Notices:
    """Who watches a ledger. Of several clients who share it one is told, so that nothing counts
    twice: the first who is still there, and of a line the first who tells most of its tags, for
    it may be of another's call. Watching keeps nobody alive.
    """

    def __init__(self) -> None:
        self._watchers: tuple[ReferenceType[Watcher], ...] = ()

    def add(self, watcher: Watcher) -> None:
        """Tell it from now on, after those who came before it."""
        there = tuple(each for each in self._watchers if each() is not None)
        known = any(each() is watcher for each in there)
        self._watchers = there if known else (*there, ref(watcher))

    def late(self, lines: Sequence[Late]) -> None:
        """Tell of lines that are committed."""
        for line in lines:
            # `max` keeps the first of those that tell the same.
            if there := self._there():
                max(there, key=lambda watcher: watcher.tells(line.record)).late((line,))

    def failed(self, operation: str, action: Action, calls: int = 1) -> None:
        """Tell of what the store did not take."""
        if there := self._there():
            there[0].failed(operation, action, calls)

    def _there(self) -> list[Watcher]:
        return [watcher for each in self._watchers if (watcher := each()) is not None]


def late_in(entry: Entry, known: Mapping[str, Known]) -> tuple[Late, ...]:
    """What is late in a line that is being booked: nothing, for most lines.

    `known` has its reservation, which still says how it had ended before.
    """
    if entry.kind == "expire":
        amount = entry.cost
    elif entry.kind == "correct":
        of = known[entry.reservation_id]
        # A slab has no end of its own; that of a call is its truth, which is told in full.
        amount = entry.cost if of.slab else -(of.past.cost if of.past else 0)
    else:
        return ()
    return (Late(entry, amount),) if amount else ()


def layers(ledger: object) -> Iterator[object]:
    """A ledger, and those that it stands before."""

    def inward() -> Iterator[object]:
        found: object = ledger
        while found is not None:
            yield found
            inner = getattr(found, "ledger", None)
            found = getattr(found, "store", None) if inner is None else inner

    return islice(inward(), _LAYERS)
