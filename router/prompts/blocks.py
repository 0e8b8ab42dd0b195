"""A prompt as hashes of its blocks of tokens: what a prefix index compares. No text is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BLOCK = 16
"""Tokens in a block; hosts' own units are multiples of it, or single tokens."""
WIDTH = 8
"""Bytes of a block's hash."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A prompt: `WIDTH` bytes of hash for each full block, and how many `tokens` it has in all.

    Hashes are keyed by chance, anew in every process: they mean nothing elsewhere.
    """

    hashes: bytes
    tokens: int

    def shared(self, other: Chain) -> int:
        """Tokens of the longest prefix that both have, in whole blocks."""
        return common(self.hashes, other.hashes) * BLOCK

    def __repr__(self) -> str:
        return f"Chain({len(self.hashes) // WIDTH} blocks, {self.tokens} tokens)"


NO_BLOCKS = Chain(b"", 0)


def chain_of(ids: Sequence[int] | NDArray[np.uint32]) -> Chain:
    """The chain of a prompt's token ids; an array of numpy is not copied into a list.

    Two different blocks have one hash once in some 2^47 pairs: multilinear hashing modulo 2^64
    with random factors (Lemire and Kaser, arXiv 1202.4961).
    """
    import numpy as np

    found: Any = np.asarray(ids, dtype=np.uint32)
    full = len(found) // BLOCK
    if not full:
        return Chain(b"", len(found))
    first, factors = _key()
    rows = found[: full * BLOCK].reshape(full, BLOCK).astype(np.uint64)
    return Chain((rows @ factors + first).tobytes(), len(found))


def common(one: bytes, other: bytes, at: int = 0) -> int:
    """How many blocks `one` has in common with `other` from that one's block `at` on."""
    longest = min(len(one), len(other) - at * WIDTH) // WIDTH
    start, low, high = at * WIDTH, 0, longest
    if one[: high * WIDTH] == other[start : start + high * WIDTH]:
        return high
    while high - low > 1:  # the first `low` are equal, the first `high` are not
        middle = (low + high) // 2
        a, b = low * WIDTH, middle * WIDTH
        if one[a:b] == other[start + a : start + b]:
            low = middle
        else:
            high = middle
    return low


@lru_cache(maxsize=1)
def _key() -> tuple[Any, Any]:
    import secrets

    import numpy as np

    drawn = np.frombuffer(secrets.token_bytes(8 * (BLOCK + 1)), dtype=np.uint64)
    return drawn[0], drawn[1:] | np.uint64(1)
