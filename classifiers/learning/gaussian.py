"""The algebra of a Gaussian process that grows by one row at a time: numpy only.

With L L' = K + noise, all is done with L^-1. An inverse of K + noise itself would not do: what all
rows share makes K's largest eigenvalue grow with n, and rounding in that direction grows with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from classifiers.learning.kernel import Doubles, Kernel, Places, Rows, Singles

PENDING = 64
"""Rows that a factor takes in one by one before it is made anew."""
_SMALL = 64
_STRIPS = 4

Start = tuple[Doubles, Doubles]


@dataclass(slots=True)
class _Block:
    """Room for what belongs to the pending rows; systems that follow each other share it."""

    forward: Singles  # (PENDING, n0): L^-1 b, where b are a row's covariances with the first n0
    solved: Singles  # (PENDING, n0): L^-T L^-1 b
    filled: int

    def copy(self, filled: int) -> _Block:
        return _Block(self.forward.copy(), self.solved.copy(), filled)


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class System:
    """L^-1 over some rows: of the first n0, and of the Schur complement of the rest.

    Never changed: `grown` makes another, which shares the factor. The factor is made in double and
    kept in single precision: predictions agree with a direct solution to 1e-5.
    """

    places: Places  # (n,) of the table
    factor: Singles  # (n0, n0), lower triangular
    corner: Doubles  # (p, p), lower triangular, p = n - n0
    block: _Block

    @classmethod
    def of(cls, kernel: Kernel, rows: Rows, places: Places) -> System:
        """Made anew, in O(n^3)."""
        matrix = kernel.matrix(rows.at(places))
        matrix.flat[:: len(places) + 1] += kernel.noise
        factor = _factor(matrix)
        if len(places) <= PENDING:
            nothing = np.zeros((PENDING, 0), dtype=np.float32)
            block = _Block(nothing, nothing, len(places))
            return cls(places, np.zeros((0, 0), dtype=np.float32), factor, block)
        room = np.zeros((PENDING, len(places)), dtype=np.float32)
        block = _Block(room, room.copy(), 0)
        return cls(places, factor.astype(np.float32), np.zeros((0, 0)), block)

    def grown(self, kernel: Kernel, rows: Rows, at: int, k: Singles, variance: float) -> System:
        """With row `at` too, whose covariances with the table are `k`: in O(n^2)."""
        places = np.append(self.places, np.int32(at))
        p = len(self.corner)
        if p == PENDING:
            return System.of(kernel, rows, places)
        forward, below = self._forward(k[self.places])
        block = self.block if self.block.filled == p else self.block.copy(p)
        block.forward[p], block.solved[p] = forward, forward @ self.factor
        block.filled = p + 1
        rest = variance + kernel.noise - float(forward @ forward) - float(below @ below)
        rest = max(rest, kernel.noise)  # what it is at least, but for rounding
        corner = np.zeros((p + 1, p + 1))
        corner[:p, :p] = self.corner
        corner[p, :p] = below @ self.corner / -np.sqrt(rest)
        corner[p, p] = 1.0 / np.sqrt(rest)
        return System(places, self.factor, corner, block)

    def moved(self, places: Places) -> System:
        """The same points, where another table has them."""
        return replace(self, places=places)

    def weights(self, residuals: Doubles, start: Start | None = None) -> tuple[Doubles, Start]:
        """(K + noise)^-1 residuals, and what of it holds as long as the factor does."""
        n0, p = len(self.factor), len(self.corner)
        if start is None:
            forward = np.asarray(self.factor @ residuals[:n0], dtype=np.float64)
            start = forward, np.asarray(forward @ self.factor, dtype=np.float64)
        if not p:
            return start[1], start
        below = self.corner @ (residuals[n0:] - self.block.forward[:p] @ start[0])
        last = below @ self.corner
        return np.concatenate((start[1] - last @ self.block.solved[:p], last)), start

    def explained(self, mine: Singles) -> float:
        """The variance that these rows take from a point's own: k' (K + noise)^-1 k."""
        forward, below = self._forward(mine)
        return float(forward @ forward) + float(below @ below)

    def _forward(self, mine: Singles) -> tuple[Singles, Doubles]:
        """L^-1 k, in its two parts; of the factor hardly more than the lower half is read."""
        n0, p = len(self.factor), len(self.corner)
        k = mine[:n0]
        if n0 > 4 * PENDING:
            cuts = [n0 * i // _STRIPS for i in range(_STRIPS + 1)]
            parts = [self.factor[a:b, :b] @ k[:b] for a, b in pairwise(cuts)]
            forward = np.concatenate(parts)
        else:
            forward = self.factor @ k
        below = mine[n0:].astype(np.float64)
        if p and n0:
            below -= self.block.forward[:p] @ forward
        return forward, self.corner @ below


def by_route(rows: Rows, places: Places, alpha: Doubles) -> tuple[float, Doubles]:
    """The sums of gain times alpha: of all, and by code of the route."""
    pull = rows.gain[places] * alpha
    sums = np.bincount(rows.code[places], weights=pull)
    return float(pull.sum()), sums.astype(np.float64)


def places_of(rows: Iterable[int]) -> Places:
    """Rows of a table as an array."""
    return np.fromiter(rows, dtype=np.int32)


def _factor(matrix: Doubles) -> Doubles:
    """L^-1 of a symmetric positive definite L L', by halves: nearly all of it is products."""
    n = len(matrix)
    if n <= _SMALL:
        return np.tril(np.linalg.inv(np.linalg.cholesky(matrix)))
    h = n // 2
    first = _factor(matrix[:h, :h])
    side = matrix[h:, :h] @ first.T
    last = _factor(matrix[h:, h:] - side @ side.T)
    whole = np.zeros_like(matrix)
    whole[:h, :h], whole[h:, h:] = first, last
    whole[h:, :h] = -(last @ side) @ first
    return whole
