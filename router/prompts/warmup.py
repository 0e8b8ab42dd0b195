"""Which request of a batch goes next: of those that share a prefix one alone, then the others.

A host can read a prefix from its cache once a first answer has come, and some seconds more. Until
then each further request would pay for it in full, and where writing costs, write it again. Pure:
time comes in as seconds on any clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count
from typing import TypeAlias

from router.prompts.order import Group
from router.prompts.rule import CacheRule

_TRIES = 2
"""So many first requests of a group may fail before the others are sent all the same."""

_Branch: TypeAlias = int
"""Where prompts go on at the end of a prefix: a prompt's position, below zero a group inside."""


def at_once(rule: CacheRule) -> bool:
    """Whether requests that are under way together share what they compute, as in one vLLM."""
    return not rule.builds_seconds and not rule.writes and rule.match == "blocks"


@dataclass(slots=True, eq=False)
class _Prefix:
    """A shared prefix: what was answered of it, and since when it can be read.

    A host of whole units keeps a prefix when two prompts have parted at its end, so it takes two
    answers, of different branches.
    """

    answered: set[_Branch] = field(default_factory=set)
    needed: int = 1
    running: int = 0
    failed: int = 0
    ready_at: float = 0.0
    held: list[tuple[int, int, _Branch]] = field(default_factory=list)
    """A heap of those that wait here: place in the order, position, branch."""
    trying: int | None = None
    """The place in the order of the one of them that is to be looked at next."""
    alarm: float | None = None
    """When the queue is to see to them again; None where no such time is set."""

    @property
    def warm(self) -> bool:
        return len(self.answered) >= self.needed or self.failed >= _TRIES


class Queue:
    """The requests of a batch, by position, in `order`; those of `groups` wait for each other.

    Not thread-safe. Each position that `take` hands out must be told to `done`.
    """

    def __init__(self, order: Sequence[int], groups: Sequence[Group] = ()) -> None:
        # What waits is kept where it waits, and only its first looked at once it need not: to
        # look at all of them for each one taken is too slow for thousands.
        self._left = len(order)
        self._next: list[tuple[int, int, _Prefix | None]] = [
            (place, position, None) for place, position in enumerate(order)
        ]
        self._alarms: list[tuple[float, int, _Prefix]] = []
        self._numbers = count()
        self._paths: dict[int, list[tuple[_Prefix, _Branch]]] = {}
        self._warming: dict[int, list[_Prefix]] = {}
        self.wakes_at: float | None = None
        around: list[tuple[Group, list[tuple[_Prefix, _Branch]]]] = [(g, []) for g in groups]
        for group, path in around:  # grows by the groups inside
            prefix = _Prefix()
            for member in group.members:
                self._paths[member] = [*path, (prefix, member)]
            around += [
                (inner, [*path, (prefix, -len(around) - at)])
                for at, inner in enumerate(group.groups)
            ]

    def __len__(self) -> int:
        """How many have not been taken."""
        return self._left

    def take(self, now: float) -> int | None:
        """The next to send, None where all have to wait.

        `wakes_at` then says until when, and is None where they wait for answers alone.
        """
        while self._alarms and self._alarms[0][0] <= now:
            at, _, prefix = heappop(self._alarms)
            if prefix.alarm == at:
                prefix.alarm = None
                self._wake(prefix, now)
        self.wakes_at = None
        while self._next:
            place, position, source = heappop(self._next)
            held = self._held(position, now)
            if held is None:
                self._start(position)
                self._left -= 1
            else:
                prefix, branch = held
                heappush(prefix.held, (place, position, branch))
                self._wake(prefix, now)
            if source is not None:
                if source.trying == place:
                    source.trying = None
                self._wake(source, now)
            if held is None:
                return position
        while self._alarms:
            at, _, prefix = self._alarms[0]
            if prefix.alarm == at and prefix.held:
                self.wakes_at = at
                break
            heappop(self._alarms)
            if prefix.alarm == at:
                prefix.alarm = None
        return None

    def done(
        self, position: int, now: float, rule: CacheRule | None, *, sent: bool = True
    ) -> None:
        """An answer has come, of a host with this rule; None: it failed.

        `sent` is False where no host has seen the prompt, as with an answer out of a store.
        """
        warming = self._warming.pop(position, ())
        for prefix in warming:
            prefix.running -= 1
            prefix.failed += sent and rule is None
        if rule is not None and sent:
            for prefix, branch in self._paths.get(position, ()):
                if not prefix.warm:
                    prefix.needed = 2 if rule.match == "units" else 1
                    prefix.ready_at = max(prefix.ready_at, now + rule.builds_seconds)
                if branch not in prefix.answered:
                    prefix.answered.add(branch)
                    if branch < 0 and not prefix.warm:
                        self._let_by(prefix, branch)
        for prefix, _ in self._paths.get(position, ()):
            self._wake(prefix, now)

    def _held(self, position: int, now: float) -> tuple[_Prefix, _Branch] | None:
        """The prefix that this one has to wait for, and its branch there; None: it may go."""
        for prefix, branch in self._paths.get(position, ()):
            if branch in prefix.answered and not prefix.warm:
                continue  # what it shares with the first is longer: that decides
            if now < prefix.ready_at or not (prefix.warm or not prefix.running):
                return prefix, branch
        return None

    def _start(self, position: int) -> None:
        warming = [
            prefix
            for prefix, branch in self._paths.get(position, ())
            if not prefix.warm and branch not in prefix.answered
        ]
        for prefix in warming:
            prefix.running += 1
        if warming:
            self._warming[position] = warming

    def _wake(self, prefix: _Prefix, now: float) -> None:
        """Have the first that waits here looked at if it may go, or set the alarm for it."""
        if not prefix.held:
            return
        if now < prefix.ready_at:
            if prefix.alarm != prefix.ready_at:
                prefix.alarm = prefix.ready_at
                heappush(self._alarms, (prefix.ready_at, next(self._numbers), prefix))
        elif prefix.warm or not prefix.running:
            first = prefix.held[0][0]
            if prefix.trying is None or first < prefix.trying:
                place, position, _ = heappop(prefix.held)
                prefix.trying = place
                heappush(self._next, (place, position, prefix))

    def _let_by(self, prefix: _Prefix, branch: _Branch) -> None:
        """Have all of a branch looked at again: its first answer has come."""
        for place, position, its in prefix.held:
            if its == branch:
                heappush(self._next, (place, position, None))
        prefix.held = [one for one in prefix.held if one[2] != branch]
        heapify(prefix.held)
