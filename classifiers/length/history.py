"""What the calls of one route say of its lengths: a correction of every forecast that follows.

Each call is forecast before it is learned from, so that the misses are honest ones. The centre is
a small Bayesian regression on the forecast and a few features of the prompt, drawn to the
forecast; the quantiles are those of past misses, drawn to the forecast's own shape. When a run of
misses says that the model or the prompts have changed (CUSUM), what came before is forgotten.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from classifiers.spread import LEVELS, MAX_LOG_TOKENS, Knots, level_at, log_at, ordered

Array = npt.NDArray[np.float64]

N_FEATURES = 4
"""Features of the prompt beside the forecast: see `Extra`."""
HEAD_ROWS, STATE_COLUMNS = 3 + N_FEATURES + 2, N_FEATURES + 4
"""Of a saved history: rows before those of the calls, and numbers in each."""
WINDOW = 256
"""Misses kept: p99 of a route rests on the two or three largest of them."""
_PRIOR_WEIGHT = 10.0
"""Misses that the forecast's own shape counts for."""
_PRECISION = np.diag([1.0, 4.0] + [11.0] * N_FEATURES)
"""Of level, slope and features: on data sets left out levels were off by about 1 (in log tokens),
slopes by 0.5; features are standardised, and move the centre by 0.3."""
_DECAY = 1.0 - 1.0 / 400.0
_OWN_SCALE = 0.35
"""How much of a prompt's own spread counts, beside the route's usual one."""
_ALARM, _SLACK, _CLIP = 8.0, 0.5, 2.5
"""CUSUM in deviations: no false alarm in 18,000 calls of 60 routes, a change of a model seen
after some ten calls."""
_SETTLED, _KEEP = 20.0, 8
_FARTHEST = 2.6
"""Normal score of p99 while there are too few calls to tell: their largest miss, or this."""
_GOLDEN = 0.5 * (math.sqrt(5.0) - 1.0)
"""Its multiples, less their whole parts, fill 0 to 1 evenly: draws without chance."""
_GRID = [(k + 0.5) / 20 for k in range(20)]


def _normal_scores() -> list[float]:
    from statistics import NormalDist

    normal = NormalDist()
    return [normal.inv_cdf(level) for level in _GRID]


_GRID_SCORES = _normal_scores()


class Extra(NamedTuple):
    """Of a prompt: standardised log length in characters and in words, how easy models in general
    find it (a logit), and how many numbers it holds.
    """

    chars: float
    words: float
    lean: float
    numbers: float


class Row(NamedTuple):
    """One past call: inputs of the regression, log tokens over the forecast, its spread."""

    inputs: tuple[float, ...]
    gain: float
    scale: float


