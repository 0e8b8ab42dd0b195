"""How many calls a server works on at once, learned from its running and waiting requests."""

from __future__ import annotations

_IN_A_ROW = 3
"""Readings with requests that wait, before they are believed: one may be of a moment (a prompt
that has just come, a cache that was full)."""
_QUIET = 10
"""Readings without any after which the number is not known any more."""
_FADE = 0.97
"""What a reading leaves of the highest number of running requests seen before."""


class Slots:
    """The size of a server's batch, `count`; 0 while requests were not seen to wait for a place.

    It is the highest number of running requests seen lately, and forgotten when none wait.
    """

    __slots__ = ("_full", "_peak", "_quiet", "count")

    def __init__(self) -> None:
        self.count = 0
        self._full = self._quiet = 0
        self._peak = 0.0

    def add(self, running: int, waiting: int) -> None:
        """Take in a reading: requests in work, and those that wait for a place."""
        self._peak = max(float(running), _FADE * self._peak)
        if waiting and running:
            self._full, self._quiet = self._full + 1, 0
        else:
            self._full, self._quiet = 0, self._quiet + 1
        if self._quiet >= _QUIET:
            self.count = 0
        elif self.count or self._full >= _IN_A_ROW:
            self.count = max(round(self._peak), running, 1)
