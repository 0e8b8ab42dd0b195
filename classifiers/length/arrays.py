"""The arrays that lengths are forecast from, checked on loading."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from classifiers.spread import LEVELS

POOL, HEAD, THINKING, SCALED = 0, 1, 2, 3
"""How the length of a profile's answers follows: see `LengthArrays.kind`."""

F16 = npt.NDArray[np.float16]
F64 = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LengthArrays:
    """A `QuantileNet` of H heads and a pool, and how each of P profiles uses it.

    `w1` (d, N), `b1` (N,), `coef` (d + N, 4 (H + 1)), `intercept` (4 (H + 1),): the pool is last.
    `offsets` (H + 2, F, 4), in `net.units`, for each of F kinds of task: heads, a
    model of unknown verbosity, one of known verbosity; `means` (H + 2, F), factors on their mean
    tokens. `kind`, `ref`, `value` (P,): a length follows the pool, moved by `value` (log
    tokens); head `ref`; thinking, by the base logit of profile `ref`, moved by `value`; or profile
    `ref` times `value`.

    `thinking` (2,): slopes of log tokens of thinking over the pool's centre and over the logit of
    being right without it, with `thinking_offsets` (4,); `visible` (2,): start and slope over the
    pool's centre of what is shown of it, with `visible_offsets` (4,). `unfamiliar` (1,): by how
    much spreads widen on a prompt unlike all that were trained on.
    """

    w1: F16
    b1: F16
    coef: F16
    intercept: F64
    offsets: F64
    means: F64
    kind: Whole
    ref: Whole
    value: F64
    thinking: F64
    thinking_offsets: F64
    visible: F64
    visible_offsets: F64
    unfamiliar: F64

    def check(self, inputs: int, kinds: int, profiles: tuple[str, ...]) -> None:
        """Refuse arrays that do not fit each other.

        Raises:
            ValueError: which one, and how.
        """
        if self.offsets.ndim != 3 or self.w1.ndim != 2:
            raise ValueError(
                f"weights: length w1 and offsets have shapes {self.w1.shape}, {self.offsets.shape}"
            )
        heads, hidden, levels = len(self.offsets) - 2, self.w1.shape[1], len(LEVELS)
        expected = {
            "w1": (inputs, hidden),
            "b1": (hidden,),
            "coef": (inputs + hidden, levels * (heads + 1)),
            "intercept": (levels * (heads + 1),),
            "offsets": (heads + 2, kinds, levels),
            "means": (heads + 2, kinds),
            "kind": (len(profiles),),
            "ref": (len(profiles),),
            "value": (len(profiles),),
            "thinking": (2,),
            "thinking_offsets": (levels,),
            "visible": (2,),
            "visible_offsets": (levels,),
            "unfamiliar": (1,),
        }
        for part in fields(self):
            found = getattr(self, part.name)
            if found.shape != expected[part.name]:
                raise ValueError(
                    f"weights: length_{part.name} has shape {found.shape}, "
                    f"expected {expected[part.name]}"
                )
            if not np.isfinite(found).all():
                raise ValueError(f"weights: length_{part.name} holds values that are not finite")
        ends = {POOL: 0, HEAD: heads, THINKING: len(profiles), SCALED: len(profiles)}
        refs = self.ref.tolist()
        for name, kind, ref in zip(profiles, self.kind.tolist(), refs, strict=True):
            if kind not in ends or (kind != POOL and not 0 <= ref < ends[kind]):
                raise ValueError(f"weights: the length of {name!r} refers to nothing")
        for at, name in enumerate(profiles):
            above, steps = at, 0
            while self.kind[above] == SCALED:
                above, steps = refs[above], steps + 1
                if steps > len(profiles):
                    raise ValueError(f"weights: length_ref of {name!r} leads back to itself")
