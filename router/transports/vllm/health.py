"""Whether a replica may be given calls: up, draining, or down until it is tried again. Pure."""

from __future__ import annotations

from typing import Literal

from router.errors import (
    ConnectionFailedError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitError,
    ServerError,
)

Status = Literal["up", "draining", "down"]
Trouble = Literal["", "refused", "broke", "busy", "failed"]

FIRST_DELAY, LONGEST_DELAY, REFUSED_DELAY = 1.0, 30.0, 5.0
"""Seconds until a replica that is down is tried again; twice as long each time, up to the longest.
A refused connection is told at once, so that asking again soon costs nothing."""
_IN_A_ROW = 3
"""So many failures, or polls without an answer, and a replica counts as down."""
_BUSY = frozenset({429, 503})


def trouble_of(error: BaseException) -> Trouble:
    """What a failed call says of the replica; "" where the fault is the request's or the caller's.

    "refused": nothing listens there. "broke": the connection was lost, or never made in time.
    "busy": it takes no more for now. "failed": it answered with an error, or not at all.
    """
    if isinstance(error, ProviderTimeoutError):
        return "failed" if error.billable else "broke"
    if isinstance(error, ConnectionFailedError):
        return "broke" if error.billable else "refused"
    if isinstance(error, RateLimitError):
        return "busy"
    if isinstance(error, ServerError):
        return "busy" if error.status_code in _BUSY else "failed"
    return "failed" if isinstance(error, ProviderError) and error.billable else ""


class Health:
    """The state of one replica; times are seconds of the pool's clock.

    A replica that is down is half open once its time has come: one call, or a poll, may try it.
    Of one that fails its calls a good poll says nothing: only a call that ends well does.
    """

    __slots__ = ("_delay", "_failing", "_failures", "_silences", "asked", "busy_until",
                 "down_since", "leaving", "retry_at", "trying")  # fmt: skip

    def __init__(self) -> None:
        self.down_since: float | None = None
        self.retry_at = 0.0
        self.busy_until = 0.0
        self.asked = False
        """Whether the application asked to drain it."""
        self.leaving = False
        """Whether it said itself that it is not ready (`/health` answered 5xx)."""
        self.trying = False
        self._delay = FIRST_DELAY
        self._failures = self._silences = 0
        self._failing = False
        """Whether it is down because calls failed, whatever polls say."""

    @property
    def status(self) -> Status:
        """What it is, in a word."""
        if self.down_since is not None:
            return "down"
        return "draining" if self.asked or self.leaving else "up"

    @property
    def again_at(self) -> float:
        """When it may be tried again, or is less busy."""
        return self.busy_until if self.down_since is None else self.retry_at

    def fit(self, now: float) -> bool:
        """Whether a new call may go there now."""
        if self.asked or self.leaving:
            return False
        if self.down_since is None:
            return True
        return now >= max(self.retry_at, self.busy_until) and not self.trying

    def well(self) -> bool:
        """It answered a call. True: it was down until now."""
        self.anew()
        return self.ready()

    def ready(self) -> bool:
        """A poll found it ready. True: it was down until now."""
        self._silences = 0
        if self._failing or self.down_since is None:
            return False
        self.down_since, self.trying, self._delay = None, False, FIRST_DELAY
        return True

    def unready(self, now: float) -> None:
        """A poll was told that it takes no calls; one that was down is, until a poll says more."""
        self._silences, self.leaving = 0, True
        if self.down_since is not None:
            self._down(now, REFUSED_DELAY)

    def anew(self) -> None:
        """Another process than the one that failed is there."""
        self._failures, self._failing = 0, False

    def down(self, now: float, longest: float = LONGEST_DELAY) -> None:
        """It is gone; or it was tried, and still is."""
        self._down(now, longest)
        self.leaving = False

    def busy(self, now: float, seconds: float) -> None:
        """It refused a call because it has too many."""
        self.trying = False
        if self.down_since is not None:
            seconds = max(seconds, self._delay)  # polls say meanwhile whether it is ready
        self.busy_until = max(self.busy_until, now + seconds)

    def failed(self, now: float) -> None:
        """A call failed there."""
        tried = self.trying
        self._count()
        if tried or self._failures >= _IN_A_ROW:
            self._failing = True
            self.down(now)

    def broke(self, now: float) -> None:
        """The connection of a call broke: its process may be gone, or it breaks them all."""
        self._count()
        self._failing = self._failing or self._failures >= _IN_A_ROW
        self.down(now)

    def refused(self, now: float) -> None:
        """Nothing listens there; what failed is gone."""
        self.anew()
        self.down(now, REFUSED_DELAY)

    def silent(self, now: float) -> None:
        """A poll got no answer in time; a server under load may be slow to answer."""
        self._silences += 1
        if self.down_since is not None or self._silences >= _IN_A_ROW:
            self.down(now)

    def _down(self, now: float, longest: float) -> None:
        if self.down_since is None:
            self.down_since, self._delay = now, FIRST_DELAY
        elif self.trying or now >= self.retry_at:
            self._delay = min(2 * self._delay, longest)
        self.retry_at, self.trying = now + self._delay, False

    def _count(self) -> None:
        # Calls that were under way when it went down are not another failure each.
        if self.down_since is None or self.trying:
            self._failures += 1
