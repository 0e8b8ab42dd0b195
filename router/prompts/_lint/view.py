"""A request as the linter reads it: each message as text, its tokens, and keys to align by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from router.prompts._lint.texts import canonical_text, squeezed
from router.prompts._lint.volatile import masked
from router.tokens import encode_messages

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LONG = 100_000
"""Longer messages are the same only where their words are."""
_KEPT = 2000
"""Characters of a message whose key is kept for the next request that has it."""
_HEAD = frozenset({"system", "developer"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request as its caller sent it: what decides which prefix a host can find in its cache.

    `salt` is the value of the fields that keep caches apart (`CacheRule.salts`), `at` when it was
    sent, None where that is not known. Its text is never shown by `repr`.
    """

    messages: tuple[Mapping[str, Any], ...] = field(repr=False)
    tools: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    response_format: Mapping[str, Any] | None = field(default=None, repr=False)
    thinking: bool = False
    model: str = ""
    host: str = ""
    salt: str = field(default="", repr=False)
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One message: its text, `content` with a mark for each part that is none, and the rest."""

    role: str
    text: str = field(repr=False)
    content: str = field(repr=False)
    calls: str = field(repr=False)
    reasoning: str = field(repr=False)
    parts: tuple[str, ...]

    @property
    def whole(self) -> str:
        """Text and calls."""
        return f"{self.text}\n{self.calls}" if self.calls else self.text

    @property
    def rendered(self) -> tuple[str, str, str]:
        """What a template writes of it, reasoning apart."""
        return self.role, self.content, self.calls


class View:
    """A request with what the linter needs of it, worked out when it is first asked for."""

    def __init__(self, sent: Sent) -> None:
        self.sent = sent

    @cached_property
    def lines(self) -> list[Line]:
        """The messages, in order."""
        return [_line(message) for message in self.sent.messages]

    @cached_property
    def head(self) -> int:
        """How many system messages lead."""
        roles = [line.role in _HEAD for line in self.lines]
        return roles.index(False) if False in roles else len(roles)

    @cached_property
    def loose(self) -> list[str]:
        """A key of each message: equal where only times, ids, spaces or JSON's layout differ."""
        return [_loose(line) for line in self.lines]

    @cached_property
    def last_user(self) -> int:
        """Position of the last message of a user; reasoning is rendered after it only."""
        asked = (i for i, line in enumerate(self.lines) if line.role in {"user", "developer"})
        return max(asked, default=-1)

    @cached_property
    def ids(self) -> NDArray[np.uint32]:
        """Token ids under V3.2's template; an image counts as a mark of a few tokens.

        Raises:
            InvalidRequestError: what no template could express.
        """
        return encode_messages(
            _expressible(self.sent.messages, self.lines),
            tools=[_function(tool) for tool in self.sent.tools] or None,
            response_format=self.sent.response_format,
            thinking=self.sent.thinking,
        )

    def shared(self, other: View) -> int:
        """Tokens of the longest prefix that both have."""
        import numpy as np

        least = min(len(self.ids), len(other.ids))
        unlike = np.flatnonzero(self.ids[:least] != other.ids[:least])
        return int(unlike[0]) if len(unlike) else least

    def common(self, other: View) -> int:
        """Characters of the messages that both have, in any order."""
        there = set(other.loose)
        pairs = zip(self.loose, self.lines, strict=True)
        return sum(len(line.whole) for key, line in pairs if key in there)

    def thought(self, index: int) -> bool:
        """Whether the reasoning of this message is rendered."""
        return self.sent.thinking and index > self.last_user


def role_of(line: Line) -> str:
    """A message's role; for a host, a developer is a system."""
    return "system" if line.role in _HEAD else line.role


def _line(message: Mapping[str, Any]) -> Line:
    content = message.get("content")
    pieces: list[str] = [content] if isinstance(content, str) else []
    texts, parts = pieces[:], []
    for part in content if isinstance(content, Sequence) and not isinstance(content, str) else ():
        if isinstance(part, Mapping) and isinstance(part.get("text"), str):
            pieces.append(part["text"])
            texts.append(part["text"])
        else:
            pieces.append(_digest(part))
            parts.append(pieces[-1])
    reasoning = message.get("reasoning") or message.get("reasoning_content") or ""
    return Line(
        role=str(message.get("role")),
        text="\n".join(texts),
        content="\n".join(pieces),
        calls=_calls(message),
        reasoning=reasoning if isinstance(reasoning, str) else "",
        parts=tuple(parts),
    )


def _calls(message: Mapping[str, Any]) -> str:
    """Names and arguments of tool calls; their ids are in no prompt of ours."""
    calls = message.get("tool_calls") or ()
    found = []
    for call in calls if isinstance(calls, Sequence) else ():
        if _named(call):
            function = call["function"]
            found.append(f"{function.get('name')}({function.get('arguments')})")
    return "\n".join(found)


def _digest(part: Any) -> str:
    kind = part.get("type", "part") if isinstance(part, Mapping) else "part"
    whole = json.dumps(part, sort_keys=True, default=str).encode("utf-8", "replace")
    return f"[{kind} {hashlib.blake2b(whole, digest_size=6).hexdigest()}]"


def _loose(line: Line) -> str:
    return _loosened(line) if len(line.whole) > _KEPT else _kept(line)


@lru_cache(maxsize=256)
def _kept(line: Line) -> str:
    return _loosened(line)


def _loosened(line: Line) -> str:
    text = line.whole
    if len(text) <= _LONG:
        text = masked(canonical_text(text))
    text = squeezed(text)
    kinds = " ".join(part.split()[0] for part in line.parts)
    whole = f"{role_of(line)}\0{text}\0{kinds}".encode("utf-8", "replace")
    return hashlib.blake2b(whole, digest_size=16).hexdigest()


def _expressible(
    messages: Sequence[Mapping[str, Any]], lines: Sequence[Line]
) -> list[Mapping[str, Any]]:
    """The messages as the template takes them: parts as marks, a result without a call as a
    user's.
    """
    found: list[Mapping[str, Any]] = []
    room = 0
    for message, line in zip(messages, lines, strict=True):
        calls = message.get("tool_calls")
        calls = [call for call in calls if _named(call)] if isinstance(calls, list) else []
        room = room - 1 if line.role == "tool" else len(calls)
        plain: dict[str, Any] = {**message, "tool_calls": calls, "reasoning": line.reasoning}
        plain["content"] = line.content
        if line.role == "tool" and room < 0:
            plain = {"role": "user", "content": plain["content"]}
        found.append(plain)
    return found


def _named(call: Any) -> bool:
    """Whether a tool call has the shape that a template can write."""
    function = call.get("function") if isinstance(call, Mapping) else None
    return isinstance(function, Mapping) and isinstance(function.get("name"), str)


def _function(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """A tool in the shape of the template; some APIs have the function's fields beside `type`."""
    if isinstance(tool.get("function"), Mapping):
        return tool
    return {"type": "function", "function": {k: v for k, v in tool.items() if k != "type"}}
