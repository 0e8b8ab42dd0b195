"""What the order of a batch is worth, and what a first request before the others saves.

`python -m benchmarks.batching [fanout] [order] [tables] [speed]`, and on a real vLLM with a small
cache `live --vllm VENV --model DIR`. Hosts' caches are those of `_prefix_rules`, which are written
from what is published and share nothing with the library; time is made up.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks._batching_sim import Prompt, bound, lined, play, tokens
from benchmarks._batching_tables import WAYS, shared, tables
from benchmarks._prefix_rules import BlockPool, HostCache, Units64, WholeUnits
from benchmarks._tables import Tables, run
from router.prompts.blocks import chain_of
from router.prompts.order import groups, order
from router.prompts.rule import CacheRule
from router.prompts.table import reorder
from router.prompts.warmup import Queue, at_once

V3 = CacheRule(unit_tokens=64, min_tokens=64, builds_seconds=5.0)
V4 = CacheRule(unit_tokens=128, min_tokens=128, builds_seconds=5.0, match="units")
WRITES = CacheRule(unit_tokens=1, min_tokens=512, builds_seconds=1.0, writes=True)
VLLM = CacheRule(unit_tokens=16, recomputes_tokens=1, holds_output=True)
# A host's cache, its rule, and its prices of input that is cached or (written and) not cached, of
# the plain input price.
HOSTS: dict[str, tuple[Callable[[], HostCache], CacheRule, float, float]] = {
    "writes at 1.25, reads at 0.1": (lambda: Units64(1.0, 300.0, 1, 512), WRITES, 0.1, 1.25),
    "DeepSeek V3.2 (0.1)": (Units64, V3, 0.1, 1.0),
    "DeepSeek V4.1 (0.02)": (WholeUnits, V4, 0.02, 1.0),
    "one vLLM": (BlockPool, VLLM, 0.0, 1.0),
}


def fanout(many: int, prefix: int = 8192, tail: int = 64) -> list[dict[str, object]]:
    """So many questions about one beginning: all at once, and as `client.batch` sends them."""
    rows: list[dict[str, object]] = []
    for name, (cache, rule, read, write) in HOSTS.items():
        chance = random.Random(many)
        head = tokens(chance, prefix)
        prompts = [head + tokens(chance, tail) for _ in range(many)]
        row: dict[str, object] = {"host": name, "requests": many}
        for title in ("cold", "warmed"):
            wait = title == "warmed" and not at_once(rule)
            queue = lined(prompts, 256) if wait else Queue(range(many))
            done = play(queue, prompts, cache(), rule, lanes=64, at_once=at_once(rule))
            cost = (done.total - done.cached) * write + done.cached * read
            row[f"{title}: cost in prompts"] = cost / (prefix + tail)
            row[f"{title}: s"] = done.seconds
        rows.append(row)
    return rows


def batches() -> dict[str, list[Prompt]]:
    """Batches by name, in the order in which they happen to come."""
    chance = random.Random(3)
    system = tokens(chance, 400)
    found: dict[str, list[Prompt]] = {}
    documents = [tokens(chance, chance.randint(800, 2400)) for _ in range(40)]
    found["15 questions on each of 40 documents"] = [
        system + document + tokens(chance, 60) for document in documents for _ in range(15)
    ]
    popular = [documents[min(int(chance.paretovariate(0.8)), 40) - 1] for _ in range(600)]
    found["600 questions, few documents popular"] = [
        system + document + tokens(chance, 60) for document in popular
    ]
    tenants = [tokens(chance, 900) for _ in range(12)]
    found["12 tenants, 6 documents each, 8 questions"] = [
        system + tenant + document + tokens(chance, 60)
        for tenant in tenants
        for document in [tokens(chance, 700) for _ in range(6)]
        for _ in range(8)
    ]
    talks: list[Prompt] = []
    for _ in range(40):
        talk = system + tokens(chance, 200)
        for _ in range(8):
            talk = talk + tokens(chance, 150)
            talks.append(talk)
    found["every turn of 40 conversations"] = talks
    for prompts in found.values():
        chance.shuffle(prompts)
    return found


def ordering(capacity: int, lanes: int) -> list[dict[str, object]]:
    """Cached share of the input on one vLLM with room for so many tokens."""
    rows: list[dict[str, object]] = []
    for name, prompts in batches().items():
        row: dict[str, object] = {"batch": name, "room": capacity, "at once": lanes}
        by_text = sorted(range(len(prompts)), key=prompts.__getitem__)
        for title, queue in (
            ("as it comes", Queue(range(len(prompts)))),
            ("sorted", Queue(by_text)),
            ("ours", lined(prompts, None)),
        ):
            cache = BlockPool(16, capacity // 16)
            done = play(queue, prompts, cache, VLLM, lanes=lanes, at_once=True)
            row[title] = done.share
        row["no order can exceed"] = best = bound(prompts, 16)
        row["ours, % of that"] = 100 * float(str(row["ours"])) / best
        rows.append(row)
    return rows


def fields() -> list[dict[str, object]]:
    """Share of a table's text that each row has in common with the row before."""
    return [
        {"table": name} | {title: shared(rows, way(rows)) for title, way in WAYS.items()}
        for name, rows in tables()
    ]


