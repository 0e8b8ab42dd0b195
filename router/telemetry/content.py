"""Prompts and answers on spans: only where the environment opted in by `names.CAPTURE`."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from router.telemetry import names
from router.telemetry.observation import Ending
from router.types import Call

if TYPE_CHECKING:
    from opentelemetry.trace import Span

_log = logging.getLogger("router")
_MODES = {
    "": (False, False),
    "NO_CONTENT": (False, False),
    "SPAN_ONLY": (True, False),
    "EVENT_ONLY": (False, True),
    "SPAN_AND_EVENT": (True, True),
}


@dataclass(frozen=True, slots=True)
class Capture:
    """Whether content becomes attributes of the span, or of an event on it.

    Both hold it as JSON text, by the schemas of gen-ai-input-messages.json and
    gen-ai-output-messages.json. The event is one of the span, not a log record, for the logs API
    of opentelemetry-api is not public yet.
    """

    span: bool = False
    event: bool = False

    def asked(self, span: Span, call: Call) -> None:
        """Record what is asked, where it was opted in."""
        if self.span and span.is_recording():
            span.set_attributes(_asked(call))

    def answered(self, span: Span, call: Call, ending: Ending) -> None:
        """Record what was answered, where it was opted in; of a stream its text."""
        if not (self.span or self.event):
            return
        came = _answered(ending)
        if self.span:
            span.set_attributes(came)
        if self.event:
            span.add_event(names.DETAILS, _asked(call) | came)


def capture_of(mode: str | None) -> Capture:
    """What a value of `names.CAPTURE` asks for; nothing, and a warning, where it is not known."""
    wanted = (mode or "").strip().upper()
    if wanted not in _MODES:
        _log.warning("%s: expected one of %s", names.CAPTURE, ", ".join(filter(None, _MODES)))
    return Capture(*_MODES.get(wanted, (False, False)))


def _asked(call: Call) -> dict[str, str]:
    request = call.request
    found = {names.INPUT_MESSAGES: _text([_message(each) for each in request.messages])}
    if request.tools:
        found[names.TOOL_DEFINITIONS] = _text(list(request.tools))
    return found


def _answered(ending: Ending) -> dict[str, str]:
    choices = (ending.response or {}).get("choices") or ()
    said = [choice.get("message") or {} for choice in choices]
    if not said and any(ending.texts):
        said = [{"content": "".join(ending.texts)}]
    if not said:
        return {}
    ended = "error" if ending.failed else "stop"
    reason = {"finish_reason": ending.finish_reason or ended}
    return {names.OUTPUT_MESSAGES: _text([_message(each) | reason for each in said])}


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    parts: list[dict[str, Any]] = []
    if isinstance(content, str) and message.get("role") != "tool":
        parts += [{"type": "text", "content": content}]
    elif message.get("role") == "tool":
        answer = {"id": message.get("tool_call_id"), "response": content}
        parts += [{"type": "tool_call_response", **answer}]
    else:
        parts += [{"type": "text", "content": part["text"]} for part in content or ()]
    for call in message.get("tool_calls") or ():
        called = call.get("function") or {}
        parts.append(
            {
                "type": "tool_call",
                "id": call.get("id"),
                "name": called.get("name"),
                "arguments": called.get("arguments"),
            }
        )
    return {"role": message.get("role") or "assistant", "parts": parts}


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
