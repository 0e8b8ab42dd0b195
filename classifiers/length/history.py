"""What the calls of one route say of its lengths: a correction of every forecast that follows.

Each call is forecast before it is learned from, so that the misses are honest ones. The centre is
a small Bayesian regression on the forecast and a few features of the prompt, drawn to the
forecast; the quantiles are those of past misses, drawn to the forecast's own shape. When a run of
misses says that the model or the prompts have changed (CUSUM), what came before is forgotten.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from classifiers.length.correction import (
    N_FEATURES,
    OWN_SCALE,
    STATE_COLUMNS,
    Correction,
    Extra,
    correction_from,
    rows_of,
    scale_of,
)
from classifiers.spread import LEVELS, MAX_LOG_TOKENS, Knots, level_at, log_at

Array = npt.NDArray[np.float64]

HEAD_ROWS = 5 + N_FEATURES + 2
"""Rows of a saved history before those of the calls."""
WINDOW, _BEGIN = 256, 32
"""Misses kept: p99 of a route rests on the two or three largest of them."""
_PRIOR_WEIGHT = 10.0
"""Misses that the forecast's own shape counts for."""
_PRECISION = np.diag([1.0, 4.0] + [11.0] * N_FEATURES)
"""Of level, slope and features: on data sets left out levels were off by about 1 (in log tokens),
slopes by 0.5; features are standardised, and move the centre by 0.3."""
_DECAY = 1.0 - 1.0 / 400.0
_ALARM, _SLACK, _CLIP = 10.0, 0.5, 2.5
"""CUSUM in deviations: a false alarm in some 70,000 calls (Siegmund's formula, normal misses), a
swap of models noticed after some 17 (benchmarks/forecasting.py, task drift)."""
_SETTLED, _KEEP = 20.0, 8
_FURTHER = 1.0
"""Log tokens that an answer is taken to have been longer than where it was cut, at most, or as
long as p99 of the forecast before correction."""
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


