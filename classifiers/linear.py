"""The linear scale that all heads share the shape of, and how small folds lean on a big one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Linear:
    """`X @ coef + intercept`; `coef` (d,) holds float16 values, as it is stored."""

    coef: Array
    intercept: float

    def __call__(self, rows: Any) -> Array:
        """(n, d) matrix, sparse or dense, to (n,)."""
        return np.asarray(rows @ self.coef, dtype=np.float64).ravel() + self.intercept


def rounded(coef: Array) -> Array:
    """The values that float16 can hold: what is trained is exactly what is shipped."""
    return np.clip(coef, -6e4, 6e4).astype(np.float16).astype(np.float64)


def held_out_rows(n: int, held_out: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_]:
    """The rows kept for calibration: as given, else every fifth; none of fewer than 25 rows."""
    if held_out is None:
        mask = np.zeros(n, dtype=bool)
        if n >= 25:
            mask[::5] = True
        return mask
    mask = np.asarray(held_out, dtype=bool)
    if mask.shape != (n,):
        raise ValueError(f"expected held_out of shape ({n},), got {mask.shape}")
    if mask.all():
        raise ValueError("held_out keeps every row: leave some to fit on")
    return mask
