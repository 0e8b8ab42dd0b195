"""A prompt in canonical form: the same request always has the same bytes, so caches can hit.

Tools are a set to a host, so they are sorted by name; keys of JSON objects get a fixed order,
except where the order is meaning. Messages move only where the caller marked them (see
`router.prompts.marks`). What would help and is not ours to change is noted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from router.errors import InvalidRequestError
from router.prompts.marks import mark_of, placed
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
_HEAD = 2000
"""Characters of a system message that are searched for what changes."""
_ORDERED = frozenset({"properties", "patternProperties"})
"""Keywords of JSON Schema whose members keep their order: hosts write arguments and structured
output in it (https://platform.openai.com/docs/guides/structured-outputs, "Key ordering")."""
_SCHEMAS = frozenset({"$defs", "definitions", "dependentSchemas"})
"""Keywords whose members are schemas under names that are the caller's."""
_PLAIN = frozenset({"const", "default", "enum", "example", "examples", "required"})
"""Keywords that hold values, not schemas: there `properties` is a key like any other."""
_json = json.JSONEncoder(allow_nan=False).encode
_sorted_json = json.JSONEncoder(
    allow_nan=False, sort_keys=True, separators=(",", ":"), ensure_ascii=False
).encode


@dataclass(frozen=True, slots=True)
class Layout:
    """Messages, tools and response format as they will be sent.

    `notes` say what keeps caches from hitting and is the caller's to change, `moved` what was put
    elsewhere: "tools sorted by name", or marked messages, by their positions. The response format
    is canonical by the rule of the tools.
    """

    messages: tuple[Mapping[str, Any], ...]
    tools: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    response_format: Mapping[str, Any] | None = None


def arrange(
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]] = (),
    response_format: Mapping[str, Any] | None = None,
) -> Layout:
    """The canonical layout of a request; no text changes, and only marked messages move.

    Raises:
        InvalidRequestError: a mark that cannot be, or what JSON cannot express.
    """
    positions, moved = placed(messages)
    sorted_tools, renamed = _sorted([_schema(f"tools[{i}]", t) for i, t in enumerate(tools)])
    return Layout(
        messages=tuple(_unmarked(messages[i]) for i in positions),
        tools=sorted_tools,
        notes=tuple(_notes(messages)),
        moved=(*renamed, *moved),
        response_format=response_format and _schema("response_format", response_format),
    )


def canonical(value: Any) -> str:
    """JSON text with sorted keys and no spare bytes: equal values have equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sent_text(
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]],
    response_format: Mapping[str, Any] | None,
) -> str:
    """JSON text of all that is sent, keys sorted.

    Raises:
        InvalidRequestError: which message holds what JSON cannot express.
    """
    try:
        return _sorted_json([list(messages), list(tools), response_format])
    except (TypeError, ValueError, RecursionError):
        for i, message in enumerate(messages):
            _schema(f"messages[{i}]", message)
        raise InvalidRequestError(
            "messages: expected JSON values, with texts as keys", param="messages"
        ) from None


def schema_text(value: Any) -> str:
    """JSON text of a tool or schema, with keys sorted but where their order is meaning."""
    return json.dumps(_of_schema(value), separators=(",", ":"), ensure_ascii=False)


def _unmarked(message: Mapping[str, Any]) -> Mapping[str, Any]:
    if "segment" not in message:
        return message
    return {key: value for key, value in message.items() if key != "segment"}


def _notes(messages: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for i, message in enumerate(messages):
        mark = mark_of(message)
        if message["role"] not in {"system", "developer"} or mark == "volatile":
            continue
        if i > 0 and mark is None:
            yield f"messages[{i}] is a system message after others: put static text first"
        head = message_text(message)[:_HEAD]
        for what, pattern in _VOLATILE:
            if pattern.search(head):
                place = "near its start" if mark is None else f"and is marked {mark}"
                yield f"messages[{i}] holds {what} {place}: caches miss from there on"


def _sorted(
    tools: list[Mapping[str, Any]],
) -> tuple[tuple[Mapping[str, Any], ...], tuple[str, ...]]:
    """The tools by name, and what is to be said of it; tools of one name keep their order."""
    by_name = sorted(tools, key=_name)
    if all(a is b for a, b in zip(by_name, tools, strict=True)):
        return tuple(tools), ()
    return tuple(by_name), ("tools sorted by name",)


def _name(tool: Mapping[str, Any]) -> str:
    function = tool.get("function")
    name = function.get("name") if isinstance(function, Mapping) else tool.get("name")
    return name if isinstance(name, str) else ""


def _schema(where: str, value: Any) -> Mapping[str, Any]:
    """A tool or response format with its keys in a fixed order, as plain JSON values."""
    try:
        found: Mapping[str, Any] = _of_schema(json.loads(_json(value)))
    except (TypeError, ValueError, RecursionError) as error:
        why = "nested too deeply" if isinstance(error, RecursionError) else error
        raise InvalidRequestError(f"{where}: expected JSON values; {why}", param=where) from None
    return found


def _of_schema(value: Any) -> Any:
    """A schema with its keys sorted, but where their order is meaning; lists as they are."""
    if isinstance(value, dict):
        return {key: _member(key, value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_of_schema(one) for one in value]
    return value


def _member(key: str, value: Any) -> Any:
    if key in _PLAIN:
        return _plain(value)
    if isinstance(value, dict) and key in _ORDERED:
        return {name: _of_schema(schema) for name, schema in value.items()}
    if isinstance(value, dict) and key in _SCHEMAS:
        return {name: _of_schema(value[name]) for name in sorted(value)}
    return _of_schema(value)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(value[key]) for key in sorted(value)}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value