class History:
    """The calls of one route with one model. Not thread-safe; see `Histories`.

    `calls` are those that the correction rests on: since the last change, at most `WINDOW`.
    `base` has corrected its forecasts before it sees them: what was known when it began. It does
    not change, for a history that stands on one that moves takes the move for its own.
    """

    __slots__ = (
        "_beta", "_cross", "_down", "_down_since", "_first", "_gram", "_noise", "_origin",
        "_shape", "_square", "_table", "_unit", "_up", "_up_since", "_usual", "_weight",
        "base", "calls", "changes", "correction", "seen",
    )  # fmt: skip

    def __init__(self, base: Correction | None = None) -> None:
        self.base = base
        self.correction: Correction | None = None
        self.seen = 0
        self.changes = 0
        self.calls = 0
        self._table, self._first = np.zeros((_BEGIN, STATE_COLUMNS)), 0
        self._origin: tuple[float, ...] = ()
        self._shape: list[float] = []
        self._unit, self._usual = 0.0, 1.0
        self._clear()

    def corrected(self, knots: Knots, extra: Extra) -> Knots:
        """The forecast, as past calls correct it."""
        knots = knots if self.base is None else self.base.apply(knots, extra)
        return knots if self.correction is None else self.correction.apply(knots, extra)

    def observe(self, knots: Knots, extra: Extra, log_tokens: float, *, truncated: bool) -> None:
        """Take in the length of one more answer, forecast with `knots` before any correction.

        A truncated one counts as somewhere in what is forecast beyond it, elsewhere at each call:
        with the median at every call p90 of true lengths was 0.83, three in ten cut; so 0.91. One
        that was cut below the median says next to nothing, and is left out: else answers that are
        all cut at once would be forecast longer and longer.
        """
        if truncated:
            forecast = self.corrected(knots, extra)
            if log_tokens < forecast[1]:
                self.seen += 1
                return
            most = max(log_tokens + _FURTHER, knots[3])
            share = (self.seen + 1) * _GOLDEN % 1.0
            log_tokens = min(_beyond(forecast, log_tokens, share), most)
        knots = knots if self.base is None else self.base.apply(knots, extra)
        if not self._origin:
            self._origin = (knots[1], *extra)
            self._scale_by(math.log(scale_of(knots)))
            self._noise = scale_of(knots) ** 2
        inputs, scale = self._inputs(knots, extra), scale_of(knots)
        gain = log_tokens - knots[1]
        error = gain - _dot(inputs, self._beta)
        relative = self._relative(scale)
        self._keep((*inputs[1:], gain, scale, error / relative))
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
        if not truncated and self._changed(error):
            self._forget()
        self._settle()

    def state(self) -> Array:
        """(`HEAD_ROWS` + calls, `STATE_COLUMNS`) numbers to be kept: sums, then the inputs, gain,
        scale and miss of each call, oldest first.
        """
        if not self.calls:
            return np.zeros((0, STATE_COLUMNS))
        sums = np.column_stack((self._gram, self._cross, np.zeros(N_FEATURES + 2)))
        head = [
            [*self._origin, self._unit, self._noise, self.seen],
            [*self._shape, self.changes, self._weight, self._square, 0.0],
            [self._up, self._up_since, self._down, self._down_since, 0.0, 0.0, 0.0, 0.0],
            *rows_of(self.base),
        ]
        return np.vstack((head, sums, self._ordered()))

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
        new.base = correction_from(rows[3:5].ravel().tolist())
        new._origin = tuple(head[: N_FEATURES + 1])
        new._scale_by(head[N_FEATURES + 1])
        new._noise, new.seen = head[N_FEATURES + 2], int(head[-1])
        new._shape, new.changes = shape[:4], int(shape[4])
        new._weight, new._square = shape[5], shape[6]
        new._up, new._up_since, new._down, new._down_since = (
            alarm[0], int(alarm[1]), alarm[2], int(alarm[3]),
        )  # fmt: skip
        new._gram = rows[5:HEAD_ROWS, : N_FEATURES + 2].copy()
        new._cross = rows[5:HEAD_ROWS, N_FEATURES + 2].copy()
        new.calls = len(rows) - HEAD_ROWS
        new._table = np.zeros((max(_BEGIN, new.calls), STATE_COLUMNS))
        new._table[: new.calls] = rows[HEAD_ROWS:]
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
        return float(scale**OWN_SCALE * self._usual)

    def _scale_by(self, unit: float) -> None:
        self._unit, self._usual = unit, math.exp((1.0 - OWN_SCALE) * unit)

    def _keep(self, row: tuple[float, ...]) -> None:
        """Put a call in: inputs but the first, gain, scale and miss; the oldest goes."""
        if self.calls == len(self._table) < WINDOW:
            grown = np.zeros((min(WINDOW, 2 * self.calls), STATE_COLUMNS))
            grown[: self.calls] = self._table
            self._table = grown
        if self.calls < len(self._table):
            self._table[self.calls] = row
            self.calls += 1
        else:
            self._table[self._first] = row
            self._first = (self._first + 1) % WINDOW

    def _ordered(self) -> Array:
        """(calls, `STATE_COLUMNS`): the calls, oldest first."""
        return np.roll(self._table[: self.calls], -self._first, axis=0)

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
        rows = self._ordered()[-max(_KEEP, since) :]
        inputs = np.column_stack((np.ones(len(rows)), rows[:, : N_FEATURES + 1]))
        gains, scales = rows[:, N_FEATURES + 1], rows[:, N_FEATURES + 2]
        noise = self._noise
        self._clear()
        self._noise = noise
        self.changes += 1
        for x, gain in zip(inputs.tolist(), gains.tolist(), strict=True):
            self._take(tuple(x), gain, 0.0)
        self._solve()
        # They were forecast by what is forgotten, so their misses are taken anew, and widened
        # for being fitted on.
        misses = gains - inputs @ np.array(self._beta)
        self._square = float(misses @ misses)
        self._noise = (2.0 * math.exp(2.0 * self._unit) + self._square) / (3.0 + self._weight)
        wider = math.sqrt((len(rows) + 2) / len(rows))
        rows[:, -1] = wider * misses / (scales**OWN_SCALE * self._usual)
        self._table, self._first, self.calls = np.zeros((_BEGIN, STATE_COLUMNS)), 0, 0
        for row in rows.tolist():
            self._keep(tuple(row))

    def _solve(self) -> None:
        self._beta = np.linalg.solve(self._gram + self._noise * _PRECISION, self._cross).tolist()

    def _settle(self) -> None:
        """Regression and quantiles as of now, so that forecasting has nothing left to do."""
        self._solve()
        start = math.fsum(map(float.__mul__, self._beta[1:], self._origin))
        line = (self._beta[0] - start, *self._beta[1:])
        shape = (self._shape[0], self._shape[1], self._shape[2], self._shape[3])
        prior = [log_at(shape, score) for score in _GRID_SCORES]
        values = np.concatenate((self._table[: self.calls, -1], prior))
        weights = np.ones(len(values))
        weights[self.calls :] = _PRIOR_WEIGHT / len(prior)
        order = np.argsort(values, kind="stable")
        reached = np.cumsum(weights[order])
        whole = self.calls + _PRIOR_WEIGHT
        # The next call is one more: p90 of n is the (n + 1) * 0.9-th smallest.
        targets = [level * (whole + (level > 0.5)) for level in LEVELS]
        at = np.searchsorted(reached, np.array(targets) - 1e-9)
        most = max(float(values[order[-1]]), log_at(shape, _FARTHEST))
        offsets = tuple(float(values[order[k]]) if k < len(values) else most for k in at.tolist())
        self.correction = Correction(line, self._usual, offsets)


def _dot(a: tuple[float, ...], b: list[float]) -> float:
    return math.fsum(map(float.__mul__, a, b))


def _beyond(knots: Knots, log_tokens: float, share: float) -> float:
    """The forecast's quantile at this share of the way from `log_tokens` to its end."""
    from statistics import NormalDist

    level = level_at(knots, log_tokens)
    score = NormalDist().inv_cdf(max(1e-9, min(level + share * (1.0 - level), 1.0 - 1e-6)))
    return max(log_tokens, min(log_at(knots, score), MAX_LOG_TOKENS))
