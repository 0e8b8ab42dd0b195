"""Locks of scorers around a fork: a child must not inherit half of what another thread writes."""

from __future__ import annotations

import os
import threading
from typing import Protocol
from weakref import WeakSet


class Guarded(Protocol):
    """Has locks that no thread may hold while the process forks."""

    def locks(self) -> tuple[threading.Lock, ...]:
        """In the order in which they are taken."""


def guard(owner: Guarded) -> None:
    """Hold the locks of `owner` during every fork, as long as it lives."""
    _alive.add(owner)


def _before_fork() -> None:
    _forking.acquire()
    for owner in list(_alive):
        _held.extend(owner.locks())
    for lock in _held:
        lock.acquire()


def _after_fork() -> None:
    for lock in reversed(_held):
        lock.release()
    _held.clear()
    _forking.release()


_alive: WeakSet[Guarded] = WeakSet()
_held: list[threading.Lock] = []
_forking = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
