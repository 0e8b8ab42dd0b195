"""A call as the arguments of `vllm.LLM.chat`: messages, sampling, tools, structured output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router.transports import openai
from router.types import Call

_SAMPLING = frozenset(
    (
        "bad_words",
        "frequency_penalty",
        "ignore_eos",
        "include_stop_str_in_output",
        "logit_bias",
        "min_p",
        "min_tokens",
        "presence_penalty",
        "repetition_penalty",
        "seed",
        "skip_special_tokens",
        "stop",
        "stop_token_ids",
        "temperature",
        "thinking_token_budget",
        "top_k",
        "top_p",
    )
)
_WITHOUT_EFFECT = frozenset(
    (
        "metadata",
        "parallel_tool_calls",
        "prompt_cache_key",
        "return_token_ids",
        "safety_identifier",
        "service_tier",
        "store",
        "top_logprobs",
        "user",
        "user_id",
        "verbosity",
    )
)
"""Accepted and without effect, as vLLM's own server does with fields that it does not know."""


def arguments_of(
    call: Call, defaults: Mapping[str, Any] | None = None, *, raw: bool = False
) -> dict[str, Any]:
    """The arguments of `LLM.chat` for a call; `defaults` are the model's own for sampling.

    `raw` keeps special tokens in the text, for a parser of tool calls to see.

    Raises:
        TypeError, ValueError: a field that an engine in this process cannot honour.
    """
    body = openai.body_of(call)
    fields: Mapping[str, Any] = {
        k: v
        for k, v in body.items()
        if k not in _WITHOUT_EFFECT
        and k not in {"model", "messages", "stream", "stream_options", "tools"}
    }
    sampling = {k: v for k, v in fields.items() if k in _SAMPLING}
    rest = {k: v for k, v in fields.items() if k not in _SAMPLING}
    template = rest.pop("chat_template_kwargs", None)
    choice = rest.pop("tool_choice", "auto")
    if not (choice is None or choice in ("auto", "none")):
        raise ValueError("an engine in this process takes tool_choice 'auto' or 'none' only")
    limit = rest.pop(call.candidate.max_tokens_field, None)
    structured = _structured(rest)
    if rest.pop("logprobs", None):
        raise ValueError("an engine in this process gives no logprobs")
    if rest:
        raise ValueError(f"an engine in this process does not take {', '.join(sorted(rest))}")
    return {
        "messages": body["messages"],
        "sampling_params": _sampling_params(
            {**(defaults or {}), "skip_special_tokens": not raw, **sampling, "max_tokens": limit},
            structured,
        ),
        "tools": body.get("tools") if choice != "none" else None,
        "chat_template_kwargs": template,
    }


def _structured(rest: dict[str, Any]) -> dict[str, Any] | None:
    """What the answer must look like, in vLLM's words; takes it out of `rest`."""
    wanted: dict[str, Any] | None = rest.pop("structured_outputs", None)
    for kind in ("json", "regex", "choice", "grammar"):
        if (guide := rest.pop(f"guided_{kind}", None)) is not None:
            wanted = {kind: guide}
    asked: Mapping[str, Any] = rest.pop("response_format", None) or {}
    if asked.get("type") == "json_schema":
        wanted = {"json": asked["json_schema"]["schema"]}
    elif asked.get("type") == "json_object":
        wanted = {"json_object": True}
    return wanted


def _sampling_params(fields: dict[str, Any], structured: dict[str, Any] | None) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    if structured is not None:
        fields = fields | {"structured_outputs": StructuredOutputsParams(**structured)}
    return SamplingParams.from_optional(**fields)
