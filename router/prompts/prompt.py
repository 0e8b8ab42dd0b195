"""A prompt that only grows: each request begins with all of the one before, so caches hit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from typing import Any, Self, TypeAlias, overload

from router.errors import InvalidRequestError

Content: TypeAlias = str | Sequence[Mapping[str, Any]]
"""Text, or parts as OpenAI knows them."""


class PromptBuilder(Sequence[Mapping[str, Any]]):
    """A conversation to pass as `messages`: what changes least comes first, history is kept.

    `static` is the same in all conversations, `session` in all turns of this one; together they
    are one system message, for many templates refuse a second. `tools` come along with it:
    `create(talk)` sends them, `create(talk.messages)` drops them. What is `volatile` in a turn
    stands at the end of its user message, and stays there. Templates that write tools after the
    system message (DeepSeek-V3.2's) share them among sessions only where session text is part of
    the first user message instead. Not thread-safe.

    >>> from router import PromptBuilder
    >>> talk = PromptBuilder("Be brief.", session="The customer is Ann.")
    >>> talk.user("Where is my order?", volatile="It is 12:30.")
    PromptBuilder(static 9, session 20 characters, no tools, 2 messages)
    >>> talk.assistant("It left on Friday.").user("And when will it be here?")[-1]["content"]
    'And when will it be here?'
    """

    def __init__(
        self,
        static: str = "",
        *,
        session: str = "",
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._static, self._session = _text("static", static), _text("session", session)
        if isinstance(tools, (str, bytes, Mapping)) or not isinstance(tools, Sequence):
            raise _invalid("tools", "a list of tools", tools)
        self._tools = tuple(deepcopy(list(tools)))
        self._pending: tuple[str, ...] = ()
        self._loop = False
        system = _joined(static, session)
        self._messages: list[dict[str, Any]] = (
            [{"role": "system", "content": system}] if system else []
        )

    @property
    def tools(self) -> tuple[Mapping[str, Any], ...]:
        """The tools, fixed from the start: they stand at the head of the prompt."""
        return self._tools

    @property
    def messages(self) -> tuple[dict[str, Any], ...]:
        """The messages so far, as copies; not the tools, so pass the prompt itself to a client."""
        return tuple(deepcopy(self._messages))

    def user(self, content: Content, *, volatile: str = "") -> Self:
        """Add a user message; `volatile` is what holds for this turn alone, such as the time.

        Raises:
            InvalidRequestError: no content, or tool calls without a result.
        """
        late = _text("volatile", volatile)
        if isinstance(content, str):
            whole: Any = _joined(content, late)
        else:
            whole = _parts(content) + ([{"type": "text", "text": late}] if late else [])
        if not whole:
            raise _invalid("content", "text or parts of a message", content)
        self._settled("a user message")
        self._messages.append({"role": "user", "content": whole})
        self._loop = False
        return self

    def assistant(self, reply: Any) -> Self:
        """Add an answer: a completion, its message, or its text.

        Its reasoning is kept in a turn that calls tools, and only there. DeepSeek-V3.2 wants it
        back until the next user message and V4 in all later requests
        (https://api-docs.deepseek.com/guides/thinking_mode); elsewhere it is ignored, or refused.

        Raises:
            InvalidRequestError: no answer in it, nothing was asked, or tool calls lack a result.
        """
        message = _answer(reply)
        self._settled("an answer")
        if not self._messages or self._messages[-1]["role"] not in {"user", "tool"}:
            raise InvalidRequestError(
                "messages: an answer to nothing; expected a user message or a tool result before",
                param="messages",
            )
        calls = message.get("tool_calls") or ()
        self._loop = self._loop or bool(calls)
        if not self._loop:
            message.pop("reasoning_content", None)
            message.pop("reasoning", None)
        self._messages.append(message)
        self._pending = tuple(call["id"] for call in calls)
        return self

    def tool(self, call_id: str, content: Content) -> Self:
        """Add the result of the tool call with this id.

        Raises:
            InvalidRequestError: no call of that id waits for a result.
        """
        if call_id not in self._pending:
            waiting = ", ".join(map(repr, self._pending)) or "none"
            raise InvalidRequestError(
                f"call_id: expected that of a tool call without a result ({waiting}), "
                f"got {_short(call_id)}",
                param="call_id",
            )
        result = content if isinstance(content, str) else _parts(content)
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": result})
        at = self._pending.index(call_id)
        self._pending = self._pending[:at] + self._pending[at + 1 :]
        return self

    def copy(self) -> PromptBuilder:
        """Another that goes on from here: many questions about one beginning, as in a batch."""
        other = copy(self)
        other._messages = list(self._messages)
        return other

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> Mapping[str, Any] | Sequence[Mapping[str, Any]]:
        return deepcopy(self._messages[index])

    def __len__(self) -> int:
        return len(self._messages)

    def __repr__(self) -> str:
        tools = f"{len(self._tools)} tools" if self._tools else "no tools"
        head = f"static {len(self._static)}, session {len(self._session)} characters"
        return f"PromptBuilder({head}, {tools}, {len(self._messages)} messages)"

    def _settled(self, what: str) -> None:
        if self._pending:
            raise InvalidRequestError(
                f"messages: {what} while tool calls have no result; expected "
                f".tool(call_id, ...) for {', '.join(map(repr, self._pending))} before",
                param="messages",
            )


def _answer(reply: Any) -> dict[str, Any]:
    """The message to send back of a completion, a message or a text."""
    found = reply
    if isinstance(choices := getattr(reply, "choices", None), (list, tuple)):
        found = getattr(choices[0], "message", None) if choices else None
    if hasattr(found, "model_dump"):
        found = found.model_dump()
    if isinstance(found, str):
        found = {"content": found}
    if not isinstance(found, Mapping) or found.get("role", "assistant") != "assistant":
        raise _invalid("reply", "a completion, an assistant message or text", reply)
    content, calls = found.get("content"), found.get("tool_calls")
    if not isinstance(content, (str, list, tuple, type(None))):
        raise _invalid("reply", "an answer with content as text or a list of parts", content)
    message: dict[str, Any] = {"role": "assistant", "content": deepcopy(content)}
    if calls:
        message["tool_calls"] = _calls(calls)
    elif content is None:
        message["content"] = ""
    for name in ("reasoning_content", "reasoning"):
        if isinstance(thought := found.get(name), str) and thought:
            message[name] = thought
            break
    return message


def _calls(calls: Any) -> list[dict[str, Any]]:
    plain = isinstance(calls, (list, tuple))
    if not plain or not all(
        isinstance(c, Mapping) and isinstance(c.get("id"), str) for c in calls
    ):
        raise _invalid("reply", "tool_calls as a list of calls, each with an id", calls)
    return [deepcopy(dict(call)) for call in calls]


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, (bytes, Mapping)) or not isinstance(content, Sequence):
        raise _invalid("content", "text or a list of parts", content)
    if not all(isinstance(part, Mapping) for part in content):
        raise _invalid("content", "parts that are dicts", content)
    return [deepcopy(dict(part)) for part in content]


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _invalid(name, "text", value)
    return value


def _joined(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)


def _short(value: Any) -> str:
    return repr(value) if isinstance(value, str) and len(value) <= 64 else type(value).__name__


def _invalid(name: str, expected: str, got: Any) -> InvalidRequestError:
    # What was given may be a prompt: only its kind is told.
    return InvalidRequestError(
        f"{name}: expected {expected}, got {type(got).__name__}", param=name
    )
