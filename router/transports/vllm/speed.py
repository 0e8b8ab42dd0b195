"""How long a server takes to read what its cache does not hold, learned from its first tokens."""

from __future__ import annotations

_FADE = 0.97
"""Weight of what was known when a new value comes in: about the last thirty count."""
_FEWEST = 3
"""Values before they are believed."""
_SPREAD = 0.2
"""Lengths that vary by less than this share of their mean say nothing of a time per token."""
_CLIP = 4.0
"""No value counts for more than so many times what was expected, nor for less than its inverse."""
_SLACK = 0.05
"""Seconds that any value may be late."""
_PER_TOKEN = 1 / 5000
"""Seconds per token until something is known: a mid-sized model on one GPU (assumed)."""
_LEAST = 1e-7


class Speed:
    """Seconds over uncached input tokens, as a line whose latest values count most.

    While it knows too little it is its `parent` (all replicas of a host together), what the
    server itself `told` (seconds per token), or an assumption.
    """

    __slots__ = ("_line", "_n", "_sums", "parent", "told")

    def __init__(self, parent: Speed | None = None) -> None:
        self.parent = parent
        self.told: float | None = None
        self._n = 0
        self._sums = (0.0, 0.0, 0.0, 0.0, 0.0)
        self._line = (0.0, _PER_TOKEN)

    def add(self, tokens: int, seconds: float) -> None:
        """Take in how long so many tokens took; an outlier counts, but not as one."""
        if self._n >= _FEWEST:
            expected = self.start + tokens * self.per_token
            seconds = max(min(seconds, _CLIP * expected + _SLACK), expected / _CLIP)
        x, y = float(tokens), max(seconds, 0.0)
        n, sx, sy, sxx, sxy = (_FADE * each for each in self._sums)
        self._sums = n + 1, sx + x, sy + y, sxx + x * x, sxy + x * y
        self._line = _line(*self._sums)
        self._n += 1
        if self.parent is not None:
            self.parent.add(tokens, seconds)

    @property
    def start(self) -> float:
        """Seconds to a first token when all was cached."""
        return self._of()[0]

    @property
    def per_token(self) -> float:
        """Seconds for each token that was not."""
        return self._of()[1]

    @property
    def usual(self) -> float:
        """How many tokens a prompt usually has that are not cached; 0 while not known."""
        n, sx = self._sums[:2]
        return sx / n if n else 0.0

    @property
    def known(self) -> bool:
        """Whether any of it was measured."""
        own = self._n >= _FEWEST or self.told is not None
        return own or (self.parent is not None and self.parent.known)

    def _of(self) -> tuple[float, float]:
        if self._n >= _FEWEST:
            return self._line
        if self.told is not None:
            return 0.0, self.told
        return (0.0, _PER_TOKEN) if self.parent is None else self.parent._of()


def _line(n: float, sx: float, sy: float, sxx: float, sxy: float) -> tuple[float, float]:
    mean_x, mean_y = sx / n, sy / n
    if mean_x <= 0.0:
        return mean_y, _PER_TOKEN
    most = mean_y / mean_x
    variance, covariance = sxx / n - mean_x**2, sxy / n - mean_x * mean_y
    slope = most
    if variance > (_SPREAD * mean_x) ** 2:
        slope = min(max(covariance / variance, 0.0), most)
    slope = max(slope, _LEAST)
    return max(mean_y - slope * mean_x, 0.0), slope
