"""A small network that forecasts four quantiles of log tokens for M models at once.

Trained on the quantile (pinball) loss, with truncated answers as the lower bounds that they are
(Powell's censored quantile regression). Members of the ensemble are averaged where they are
linear, so that they ship as one network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.linear import rounded
from classifiers.spread import LEVELS

F32 = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_LEVELS = np.array(LEVELS, dtype=np.float32)
_IMPORTANCE = np.array([1.0, 1.0, 1.0, 2.0], dtype=np.float32)
"""p99 has few rows above it: its loss counts twice."""
_DECAY, _OWN_DECAY = 1e-4, 1.5e-3
"""Of what all models share, and of how one differs: a model with few rows leans on the others."""
_LEAST = 10
"""A model with fewer rows starts from the level of all."""


@dataclass(frozen=True, slots=True)
class QuantileNet:
    """relu(x w1 + b1) beside x, times `coef`: centre and three gaps of each of M models.

    `w1` (d, H), `b1` (H,), `coef` (d + H, 4 M), `intercept` (4 M,); all hold float16 values, so
    that what is trained is what is stored.
    """

    w1: Array
    b1: Array
    coef: Array
    intercept: Array

    def knots(self, rows: npt.NDArray[np.float32] | Array) -> Array:
        """(n, d) to (n, M, 4): log1p tokens at `LEVELS`, in float64."""
        x = rows.astype(np.float64)
        inputs = np.concatenate((x, np.maximum(x @ self.w1 + self.b1, 0.0)), axis=1)
        out = (inputs @ self.coef + self.intercept).reshape(len(x), -1, 4)
        gaps = np.logaddexp(0.0, out[:, :, 1:])
        centre = out[:, :, 0]
        return np.stack(
            (
                centre - gaps[:, :, 0],
                centre,
                centre + gaps[:, :, 1],
                centre + gaps[:, :, 1] + gaps[:, :, 2],
            ),
            axis=2,
        )


def units(knots: Array) -> Array:
    """(..., 4) knots to the scale of each: gap below, mean gap, gap above; of p99 one.

    An outlier on a narrow prompt must not be multiplied on wide ones: in plain log tokens the
    pinball loss of p99 fell from 58 to 30 tokens on held-out prompts.
    """
    down, up = knots[..., 1] - knots[..., 0], knots[..., 2] - knots[..., 1]
    return np.stack((down, 0.5 * (down + up), up, np.ones_like(up)), axis=-1)


def moved(knots: Array, offsets: Array) -> Array:
    """Knots with conformal offsets, in units of their scale, and in order."""
    return np.maximum.accumulate(knots + offsets * units(knots), axis=-1)


def fit_net(
    rows: F32,
    logs: npt.NDArray[np.float32],
    truncated: Mask | None = None,
    *,
    hidden: int = 128,
    members: int = 2,
    epochs: int = 30,
    dropout: float = 0.2,
    learning_rate: float = 3e-3,
    batch_size: int = 512,
    random_state: int = 0,
) -> QuantileNet:
    """Fit on (n, d) rows and (n, M) log1p tokens, NaN where a model did not answer.

    `truncated` (n, M) marks answers that were cut off: theirs are lower bounds.
    """
    cut = np.zeros(logs.shape, dtype=bool) if truncated is None else truncated
    parts = [
        _fit_one(
            rows,
            logs,
            cut,
            hidden,
            epochs,
            np.float32(dropout),
            learning_rate,
            batch_size,
            np.random.default_rng([random_state, k]),
        )
        for k in range(members)
    ]
    d = rows.shape[1]
    coefs = [np.tile(part[2], logs.shape[1]) + part[3] for part in parts]
    direct = np.mean([coef[:d] for coef in coefs], axis=0)
    coef = [direct, *(one[d:] / np.float32(members) for one in coefs)]
    return QuantileNet(
        w1=rounded(np.concatenate([part[0] for part in parts], axis=1)),
        b1=rounded(np.concatenate([part[1] for part in parts])),
        coef=rounded(np.concatenate(coef)),
        intercept=np.mean([part[4] for part in parts], axis=0).astype(np.float64),
    )


def _fit_one(
    rows: F32,
    logs: F32,
    cut: Mask,
    hidden: int,
    epochs: int,
    dropout: np.float32,
    learning_rate: float,
    batch_size: int,
    rng: np.random.Generator,
) -> list[F32]:
    n, d = rows.shape
    models = logs.shape[1]
    seen = ~np.isnan(logs)
    target = np.where(seen, logs, 0.0).astype(np.float32)
    values = [
        (rng.normal(size=(d, hidden)) * np.sqrt(2.0 / d)).astype(np.float32),
        np.zeros(hidden, dtype=np.float32),
        (0.01 * rng.normal(size=(d + hidden, 4))).astype(np.float32),
        np.zeros((d + hidden, 4 * models), dtype=np.float32),
        _start(logs, seen),
    ]
    first, second = ([np.zeros_like(v) for v in values] for _ in range(2))
    size = min(n, batch_size, max(32, n // 8))  # few rows still make several steps an epoch
    steps, step = epochs * -(-n // size), 0
    warm = max(1, min(100, steps // 5))
    for _ in range(epochs):
        order = rng.permutation(n)
        for start in range(0, n, size):
            batch = order[start : start + size]
            kept = rng.random((len(batch), hidden), dtype=np.float32) >= dropout
            grads = _gradients(
                values,
                rows[batch],
                target[batch],
                seen[batch],
                cut[batch],
                kept.astype(np.float32) / (np.float32(1.0) - dropout),
            )
            step += 1
            rate = learning_rate * min(1.0, step / warm) * 0.5 * (1 + np.cos(np.pi * step / steps))
            for value, grad, m, v in zip(values, grads, first, second, strict=True):
                np.add(m, 0.1 * (grad - m), out=m)
                np.add(v, 0.001 * (grad * grad - v), out=v)
                mean, var = m / (1 - 0.9**step), v / (1 - 0.999**step)
                move = (rate * mean / (np.sqrt(var) + 1e-8)).astype(np.float32)
                np.subtract(value, move, out=value)
    return values


def _start(logs: F32, seen: Mask) -> F32:
    """Each model's mean, and gaps as wide as its spread."""
    level, spread = float(logs[seen].mean()), max(0.1, float(logs[seen].std()))
    found = np.empty((logs.shape[1], 4), dtype=np.float32)
    for j in range(logs.shape[1]):
        own = logs[seen[:, j], j]
        enough = len(own) >= _LEAST
        wide = max(0.1, float(own.std())) if enough else spread
        gap, tail = (np.log(np.expm1(max(0.05, share * wide))) for share in (1.2, 0.8))
        found[j] = float(own.mean()) if enough else level, gap, gap, tail
    return found.ravel()


