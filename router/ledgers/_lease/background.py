"""What runs beside the calls: the thread that posts and renews, and ends of process and fork."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet

_log = logging.getLogger("router")


class Beating(Protocol):
    """Something with work to do now and then."""

    def beat(self) -> float | None:
        """Do what is due; seconds until the next time, None when nothing is left to do."""


class Flusher:
    """A daemon thread that beats while there is something to do, and is started anew for more."""

    def __init__(self, owner: Beating) -> None:
        self._owner = owner
        self.running = False
        """Kept by the owner, under its lock: a thread that is about to end does not count."""

    def start(self) -> None:
        """Start the thread; at the end of the process nothing happens, since `close` posts all."""
        self.running = True
        thread = threading.Thread(target=self._run, name="centroute-ledger", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self.running = False

    def _run(self) -> None:
        while (pause := self._owner.beat()) is not None:
            time.sleep(pause)


class Kept(Protocol):
    """Something that must be closed before the process ends, and forgotten in a forked child."""

    def close(self) -> None:
        """Post what is not posted yet."""

    def forget(self) -> None:
        """Drop everything without a word to the store: it is the parent's."""


_kept: WeakSet[Kept] = WeakSet()


def keep(owner: Kept) -> None:
    """Close the owner at the end of the process; have it forget all in a forked child."""
    _kept.add(owner)


def _close_all() -> None:
    for owner in list(_kept):
        try:
            owner.close()
        except Exception as error:  # noqa: BLE001 - the others are to be closed all the same
            _log.error("a ledger was not closed: %s", error)


def _forget_all() -> None:
    for owner in list(_kept):
        with suppress(Exception):
            owner.forget()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
