"""Token ids of long prompts, piece by piece: a growing history is only read where it is new.

Added tokens such as `<｜User｜>` are never part of another token, so what stands between two of
them has the same ids wherever it stands. Neither text nor ids are kept in the clear: a piece is
found by a keyed hash, and its ids are masked by a stream that only its text gives.
"""

# DeepSeek's marks are written with U+FF5C, on purpose.
# ruff: noqa: RUF002

from __future__ import annotations

import functools
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from hashlib import blake2b, shake_128
from typing import TYPE_CHECKING

from router._locks import forkable
from router.tokens.encoder import ADDED, encode, encoding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LEAST = 64
"""Characters; looking shorter pieces up takes as long as reading them."""
_MOST = 32 << 20
"""Bytes kept in all."""
_ENTRY = 320
"""Bytes that an entry takes besides its ids, at the most (`tracemalloc`, CPython 3.11: 277)."""
_KEY_SIZE = 16


class Pieces:
    """Ids by hash of their text: at most `most` bytes in all, without the least recently used.

    The hash is keyed by chance, anew for each `Pieces`. Thread-safe; a forked child may use it.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._most, self._held = most, 0
        self._known: OrderedDict[bytes, bytes] = OrderedDict()
        self._secret = secrets.token_bytes(32)
        self._lock = forkable(self)

    def __repr__(self) -> str:
        return f"Pieces({len(self._known)} pieces, {self._held} bytes)"

    def encode(self, text: str) -> NDArray[np.uint32]:
        """The ids of a text: the same as `router.tokens.encode`, but next to its cuts.

        That function cuts runs of 499,968 characters without letter or digit, counted from an
        added token before them; here they are counted from behind it.
        """
        import numpy as np

        ids, masks = bytearray(), bytearray()
        for piece, mark in _cut(text):
            if len(piece) >= _LEAST:
                masked, mask = self._of(piece)
                ids += masked
                masks += mask
            elif piece:
                ids += _bytes(encode(piece))
            ids += mark
            masks += bytes(len(ids) - len(masks))
        return np.frombuffer(ids, dtype=np.uint32) ^ np.frombuffer(masks, dtype=np.uint32)

    def _of(self, piece: str) -> tuple[bytes, bytes]:
        """The ids of a piece, masked, and the mask."""
        digest = blake2b(piece.encode("utf-8", "surrogatepass"), key=self._secret).digest()
        key = digest[:_KEY_SIZE]
        with self._lock:
            known = self._known.get(key)
            if known is not None:
                self._known.move_to_end(key)
        if known is not None:
            return known, shake_128(digest).digest(len(known))
        plain = _bytes(encode(piece))
        mask = shake_128(digest).digest(len(plain))
        made = _xor(plain, mask)
        with self._lock:
            if key not in self._known and _size(made) <= self._most:
                self._known[key] = made
                self._held += _size(made)
                while self._known and self._held > self._most:
                    self._held -= _size(self._known.popitem(last=False)[1])
        return made, mask


def _size(ids: bytes) -> int:
    return len(ids) + _ENTRY


def _xor(one: bytes, other: bytes) -> bytes:
    import numpy as np

    return (np.frombuffer(one, dtype=np.uint8) ^ np.frombuffer(other, dtype=np.uint8)).tobytes()


def _bytes(ids: list[int]) -> bytes:
    import numpy as np

    return np.array(ids, dtype=np.uint32).tobytes()


@functools.cache
def _marks() -> dict[str, bytes]:
    """The added tokens; `ADDED` finds whatever looks like one."""
    coder = encoding()
    return {mark: _bytes([coder.encode_single_token(mark)]) for mark in coder.special_tokens_set}


def _cut(text: str) -> Iterator[tuple[str, bytes]]:
    """What stands before each added token, and the token's id; last what follows them all."""
    at, marks = 0, _marks()
    for found in ADDED.finditer(text):
        mark = marks.get(found.group())
        if mark is not None:
            yield text[at : found.start()], mark
            at = found.end()
    yield text[at:], b""
