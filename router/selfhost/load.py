"""How busy one's own servers are: tokens served lately, by our own calls or by their counters."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from router._locks import forkable
from router.catalog.fleet import Flow

_MINUTE = 60
_FRESH_MINUTES = 3
_FALLS = 3
"""So often within the window: several servers answer at one address, as no restart does."""
_SAME_START = 1.0
"""Seconds by which one process may tell its start differently."""
_Tokens = tuple[int, int, int]


@dataclass(slots=True)
class _Counter:
    """A replica's counters as last told; in the minutes of `falls` they began anew."""

    minute: int
    total: _Tokens
    started_at: float | None
    falls: deque[int]

    def anew(self, total: _Tokens, started_at: float | None) -> bool:
        """Whether another process counts now."""
        if self.started_at and started_at and abs(started_at - self.started_at) > _SAME_START:
            return True
        return any(new < old for new, old in zip(total, self.total, strict=True))


class Load:
    """Tokens a second of each endpoint over the last `window` minutes; thread-safe, bounded.

    Nothing is known before an endpoint has been watched for `settle` seconds. A server's own
    counters (`totals`) go before the calls that we made ourselves (`served`), for others may use
    it, too: without them a shared fleet looks idler, and so dearer, than it is. Counters that
    began anew three times within the window are of several servers, and are not believed.
    """

    def __init__(self, *, window: int = 15, settle: int = 300) -> None:
        self._window, self._settle = window, settle
        self._own: dict[str, _Minutes] = {}
        self._told: dict[str, _Minutes] = {}
        self._last: dict[tuple[str, str], _Counter] = {}
        self._asked: int | None = None
        self._lock = forkable(self)

    def served(
        self,
        endpoint: str,
        now: datetime,
        *,
        input_tokens: int,
        cache_read_tokens: int,
        output_tokens: int,
    ) -> None:
        """Count one answered call of ours; `input_tokens` includes the cached ones."""
        with self._lock:
            minutes = self._own.setdefault(endpoint, _Minutes(self._window, now))
            minutes.add(now, (input_tokens, cache_read_tokens, output_tokens))

    def totals(
        self,
        endpoint: str,
        replica: str,
        now: datetime,
        *,
        input_tokens: int,
        cache_read_tokens: int,
        output_tokens: int,
        started_at: float | None = None,
    ) -> None:
        """Take a replica's counters, as /metrics had them at `now`; each reading only once.

        Less than before, or of a process that started at another time (seconds of Unix time):
        counting starts anew from there.
        """
        total = (input_tokens, cache_read_tokens, output_tokens)
        key, minute = (endpoint, replica), _minute(now)
        with self._lock:
            last = self._last.get(key)
            if last is None:  # replicas that are gone are forgotten
                self._last = {
                    k: v for k, v in self._last.items() if not self._old(v.minute, minute)
                }
            falls = deque[int](maxlen=_FALLS) if last is None else last.falls
            served = (0, 0, 0)
            if last is not None and not self._old(last.minute, minute):
                if last.anew(total, started_at):
                    falls.append(minute)
                else:
                    served = _three(n - o for n, o in zip(total, last.total, strict=True))
            self._last[key] = _Counter(minute, total, started_at, falls)
            minutes = self._told.get(endpoint)
            silent = minutes is None or self._old(minutes.latest, minute)
            if minutes is None or silent or self._mixed(endpoint, minute):
                minutes = self._told[endpoint] = _Minutes(self._window, now)
                served = (0, 0, 0)
            minutes.add(now, served)

    def _old(self, minute: int, now: int) -> bool:
        return minute < now - self._window

    def _mixed(self, endpoint: str, minute: int) -> bool:
        """Whether one of its replicas looks like several servers behind one address."""
        return any(
            of == endpoint and len(c.falls) == _FALLS and not self._old(c.falls[0], minute)
            for (of, _), c in self._last.items()
        )

    def flow(self, endpoint: str, now: datetime) -> Flow | None:
        """Tokens a second lately; None as long as too little has been seen."""
        with self._lock:
            told, own = self._told.get(endpoint), self._own.get(endpoint)
            minute = _minute(now)
            fresh = told is not None and told.latest >= minute - _FRESH_MINUTES
            if fresh and not self._mixed(endpoint, minute):
                own = told
            found = None if own is None else own.rates(now, self._settle)
        if found is None:
            return None
        read, cached, written = found
        return Flow(input_tokens=read, cache_read_tokens=cached, output_tokens=written)

    def due(self, now: datetime) -> bool:
        """True once a minute: when to look whether prices have changed."""
        with self._lock:
            minute = _minute(now)
            was, self._asked = self._asked, minute
        return was != minute


class _Minutes:
    """Tokens by minute of one endpoint, as far back as the window."""

    def __init__(self, window: int, now: datetime) -> None:
        self._since = now
        self._counts: deque[tuple[int, _Tokens]] = deque(maxlen=window + 1)
        self._window = window
        self.latest = _minute(now)

    def add(self, now: datetime, tokens: _Tokens) -> None:
        minute = max(_minute(now), self.latest)  # calls end in no order
        self.latest = minute
        if self._counts and self._counts[-1][0] == minute:
            before = self._counts.pop()[1]
            tokens = _three(a + b for a, b in zip(before, tokens, strict=True))
        self._counts.append((minute, tokens))

    def rates(self, now: datetime, settle: int) -> tuple[Fraction, Fraction, Fraction] | None:
        watched = (now - self._since).total_seconds()
        if watched < settle:
            return None
        first = _minute(now) - self._window  # so many whole minutes, and the present one
        seconds = min(watched, now.timestamp() - first * _MINUTE)
        counted = [tokens for minute, tokens in self._counts if minute >= first]
        read, cached, written = (sum(kind) for kind in zip((0, 0, 0), *counted, strict=True))
        span = Fraction(int(seconds))
        return read / span, cached / span, written / span


def _minute(now: datetime) -> int:
    return int(now.timestamp()) // _MINUTE


def _three(counts: Iterable[int]) -> _Tokens:
    read, cached, written = counts
    return read, cached, written
