"""What names a conversation in every process, so that all send it to the same replica."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import takewhile
from typing import Any

from router.prompts.layout import canonical

_SHARED = 2000
"""Characters of the beginning that conversations of one kind have in common."""


def keys_of(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
) -> tuple[bytes, bytes]:
    """Digests of how a conversation begins: its kind's, and its own. No text is kept.

    Its kind is the beginning of tools and system messages, or of the document that a first user
    message opens with; its own runs to the end of the first user message.
    """
    head = [*takewhile(lambda m: m.get("role") != "user", messages)]
    head.extend(messages[len(head) : len(head) + 1])
    text = "\n".join(map(canonical, (*tools, *head)))
    return _digest(text[:_SHARED]), _digest(text)


def _digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
