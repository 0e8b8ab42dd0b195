"""What a prompt demands, and what each model can do: learned together from many models' answers.

Multidimensional item response theory with a small network in the place of item parameters: a
prompt x becomes demands z(x), a model has abilities a, and P(correct) = sigmoid(z(x) . a + b).
All models share z, so one with few answers leans on what the others say of a prompt.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from classifiers.calibration import sigmoid
from classifiers.net import Net

Array = npt.NDArray[np.float32]

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


@dataclass(frozen=True, slots=True)
class Member:
    """One network: demands z = relu(x W1 + b1) W2 + x skip, logits = z A + bias."""

    w1: Array  # (d, hidden)
    b1: Array  # (hidden,)
    w2: Array  # (hidden, demands)
    skip: Array  # (d, demands)
    ability: Array  # (demands, models)
    bias: Array  # (models,)

    def logits(self, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(n, models), in float64: a row has the same alone and among others."""
        hidden = np.maximum(rows @ self.w1 + self.b1, 0.0)
        demands = hidden @ self.w2 + rows @ self.skip
        return np.asarray(demands @ self.ability + self.bias, dtype=np.float64)


class DemandNet(BaseEstimator):  # type: ignore[misc]
    """P(correct) of M models from a matrix (n, d) and grades (n, M) in [0, 1]; NaN: not graded.

    An ensemble of small networks; each sees its own share of the groups (data sets), so that
    where they disagree is where a new kind of prompt would surprise. With `link="identity"` the
    same network learns numbers instead of grades. Fitted: `members_`.
    """

    def __init__(
        self,
        n_members: int = 6,
        hidden: int = 96,
        demands: int = 8,
        epochs: int = 12,
        batch_size: int = 256,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.1,
        dropout: float = 0.2,
        group_share: float = 0.85,
        link: str = "logistic",
        random_state: int = 0,
    ) -> None:
        self.n_members = n_members
        self.hidden = hidden
        self.demands = demands
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.group_share = group_share
        self.link = link
        self.random_state = random_state

    def fit(
        self,
        X: npt.ArrayLike,  # noqa: N803
        y: npt.ArrayLike,
        groups: npt.ArrayLike | None = None,
        model_weight: npt.ArrayLike | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> DemandNet:
        """Fit on the rows with at least one grade; `y` (n,) is that of one model.

        `groups` (n,) names the data set of each row; `model_weight` (M,) says how much the grades
        of each model count, `sample_weight` (n,) those of each row.

        Raises:
            ValueError: shapes that do not match, grades outside [0, 1], or no grade at all.
        """
        rows = validate_data(self, X, dtype=np.float32)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        grades = np.asarray(y, dtype=np.float32)
        if grades.ndim == 1:
            grades = grades[:, None]
        if grades.ndim != 2 or grades.shape[0] != rows.shape[0]:
            raise ValueError(f"expected {rows.shape[0]} rows of grades, got shape {grades.shape}")
        graded = ~np.isnan(grades)
        if not graded.any():
            raise ValueError("expected at least one grade, got none")
        if self.link not in {"logistic", "identity"}:
            raise ValueError(f"link: expected 'logistic' or 'identity', got {self.link!r}")
        logistic = self.link == "logistic"
        if logistic and not ((grades[graded] >= 0) & (grades[graded] <= 1)).all():
            raise ValueError("expected every grade in [0, 1] or NaN")
        per_row = np.sqrt(np.maximum(1, graded.sum(axis=1, keepdims=True)))
        weight = graded / per_row
        if model_weight is not None:
            weight = weight * np.asarray(model_weight, dtype=np.float32)
        if sample_weight is not None:
            weight = weight * _check_sample_weight(sample_weight, rows)[:, None]
        target = np.nan_to_num(grades)
        keep = graded.any(axis=1)
        names = np.zeros(len(rows), dtype=int)
        if groups is not None:
            _, names = np.unique(np.asarray(groups).astype(str), return_inverse=True)
        self.members_ = []
        for k in range(self.n_members):
            rng = np.random.default_rng([self.random_state, k])
            kinds = int(names.max()) + 1
            drawn = rng.random(kinds) < self.group_share if kinds > 3 else np.ones(kinds, bool)
            seen = np.flatnonzero(keep & drawn[names])
            self.members_.append(self._fit_one(rows, target, weight.astype(np.float32), seen, rng))
        self.n_models_ = grades.shape[1]
        return self

    def logits(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:  # noqa: N803
        """(n, members, models); numbers instead of logits with `link="identity"`."""
        check_is_fitted(self)
        rows = validate_data(self, X, reset=False, dtype=np.float32).astype(np.float64)
        return np.stack([m.logits(rows) for m in self.members_], axis=1)

    def predict_proba(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:  # noqa: N803
        """(n, models): P(correct), by the mean of the members' logits."""
        return sigmoid(self.logits(X).mean(axis=1))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags

    @property
    def net_(self) -> Net:
        """The networks as one, for use without scikit-learn."""
        check_is_fitted(self)
        return Net(
            w1=np.concatenate([m.w1 for m in self.members_], axis=1),
            b1=np.concatenate([m.b1 for m in self.members_]),
            w2=np.stack([m.w2 for m in self.members_]),
            skip=np.concatenate([m.skip for m in self.members_], axis=1),
        )

    def _fit_one(
        self, rows: Array, target: Array, weight: Array, seen: Any, rng: np.random.Generator
    ) -> Member:
        d, models = rows.shape[1], target.shape[1]
        values = [
            _uniform(rng, d, self.hidden),
            np.zeros(self.hidden, dtype=np.float32),
            _uniform(rng, self.hidden, self.demands),
            np.zeros((d, self.demands), dtype=np.float32),
            _uniform(rng, self.demands, models),
            _start(target, weight, seen, self.link),
        ]
        first = [np.zeros_like(v) for v in values]
        second = [np.zeros_like(v) for v in values]
        size = min(self.batch_size, len(seen))
        steps = max(1, self.epochs * (len(seen) // size))
        step = 0
        while step < steps:
            order = rng.permutation(seen)
            for start in range(0, len(order) - size + 1, size):
                batch = order[start : start + size]
                kept = rng.random((size, self.hidden), dtype=np.float32) >= self.dropout
                mask = kept.astype(np.float32) / np.float32(1.0 - self.dropout)
                grads = _gradients(
                    values, rows[batch], target[batch], weight[batch], mask, self.link
                )
                rate = self.learning_rate * _one_cycle(step / steps)
                step += 1
                _adamw(values, grads, first, second, step, rate, self.weight_decay)
                if step >= steps:
                    break
        return Member(*values)


def _start(target: Array, weight: Array, seen: Any, link: str) -> Array:
    """Biases that begin at each model's mean."""
    total = weight[seen].sum(axis=0)
    if link == "identity":
        level = (target[seen] * weight[seen]).sum(axis=0) / (total + 1e-6)
        return np.asarray(level, dtype=np.float32)
    mean = ((target[seen] * weight[seen]).sum(axis=0) + 0.5) / (total + 1.0)
    return np.asarray(np.log(mean / (1.0 - mean)), dtype=np.float32)


def _uniform(rng: np.random.Generator, rows: int, columns: int) -> Array:
    bound = 1.0 / np.sqrt(rows)
    return rng.uniform(-bound, bound, (rows, columns)).astype(np.float32)


def _one_cycle(share: float) -> float:
    """Up for three tenths of the way, then down to nothing, along cosines."""
    if share < 0.3:
        return float(0.04 + 0.96 * 0.5 * (1 - np.cos(np.pi * share / 0.3)))
    return float(0.5 * (1 + np.cos(np.pi * (share - 0.3) / 0.7)))


def _gradients(
    values: list[Array], x: Array, y: Array, weight: Array, mask: Array, link: str
) -> list[Array]:
    w1, b1, w2, skip, ability, bias = values
    pre = x @ w1 + b1
    hidden = np.maximum(pre, 0.0) * mask
    z = hidden @ w2 + x @ skip
    p = z @ ability + bias
    if link == "logistic":
        p = 0.5 * (1.0 + np.tanh(0.5 * p))
    error = ((p - y) * weight / np.float32(len(x))).astype(np.float32)
    down = error @ ability.T
    inner = (down @ w2.T) * mask * (pre > 0)
    return [
        x.T @ inner,
        inner.sum(axis=0),
        hidden.T @ down,
        x.T @ down,
        z.T @ error,
        error.sum(axis=0),
    ]


def _adamw(
    values: list[Array],
    grads: list[Array],
    first: list[Array],
    second: list[Array],
    step: int,
    rate: float,
    decay: float,
) -> None:
    for value, grad, m, v in zip(values, grads, first, second, strict=True):
        np.add(m, (1 - _BETA1) * (grad - m), out=m)
        np.add(v, (1 - _BETA2) * (grad * grad - v), out=v)
        mean = m / np.float32(1 - _BETA1**step)
        var = v / np.float32(1 - _BETA2**step)
        np.subtract(value, np.float32(rate) * (mean / (np.sqrt(var) + _EPSILON)), out=value)
        if value.ndim == 2:
            np.multiply(value, np.float32(1 - rate * decay), out=value)
