"""Answers in the formats that DeepSeek's API and vLLM 0.32 were recorded to send."""

from __future__ import annotations

import json
from typing import Any

from wire import Answer

V3_USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 200,
    "total_tokens": 1200,
    "prompt_tokens_details": {"cached_tokens": 896},
    "prompt_cache_hit_tokens": 896,
    "prompt_cache_miss_tokens": 104,
}
"""DeepSeek, not thinking: no completion_tokens_details."""

THINKING_USAGE = V3_USAGE | {"completion_tokens_details": {"reasoning_tokens": 150}}
"""DeepSeek, thinking: reasoning is inside completion_tokens."""

VLLM_USAGE = {
    "prompt_tokens": 37,
    "total_tokens": 45,
    "completion_tokens": 8,
    "prompt_tokens_details": {
        "cached_tokens": 32,
        "created_cache_tokens": 0,
        "multimodal_tokens": None,
    },
    "completion_tokens_details": None,
}
VLLM_PLAIN_USAGE = {"prompt_tokens": 37, "total_tokens": 41, "completion_tokens": 4}
"""vLLM without --enable-prompt-tokens-details."""


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def deepseek(
    text: str = "Hello", *, usage: Any = V3_USAGE, reasoning: str | None = None, **message: Any
) -> Answer:
    """A whole DeepSeek answer: blank keep-alive lines come before the JSON."""
    body = {
        "id": "930c60df-bf64-41c9-a88e-3ec75f81e00e",
        "object": "chat.completion",
        "created": 1733462400,
        "model": "deepseek-chat",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text}
                | ({"reasoning_content": reasoning} if reasoning is not None else {})
                | message,
                "logprobs": None,
                "finish_reason": "tool_calls" if message else "stop",
            }
        ],
        "usage": usage,
        "system_fingerprint": "fp_eaab8d114b_prod0820_fp8_kvcache",
    }
    return Answer((b"\n", b"\n\n", _json(body)), chunked=True)


def vllm(text: str = "Hello", *, usage: Any = VLLM_USAGE, reasoning: str | None = None) -> Answer:
    """A whole vLLM answer, its own fields included."""
    body = {
        "id": "chatcmpl-my-req-1",
        "object": "chat.completion",
        "created": 1795300265,
        "model": "deepseek-ai/DeepSeek-V3.2",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": text,
                    "refusal": None,
                    "annotations": None,
                    "audio": None,
                    "function_call": None,
                    "tool_calls": [],
                    "reasoning": reasoning,
                },
                "logprobs": None,
                "finish_reason": "stop",
                "stop_reason": None,
                "token_ids": None,
                "routed_experts": None,
            }
        ],
        "service_tier": None,
        "system_fingerprint": "vllm-0.32.0-60047d06",
        "usage": usage,
        "prompt_logprobs": None,
        "kv_transfer_params": None,
    }
    return Answer((_json(body),))


def event(delta: Any = None, *, finish: str | None = None, **fields: Any) -> bytes:
    """One SSE event with one choice; no choice at all when there is neither delta nor finish."""
    choices = []
    if delta is not None or finish is not None:
        choices = [{"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}]
    body = {
        "id": "1f633d8b",
        "object": "chat.completion.chunk",
        "created": 1718345013,
        "model": "deepseek-chat",
        "system_fingerprint": "fp_a49d71b8a1",
        "choices": choices,
    }
    return b"data: " + _json(body | fields) + b"\n\n"


DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


def stream(*pieces: bytes | str) -> Answer:
    """These pieces as an event stream."""
    return Answer(pieces, content_type="text/event-stream; charset=utf-8", chunked=True)


def deepseek_stream(*words: str, usage: Any = V3_USAGE, reasoning: tuple[str, ...] = ()) -> Answer:
    """As observed: keep-alive comments, and usage beside finish_reason in the last chunk."""
    return stream(
        KEEP_ALIVE,
        KEEP_ALIVE,
        event({"role": "assistant", "content": ""}),
        *(event({"content": None, "reasoning_content": word}) for word in reasoning),
        *(event({"content": word}) for word in words),
        event({"content": ""}, finish="stop", usage=usage),
        DONE,
    )


def documented_stream(*words: str, usage: Any = V3_USAGE) -> Answer:
    """As documented: `usage: null` on every chunk, then a chunk of usage without choices."""
    return stream(
        event({"role": "assistant", "content": ""}, usage=None),
        *(event({"content": word}, usage=None) for word in words),
        event({"content": ""}, finish="stop", usage=None),
        event(usage=usage),
        DONE,
    )


def vllm_stream(*words: str, usage: Any = VLLM_USAGE, reasoning: tuple[str, ...] = ()) -> Answer:
    """vLLM: reasoning under its own name, tool_calls [], usage without choices."""
    return stream(
        event({"role": "assistant", "content": "", "reasoning_content": None}),
        *(event({"reasoning": word, "tool_calls": []}) for word in reasoning),
        *(event({"content": word, "tool_calls": []}, token_ids=None) for word in words),
        event({"content": "", "tool_calls": []}, finish="stop", stop_reason=None),
        event(usage=usage),
        DONE,
    )


def refusal(status: int, body: Any, **headers: str) -> Answer:
    """An HTTP error with a JSON body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer((_json(body),), status=status, headers=named)


def deepseek_error(
    status: int, message: str, kind: str = "unknown_error", **headers: str
) -> Answer:
    """DeepSeek's error body."""
    code = "invalid_request_error"
    error = {"message": message, "type": kind, "param": None, "code": code}
    return refusal(status, {"error": error}, **headers)


def vllm_models(**models: int | None) -> Answer:
    """vLLM's GET /models: contexts by model id, None where the server does not tell."""
    rows = [
        {"id": model, "object": "model", "owned_by": "vllm", "max_model_len": context}
        for model, context in models.items()
    ]
    return Answer((_json({"object": "list", "data": rows}),))