class History:
    """The calls of one route with one model. Not thread-safe; see `Histories`."""

    __slots__ = (
        "_beta", "_cross", "_down", "_down_since", "_gram", "_line", "_misses", "_noise",
        "_offsets", "_origin", "_rows", "_shape", "_square", "_unit", "_up", "_up_since", "_usual",
        "_weight", "changes", "seen",
    )  # fmt: skip

    def __init__(self) -> None:
        self.seen = 0
        self.changes = 0
        self._rows: list[Row] = []
        self._misses: list[float] = []
        self._origin: tuple[float, ...] = ()
        self._shape: list[float] = []
        self._unit, self._usual = 0.0, 1.0
        self._offsets: tuple[float, ...] = (0.0,) * 4
        self._line: tuple[float, ...] = (0.0,) * (N_FEATURES + 2)
        self._clear()

    @property
    def calls(self) -> int:
        """Calls that the correction rests on: those since the last change, at most `WINDOW`."""
        return len(self._rows)

    def corrected(self, knots: Knots, extra: Extra) -> Knots:
        """The forecast, as past calls correct it."""
        if not self._rows:
            return knots
        start, slope, chars, words, lean, numbers = self._line
        centre = knots[1] * (1.0 + slope) + start
        centre += chars * extra[0] + words * extra[1] + lean * extra[2] + numbers * extra[3]
        scale = self._relative(_scale(knots))
        p10, p50, p90, p99 = self._offsets
        return ordered(
            centre + scale * p10, centre + scale * p50, centre + scale * p90, centre + scale * p99
        )

    def observe(self, knots: Knots, extra: Extra, log_tokens: float, *, truncated: bool) -> None:
        """Take in the length of one more answer, forecast with `knots` before correction.

        A truncated one counts as somewhere in what is forecast beyond it, elsewhere at each call:
        with the median at every call p90 of true lengths was 0.83, three in ten cut; so 0.91.
        """
        if not self._origin:
            self._origin = (knots[1], *extra)
            self._scale_by(math.log(_scale(knots)))
            self._noise = _scale(knots) ** 2
        if truncated:
            share = (self.seen + 1) * _GOLDEN % 1.0
            log_tokens = _beyond(self.corrected(knots, extra), log_tokens, share)
        inputs, scale = self._inputs(knots, extra), _scale(knots)
        gain = log_tokens - knots[1]
        error = gain - _dot(inputs, self._beta)
        relative = self._relative(scale)
        self._keep(Row(inputs, gain, scale), error / relative)
        shape = [(knot - knots[1]) / relative for knot in knots]
        if not self._shape:
            self._shape = shape
        self._shape = [
            old + 0.1 * (new - old) for old, new in zip(self._shape, shape, strict=True)
        ]
        self._take(inputs, gain, error)
        pace = max(5.0, min(self._weight, 50.0))
        self._scale_by(self._unit + (math.log(scale) - self._unit) / pace)
        self.seen += 1
        if self._changed(error):
            self._forget()
        self._settle()

    def state(self) -> Array:
        """(`HEAD_ROWS` + calls, `STATE_COLUMNS`) numbers to be kept: sums, then the inputs, gain,
        scale and miss of each call, oldest first.
        """
        if not self._rows:
            return np.zeros((0, STATE_COLUMNS))
        sums = np.column_stack((self._gram, self._cross, np.zeros(N_FEATURES + 2)))
        head = [
            [*self._origin, self._unit, self._noise, self.seen],
            [*self._shape, self.changes, self._weight, self._square, 0.0],
            [self._up, self._up_since, self._down, self._down_since, 0.0, 0.0, 0.0, 0.0],
        ]
        body = [
            [*row.inputs[1:], row.gain, row.scale, miss]
            for row, miss in zip(self._rows, self._misses, strict=True)
        ]
        return np.vstack((head, sums, body))

    @classmethod
    def from_state(cls, rows: Array) -> History:
        """The history that `state` told, to the last bit.

        Raises:
            ValueError: too few rows, or numbers that are not finite.
        """
        new = cls()
        if len(rows) <= HEAD_ROWS or not np.isfinite(rows).all():
            raise ValueError("expected the state of a history, got too few rows or broken ones")
        head, shape, alarm = rows[:3].tolist()
        new._origin = tuple(head[: N_FEATURES + 1])
        new._scale_by(head[N_FEATURES + 1])
        new._noise, new.seen = head[N_FEATURES + 2], int(head[-1])
        new._shape, new.changes = shape[:4], int(shape[4])
        new._weight, new._square = shape[5], shape[6]
        new._up, new._up_since, new._down, new._down_since = (
            alarm[0], int(alarm[1]), alarm[2], int(alarm[3]),
        )  # fmt: skip
        new._gram = rows[3:HEAD_ROWS, : N_FEATURES + 2].copy()
        new._cross = rows[3:HEAD_ROWS, N_FEATURES + 2].copy()
        for values in rows[HEAD_ROWS:].tolist():
            *inputs, gain, scale, miss = values
            new._rows.append(Row((1.0, *inputs), gain, scale))
            new._misses.append(miss)
        new._settle()
        return new

    def _clear(self) -> None:
        size = N_FEATURES + 2
        self._gram, self._cross = np.zeros((size, size)), np.zeros(size)
        self._beta: list[float] = [0.0] * size
        self._weight, self._square, self._noise = 0.0, 0.0, 1.0
        self._up = self._down = 0.0
        self._up_since = self._down_since = 0

    def _inputs(self, knots: Knots, extra: Extra) -> tuple[float, ...]:
        own = (knots[1], *extra)
        return (1.0, *(x - x0 for x, x0 in zip(own, self._origin, strict=True)))

    def _relative(self, scale: float) -> float:
        return float(scale**_OWN_SCALE * self._usual)

    def _scale_by(self, unit: float) -> None:
        self._unit, self._usual = unit, math.exp((1.0 - _OWN_SCALE) * unit)

    def _keep(self, row: Row, miss: float) -> None:
        self._rows.append(row)
        self._misses.append(miss)
        if len(self._rows) > WINDOW:
            del self._rows[0], self._misses[0]

    def _take(self, inputs: tuple[float, ...], gain: float, error: float) -> None:
        x = np.array(inputs)
        self._gram *= _DECAY
        self._gram += np.outer(x, x)
        self._cross *= _DECAY
        self._cross += x * gain
        self._weight = self._weight * _DECAY + 1.0
        self._square = self._square * _DECAY + min(error * error, 16.0 * self._noise)
        self._noise = (2.0 * math.exp(2.0 * self._unit) + self._square) / (3.0 + self._weight)

    def _changed(self, error: float) -> bool:
        if self._weight <= _SETTLED:
            return False
        step = max(-_CLIP, min(_CLIP, error / math.sqrt(self._noise)))
        self._up = max(0.0, self._up + step - _SLACK)
        self._up_since = self._up_since + 1 if self._up else 0
        self._down = max(0.0, self._down - step - _SLACK)
        self._down_since = self._down_since + 1 if self._down else 0
        return max(self._up, self._down) > _ALARM

    def _forget(self) -> None:
        """Start anew from the calls since the change began."""
        since = self._up_since if self._up > self._down else self._down_since
        rows = self._rows[-max(_KEEP, since) :]
        noise = self._noise
        self._clear()
        self._noise = noise
        self.changes += 1
        for row in rows:
            self._take(row.inputs, row.gain, 0.0)
        self._square = 0.0
        self._solve()
        # They were forecast by what is forgotten, so their misses are taken anew, and widened
        # for being fitted on.
        wider = math.sqrt((len(rows) + 2) / len(rows))
        misses = [row.gain - _dot(row.inputs, self._beta) for row in rows]
        self._square = math.fsum(miss * miss for miss in misses)
        self._noise = (2.0 * math.exp(2.0 * self._unit) + self._square) / (3.0 + self._weight)
        self._rows = rows
        self._misses = [
            wider * miss / self._relative(row.scale)
            for miss, row in zip(misses, rows, strict=True)
        ]

    def _solve(self) -> None:
        self._beta = np.linalg.solve(self._gram + self._noise * _PRECISION, self._cross).tolist()

    def _settle(self) -> None:
        """Regression and quantiles as of now, so that forecasting has nothing left to do."""
        self._solve()
        start = math.fsum(map(float.__mul__, self._beta[1:], self._origin))
        self._line = (self._beta[0] - start, *self._beta[1:])
        shape = (self._shape[0], self._shape[1], self._shape[2], self._shape[3])
        prior = [log_at(shape, score) for score in _GRID_SCORES]
        values = np.array(self._misses + prior)
        weights = np.ones(len(values))
        weights[len(self._misses) :] = _PRIOR_WEIGHT / len(prior)
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(weights[order])
        whole = len(self._misses) + _PRIOR_WEIGHT
        # The next call is one more: p90 of n is the (n + 1) * 0.9-th smallest.
        targets = [level * (whole + (level > 0.5)) for level in LEVELS]
        at = np.searchsorted(reached, np.array(targets) - 1e-9)
        most = max(float(values[order[-1]]), log_at(shape, _FARTHEST))
        self._offsets = tuple(
            float(values[order[k]]) if k < len(values) else most for k in at.tolist()
        )


def _scale(knots: Knots) -> float:
    """The forecast's spread: half the distance from p10 to p90."""
    return max(0.05, 0.5 * (knots[2] - knots[0]))


def _dot(a: tuple[float, ...], b: list[float]) -> float:
    return math.fsum(map(float.__mul__, a, b))


def _beyond(knots: Knots, log_tokens: float, share: float) -> float:
    """The forecast's quantile at this share of the way from `log_tokens` to its end."""
    from statistics import NormalDist

    level = level_at(knots, log_tokens)
    score = NormalDist().inv_cdf(max(1e-9, min(level + share * (1.0 - level), 1.0 - 1e-6)))
    return max(log_tokens, min(log_at(knots, score), MAX_LOG_TOKENS))
