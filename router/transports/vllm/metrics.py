"""What a server says of itself in Prometheus text: vLLM, SGLang and llama.cpp as one value. Pure.

Names as vLLM 0.32.0 and llama.cpp b11549 gave them when recorded (`tests/data/metrics`); SGLang's
as its documentation and llm-d's router read them. Before v1 vLLM called `kv_cache_usage_perc`
`gpu_cache_usage_perc`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_LONGEST = 4_000_000
"""Characters that are read: a server with many adapters tells some 100,000."""
_SAMPLE = re.compile(
    r"^(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?[ \t]+(?P<value>[^ \t]+)"
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
_SAME_START = 1.0
"""Seconds by which one process may tell its start differently."""
_RANKS = frozenset({"tp_rank", "pp_rank", "moe_ep_rank"})
"""Several workers of one engine: the first speaks for all."""
_ENGINES = ("vllm", "sglang", "llamacpp")

_NAMES: dict[str, tuple[str, ...]] = {
    "running": (
        "vllm:num_requests_running",
        "sglang:num_running_reqs",
        "llamacpp:requests_processing",
    ),
    "waiting": (
        "vllm:num_requests_waiting",
        "sglang:num_queue_reqs",
        "llamacpp:requests_deferred",
    ),
    "kv_usage": (
        "vllm:kv_cache_usage_perc",
        "vllm:gpu_cache_usage_perc",
        "sglang:token_usage",
        "llamacpp:kv_cache_usage_ratio",
    ),
    "output_tokens": (
        "vllm:generation_tokens_total",
        "sglang:generation_tokens_total",
        "llamacpp:tokens_predicted_total",
    ),
    "input_tokens": ("vllm:prompt_tokens_total", "sglang:prompt_tokens_total"),
    "cached_tokens": (
        "vllm:prompt_tokens_cached_total",
        "vllm:prefix_cache_hits_total",
        "vllm:gpu_prefix_cache_hits_total",
        "sglang:cached_tokens_total",
        "llamacpp:prompt_tokens_cached_total",
    ),
    # llama.cpp's own count of prompts leaves out what its cache held.
    "computed_tokens": ("llamacpp:prompt_tokens_total",),
    "prefilled_tokens": (
        "vllm:request_prefill_kv_computed_tokens_sum",
        "llamacpp:prompt_tokens_total",
    ),
    "prefill_seconds": (
        "vllm:request_prefill_time_seconds_sum",
        "llamacpp:prompt_seconds_total",
    ),
    "block_tokens": ("sglang:page_size",),
    "blocks": ("sglang:num_pages",),
    "capacity_tokens": ("sglang:max_total_num_tokens",),
    "started_at": ("process_start_time_seconds",),
    "created_at": (
        "vllm:prompt_tokens_created",
        "sglang:prompt_tokens_created",
        "llamacpp:prompt_tokens_created",
    ),
}
_WANTED = frozenset(name for names in _NAMES.values() for name in names)
_CACHES: dict[str, tuple[str, str]] = {
    "vllm:cache_config_info": ("block_size", "num_gpu_blocks"),
    "sglang:cache_config_info": ("page_size", "num_pages"),
}
_LARGEST = frozenset(
    name
    for key in ("kv_usage", "started_at", "created_at", "block_tokens")
    for name in _NAMES[key]
)
"""Of these the largest of several engines counts, of all others the sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """One reading of a server; None is what it does not tell.

    `running` and `waiting` are requests now, `kv_usage` the share (0 to 1) of its key-value cache
    that requests in work hold. Since its start: `input_tokens` with `cached_tokens` among them,
    `output_tokens`, and `prefilled_tokens` computed in `prefill_seconds`. Its prefix cache holds
    `capacity_tokens` in blocks of `block_tokens`, if it `keeps` any. `started_at` is in seconds of
    Unix time.
    """

    engine: str = ""
    running: int | None = None
    waiting: int | None = None
    kv_usage: float | None = None
    input_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int | None = None
    prefilled_tokens: int | None = None
    prefill_seconds: float | None = None
    block_tokens: int | None = None
    capacity_tokens: int | None = None
    keeps: bool | None = None
    started_at: float | None = None


