"""Token ids of long prompts, piece by piece: a growing history is only read where it is new.

Added tokens such as `<｜User｜>` are never part of another token, so what stands between two of
them has the same ids wherever it stands.
"""

# DeepSeek's marks are written with U+FF5C, on purpose.
# ruff: noqa: RUF002

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from router.tokens.encoder import ADDED, encode

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LEAST = 64
"""Characters; looking shorter pieces up takes as long as reading them."""
_MOST = 16 << 20
"""Characters kept in all; with their ids some 50 MB."""


class Pieces:
    """Ids by text, beyond `most` characters without the least recently used. Thread-safe."""

    def __init__(self, most: int = _MOST) -> None:
        self._most, self._held = most, 0
        self._known: OrderedDict[str, NDArray[np.uint32]] = OrderedDict()
        self._lock = threading.Lock()

    def encode(self, text: str) -> NDArray[np.uint32]:
        """The ids of a text: the same as `router.tokens.encode`."""
        import numpy as np

        parts: list[NDArray[np.uint32]] = []
        small = ""
        for piece in _cut(text):
            if len(piece) < _LEAST:
                small += piece
                continue
            if small:
                parts.append(np.array(encode(small), dtype=np.uint32))
                small = ""
            parts.append(self._of(piece))
        if small:
            parts.append(np.array(encode(small), dtype=np.uint32))
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.uint32)

    def _of(self, piece: str) -> NDArray[np.uint32]:
        import numpy as np

        with self._lock:
            known = self._known.get(piece)
            if known is not None:
                self._known.move_to_end(piece)
                return known
        made = np.array(encode(piece), dtype=np.uint32)
        with self._lock:
            if piece not in self._known and len(piece) <= self._most:
                self._known[piece] = made
                self._held += len(piece)
                while self._held > self._most:
                    gone, _ = self._known.popitem(last=False)
                    self._held -= len(gone)
        return made


def _cut(text: str) -> Iterator[str]:
    """A text before and after each added token, and the tokens themselves."""
    at = 0
    for mark in ADDED.finditer(text):
        if mark.start() > at:
            yield text[at : mark.start()]
        yield mark.group()
        at = mark.end()
    if at < len(text):
        yield text[at:]
