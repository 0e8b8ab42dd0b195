"""What knowing the caches costs a request, in microseconds, and the index in memory.

    python -m benchmarks.prefix_speed [--out FILE]

A conversation of 1,000, 10,000 and 100,000 tokens: its first request, of which nothing was seen
before (`new`), and a later one that adds a turn of some 150 tokens to it (`grown`). Medians.
Counting tokens is there without caches, too: it is in the list because blocks are made of what it
counts.

Memory is that of the index alone with a million blocks of 16 tokens, by `tracemalloc`.
"""

from __future__ import annotations

import argparse
import gc
import random
import secrets
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks._prefix_text import paragraph, tool
from benchmarks._tables import run
from router.prompts.blocks import BLOCK, WIDTH, Chain, chain_of
from router.prompts.layout import arrange
from router.prompts.prefix import PrefixIndex
from router.prompts.rule import CacheRule
from router.tokens import encode_messages

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SIZES = (1_000, 10_000, 100_000)
RULE = CacheRule(unit_tokens=16, holds_output=True, recomputes_tokens=1)
PLACE = "model@host"
MILLION = 1_000_000
TOOLS = [tool(random.Random(name), f"look_up_{name}") for name in "dcba"]
Messages = list[dict[str, Any]]


def turn(rng: random.Random) -> Messages:
    """A question and its answer, some 150 tokens."""
    return [
        {"role": "user", "content": paragraph(rng, 2)},
        {"role": "assistant", "content": paragraph(rng, 6)},
    ]


def conversation(rng: random.Random, tokens: int) -> Messages:
    """A conversation of about so many tokens with its tools; half of it is the system message."""
    said = tokens - 650
    messages: Messages = [{"role": "system", "content": paragraph(rng, said // 35)}]
    while len(messages) < said // 150:
        messages += turn(rng)
    return [*messages, turn(rng)[0]]


class Watch:
    """Times of the steps of a request, by name."""

    def __init__(self) -> None:
        self.took: dict[str, list[float]] = {}

    def __call__(self, name: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        found = work()
        self.took.setdefault(name, []).append(1e6 * (time.perf_counter() - began))
        return found

    def medians(self) -> dict[str, float]:
        return {name: statistics.median(took) for name, took in self.took.items()}


def request(index: PrefixIndex, messages: Messages, watch: Watch, now: datetime) -> int:
    """What is done of a request before its call and after it; returns its tokens."""
    layout = watch("plan", lambda: arrange(messages, TOOLS))
    ids = watch("count", lambda: encode_messages(layout.messages, tools=layout.tools))
    chain = watch("blocks", lambda: chain_of(ids))
    seen = watch("expect", lambda: index.look(PLACE, RULE, chain, now))
    watch("send", lambda: index.sent(PLACE, RULE, chain, now))
    watch(
        "correct",
        lambda: index.answered(
            PLACE,
            RULE,
            chain,
            now,
            input_tokens=chain.tokens,
            cache_read_tokens=seen.tokens,
            expected=seen,
        ),
    )
    return chain.tokens


def speeds() -> Iterator[dict[str, object]]:
    """A row for each size, new and grown."""
    for size in SIZES:
        rng, index, now = random.Random(size), PrefixIndex(), NOW
        request(index, conversation(rng, 1000), Watch(), now)  # the vocabulary is read once
        new, grown, counted = Watch(), Watch(), []
        for _ in range(max(5, 100_000 // size)):
            messages = conversation(rng, size)
            counted.append(request(index, messages, new, now))
            for _ in range(4):
                now += timedelta(seconds=10)
                messages += [turn(rng)[1], turn(rng)[0]]
                request(index, messages, grown, now)
        for name, watch in (("new", new), ("grown", grown)):
            parts = watch.medians()
            whole = sum(v for k, v in parts.items() if k != "count")
            found = {k: f"{v:,.0f}" for k, v in (parts | {"all but counting": whole}).items()}
            yield {"tokens": f"{statistics.median(counted):,.0f}", "request": name, **found}


def memories() -> Iterator[dict[str, object]]:
    """A row for each shape of what a million blocks are made of."""
    shapes = {
        "conversations of 12 turns, 20 blocks each, one head of 100": _talks,
        "prompts of 60 blocks with nothing in common": lambda: _alone(60),
        "prompts of 6,000 blocks with nothing in common": lambda: _alone(6000),
    }
    for name, chains in shapes.items():
        gc.collect()
        tracemalloc.start()
        index, prompts, now = PrefixIndex(1 << 34), 0, NOW
        for chain in chains():
            now += timedelta(seconds=1)
            index.answered(
                PLACE, RULE, chain, now, input_tokens=chain.tokens, cache_read_tokens=None
            )
            prompts += 1
            if index.blocks >= 0.985 * MILLION:
                break
        gc.collect()
        held = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        yield {
            "a million blocks of": name,
            "prompts": f"{prompts:,}",
            "blocks": f"{index.blocks:,}",
            "MB": f"{held / 1e6:.1f}",
            "bytes a block": f"{held / index.blocks:.1f}",
        }


def _talks() -> Iterator[Chain]:
    head = secrets.token_bytes(100 * WIDTH)
    while True:
        hashes = head
        for _ in range(12):
            hashes += secrets.token_bytes(20 * WIDTH)
            yield Chain(hashes, len(hashes) // WIDTH * BLOCK)


def _alone(blocks: int) -> Iterator[Chain]:
    while True:
        yield Chain(secrets.token_bytes(blocks * WIDTH), blocks * BLOCK)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.prefix_speed", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--out", type=Path, help="append the tables to this file")
    given = parser.parse_args()
    tasks = {"microseconds of a request": speeds, "memory of the index": memories}
    run(tasks, lambda name: {name: list(tasks[name]())}, given.out)


if __name__ == "__main__":
    main()
