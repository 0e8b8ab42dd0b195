"""What each host's prefix cache is expected to hold, from what was sent there before.

A basic form: whole conversations and system prompts, per model and host. A host only serves
from its cache what begins exactly like an earlier request.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from router.prompts.layout import canonical

_UNIT = 64
"""DeepSeek's V3-era storage unit in tokens (https://api-docs.deepseek.com/guides/kv_cache)."""
_BUILD = timedelta(seconds=5)
_LIFE = timedelta(hours=1)
"""A prefix is cached after seconds and kept for hours; both ends taken cautiously."""


class PrefixIndex:
    """Expected cache hits by (model, host); bounded to `size` prefixes, thread-safe."""

    def __init__(self, size: int = 10_000) -> None:
        self._size = size
        self._seen: OrderedDict[tuple[str, bytes], tuple[int, datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def expected(self, endpoint: str, chain: Sequence[bytes], now: datetime) -> int:
        """Tokens of the longest known prefix of `chain` at `endpoint` ("model@host")."""
        with self._lock:
            for link in reversed(chain):
                tokens, at = self._seen.get((endpoint, link), (0, now))
                if tokens and _BUILD <= now - at <= _LIFE:
                    return tokens // _UNIT * _UNIT
        return 0

    def record(self, endpoint: str, link: bytes, tokens: int, now: datetime) -> None:
        """Remember that a prompt of `tokens` tokens ending in `link` was sent to `endpoint`."""
        key = (endpoint, link)
        with self._lock:
            self._seen[key] = (tokens, now)
            self._seen.move_to_end(key)
            while len(self._seen) > self._size:
                self._seen.popitem(last=False)


def chain_of(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
) -> tuple[bytes, ...]:
    """One hash for each prefix of the conversation; the text itself is not kept."""
    running = hashlib.blake2b(canonical(list(tools)).encode("utf-8", "replace"), digest_size=16)
    chain = []
    for message in messages:
        running.update(canonical(message).encode("utf-8", "replace"))
        running.update(b"\0")
        chain.append(running.digest())
    return tuple(chain)
