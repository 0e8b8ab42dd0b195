"""The text of an engine as a message: reasoning and tool calls told apart by vLLM's parsers."""

from __future__ import annotations

from typing import Any

from router.transports.vllm.serving import Serving
from router.types import Call


class Parsers:
    """vLLM's parsers for the model that `llm` holds, as its server would use them.

    Where there is none for the model, or it fails, the text is the answer as it is: an answer that
    was generated is never lost.
    """

    def __init__(self, llm: Any, serving: Serving | None) -> None:
        self._llm = llm
        self._serving = serving

    def reads_tools(self, call: Call) -> bool:
        """Whether tool calls in the answer to this call will be looked for."""
        wanted = call.request.tools and call.request.tool_choice != "none"
        return bool(wanted and self._serving and self._serving.tools)

    def message(self, text: str, call: Call) -> tuple[dict[str, Any], bool]:
        """The message that a text is, and whether it calls tools."""
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if self._serving is None:
            return message, False
        if self._serving.reasoning:
            message |= self._reasoning(text, call)
        if self.reads_tools(call):
            message |= self._tools(message["content"] or "", call)
        return message, bool(message.get("tool_calls"))

    def _reasoning(self, text: str, call: Call) -> dict[str, Any]:
        assert self._serving is not None
        try:
            from vllm.reasoning import ReasoningParserManager

            template = {
                **call.request.extra.get("chat_template_kwargs", {}),
                **call.candidate.request_extra.get("chat_template_kwargs", {}),
            }
            found = ReasoningParserManager.get_reasoning_parser(self._serving.reasoning)
            parser = found(self._llm.get_tokenizer(), chat_template_kwargs=template)
            reasoning, content = parser.extract_reasoning(text, _request(call))
        except Exception:  # noqa: BLE001 - see above
            return {}
        return {"content": content, "reasoning_content": reasoning}

    def _tools(self, text: str, call: Call) -> dict[str, Any]:
        assert self._serving is not None
        try:
            from vllm.tool_parsers import ToolParserManager

            request = _request(call)
            found = ToolParserManager.get_tool_parser(self._serving.tools)
            parser = found(self._llm.get_tokenizer(), request.tools)
            parsed = parser.extract_tool_calls(text, request)
            if not parsed.tools_called:
                return {}
            calls = [c.model_dump(include={"id", "type", "function"}) for c in parsed.tool_calls]
        except Exception:  # noqa: BLE001 - see above
            return {}
        return {"content": parsed.content, "tool_calls": calls}


def _request(call: Call) -> Any:
    """The request as vLLM's parsers take it."""
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest

    return ChatCompletionRequest.model_validate(
        {
            "model": call.candidate.model_id,
            "messages": [dict(m) for m in call.request.messages],
            "tools": list(call.request.tools) or None,
        }
    )