class _Cache(NamedTuple):
    block: int
    blocks: int
    off: bool


def read_metrics(text: str) -> Metrics:
    """The reading in a server's `/metrics`; what is not understood is left out, nothing raises."""
    told: dict[str, float] = {}
    caches: list[_Cache] = []
    engines = set()
    for name, labels, value in _samples(text[:_LONGEST]):
        engines.add(name.partition(":")[0])
        if named := _CACHES.get(name):
            caches.append(_cache(labels, *named))
        elif (number := _number(value)) is not None:
            both = max if name in _LARGEST else sum
            told[name] = both((number, told.get(name, 0.0)))
    engine = next((name for name in _ENGINES if name in engines), "")
    first = {key: next((n for n in names if n in told), None) for key, names in _NAMES.items()}
    return _metrics(engine, {k: told[n] for k, n in first.items() if n is not None}, caches)


def restarted(before: Metrics, after: Metrics) -> bool:
    """Whether another process answers than before: it began later, or its counters fell."""
    if before.started_at and after.started_at:
        return abs(after.started_at - before.started_at) > _SAME_START
    pairs = (
        (before.input_tokens, after.input_tokens),
        (before.output_tokens, after.output_tokens),
    )
    return any(was is not None and (now is None or now < was) for was, now in pairs)


def _metrics(engine: str, found: Mapping[str, float], caches: Sequence[_Cache]) -> Metrics:
    whole = {key: int(value) for key, value in found.items()}
    block = max((c.block for c in caches), default=whole.get("block_tokens", 0))
    capacity = sum(c.block * c.blocks for c in caches) or whole.get("capacity_tokens", 0)
    tokens = whole.get("input_tokens")
    if tokens is None and "computed_tokens" in whole:
        tokens = whole["computed_tokens"] + whole.get("cached_tokens", 0)
    usage = found.get("kv_usage")
    if usage is not None and usage > 1.0:  # some servers tell percent
        usage = min(1.0, usage / 100.0)
    return Metrics(
        engine=engine,
        running=whole.get("running"),
        waiting=whole.get("waiting"),
        kv_usage=usage,
        input_tokens=tokens,
        cached_tokens=whole.get("cached_tokens"),
        output_tokens=whole.get("output_tokens"),
        prefilled_tokens=whole.get("prefilled_tokens"),
        prefill_seconds=found.get("prefill_seconds"),
        block_tokens=block or None,
        capacity_tokens=capacity or block * whole.get("blocks", 0) or None,
        keeps=None if not caches else not any(c.off for c in caches),
        started_at=found.get("started_at") or found.get("created_at"),
    )


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    for line in text.splitlines():
        if not line.startswith((*_ENGINES, "process_start_time")):
            continue
        sample = _SAMPLE.match(line)
        if sample is None:
            continue
        # SGLang from 0.5.4 on may write sglang_ for sglang:.
        name = re.sub(r"^(vllm|sglang|llamacpp)_", r"\1:", sample["name"])
        if name not in _WANTED and name not in _CACHES:
            continue
        labels = dict(_LABEL.findall(sample["labels"] or ""))
        # A series for each priority stands beside the one for all.
        if any(labels.get(rank, "0") != "0" for rank in _RANKS) or labels.get("priority"):
            continue
        yield name, labels, sample["value"]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value < 1e18 else None


def _cache(labels: Mapping[str, str], size: str, count: str) -> _Cache:
    """What an info series tells of a prefix cache; 0 is what it does not."""
    block, blocks = (int(_number(labels.get(name, "")) or 0) for name in (size, count))
    return _Cache(block, blocks, labels.get("enable_prefix_caching") == "False")
