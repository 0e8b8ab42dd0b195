"""The OpenAI-compatible wire format, with DeepSeek's and vLLM's differences. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from router.errors import (
    AuthenticationError,
    BadRequestError,
    BadResponseError,
    InsufficientBalanceError,
    ProviderError,
    RateLimitError,
    ServerError,
)
from router.prompts.layout import canonical
from router.prompts.text import message_text
from router.transports.shape import shaped
from router.types import Call, Chunk, Reply
from router.usage import parse_usage, usage_in

_LONGEST_MESSAGE = 300
_AFTER_WORK = frozenset({504, 524})
"""A gateway gave up waiting: the host behind it may have worked, and charged, all the same."""
_TELLING = 24
"""So many characters in common with the prompt are no coincidence."""


def body_of(call: Call) -> dict[str, Any]:
    """The JSON body of a call. What the candidate's mode needs goes before the caller's extras."""
    request, candidate = call.request, call.candidate
    body: dict[str, Any] = {
        "model": candidate.model_id,
        "messages": [dict(m) for m in request.messages],
        "stream": request.stream,
    }
    if request.stream:
        body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = list(request.tools)
        if request.tool_choice is not None:
            body["tool_choice"] = request.tool_choice
    if request.response_format is not None:
        body["response_format"] = dict(request.response_format)
    if call.max_tokens is not None:
        body[candidate.max_tokens_field] = call.max_tokens
    ignored = candidate.ignored_fields
    return (body | {k: v for k, v in request.extra.items() if k not in ignored}) | dict(
        candidate.request_extra
    )


def reply_from(content: bytes, call: Call) -> Reply:
    """The reply in a whole response body; DeepSeek may put blank lines before the JSON.

    Raises:
        BadResponseError: not JSON, or not a chat completion. The call was probably charged.
        ProviderError: an error told with status 200, as gateways do that have begun to answer.
    """
    try:
        raw = json.loads(content)
        if isinstance(raw, dict) and raw.get("error") and not raw.get("choices"):
            raise _told_late(raw, call)
        body = shaped(raw, "message")
        choice = body["choices"][0]
    except (ValueError, LookupError, RecursionError):
        raise BadResponseError(
            "the answer is not a chat completion", candidate=call.candidate.name, billable=True
        ) from None
    return Reply(
        body=body, usage=parse_usage(usage_in(body)), finish_reason=choice.get("finish_reason")
    )


def chunk_from(data: str, call: Call) -> Chunk:
    """The chunk in one SSE data field.

    Raises:
        ProviderError: the host reports an error inside the stream, or sends what is no chunk.
    """
    try:
        body = json.loads(data)
        error = body.get("error") if isinstance(body, dict) else None
        choices = [] if error else shaped(body, "delta")["choices"]
    except (ValueError, RecursionError):
        raise BadResponseError(
            "a piece of the stream is not a chunk of a chat completion",
            candidate=call.candidate.name,
            billable=True,
        ) from None
    if error:
        raise ServerError(
            "the stream broke off: " + _message(body, call),
            candidate=call.candidate.name,
            billable=True,
        )
    delta = choices[0]["delta"] if choices else {}
    # Usage comes with the last choice (DeepSeek) or in a chunk of its own without choices.
    return Chunk(
        body=body,
        text=delta.get("content") or "",
        reasoning=delta.get("reasoning_content") or "",
        usage=parse_usage(usage_in(body)),
        finish_reason=choices[0].get("finish_reason") if choices else None,
    )


def error_from(
    status: int, headers: Mapping[str, str], content: bytes, call: Call, *, now: datetime
) -> ProviderError:
    """The error that an HTTP status of 400 or more stands for."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    return _kind(status)(
        f"HTTP {status}: {_message(body, call)}",
        candidate=call.candidate.name,
        status_code=status,
        retry_after=_retry_after(headers.get("retry-after"), now),
        provider_request_id=headers.get("x-request-id"),
        billable=status in _AFTER_WORK,
    )


def _kind(status: int) -> type[ProviderError]:
    kinds: dict[int, type[ProviderError]] = {
        401: AuthenticationError,
        402: InsufficientBalanceError,
        403: AuthenticationError,
        429: RateLimitError,
    }
    return ServerError if status >= 500 else kinds.get(status, BadRequestError)


def _told_late(body: dict[str, Any], call: Call) -> ProviderError:
    """The error in a body that came with status 200; its code, if it is one, says which."""
    error = body["error"]
    code = error.get("code") if isinstance(error, dict) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    return (_kind(status) if status else ServerError)(
        f"the host answered with an error: {_message(body, call)}",
        candidate=call.candidate.name,
        status_code=status,
        billable=status is None or status in _AFTER_WORK,
    )


def _message(body: Any, call: Call) -> str:
    """The host's own words, as far as they can be shown: they may repeat the prompt."""
    found: Any = None
    if isinstance(body, dict):
        error = body.get("error")  # vLLM: {"error": "Unauthorized"}, {"detail": "Not Found"}
        found = error.get("message") if isinstance(error, dict) else error or body.get("detail")
    if not isinstance(found, str) or not found:
        return "no explanation was given"
    shown = found if len(found) <= _LONGEST_MESSAGE else found[:_LONGEST_MESSAGE] + "..."
    request = call.request
    said = [message_text(m).strip() for m in request.messages]
    said += [canonical(v) for v in (*request.tools, request.response_format) if v]
    if any(_repeats(shown, text) for text in said):
        return "the host's explanation repeats the prompt and is left out"
    return shown


def _repeats(shown: str, text: str) -> bool:
    """Whether `shown` holds a piece of `text`, as it is or escaped as in a repr or JSON."""
    if not text:
        return False
    size = min(_TELLING, len(text))
    forms = (text, repr(text)[1:-1], json.dumps(text)[1:-1])
    return any(shown[i : i + size] in form for form in forms for i in range(len(shown) - size + 1))


def _retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds in a Retry-After header: a number, or an HTTP date."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())
