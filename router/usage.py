"""Every provider's usage JSON -> one `Usage`. The only file that knows their field names."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from router.types import Usage


def parse_usage(raw: Mapping[str, Any] | None) -> Usage | None:
    """Usage of an OpenAI-shaped `usage` object; None when it is absent or half of it is.

    Cache hits are read from DeepSeek's `prompt_cache_hit_tokens` and from
    `prompt_tokens_details.cached_tokens` (both occur, sometimes only one; when they differ, the
    top-level field is the billed one). Reasoning is inside `completion_tokens`.
    """
    if not isinstance(raw, Mapping):
        return None
    if raw.get("prompt_tokens") is None or raw.get("completion_tokens") is None:
        return None
    details = _mapping(raw.get("prompt_tokens_details"))
    output_details = _mapping(raw.get("completion_tokens_details"))
    hit, miss = raw.get("prompt_cache_hit_tokens"), raw.get("prompt_cache_miss_tokens")
    input_tokens = _count(raw["prompt_tokens"])
    if hit is not None and miss is not None:
        input_tokens = max(input_tokens, _count(hit) + _count(miss))
    read = _count(hit if hit is not None else details.get("cached_tokens"))
    read = min(read, input_tokens)
    # vLLM's `created_cache_tokens` are not billed and so are not a cache write here.
    write = min(_count(details.get("cache_write_tokens")), input_tokens - read)
    output_tokens = _count(raw.get("completion_tokens"))
    reasoning = min(_count(output_details.get("reasoning_tokens")), output_tokens)
    return Usage(
        input_tokens=input_tokens,
        cache_read_tokens=read,
        cache_write_tokens=write,
        output_tokens=output_tokens,
        reasoning_tokens=reasoning,
    )


def to_openai(usage: Usage) -> dict[str, Any]:
    """The OpenAI-shaped `usage` object of a `Usage`: what users of that shape expect to read."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(value: Any) -> int:
    # Some servers send floats or null for a count; json reads NaN and Infinity too.
    return max(0, int(value)) if isinstance(value, (int, float)) and isfinite(value) else 0
