"""How long each endpoint takes for how many tokens, as this process has seen it lately."""

from __future__ import annotations

from router._locks import forkable

_FADE = 0.95
"""Weight of what was known when an answer comes in: about the last twenty count."""
_FEWEST = 3.0
"""Weight of answers before anything is said."""
_SPREAD = 0.05
"""Lengths that vary by less than this share of their mean say nothing of a time per token."""


class Pace:
    """A running line of seconds over output tokens for each endpoint; thread-safe.

    Only whole answers count: of a streamed one the time is also the reader's.
    """

    def __init__(self) -> None:
        self._sums: dict[str, tuple[float, float, float, float, float]] = {}
        self._lock = forkable(self)

    def observe(self, endpoint: str, output_tokens: int, seconds: float) -> None:
        """Take in one finished answer."""
        x, y = float(output_tokens), seconds
        with self._lock:
            n, sx, sy, sxx, sxy = self._sums.get(endpoint, (0.0,) * 5)
            self._sums[endpoint] = (
                _FADE * n + 1,
                _FADE * sx + x,
                _FADE * sy + y,
                _FADE * sxx + x * x,
                _FADE * sxy + x * y,
            )

    def expected(self, endpoint: str, output_tokens: float) -> float | None:
        """Seconds to the whole of an answer of so many tokens; None while too little is known.

        The delay before the first token is the line's start. It is never below zero, nor is the
        time per token: where all answers were about as long, all of the time is for tokens.
        """
        sums = self._sums.get(endpoint)
        if sums is None or sums[0] < _FEWEST - 1e-9 or sums[2] <= 0:
            return None
        n, sx, sy, sxx, sxy = sums
        mean_x, mean_y = sx / n, sy / n
        variance, covariance = sxx / n - mean_x**2, sxy / n - mean_x * mean_y
        if mean_x <= 0:
            return mean_y
        most = mean_y / mean_x
        slope = most
        if variance > (_SPREAD * mean_x) ** 2:
            slope = min(max(covariance / variance, 0.0), most)
        return max(0.0, mean_y + slope * (output_tokens - mean_x))
