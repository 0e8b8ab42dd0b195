"""The prompt text DeepSeek V3.2 reads for an OpenAI-shaped conversation.

Written from the model's published template (`encoding_dsv32.py` beside the weights), whose
fixed strings must be met to the byte. It has no file of rules but its code; where that would
fail or write Python's `None`, this one goes on, because hosts accept such requests:

- content None is empty, in every role;
- an assistant message after the last user message without reasoning gets an empty thought;
- arguments of a call that are no JSON object stand as one parameter, as they are.

An assistant message with `prefix` true, which the model is to continue, is its content alone.

Tools and response format go to the end of a leading system message, or make one. vLLM's server
puts the tools before it (the same count or one token more, in 3,000 comparisons) and leaves the
response format out; whether DeepSeek's own server writes `{"type": "json_object"}` is not
documented, and it is written here.
"""

# DeepSeek's marks are written with U+FF5C and U+2581, on purpose.
# ruff: noqa: RUF001

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from router.errors import InvalidRequestError

_BOS, _EOS = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"
_USER, _ASSISTANT = "<｜User｜>", "<｜Assistant｜>"
_THINK, _THOUGHT = "<think>", "</think>"
_DSML = "｜DSML｜"

_TOOLS = f"""## Tools
You have access to a set of tools you can use to answer the user's question.
You can invoke functions by writing a "<{_DSML}function_calls>" block like the following as \
part of your reply to the user:
<{_DSML}function_calls>
<{_DSML}invoke name="$FUNCTION_NAME">
<{_DSML}parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</{_DSML}parameter>
...
</{_DSML}invoke>
<{_DSML}invoke name="$FUNCTION_NAME2">
...
</{_DSML}invoke>
</{_DSML}function_calls>
String and scalar parameters should be specified as is without any escaping or quotes, while \
lists and objects should use JSON format. The "string" attribute should be set to "true" for \
string type parameters and "false" for other types (numbers, booleans, arrays, objects).
If the thinking_mode is enabled, then after function results you should strongly consider \
outputting a thinking block. Here is an example:
<{_DSML}function_calls>
...
</{_DSML}function_calls>
<function_results>
...
</function_results>
{_THINK}...thinking about results{_THOUGHT}
Here are the functions available in JSONSchema format:
<functions>
"""
_FORMAT = "## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n"
_ROLES = "system, developer, user, assistant or tool"


def render(
    messages: Sequence[Mapping[str, Any]],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    response_format: Mapping[str, Any] | None = None,
    thinking: bool = False,
) -> str:
    """The whole prompt, from BOS to the tag that opens or skips thinking.

    Reasoning is kept only after the last user message, and only in thinking mode.

    Raises:
        InvalidRequestError: messages or tools that the template cannot express; names the
            place, never the text.
    """
    _check(messages)
    settings = _settings(tools, response_format)
    out = [_BOS]
    if messages[0].get("role") != "system":
        out.append(settings)
    last_user = max(
        (i for i, m in enumerate(messages) if m.get("role") in {"user", "developer"}), default=-1
    )
    for index, message in enumerate(messages):
        role = message.get("role")
        content = _text(message.get("content"), index)
        opening = _THINK if thinking and index >= last_user else _THOUGHT
        if role == "system":
            out.append(content + (settings if index == 0 else ""))
        elif role == "user":
            out.append(f"{_USER}{content}{_ASSISTANT}{opening}")
        elif role == "developer":
            asked = f"\n\n# The user's message is: {content}"
            out.append(f"{_USER}{asked}{_ASSISTANT}{opening}")
        elif role == "tool":
            out.append(_result(messages, index, content, opening))
        elif role == "assistant" and message.get("prefix") and not message.get("tool_calls"):
            out.append(content)
        elif role == "assistant":
            thought = ""
            if thinking and index > last_user:
                thought = _reasoning(message, index) + _THOUGHT
            out.append(thought + content + _calls(message, index) + _EOS)
        else:
            raise _invalid(f"messages[{index}]: unknown role; expected {_ROLES}")
    return "".join(out)


def _check(messages: Any) -> None:
    """Refuse what is no list of dicts; the caller's types cannot be trusted here."""
    if isinstance(messages, (str, Mapping)) or not isinstance(messages, Sequence):
        raise _invalid(f"expected a list of messages, got {type(messages).__name__}")
    if not messages:
        raise _invalid("expected at least one message")
    for index, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise _invalid(f"messages[{index}]: expected a dict, got {type(message).__name__}")


