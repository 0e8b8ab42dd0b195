"""Exact DeepSeek token counts, offline: of texts, and of whole conversations.

The vocabulary is read on first use (about 0.15 s, once, safe among threads); importing this
package reads nothing. DeepSeek V3, R1, V3.1, V3.2 and V4 share base vocabulary and merges, so
counts of plain text hold for all of them; V4 has other added tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from router.tokens.encoder import count, decode, encode
from router.tokens.template import render

__all__ = ["count", "count_messages", "decode", "encode", "render"]


def count_messages(
    messages: Sequence[Mapping[str, Any]],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    response_format: Mapping[str, Any] | None = None,
    thinking: bool = False,
) -> int:
    """Input tokens of an OpenAI-shaped conversation under V3.2's chat template.

    The template's own tokens are included: four around a single user message.

    Raises:
        InvalidRequestError: messages or tools that the template cannot express.

    >>> count_messages([{"role": "user", "content": "Hello"}])
    5
    """
    return count(render(messages, tools=tools, response_format=response_format, thinking=thinking))
