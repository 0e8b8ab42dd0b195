"""How busy one's own servers are: tokens served lately, by our own calls or by their counters."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from fractions import Fraction

from router._locks import forkable
from router.catalog.fleet import Flow

_MINUTE = 60
_FRESH_MINUTES = 3
_Tokens = tuple[int, int, int]


class Load:
    """Tokens a second of each endpoint over the last `window` minutes; thread-safe, bounded.

    Nothing is known before an endpoint has been watched for `settle` seconds. A server's own
    counters (`totals`) go before the calls that we made ourselves (`served`), for others may use
    it, too: without them a shared fleet looks idler, and so dearer, than it is.
    """

    def __init__(self, *, window: int = 15, settle: int = 300) -> None:
        self._window, self._settle = window, settle
        self._own: dict[str, _Minutes] = {}
        self._told: dict[str, _Minutes] = {}
        self._last: dict[tuple[str, str], tuple[int, _Tokens]] = {}
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
    ) -> None:
        """Take a replica's counters, as /metrics has them; less than before: it was restarted."""
        total = (input_tokens, cache_read_tokens, output_tokens)
        key, minute = (endpoint, replica), _minute(now)
        with self._lock:
            minutes = self._told.setdefault(endpoint, _Minutes(self._window, now))
            at, before = self._last.get(key, (minute, None))
            if key not in self._last:  # replicas that are gone are forgotten
                self._last = {k: v for k, v in self._last.items() if not self._old(v[0], minute)}
            self._last[key] = minute, total
            if before is None or self._old(at, minute):
                minutes.add(now, (0, 0, 0))
            elif any(new < old for new, old in zip(total, before, strict=True)):
                minutes.add(now, total)
            else:
                minutes.add(now, _three(n - o for n, o in zip(total, before, strict=True)))

    def _old(self, minute: int, now: int) -> bool:
        return minute < now - self._window

    def flow(self, endpoint: str, now: datetime) -> Flow | None:
        """Tokens a second lately; None as long as too little has been seen."""
        with self._lock:
            told, own = self._told.get(endpoint), self._own.get(endpoint)
            if told is not None and told.latest >= _minute(now) - _FRESH_MINUTES:
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