def _settings(tools: Any, response_format: Any) -> str:
    """What stands at the end of the system message: the tools block, then the format block."""
    block = ""
    if tools:
        if isinstance(tools, (str, Mapping)) or not isinstance(tools, Sequence):
            raise InvalidRequestError(
                f"expected a list of tools, got {type(tools).__name__}", param="tools"
            )
        schemas = []
        for index, tool in enumerate(tools):
            function = tool.get("function") if isinstance(tool, Mapping) else None
            if not isinstance(function, Mapping):
                raise InvalidRequestError(
                    f'tools[{index}]: expected {{"type": "function", "function": {{...}}}}',
                    param="tools",
                )
            schemas.append(_json(function, "tools"))
        block += "\n\n" + _TOOLS + "\n".join(schemas) + "\n</functions>\n"
    if response_format:
        if not isinstance(response_format, Mapping):
            raise InvalidRequestError(
                'expected a dict such as {"type": "json_object"}, '
                f"got {type(response_format).__name__}",
                param="response_format",
            )
        if response_format.get("type") != "text":  # the default said aloud
            block += "\n\n" + _FORMAT + _json(response_format, "response_format")
    return block


def _result(messages: Sequence[Mapping[str, Any]], index: int, content: str, opening: str) -> str:
    """One tool result; the first opens the block of its turn, the last closes it."""
    caller = index - 1
    while caller >= 0 and messages[caller].get("role") == "tool":
        caller -= 1
    calls = messages[caller].get("tool_calls") if caller >= 0 else None
    order = index - caller
    if not isinstance(calls, Sequence) or len(calls) < order:
        raise _invalid(
            f"messages[{index}]: a tool result answers no call; expected it after an assistant "
            "message with at least as many tool_calls as results follow"
        )
    out = "\n\n<function_results>" if order == 1 else ""
    out += f"\n<result>{content}</result>"
    if order == len(calls):
        out += f"\n</function_results>\n\n{opening}"
    return out


def _calls(message: Mapping[str, Any], index: int) -> str:
    """The calls of an assistant message in DeepSeek's markup, or nothing."""
    calls = message.get("tool_calls")
    if not calls:
        return ""
    if isinstance(calls, (str, Mapping)) or not isinstance(calls, Sequence):
        raise _invalid(f"messages[{index}].tool_calls: expected a list")
    lines = [f"\n\n<{_DSML}function_calls>"]
    for number, call in enumerate(calls):
        function = call.get("function") if isinstance(call, Mapping) else None
        name = function.get("name") if isinstance(function, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(name, str):
            raise _invalid(
                f"messages[{index}].tool_calls[{number}]: expected "
                '{"type": "function", "function": {"name": ..., "arguments": "..."}}'
            )
        lines += [f'<{_DSML}invoke name="{name}">', _parameters(function), f"</{_DSML}invoke>"]
    lines.append(f"</{_DSML}function_calls>")
    return "\n".join(lines)


def _parameters(function: Mapping[str, Any]) -> str:
    """The arguments of a call, one a line: strings as they are, all else as JSON."""
    arguments: Any = function.get("arguments") or {}
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            arguments = {"arguments": arguments}
    if not isinstance(arguments, Mapping):
        arguments = {"arguments": arguments}
    return "\n".join(
        f'<{_DSML}parameter name="{key}" string="{str(isinstance(value, str)).lower()}">'
        f"{value if isinstance(value, str) else _json(value, 'messages')}</{_DSML}parameter>"
        for key, value in arguments.items()
    )


def _reasoning(message: Mapping[str, Any], index: int) -> str:
    """The thought sent back with a message, by vLLM's name or DeepSeek's."""
    reasoning = message.get("reasoning") or message.get("reasoning_content") or ""
    if not isinstance(reasoning, str):
        raise _invalid(f"messages[{index}].reasoning_content: expected a string")
    return reasoning


def _text(content: Any, index: int) -> str:
    """A message's content as text; text parts are joined by line feeds, as vLLM joins them."""
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        raise _invalid(
            f"messages[{index}].content: expected a string, None or a list of text parts, "
            f"got {type(content).__name__}"
        )
    texts = []
    for number, part in enumerate(content):
        text = part.get("text") if isinstance(part, Mapping) else None
        if (
            not isinstance(part, Mapping)
            or part.get("type") != "text"
            or not isinstance(text, str)
        ):
            raise _invalid(
                f"messages[{index}].content[{number}]: only text can be counted; expected "
                '{"type": "text", "text": "..."}'
            )
        texts.append(text)
    return "\n".join(texts)


def _json(value: Any, param: str) -> str:
    """JSON as the template writes it: a space after `,` and `:`, letters unescaped."""
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequestError(
            f"{param}: expected values that JSON can hold (dict, list, str, numbers, bool, None)",
            param=param,
        ) from None


def _invalid(message: str) -> InvalidRequestError:
    return InvalidRequestError(message, param="messages")
