"""Marked messages: `"segment"` says how often a system message changes, and so where it stands.

"static" is the same in all conversations and goes first, "session" in all turns of one, next,
"volatile" only in one request: directly before the last user message. Not after it, for templates
such as DeepSeek-V3.2's open the answer there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from router.errors import InvalidRequestError

_SEGMENTS = ("static", "session", "volatile")


def mark_of(message: Mapping[str, Any]) -> str | None:
    """The segment that a message is marked with, None for none."""
    mark: str | None = message.get("segment")
    return mark


def placed(messages: Sequence[Mapping[str, Any]]) -> tuple[list[int], tuple[str, ...]]:
    """The positions of messages in the order in which they are sent, and which of them moved.

    Those without a mark keep their order, those of one segment too.

    Raises:
        InvalidRequestError: a mark of no such name, or on a message of the history.
    """
    marked: dict[str, list[int]] = {segment: [] for segment in _SEGMENTS}
    rest: list[int] = []
    for i, message in enumerate(messages):
        mark = mark_of(message)
        if mark is None:
            rest.append(i)
        else:
            marked[_checked(mark, message["role"], i)].append(i)
    if len(rest) == len(messages):
        return rest, ()
    users = [at for at, i in enumerate(rest) if messages[i]["role"] == "user"]
    last = users[-1] if users else len(rest)
    order = [
        *marked["static"],
        *marked["session"],
        *rest[:last],
        *marked["volatile"],
        *rest[last:],
    ]
    moved = tuple(
        f"messages[{i}] to messages[{at}]: marked {mark}"
        for at, i in enumerate(order)
        if at != i and (mark := mark_of(messages[i])) is not None
    )
    return order, moved


def _checked(mark: Any, role: str, position: int) -> str:
    where = f"messages[{position}].segment"
    if not isinstance(mark, str) or mark not in _SEGMENTS:
        got = repr(mark) if isinstance(mark, str) and len(mark) <= 40 else type(mark).__name__
        raise InvalidRequestError(
            f"{where}: expected {', '.join(map(repr, _SEGMENTS))}, got {got}", param=where
        )
    if role not in {"system", "developer"}:
        raise InvalidRequestError(
            f"{where}: expected a mark on system and developer messages only, got one on a "
            f"{role} message; history keeps its order. Put the text into a system message, or "
            "build the prompt with PromptBuilder",
            param=where,
        )
    return mark
