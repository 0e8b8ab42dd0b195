"""Exact DeepSeek token counts, offline: of texts, and of whole conversations.

The vocabulary is read on first use (about 0.15 s, once, safe among threads); importing this
package reads nothing. DeepSeek V3, R1, V3.1, V3.2 and V4 share base vocabulary and merges, so
counts of plain text hold for all of them; V4 has other added tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from router.tokens.encoder import count, decode, encode
from router.tokens.pieces import Pieces
from router.tokens.template import render

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["count", "count_messages", "decode", "encode", "encode_messages", "render"]

_pieces = Pieces()


def encode_messages(
    messages: Sequence[Mapping[str, Any]],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    response_format: Mapping[str, Any] | None = None,
    thinking: bool = False,
) -> NDArray[np.uint32]:
    """Token ids of an OpenAI-shaped conversation under V3.2's chat template.

    What is read again, as the history of a conversation, is remembered in memory: up to 32 MiB a
    process, by keyed hashes and masked, so that neither text nor ids can be read out of it.

    Raises:
        InvalidRequestError: messages or tools that the template cannot express.

    >>> len(encode_messages([{"role": "user", "content": "Hello"}]))
    5
    """
    return _pieces.encode(
        render(messages, tools=tools, response_format=response_format, thinking=thinking)
    )


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
