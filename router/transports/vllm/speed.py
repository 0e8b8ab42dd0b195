"""How fast servers read prompts and write answers, learned from the calls that they served."""

from __future__ import annotations

_FADE = 0.97
"""Weight of what was known when a new value comes in: about the last thirty count."""
_FEWEST = 3
"""Values before they are believed."""
_LATEST = 30
"""Answers before they say what a neighbour costs: their lengths and neighbours vary."""
_SPREAD = 0.2
"""Lengths that vary by less than this share of their mean say nothing of a time per token."""
_CLIP = 4.0
"""No value counts for more than so many times what was expected, nor for less than its inverse."""
_SLACK = 0.05
"""Seconds that any value may be late."""
_PER_TOKEN = 1 / 5000
"""Seconds per token until something is known: a mid-sized model on one GPU (assumed)."""
_LEAST = 1e-7
_BESIDE = 1e-4
"""Seconds per output token for each call beside it, until known: as on one GPU (assumed)."""
_ANSWER = 200.0
"""Output tokens of an answer, until known."""


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


class Crowd:
    """By how much an answer is slowed down by each call beside it: a line through the latest
    seconds per output token over the calls that were under way.
    """

    __slots__ = ("_answer", "_beside", "_n", "_sums")

    def __init__(self) -> None:
        self._sums = (0.0, 0.0, 0.0, 0.0, 0.0)
        self._n = 0
        self._answer, self._beside = _ANSWER, _BESIDE

    def add(self, load: float, tokens: int, seconds: float) -> None:
        """Take in an answer: the calls beside it, its tokens, and how long they took."""
        if tokens <= 0 or seconds < 0.0:
            return
        x, y = load, seconds / tokens
        n, sx, sy, sxx, sxy = (_FADE * each for each in self._sums)
        self._sums = n, sx, sy, sxx, sxy = n + 1, sx + x, sy + y, sxx + x * x, sxy + x * y
        self._n += 1
        self._answer += (tokens - self._answer) / min(self._n, _LATEST)
        mean_x, variance = sx / n, sxx / n - (sx / n) ** 2
        if self._n >= _LATEST and variance > (_SPREAD * mean_x) ** 2:
            slope = (sxy / n - mean_x * sy / n) / variance
            self._beside = min(max(slope, 0.0), sy / sx)

    @property
    def each(self) -> float:
        """Seconds that one more call beside it costs an answer."""
        return self._beside * self._answer


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
