"""Locks and open files that survive a fork.

A lock held by another thread would never be let go in the child (`forkable`). A child must neither
use nor close what its parent has open (`watch`): locks are held and files closed over the fork, so
that nothing is under way in it, and both sides open them again when they need to.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol
from weakref import WeakKeyDictionary

_owners: WeakKeyDictionary[Any, Callable[[], Any]] = WeakKeyDictionary()


def forkable(owner: Any) -> threading.Lock:
    """A lock for `owner._lock`, which a forked child replaces by one of its own."""
    _owners[owner] = threading.Lock
    return threading.Lock()


def forkable_again(owner: Any) -> threading.RLock:
    """The same for a lock that its thread may take again."""
    _owners[owner] = threading.RLock
    return threading.RLock()


def _after_fork() -> None:
    for owner, lock in list(_owners.items()):
        owner._lock = lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Forkable(Protocol):
    """What is open in a process that may fork."""

    def before_fork(self) -> None:
        """Take every lock and let go of what a child must not inherit."""

    def after_fork(self, *, in_child: bool) -> None:
        """Let go of the locks; in a child, forget the threads that are not there."""


_all: weakref.WeakValueDictionary[int, Forkable] = weakref.WeakValueDictionary()
_forking = threading.Lock()
_held: list[Forkable] = []


def watch(found: Forkable) -> None:
    """Ask it from now on whenever this process forks."""
    _all[id(found)] = found


def _before() -> None:
    _forking.acquire()
    # While we wait for one, another thread may make more of them.
    while more := [x for ref in _all.valuerefs() if (x := ref()) and x not in _held]:
        for one in more:
            one.before_fork()
            _held.append(one)


def _after(*, in_child: bool) -> None:
    while _held:
        _held.pop().after_fork(in_child=in_child)
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before,
        after_in_parent=lambda: _after(in_child=False),
        after_in_child=lambda: _after(in_child=True),
    )
