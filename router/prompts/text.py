"""Reading a conversation: which text is scored, and whether it is a conversation at all."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from classifiers.prompt import Prompt
from router.errors import InvalidRequestError

_ROLES = ("system", "developer", "user", "assistant", "tool")
_TAIL = 200
"""Characters at the end of a system prompt by which it is known."""
_ROUTES = ("route", "feature", "task")
"""Tags that name a kind of traffic, the first that is there counts."""


def check_messages(messages: Any) -> tuple[Mapping[str, Any], ...]:
    """Messages as a tuple of dicts, each with a known role and content.

    An object of pydantic, such as the message of a completion, is taken as the dict it stands for.

    Raises:
        InvalidRequestError: what is wrong, at which position; never the text itself.
    """
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Sequence):
        raise InvalidRequestError(
            'messages: expected a list such as [{"role": "user", "content": "..."}], got '
            f"{type(messages).__name__}",
            param="messages",
        )
    if not messages:
        raise InvalidRequestError("messages: expected at least one, got none", param="messages")
    found = tuple(map(_plain, messages))
    for i, message in enumerate(found):
        if not isinstance(message, Mapping) or message.get("role") not in _ROLES:
            got = message.get("role") if isinstance(message, Mapping) else None
            if not isinstance(messages[i], Mapping):
                got = type(messages[i]).__name__
            if not (got is None or (isinstance(got, str) and got.isidentifier())):
                got = type(got).__name__  # it may be a prompt in the wrong place
            raise InvalidRequestError(
                f"messages[{i}]: expected a dict with a role of {', '.join(_ROLES)}; got {got!r}",
                param=f"messages[{i}].role",
            )
        content = message.get("content")
        if message["role"] == "assistant":
            empty = content is None and not message.get("tool_calls")
        else:
            empty = content is None
        if empty or not isinstance(content, (str, list, tuple, type(None))):
            raise InvalidRequestError(
                f"messages[{i}]: expected content as text or a list of parts, "
                f"got {type(content).__name__}",
                param=f"messages[{i}].content",
            )
    if not any(message_text(m).strip() for m in found):
        raise _without_text(found)
    return found


def _plain(message: Any) -> Any:
    """A message of pydantic as a dict, by the rule of `PromptBuilder.assistant`; others as is."""
    dump = getattr(message, "model_dump", None)
    if isinstance(message, (Mapping, type)) or not callable(dump):
        return message
    made = dump(mode="json", exclude_none=True)
    if made.get("role") == "assistant" and not made.get("tool_calls"):
        made.pop("reasoning_content", None)
        made.pop("reasoning", None)
    return made


def _without_text(messages: Sequence[Mapping[str, Any]]) -> InvalidRequestError:
    """The error for messages that hold no text: what they hold instead, if anything."""
    for i, message in enumerate(messages):
        content = message.get("content")
        for j, part in enumerate(() if isinstance(content, str) else content or ()):
            if not (isinstance(part, Mapping) and isinstance(part.get("text"), str)):
                return InvalidRequestError(
                    f"messages[{i}].content[{j}]: only text can be counted; expected "
                    '{"type": "text", "text": "..."}',
                    param=f"messages[{i}].content",
                )
    return InvalidRequestError("messages: all of them are empty", param="messages")


def conversations(given: Any) -> Iterator[tuple[int, Any]]:
    """The requests of a batch or job, each with its position; `check_messages` reads one.

    Raises:
        InvalidRequestError: one conversation, or text, where several conversations belong.
    """
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidRequestError(
            f"requests: expected lists of messages, got {type(given).__name__}", param="requests"
        )
    for i, one in enumerate(given):
        if isinstance(one, Mapping) and "role" in one and "messages" not in one:
            raise InvalidRequestError(
                f"requests[{i}]: expected a list of messages, got one message; a single "
                "conversation goes into a list of its own: [messages]",
                param="requests",
            )
        yield i, one


def message_text(message: Mapping[str, Any]) -> str:
    """The text of a message; parts are joined, parts that are not text are left out."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    if not content:
        return ""
    return "\n".join(
        part["text"]
        for part in content
        if isinstance(part, Mapping) and isinstance(part.get("text"), str)
    )


def scored_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """The text in question: the last user message, or the last of any kind with text."""
    for message in reversed(messages):
        if message["role"] == "user":
            return message_text(message)
    return next((t for m in reversed(messages) if (t := message_text(m))), "")


def prompt_of(
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] = (),
    response_format: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    effort: Any = None,
) -> Prompt:
    """A request as a scorer reads it; `effort` is its `reasoning_effort`, None for the host's."""
    system = "\n".join(message_text(m) for m in messages if m["role"] in {"system", "developer"})
    demanded = response_format or {}
    schema = demanded.get("json_schema")
    return Prompt(
        text=scored_text(messages),
        turns=max(1, sum(m["role"] == "user" for m in messages)),
        system_chars=len(system),
        tools=len(tools),
        schema_chars=len(json.dumps(schema, default=str)) if schema else 0,
        wants_json=bool(demanded) and demanded.get("type") != "text",
        route=_route(tags or {}, system),
        effort=effort.lower() if isinstance(effort, str) else "",
    )


def traffic_of(
    tags: Mapping[str, str],
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]],
) -> str:
    """The kind of traffic by its tag, else by its tools and how its system prompt ends.

    Digits do not count, and what changes by itself stands in front more often than at the end.
    """
    if tagged := tagged_route(tags):
        return tagged
    system = next((message_text(m) for m in messages if m["role"] in {"system", "developer"}), "")
    names = sorted(str((tool.get("function") or tool).get("name")) for tool in tools)
    said = "\n".join((*names, re.sub(r"\d+", "", system[-_TAIL:])))
    return "head:" + hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:12]


def tagged_route(tags: Mapping[str, str]) -> str:
    """The kind of traffic that the caller's tags name, "" where none does."""
    return next((f"{tag}={tags[tag]}" for tag in _ROUTES if tags.get(tag)), "")


def _route(tags: Mapping[str, str], system: str) -> str:
    """The kind of traffic: the caller's tag, else which system prompt it has, else unknown."""
    if tagged := tagged_route(tags):
        return tagged
    if not system:
        return ""
    return "template:" + hashlib.sha256(system.encode("utf-8", "replace")).hexdigest()[:12]