def _gradients(values: list[F32], x: F32, y: F32, seen: Mask, cut: Mask, mask: F32) -> list[F32]:
    w1, b1, shared, own, intercept = values
    d, models = x.shape[1], y.shape[1]
    coef = np.tile(shared, models) + own
    pre = x @ w1 + b1
    inputs = np.concatenate((x, np.maximum(pre, 0.0) * mask), axis=1)
    out = (inputs @ coef + intercept).reshape(len(x), -1, 4)
    gaps, slope = np.logaddexp(0.0, out[:, :, 1:]), 0.5 + 0.5 * np.tanh(0.5 * out[:, :, 1:])
    centre, up = out[:, :, 0], out[:, :, 0] + gaps[:, :, 1]
    knots = np.stack((centre - gaps[:, :, 0], centre, up, up + gaps[:, :, 2]), axis=2)
    over = y[:, :, None] > knots
    push = np.where(over, -_LEVELS, 1.0 - _LEVELS) * seen[:, :, None]
    push *= over | ~cut[:, :, None]  # a truncated answer says nothing of a knot above it
    push *= _IMPORTANCE / np.float32(max(1, int(seen.sum())))
    down = np.empty_like(out)
    down[:, :, 0] = push.sum(axis=2)
    down[:, :, 1] = -push[:, :, 0] * slope[:, :, 0]
    down[:, :, 2] = (push[:, :, 2] + push[:, :, 3]) * slope[:, :, 1]
    down[:, :, 3] = push[:, :, 3] * slope[:, :, 2]
    flat = down.reshape(len(x), -1).astype(np.float32)
    inner = (flat @ coef[d:].T) * mask * (pre > 0)
    grads = [
        x.T @ inner + np.float32(_DECAY) * w1,
        inner.sum(axis=0),
        (apart := inputs.T @ flat).reshape(-1, models, 4).sum(axis=1)
        + np.float32(_DECAY) * shared,
        apart + np.float32(_OWN_DECAY) * own,
        flat.sum(axis=0),
    ]
    return [grad.astype(np.float32) for grad in grads]
