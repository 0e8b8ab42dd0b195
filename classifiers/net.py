"""The trained networks side by side, as arrays: numpy only, the same code in training and use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Net:
    """K small networks: hidden = relu(x W1 + b1), demands_k = hidden_k W2_k + x skip_k.

    `w1` (d, K H), `b1` (K H,), `w2` (K, H, D), `skip` (d, K D).
    """

    w1: Array
    b1: Array
    w2: Array
    skip: Array

    def rounded(self) -> Net:
        """The values that float16 can hold: what is fitted on top is what is shipped."""
        w1, w2, skip = (
            a.astype(np.float16).astype(np.float32) for a in (self.w1, self.w2, self.skip)
        )
        return Net(w1, self.b1, w2, skip)

    @property
    def members(self) -> int:
        """How many networks there are."""
        return int(self.w2.shape[0])

    def hidden(self, x: Array) -> Array:
        """(d,) to (K H,), or (n, d) to (n, K H)."""
        hidden = x @ self.w1
        hidden += self.b1
        np.maximum(hidden, 0.0, out=hidden)
        return np.asarray(hidden, dtype=np.float32)

    def demands(self, x: Array, hidden: Array) -> Array:
        """(K, D) of one prompt."""
        k, h, d = self.w2.shape
        inner = np.matmul(hidden.reshape(k, 1, h), self.w2).reshape(k, d)
        inner += (x @ self.skip).reshape(k, d)
        return np.asarray(inner, dtype=np.float32)

    def all_demands(self, rows: Array) -> Array:
        """(n, d) to (n, K, D)."""
        k, h, d = self.w2.shape
        hidden = self.hidden(rows).reshape(len(rows), k, h)
        inner = np.einsum("nkh,khd->nkd", hidden, self.w2, optimize=True)
        inner += (rows @ self.skip).reshape(len(rows), k, d)
        return np.asarray(inner, dtype=np.float32)

    def exact_demands(self, rows: Array) -> npt.NDArray[np.float64]:
        """`all_demands` in float64: the reference that float32 is held against."""
        k, h, d = self.w2.shape
        wide = rows.astype(np.float64)
        hidden = np.maximum(wide @ self.w1 + self.b1, 0.0).reshape(len(rows), k, h)
        inner = np.einsum("nkh,khd->nkd", hidden, self.w2.astype(np.float64), optimize=True)
        return np.asarray(inner + (wide @ self.skip).reshape(len(rows), k, d))
