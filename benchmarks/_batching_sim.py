"""A batch in made-up time: our queue drives calls to a simulated host, many at once."""

from __future__ import annotations

import heapq
import random
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks._prefix_rules import HostCache
from router.prompts.blocks import chain_of
from router.prompts.order import groups, order
from router.prompts.rule import CacheRule
from router.prompts.warmup import Queue

PREFILL = 10_000.0
"""Tokens in a second that a host reads of one prompt."""
ANSWER = 2.0
"""Seconds that an answer takes once the prompt is read."""

Prompt = list[int]


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a batch: tokens in all, read from the cache, and seconds until the last."""

    total: int
    cached: int
    seconds: float

    @property
    def share(self) -> float:
        """Of the input, what was read from the cache."""
        return self.cached / self.total


def tokens(chance: random.Random, many: int) -> Prompt:
    """So many tokens of nothing in particular."""
    return [chance.randrange(100_000) for _ in range(many)]


def bound(prompts: Sequence[Prompt], unit: int) -> float:
    """The share that no order can exceed: 1 - distinct tokens of the tree of blocks / all."""
    distinct: set[int] = set()
    whole = 0
    for prompt in prompts:
        parent = 0
        for start in range(0, len(prompt) // unit * unit, unit):
            parent = hash((parent, *prompt[start : start + unit]))
            distinct.add(parent)
        whole += len(prompt)
    kept = sum(len(p) // unit for p in prompts) - len(distinct)
    return kept * unit / whole


def lined(prompts: Sequence[Prompt], least: int | None) -> Queue:
    """Our queue: ordered, and where `least` is given, with first ones for groups."""
    chains = [chain_of(prompt) for prompt in prompts]
    return Queue(order(chains), groups(chains, least) if least is not None else ())


def play(
    queue: Queue,
    prompts: Sequence[Prompt],
    cache: HostCache,
    rule: CacheRule,
    *,
    lanes: int,
    at_once: bool = False,
) -> Done:
    """Send the queue through `lanes` lanes; `at_once`: what is being computed can be read."""
    now, cached = 0.0, 0
    running: list[tuple[float, int]] = []
    while len(queue) or running:
        while len(running) < lanes and (at := queue.take(now)) is not None:
            hit = cache.read(prompts[at], now)
            cached += hit
            if at_once:
                cache.keep(prompts[at], (), now)
            took = (len(prompts[at]) - hit) / PREFILL + ANSWER
            heapq.heappush(running, (now + took, at))
        woken = queue.wakes_at
        if running and (woken is None or running[0][0] <= woken or len(running) == lanes):
            now, at = heapq.heappop(running)
            if not at_once:
                cache.keep(prompts[at], (), now)
            queue.done(at, now, rule)
        elif woken is not None:
            now = woken
    return Done(sum(map(len, prompts)), cached, now)
