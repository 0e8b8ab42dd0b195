"""A prompt in canonical form: the same request always has the same bytes, so caches can hit.

Nothing that carries meaning is moved: only the key order inside tool schemas is fixed. What
would help and is not ours to change is reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from router.errors import InvalidRequestError
from router.prompts.text import message_text

# What changes from call to call and, near the front, makes every later token a cache miss.
_VOLATILE = (
    ("a timestamp", re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d")),
    (
        "a UUID",
        re.compile(
            r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Messages and tools as they will be sent, and notes on what keeps caches from hitting."""

    messages: tuple[Mapping[str, Any], ...]
    tools: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()


def arrange(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
) -> Layout:
    """The canonical layout of a request; messages keep their order and their text.

    Raises:
        InvalidRequestError: a tool that JSON cannot express.
    """
    notes = []
    for i, message in enumerate(messages):
        if message["role"] not in {"system", "developer"}:
            continue
        if i > 0:
            notes.append(f"messages[{i}] is a system message after others: put static text first")
        head = message_text(message)[:2000]
        notes += [
            f"messages[{i}] holds {what} near its start: caches miss from there on"
            for what, pattern in _VOLATILE
            if pattern.search(head)
        ]
    return Layout(
        messages=tuple(messages),
        tools=tuple(_tool(i, tool) for i, tool in enumerate(tools)),
        notes=tuple(notes),
    )


def _tool(position: int, tool: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        plain: Mapping[str, Any] = json.loads(canonical(tool))
    except (TypeError, ValueError) as error:
        name = f"tools[{position}]"
        raise InvalidRequestError(f"{name}: expected JSON values; {error}", param=name) from None
    return plain


def canonical(value: Any) -> str:
    """JSON text with sorted keys and no spare bytes: equal values have equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
