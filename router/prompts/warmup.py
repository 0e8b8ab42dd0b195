"""Which request of a batch goes next: of those that share a prefix one alone, then the others.

A host can read a prefix from its cache once a first answer has come, and some seconds more. Until
then each further request would pay for it in full, and where writing costs, write it again. Pure:
time comes in as seconds on any clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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

    @property
    def warm(self) -> bool:
        return len(self.answered) >= self.needed or self.failed >= _TRIES


class Queue:
    """The requests of a batch, by position, in `order`; those of `groups` wait for each other.

    Not thread-safe. Each position that `take` hands out must be told to `done`.
    """

    def __init__(self, order: Sequence[int], groups: Sequence[Group] = ()) -> None:
        self._waiting = list(order)
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
        return len(self._waiting)

    def take(self, now: float) -> int | None:
        """The next to send, None where all have to wait.

        `wakes_at` then says until when, and is None where they wait for answers alone.
        """
        self.wakes_at = None
        for at, position in enumerate(self._waiting):
            if self._free(position, now):
                del self._waiting[at]
                return position
        return None

    def done(
        self, position: int, now: float, rule: CacheRule | None, *, sent: bool = True
    ) -> None:
        """An answer has come, of a host with this rule; None: it failed.

        `sent` is False where no host has seen the prompt, as with an answer out of a store.
        """
        for prefix in self._warming.pop(position, ()):
            prefix.running -= 1
            prefix.failed += sent and rule is None
        if rule is None or not sent:
            return
        for prefix, branch in self._paths.get(position, ()):
            if not prefix.warm:
                prefix.needed = 2 if rule.match == "units" else 1
                prefix.ready_at = max(prefix.ready_at, now + rule.builds_seconds)
            prefix.answered.add(branch)

    def _free(self, position: int, now: float) -> bool:
        warming: list[_Prefix] = []
        for prefix, branch in self._paths.get(position, ()):
            if branch in prefix.answered and not prefix.warm:
                continue  # what it shares with the first is longer: that decides
            if now < prefix.ready_at:
                wakes = prefix.ready_at if self.wakes_at is None else self.wakes_at
                self.wakes_at = min(wakes, prefix.ready_at)
                return False
            if prefix.warm:
                continue
            if prefix.running:
                return False
            warming.append(prefix)
        for prefix in warming:
            prefix.running += 1
        if warming:
            self._warming[position] = warming
        return True