def speed() -> list[dict[str, object]]:
    """Milliseconds, in all, for batches of 2,000 tokens a prompt."""
    rows: list[dict[str, object]] = []
    chance = np.random.default_rng(1)
    for many in (100, 1_000, 10_000):
        heads = [chance.integers(0, 99_999, 1900) for _ in range(20)]
        prompts = [
            np.concatenate([heads[chance.integers(20)], chance.integers(0, 99_999, 100)])
            for _ in range(many)
        ]
        began = time.perf_counter()
        chains = [chain_of(prompt) for prompt in prompts]
        hashed = time.perf_counter()
        line, found = order(chains), groups(chains, 256)
        ordered = time.perf_counter()
        queue, running = Queue(line, found), []
        while len(queue) or running:
            while len(running) < 8 and (at := queue.take(0.0)) is not None:
                running.append(at)
            queue.done(running.pop(0), 0.0, WRITES_NOW)
        queued = time.perf_counter()
        table = [{"a": f"{i % 50}" * 40, "b": str(i % 7), "c": str(i)} for i in range(many)]
        began_table = time.perf_counter()
        reorder(table)
        rows.append(
            {
                "prompts": many,
                "hash": 1e3 * (hashed - began),
                "order and groups": 1e3 * (ordered - hashed),
                "queue": 1e3 * (queued - ordered),
                "table of 3 fields": 1e3 * (time.perf_counter() - began_table),
            }
        )
    return rows


WRITES_NOW = CacheRule(writes=True)


def task(name: str, options: argparse.Namespace) -> Tables:
    """The tables of one task."""
    if name == "fanout":
        return {"Fan-out": [row for many in (10, 50) for row in fanout(many)]}
    if name == "order":
        rooms = [row for room in (8_192, 32_768) for row in ordering(room, 4)]
        return {"Order, one vLLM": rooms}
    if name == "tables":
        return {"Rows and fields": fields()}
    if name == "speed":
        return {"Milliseconds": speed()}
    from benchmarks._batching_live import live

    return {"A real vLLM": live(options.url, options.vllm, options.model, options.blocks)}


def main() -> None:
    """Run the tasks named on the command line; all that need no server if none is."""
    tasks = ["fanout", "order", "tables", "speed"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tasks", nargs="*", choices=[*tasks, "live", []])
    parser.add_argument("--url", help="of a vLLM that runs, such as http://localhost:8000/v1")
    parser.add_argument("--vllm", type=Path, help="a virtual environment with vLLM to start")
    parser.add_argument("--model", type=Path, help="the model that it is to serve")
    parser.add_argument("--blocks", type=int, default=160, help="of 32 tokens, of its cache")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    run(options.tasks or tasks, lambda name: task(name, options), options.out)


if __name__ == "__main__":
    main()
