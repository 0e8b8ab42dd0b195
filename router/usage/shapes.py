"""Where each provider's API keeps its counts: nobody else knows their field names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from router.types import Usage


@dataclass(frozen=True, slots=True)
class Shape:
    """Where an API keeps its counts: fields apart by spaces, the first one found counts.

    A dot goes into an object. `beside`: cached tokens are not in `input`; `apart`: reasoning
    tokens are not in `output`.
    """

    input: str
    output: str
    read: str
    write: str = ""
    write_1h: str = ""
    reasoning: str = ""
    total: str = ""
    beside: bool = False
    apart: bool = False


# DeepSeek's own field is the billed one, Moonshot's `cached_tokens` is in no object, the last ones
# are LiteLLM's proxy. vLLM's `created_cache_tokens` are not billed and so no cache write here.
_OPENAI = Shape(
    "prompt_tokens",
    "completion_tokens",
    "prompt_cache_hit_tokens prompt_tokens_details.cached_tokens cached_tokens "
    "cache_read_input_tokens",
    write="prompt_tokens_details.cache_write_tokens "
    "prompt_tokens_details.cache_creation_input_tokens cache_creation_input_tokens",
    write_1h="prompt_tokens_details.cache_write_1h_tokens",
    reasoning="completion_tokens_details.reasoning_tokens reasoning_tokens",
    total="total_tokens",
)
_RESPONSES = Shape(
    *("input_tokens", "output_tokens", "input_tokens_details.cached_tokens"),
    write="input_tokens_details.cache_write_tokens",
    reasoning="output_tokens_details.reasoning_tokens",
    total="total_tokens",
)
_ANTHROPIC = Shape(
    *("input_tokens", "output_tokens", "cache_read_input_tokens"),
    write="cache_creation_input_tokens",
    write_1h="cache_creation.ephemeral_1h_input_tokens",
    reasoning="output_tokens_details.thinking_tokens",
    beside=True,
)
# AWS, "Prompt caching": `inputTokens` are only those not cached. The total is of no help where a
# stream counts what it wrote twice (openai.gpt-5.6: bifrost pull request 6942).
_BEDROCK = Shape(
    *("inputTokens", "outputTokens", "cacheReadInputTokens"),
    write="cacheWriteInputTokens",
    write_1h="cacheDetails.1h.inputTokens",
    beside=True,
)
GEMINI = Shape(
    *("promptTokenCount", "candidatesTokenCount", "cachedContentTokenCount"),
    reasoning="thoughtsTokenCount",
    total="totalTokenCount",
    apart=True,
)
_OLLAMA = Shape("prompt_eval_count", "eval_count", "prompt_eval_cached_count")
_LLAMA_CPP = Shape("prompt_n", "predicted_n", "cache_n", beside=True)
_PLACES = (
    "usage usageMetadata message.usage response.usage metadata.usage x_groq.usage choices.0.usage"
)
"""Most APIs, Gemini, events of Anthropic and of OpenAI, Bedrock streams, Groq, Moonshot."""
COSTS = {"cost": 1, "estimated_cost": 1, "cost_in_usd_ticks": 10**10}
"""What a host says that it charged, and how many of its units are a dollar (docs.x.ai)."""
MISS = "prompt_cache_miss_tokens"
"""DeepSeek: input that was not read from its cache."""
TOOLS = "toolUsePromptTokenCount"
"""Gemini: what its own tools found, which is input beside the prompt (js-genai docs)."""
MINUTES = "cache_creation.ephemeral_5m_input_tokens"
"""Anthropic: cache writes that are kept for five minutes, beside those for an hour."""


def tells_cache(raw: Any) -> bool:
    """Whether a usage says how much was read from a cache, be it nothing."""
    shapes = (_OPENAI, _RESPONSES, _ANTHROPIC, _BEDROCK, GEMINI, _OLLAMA, _LLAMA_CPP)
    return any(at(raw, path) is not None for shape in shapes for path in shape.read.split())


def usage_in(body: Mapping[str, Any]) -> Any:
    """The usage in a whole answer, a chunk or an event, as it came; None where there is none.

    Ollama's own API tells it in the body itself, llama.cpp in `timings` (its pull request 15827).
    """
    for place in _PLACES.split():
        found = at(body, place)
        if isinstance(found, Mapping) or (found is not None and place == "usage"):
            return found
    if _OLLAMA.output in body:
        return body
    return at(body, "timings") if at(body, "timings.cache_n") is not None else None


def to_openai(usage: Usage) -> dict[str, Any]:
    """The OpenAI-shaped `usage` object of a `Usage`: what users of that shape expect to read."""
    details = {"cached_tokens": usage.cache_read_tokens}
    if usage.cache_write_tokens:
        details["cache_write_tokens"] = usage.cache_write_tokens
    if usage.cache_write_1h_tokens:
        details["cache_write_1h_tokens"] = usage.cache_write_1h_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": details,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def shape_of(raw: Mapping[str, Any]) -> Shape | None:
    """Whose usage this is; None where it has no field of any API that we know."""
    details = isinstance(raw.get("input_tokens_details"), Mapping) or "total_tokens" in raw
    shapes = (_OPENAI, _RESPONSES if details else _ANTHROPIC, _BEDROCK, GEMINI, _OLLAMA)
    for shape in shapes:
        if shape.input in raw or shape.output in raw:
            return shape
    # Without `cache_n` the prompt may be counted with the cached part (Ollama) or without it.
    return _LLAMA_CPP if raw.get("cache_n") is not None else None


def at(raw: Any, path: str) -> Any:
    """What is at a path with dots, or what stands in its way."""
    for key in path.split("."):
        if isinstance(raw, list):  # Bedrock's `cacheDetails` have a row for each time to live
            rows = [row for row in raw if isinstance(row, Mapping)]
            raw = next((r for r in rows if key == "0" or r.get("ttl") == key), None)
        elif isinstance(raw, Mapping):
            raw = raw.get(key)
        else:
            return raw  # null, or what should have been an object
    return raw
