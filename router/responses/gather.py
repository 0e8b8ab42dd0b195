"""A streamed answer put together again, so that it can be kept like a whole one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router.types import Chunk, Reply, Usage

_TEXTS = ("content", "reasoning_content")
_SAME_TEXT = frozenset({"reasoning"})
"""`shaped` has copied it into `reasoning_content`."""


class Gathered:
    """Takes the chunks of one answer in order; `reply` is the whole, None if it is not one.

    What is of no known kind (log probabilities, audio) cannot be put together: then it is None.
    Remarks of hosts beside the answer (Azure's filter results) are left out.
    """

    __slots__ = ("_calls", "_head", "_odd", "_role", "_texts", "finish_reason")

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}
        self._calls: dict[int, dict[str, Any]] = {}
        self._role = "assistant"
        self._odd = False
        self.finish_reason: str | None = None

    def take(self, chunk: Chunk) -> None:
        """Keep what a chunk adds."""
        for key in ("id", "model", "created", "service_tier", "system_fingerprint"):
            if (value := chunk.body.get(key)) is not None:
                self._head[key] = value
        choices = chunk.body.get("choices") or ()
        if len(choices) > 1:
            self._odd = True
        for choice in choices[:1]:
            self._odd = self._odd or choice.get("index", 0) != 0 or bool(choice.get("logprobs"))
            self._add(choice.get("delta") or {})
        self.finish_reason = chunk.finish_reason or self.finish_reason

    def reply(self, usage: Usage | None) -> Reply | None:
        """The whole answer with the usage that was settled; None where the end is not known."""
        if self._odd or self.finish_reason is None:
            return None
        message: dict[str, Any] = {"role": self._role, "content": None}
        for key, pieces in self._texts.items():
            message[key] = "".join(pieces)
        if self._calls:
            message["tool_calls"] = [call for _, call in sorted(self._calls.items())]
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        body = {**self._head, "object": "chat.completion", "choices": [choice]}
        return Reply(body=body, usage=usage, finish_reason=self.finish_reason)

    def _add(self, delta: Mapping[str, Any]) -> None:
        for key, value in delta.items():
            if not value or key in _SAME_TEXT:
                continue
            if key in _TEXTS and isinstance(value, str):
                self._texts.setdefault(key, []).append(value)
            elif key == "role" and isinstance(value, str):
                self._role = value
            elif key == "tool_calls" and isinstance(value, list):
                for piece in value:
                    self._call(piece)
            else:
                self._odd = True

    def _call(self, piece: Mapping[str, Any]) -> None:
        position, function = piece.get("index"), piece.get("function") or {}
        if type(position) is not int:
            self._odd = True
            return
        call = self._calls.setdefault(
            position, {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        )
        for key in ("id", "type"):
            call[key] = piece.get(key) or call[key]
        for key in ("name", "arguments"):
            call["function"][key] += function.get(key) or ""
