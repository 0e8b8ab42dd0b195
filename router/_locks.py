"""Locks that survive a fork: one held by another thread would never be let go in the child."""

from __future__ import annotations

import os
import threading
from typing import Any
from weakref import WeakSet

_owners: WeakSet[Any] = WeakSet()


def forkable(owner: Any) -> threading.Lock:
    """A lock for `owner._lock`, which a forked child replaces by one of its own."""
    _owners.add(owner)
    return threading.Lock()


def _after_fork() -> None:
    for owner in list(_owners):
        owner._lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
