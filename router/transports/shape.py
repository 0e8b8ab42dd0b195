"""A host's JSON brought into the one shape that the rest of the library relies on. No I/O.

Hosts differ: null where others leave a field out, numbers as ids, content as a list of parts.
What has a plain meaning is kept, what has none is dropped, what is no answer is refused.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Literal


def shaped(body: Any, part: Literal["message", "delta"]) -> dict[str, Any]:
    """`body`, changed in place: its choices hold a sound `part`, with `reasoning_content`.

    Raises:
        ValueError: it is no (piece of a) chat completion.
    """
    if not isinstance(body, dict):
        raise ValueError("expected a JSON object")
    for key in ("id", "model"):
        if isinstance(body.get(key), (int, float)):
            body[key] = str(body[key])
        _drop_unless(body, key, str)
    created = body.pop("created", None)
    if isinstance(created, (int, float)) and isfinite(created):
        body["created"] = int(created)
    choices = body.get("choices") or []
    if not isinstance(choices, list):
        raise ValueError("expected a list of choices")
    for position, choice in enumerate(choices):
        if not isinstance(choice, dict):
            raise ValueError("expected choices that are objects")
        if type(choice.get("index")) is not int:
            choice["index"] = position
        _drop_unless(choice, "finish_reason", str)
        if part == "delta" and choice.get("delta") is None:
            choice["delta"] = {}
        _message(choice.get(part))
    body["choices"] = choices
    return body


def _message(message: Any) -> None:
    if not isinstance(message, dict):
        raise ValueError("expected a message or delta that is an object")
    _drop_unless(message, "role", str)
    # vLLM and OpenRouter say `reasoning`, DeepSeek says `reasoning_content`.
    for key in ("reasoning", "reasoning_content"):
        _drop_unless(message, key, str)
    if "reasoning" in message:
        message.setdefault("reasoning_content", message["reasoning"])
    content = message.get("content")
    if isinstance(content, list):
        texts = [p.get("text") for p in content if isinstance(p, dict)]
        message["content"] = "".join(text for text in texts if isinstance(text, str))
    elif not isinstance(content, (str, type(None))):
        raise ValueError("expected content as text")
    calls = message.get("tool_calls")
    if calls is None:
        return
    if not isinstance(calls, list):
        raise ValueError("expected a list of tool calls")
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else ()
        if not isinstance(function, (dict, type(None))):
            raise ValueError("expected tool calls with a function")
        for key in ("name", "arguments"):
            if function and not isinstance(function.get(key), (str, type(None))):
                raise ValueError("expected names and arguments as text")


def _drop_unless(mapping: dict[str, Any], key: str, kind: type) -> None:
    if not isinstance(mapping.get(key), kind):
        mapping.pop(key, None)
