"""Reads requests out of JSON lines: bare bodies, batch files, or logs of requests and answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from router.errors import InvalidRequestError, RouterError
from router.prompts.lint import Sent
from router.prompts.rule import CacheRule
from router.prompts.survey import Asked
from router.prompts.text import check_messages
from router.usage import parse_usage, usage_in

_TIMES = ("at", "time", "timestamp", "ts", "created", "created_at")
_ROUTES = ("route", "feature", "task")
_SALTS = ("cache_salt", "user_id", "prompt_cache_key")
"""Fields that keep caches apart at some host; for hosts that say nothing of theirs."""
_SAME_WEIGHTS = {"deepseek-reasoner": "deepseek-chat"}
"""Names of one model's other mode, which shares its cache (V3.1 to V3.2)."""
_MILLIS = 10**11
_BLANK: Mapping[str, Any] = {}


def read(
    lines: Iterable[str],
    file: str,
    rule_of: Callable[[Sent], CacheRule],
    on_bad: Callable[[InvalidRequestError], None] | None = None,
) -> Iterator[Asked]:
    """The requests of a file. A line is a body with `messages`, or has one as `body` or `request`.

    `at`, `time`, `timestamp` or `created` say when it was sent, `route` what it is for, `response`
    what was used. A bad line goes to `on_bad`, if there is one.

    Raises:
        InvalidRequestError: what is wrong with which line of which file.
    """
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            asked = _asked(_parsed(line), number, rule_of)
        except RouterError as error:
            bad = InvalidRequestError(f"{file}:{number}: {error}", param=f"line {number}")
            if on_bad is None:
                raise bad from None
            on_bad(bad)
            continue
        yield asked


def _parsed(line: str) -> Mapping[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = f"no JSON ({error.msg})" if isinstance(error, json.JSONDecodeError) else "no JSON"
        raise InvalidRequestError(f"expected one JSON object a line, got {reason}") from None
    if not isinstance(value, dict):
        raise InvalidRequestError(f"expected a JSON object, got {type(value).__name__}")
    return value


def _asked(line: Mapping[str, Any], number: int, rule_of: Callable[[Sent], CacheRule]) -> Asked:
    body = next(
        (line[key] for key in ("body", "request") if isinstance(line.get(key), dict)), line
    )
    if "messages" not in body:
        raise InvalidRequestError(
            'expected a request such as {"messages": [...]}, or one as "body" or "request"; '
            f"got an object with {len(body)} other fields"
        )
    response = _map(line.get("response"))
    response = _map(response.get("body")) or response
    model, thinking = _model(body)
    form = body.get("response_format")
    sent = Sent(
        messages=_messages(body["messages"]),
        tools=_tools(body.get("tools")),
        response_format=form if isinstance(form, dict) else None,
        thinking=thinking,
        model=model,
        host=str(line.get("host") or line.get("provider") or ""),
        at=_time(line) or _time(body) or _time(response),
    )
    used = usage_in(line) if "usage" in line else usage_in(response)
    usage = None if used is None else parse_usage(used)
    salts = rule_of(sent).salts or _SALTS
    return Asked(
        sent=replace(sent, salt="|".join(str(body[key]) for key in salts if body.get(key))),
        line=number,
        route=_route(line) or _route(body),
        input_tokens=usage.input_tokens if usage else None,
        cache_read_tokens=usage.cache_read_tokens if usage else None,
    )


def _messages(messages: Any) -> tuple[Mapping[str, Any], ...]:
    """The messages; an error says which has no role, and not what it has instead."""
    try:
        return check_messages(messages)
    except InvalidRequestError as error:
        if error.param is None or not error.param.endswith(".role"):
            raise
        raise InvalidRequestError(
            f"{error.param}: expected system, developer, user, assistant or tool",
            param=error.param,
        ) from None


def _model(body: Mapping[str, Any]) -> tuple[str, bool]:
    """The model's name without its mode, and whether it thinks."""
    name = str(body.get("model") or "")
    extra = _map(body.get("extra_body"))
    thinking = name.endswith(":thinking") or name in _SAME_WEIGHTS
    for fields in (body, extra):
        options = _map(fields.get("chat_template_kwargs"))
        if "thinking" in options or "enable_thinking" in options:
            thinking = bool(options.get("thinking", options.get("enable_thinking")))
        mode = fields.get("thinking")
        if isinstance(mode, dict) and "type" in mode:
            thinking = mode["type"] == "enabled"
        reasoning = _map(fields.get("reasoning"))
        if "enabled" in reasoning:
            thinking = bool(reasoning["enabled"])
    return _SAME_WEIGHTS.get(name, name.removesuffix(":thinking")), thinking


def _tools(tools: Any) -> tuple[Mapping[str, Any], ...]:
    if tools is None:
        return ()
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise InvalidRequestError(
            'tools: expected a list such as [{"type": "function", "function": {...}}]'
        )
    return tuple(tools)


def _route(line: Mapping[str, Any]) -> str:
    """The kind of traffic a line names: itself, its tags, or its metadata."""
    if isinstance(line.get("route"), str):
        return str(line["route"])
    for fields in (_map(line.get("tags")), _map(line.get("metadata"))):
        for name in _ROUTES:
            if isinstance(fields.get(name), str):
                return f"{name}={fields[name]}"
    return ""


def _time(line: Mapping[str, Any]) -> datetime | None:
    """When a line says it was sent: ISO, or seconds or milliseconds since 1970."""
    for name in _TIMES:
        value = line.get(name)
        if value is None or isinstance(value, bool):
            continue
        try:
            if isinstance(value, (int, float)):
                seconds = value / 1000 if value > _MILLIS else value
                return datetime.fromtimestamp(seconds, UTC)
            found = datetime.fromisoformat(str(value))
        except (ValueError, OverflowError, OSError):
            raise InvalidRequestError(
                f"{name}: expected an ISO instant or seconds since 1970, got neither"
            ) from None
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    return None


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else _BLANK
