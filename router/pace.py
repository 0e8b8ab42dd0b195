"""How long each endpoint takes for how many tokens, as this process has seen it lately."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from typing import NamedTuple

from router._locks import forkable

_FADE = 0.95
"""Weight of what was known when an answer comes in: about the last twenty count."""
_FEWEST = 3.0
"""Weight of answers before anything is said."""
_SPREAD = 0.05
"""Lengths that vary by less than this share of their mean say nothing of a time per token."""
_KEPT = 64
"""The latest values that a quantile is taken of."""
_FEWEST_P90 = 9
"""Values before one is said to be exceeded once in ten: of fewer even the largest is not."""
_FEWEST_MEDIAN = 3


class Times(NamedTuple):
    """Seconds that an answer may take: expected, p90, and to its first token; None: not known."""

    seconds: float | None
    p90: float | None
    first_token: float | None


_UNKNOWN = Times(None, None, None)


class _Latest:
    """The latest values in the order they came, and sorted."""

    __slots__ = ("_next", "_ring", "ranked")

    def __init__(self) -> None:
        self.ranked: list[float] = []
        self._ring: list[float] = []
        self._next = 0

    def add(self, value: float) -> None:
        ranked = self.ranked.copy()  # readers take no lock: they keep the list they have
        if len(self._ring) < _KEPT:
            self._ring.append(value)
        else:
            oldest, self._ring[self._next] = self._ring[self._next], value
            del ranked[bisect_left(ranked, oldest)]
            self._next = (self._next + 1) % _KEPT
        insort(ranked, value)
        self.ranked = ranked


class _Host:
    """What has been seen of one endpoint."""

    __slots__ = ("first", "line", "off", "ratios", "sums")

    def __init__(self) -> None:
        self.sums = (0.0, 0.0, 0.0, 0.0, 0.0)
        self.line: tuple[float, float] | None = None  # seconds at no tokens, and per token
        self.off: tuple[float, float] | None = None  # times the line: the median, and the p90
        self.ratios, self.first = _Latest(), _Latest()


class Pace:
    """Seconds over output tokens for each endpoint, and to the first token; thread-safe.

    Of whole answers: a running line, and how far the latest were from the line as it stood before
    them. Of streams only the time to the first token, for the rest is also the reader's time.
    """

    def __init__(self) -> None:
        self._hosts: dict[str, _Host] = {}
        self._lock = forkable(self)

    def observe(self, endpoint: str, output_tokens: int, seconds: float) -> None:
        """Take in one finished answer."""
        x, y = float(output_tokens), seconds
        with self._lock:
            host = self._host(endpoint)
            if host.line is not None and y > 0 and (foreseen := _on(host.line, x)) > 0:
                host.ratios.add(y / foreseen)
                if (of := len(ranked := host.ratios.ranked)) >= _FEWEST_P90:
                    host.off = ranked[of // 2], ranked[_rank90(of)]
            n, sx, sy, sxx, sxy = host.sums
            host.sums = sums = (
                _FADE * n + 1,
                _FADE * sx + x,
                _FADE * sy + y,
                _FADE * sxx + x * x,
                _FADE * sxy + x * y,
            )
            host.line = _line(*sums)

    def observe_first(self, endpoint: str, seconds: float) -> None:
        """Take in how long a stream took to its first token."""
        with self._lock:
            self._host(endpoint).first.add(seconds)

    def expected(self, endpoint: str, output_tokens: float) -> float | None:
        """Seconds to the whole of an answer of so many tokens; None while too little is known.

        The delay before the first token is the line's start. It is never below zero, nor is the
        time per token: where all answers were about as long, all of the time is for tokens.
        """
        host = self._hosts.get(endpoint)
        line = None if host is None else host.line
        return None if line is None else _on(line, output_tokens)

    def quantiles(self, endpoint: str, output_tokens: float) -> tuple[float, float] | None:
        """Seconds (p50, p90) of an answer of just so many tokens; None while unknown."""
        host = self._hosts.get(endpoint)
        if host is None or host.line is None or host.off is None:
            return None
        foreseen = _on(host.line, output_tokens)
        return foreseen * host.off[0], foreseen * host.off[1]

    def first_token(self, endpoint: str) -> float | None:
        """The median of the seconds to the first token; None while too little is known."""
        host = self._hosts.get(endpoint)
        if host is None or len(ranked := host.first.ranked) < _FEWEST_MEDIAN:
            return None
        return ranked[len(ranked) // 2]

    def times(self, endpoint: str, mean: float, p50: float, p90: float) -> Times:
        """Seconds of an answer whose length is itself forecast, in output tokens.

        The p90 takes length and host as independent and log-normal: their deviations on the log
        scale add in squares.
        """
        host = self._hosts.get(endpoint)
        if host is None:
            return _UNKNOWN
        first = host.first.ranked
        median = first[len(first) // 2] if len(first) >= _FEWEST_MEDIAN else None
        if host.line is None:
            return Times(None, None, median)
        start, slope = host.line
        usual, late = start + slope * p50, None
        if host.off is not None and usual > 0.0:
            middle, tail = host.off
            spread = math.hypot(math.log(tail / middle), math.log((start + slope * p90) / usual))
            late = usual * middle * math.exp(spread)
        return Times(max(0.0, start + slope * mean), late, median)

    def _host(self, endpoint: str) -> _Host:
        host = self._hosts.get(endpoint)
        if host is None:
            host = self._hosts[endpoint] = _Host()
        return host


def _line(n: float, sx: float, sy: float, sxx: float, sxy: float) -> tuple[float, float] | None:
    """Where the line begins, and its slope; None while too little is known."""
    if n < _FEWEST - 1e-9 or sy <= 0:
        return None
    mean_x, mean_y = sx / n, sy / n
    variance, covariance = sxx / n - mean_x**2, sxy / n - mean_x * mean_y
    if mean_x <= 0:
        return mean_y, 0.0
    most = mean_y / mean_x
    slope = most
    if variance > (_SPREAD * mean_x) ** 2:
        slope = min(max(covariance / variance, 0.0), most)
    return mean_y - slope * mean_x, slope


def _on(line: tuple[float, float], tokens: float) -> float:
    start, slope = line
    return max(0.0, start + slope * tokens)


def _rank90(n: int) -> int:
    """The place of the value that a new one exceeds once in ten, of `n` exchangeable ones."""
    return min(n - 1, math.ceil(0.9 * (n + 1)) - 1)
