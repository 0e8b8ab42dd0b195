"""Every provider's usage JSON -> one `Usage`. The only file that knows their field names.

Read as it is: whole numbers sent as floats, null or missing details, fields we do not know, parts
that are absent (no cache told is no cache).
Repaired, and then `estimated`: a part that is no count is left out, a fraction is rounded up, and
where a host contradicts itself the dearer reading stands.
Refused, None: no known field, an input or output that is missing or no count (negative, a
boolean, text, NaN), more cached tokens than input where no total explains them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal
from math import ceil, inf
from typing import Any

from router.errors import UsageError
from router.money import MAX_PICO, PICO_PER_USD
from router.types import Usage


@dataclass(frozen=True, slots=True)
class _Shape:
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
_OPENAI = _Shape(
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
_RESPONSES = _Shape(
    *("input_tokens", "output_tokens", "input_tokens_details.cached_tokens"),
    write="input_tokens_details.cache_write_tokens",
    reasoning="output_tokens_details.reasoning_tokens",
    total="total_tokens",
)
_ANTHROPIC = _Shape(
    *("input_tokens", "output_tokens", "cache_read_input_tokens"),
    write="cache_creation_input_tokens",
    write_1h="cache_creation.ephemeral_1h_input_tokens",
    reasoning="output_tokens_details.thinking_tokens",
    beside=True,
)
# AWS, "Prompt caching": `inputTokens` are only those not cached. The total is of no help where a
# stream counts what it wrote twice (openai.gpt-5.6: bifrost pull request 6942).
_BEDROCK = _Shape(
    *("inputTokens", "outputTokens", "cacheReadInputTokens"),
    write="cacheWriteInputTokens",
    write_1h="cacheDetails.1h.inputTokens",
    beside=True,
)
_GEMINI = _Shape(
    *("promptTokenCount", "candidatesTokenCount", "cachedContentTokenCount"),
    reasoning="thoughtsTokenCount",
    total="totalTokenCount",
    apart=True,
)
_OLLAMA = _Shape("prompt_eval_count", "eval_count", "prompt_eval_cached_count")
_LLAMA_CPP = _Shape("prompt_n", "predicted_n", "cache_n", beside=True)
_PLACES = (
    "usage usageMetadata message.usage response.usage metadata.usage x_groq.usage choices.0.usage"
)
"""Most APIs, Gemini, events of Anthropic and of OpenAI, Bedrock streams, Groq, Moonshot."""
_COSTS = {"cost": 1, "estimated_cost": 1, "cost_in_usd_ticks": 10**10}
"""What a host says that it charged, and how many of its units are a dollar (docs.x.ai)."""


def tells_cache(raw: Any) -> bool:
    """Whether a usage says how much was read from a cache, be it nothing."""
    shapes = (_OPENAI, _RESPONSES, _ANTHROPIC, _BEDROCK, _GEMINI, _OLLAMA, _LLAMA_CPP)
    return any(_at(raw, path) is not None for shape in shapes for path in shape.read.split())


def usage_in(body: Mapping[str, Any]) -> Any:
    """The usage in a whole answer, a chunk or an event, as it came; None where there is none.

    Ollama's own API tells it in the body itself, llama.cpp in `timings` (its pull request 15827).
    """
    for place in _PLACES.split():
        found = _at(body, place)
        if isinstance(found, Mapping) or (found is not None and place == "usage"):
            return found
    if _OLLAMA.output in body:
        return body
    return _at(body, "timings") if _at(body, "timings.cache_n") is not None else None


def parse_usage(raw: Any, *, strict: bool = False, after: Usage | None = None) -> Usage | None:
    """The usage in a provider's own object; None when there is none that can be believed.

    `after` is what the same stream told before: it completes a count that has no input
    (Anthropic's `message_delta`). What is repaired is `estimated`; see the top of this file.

    Raises:
        UsageError: with `strict`, exactly where None or an estimated usage would be given.
    """
    doubts: list[str] = []
    usage = _read(raw, after, doubts)
    if strict and (usage is None or usage.estimated):
        keys = tuple(str(key)[:40] for key in raw)[:20] if isinstance(raw, Mapping) else ()
        why = "; ".join(dict.fromkeys(doubts)) or "it is of no API that we know"
        why = why if isinstance(raw, Mapping) else "there is none" if raw is None else "no object"
        raise UsageError(
            f"expected a usage that adds up: {why} (fields: {', '.join(keys) or 'none'}); "
            "without strict_usage it is repaired or counted, and marked as estimated",
            keys=keys,
        )
    return usage


def merge_usage(earlier: Usage | None, later: Usage | None) -> Usage | None:
    """What a stream has told so far: counts are cumulative, so the later ones stand.

    Input and output each: a later zero, as in chunks that only fill the field, erases nothing.
    """
    if earlier is None or later is None:
        return later or earlier
    if not later.input_tokens and not later.output_tokens:
        return earlier
    cost = earlier.reported_cost if later.reported_cost is None else later.reported_cost
    if later.input_tokens and later.output_tokens:
        return replace(later, reported_cost=cost)
    told, counted = (later, earlier) if later.input_tokens else (earlier, later)
    return replace(
        told,
        output_tokens=counted.output_tokens,
        reasoning_tokens=counted.reasoning_tokens,
        estimated=earlier.estimated or later.estimated,
        reported_cost=cost,
    )


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


def _shape_of(raw: Mapping[str, Any]) -> _Shape | None:
    details = isinstance(raw.get("input_tokens_details"), Mapping) or "total_tokens" in raw
    shapes = (_OPENAI, _RESPONSES if details else _ANTHROPIC, _BEDROCK, _GEMINI, _OLLAMA)
    for shape in shapes:
        if shape.input in raw or shape.output in raw:
            return shape
    # Without `cache_n` the prompt may be counted with the cached part (Ollama) or without it.
    return _LLAMA_CPP if raw.get("cache_n") is not None else None


def _read(raw: Any, after: Usage | None, doubts: list[str]) -> Usage | None:
    shape = _shape_of(raw) if isinstance(raw, Mapping) else None
    if shape is None:
        return None
    told, output = _part(raw, shape.input, doubts), _part(raw, shape.output, doubts)
    total = _part(raw, shape.total, doubts) or 0
    reasoning = max([_part(raw, path, doubts) or 0 for path in shape.reasoning.split()] or [0])
    if shape is _GEMINI and total and raw.get(shape.output) is None:
        output = 0  # it leaves out what is zero; the total says whether that adds up
    if output is not None and after is not None and raw.get(shape.input) is None:
        thought = min(reasoning, output)
        later = Usage(output_tokens=output, reasoning_tokens=thought, estimated=bool(doubts))
        return merge_usage(after, later)
    if told is None or output is None:
        doubts.append(f"no count of {shape.input if told is None else shape.output}")
        return None
    if shape is _GEMINI:  # what its own tools found is input, beside the prompt (js-genai docs)
        told += _part(raw, "toolUsePromptTokenCount", doubts) or 0
    read = _part(raw, shape.read, doubts)
    if (miss := _part(raw, "prompt_cache_miss_tokens", doubts)) is not None:
        read = max(told - miss, 0) if read is None else read
        if read + miss != told:
            doubts.append("hit and miss are not prompt_tokens")
        told = max(told, read + miss)
    write, hour = _written(raw, shape, doubts)
    added = _added_up(shape, told, (read or 0) + write, output, reasoning, total, doubts)
    return added and Usage(
        input_tokens=added[0],
        cache_read_tokens=read or 0,
        cache_write_tokens=write,
        cache_write_1h_tokens=hour,
        output_tokens=added[1],
        reasoning_tokens=min(reasoning, added[1]),
        estimated=bool(doubts),
        reported_cost=_cost(raw),
    )


def _written(raw: Mapping[str, Any], shape: _Shape, doubts: list[str]) -> tuple[int, int]:
    """Tokens written to the cache, and those of them that are kept for an hour."""
    hour = _part(raw, shape.write_1h, doubts) or 0
    minutes = _part(raw, "cache_creation.ephemeral_5m_input_tokens", doubts)
    split = hour + (minutes or 0)
    write = _part(raw, shape.write, doubts)
    if write is not None and (split > write or (minutes is not None and split != write)):
        doubts.append("cache writes are not the sum of their kinds")
    return max(write or 0, split), hour


def _added_up(
    shape: _Shape,
    told: int,
    cached: int,
    output: int,
    reasoning: int,
    total: int,
    doubts: list[str],
) -> tuple[int, int] | None:
    """Input and output, in the reading that adds up.

    The total is the arbiter. xAI counts reasoning beside the completion (docs.x.ai, vercel/ai
    pull request 12425), so do OpenAI-shaped proxies of Gemini (CLIProxyAPI issue 5733), and
    Gemini itself, but not always (LiteLLM looks at its total, too).
    """
    inside = [told] if cached <= told else []
    within = [output] if reasoning <= output else []
    ways = [told + cached] if shape.beside else [*inside, told + cached]
    ends = [output + reasoning, *within] if shape.apart else [*within, output + reasoning]
    for way in ways:
        for end in ends:
            if total and way + end == total:
                return way, end
    if not shape.beside and not inside:
        doubts.append("more cached tokens than input")
        return None
    if not total:
        doubts += [] if within or shape.apart else ["more reasoning than output"]
        return ways[0], ends[0]
    # A total beyond its parts is mostly reasoning that is not told. MiniMax-M1 was recorded with
    # more reasoning than completion (LRMTokenEconomy): where those add up they are the bill.
    doubts.append(f"the parts do not make {shape.total}")
    return ways[0], max(ends[0] if shape.apart else output, total - ways[0])


def _part(raw: Mapping[str, Any], paths: str, doubts: list[str]) -> int | None:
    """The count in the first of these fields that has one; None where none of them is there."""
    found = []
    for path in paths.split():
        value = _at(raw, path)
        count = _count(value)
        if value is not None and count != value:
            doubts.append(f"{path} is no count")
        if count is not None:
            found.append(count)
    if len(set(found)) > 1:
        doubts.append(f"{' and '.join(paths.split())} differ")
    return found[0] if found else None


def _at(raw: Any, path: str) -> Any:
    for key in path.split("."):
        if isinstance(raw, list):  # Bedrock's `cacheDetails` have a row for each time to live
            rows = [row for row in raw if isinstance(row, Mapping)]
            raw = next((r for r in rows if key == "0" or r.get("ttl") == key), None)
        elif isinstance(raw, Mapping):
            raw = raw.get(key)
        else:
            return raw  # null, or what should have been an object
    return raw


def _count(value: Any) -> int | None:
    # A boolean is no number here; json reads NaN and Infinity, too.
    return ceil(value) if type(value) in {int, float} and 0 <= value < inf else None


def _cost(raw: Mapping[str, Any]) -> int | None:
    for key, units in _COSTS.items():
        value: Any = raw.get(key)
        if type(value) in {int, float} and 0 <= value <= MAX_PICO:
            exact = Decimal(str(value)) * PICO_PER_USD / units
            return int(exact.to_integral_value(ROUND_HALF_EVEN)) if exact <= MAX_PICO else None
    return None
