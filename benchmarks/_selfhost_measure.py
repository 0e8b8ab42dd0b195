"""Throughput of a running server: requests in flight -> tokens a second, and what tokens weigh."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

_WORDS = ("time", "year", "way", "day", "man", "world", "life", "hand", "part", "child", "eye")


@dataclass(frozen=True)
class Shape:
    """A kind of request: about so many words in, so many tokens out; or one prompt for all."""

    words: int
    output: int
    shared: bool = False


@dataclass(frozen=True)
class Level:
    """What a level of load came to: requests in flight (mean), and tokens a second."""

    workers: int
    in_flight: float
    input: float
    cached: float
    output: float
    requests: float

    @property
    def seconds(self) -> float:
        """Seconds of the whole server for one request."""
        return 1 / self.requests


class Server:
    """An OpenAI-compatible server that is asked from many threads."""

    def __init__(self, url: str, model: str | None, key: str | None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        limits = httpx.Limits(max_connections=512)
        self._http = httpx.Client(base_url=url, headers=headers, timeout=600, limits=limits)
        self.model = model or self._http.get("/models").json()["data"][0]["id"]
        self._chance = random.Random(7)
        self._lock = threading.Lock()

    def level(self, workers: int, shape: Shape, requests: int) -> Level:
        """Keep `workers` requests in flight until `requests` of each were answered."""
        done: list[tuple[float, dict[str, int]]] = []

        def work(prompts: Iterator[str]) -> None:
            for prompt in prompts:
                began = time.perf_counter()
                usage = self._ask(prompt, shape.output)
                done.append((time.perf_counter() - began, usage))

        prompts = [[self._prompt(shape) for _ in range(requests)] for _ in range(workers)]
        began = time.perf_counter()
        with ThreadPoolExecutor(workers) as pool:
            for result in [pool.submit(work, iter(mine)) for mine in prompts]:
                result.result()
        wall = time.perf_counter() - began
        total = {k: sum(usage[k] for _, usage in done) for k in ("input", "cached", "output")}
        return Level(
            workers=workers,
            in_flight=sum(seconds for seconds, _ in done) / wall,
            input=total["input"] / wall,
            cached=total["cached"] / wall,
            output=total["output"] / wall,
            requests=len(done) / wall,
        )

    def _prompt(self, shape: Shape) -> str:
        with self._lock:
            chance = random.Random(shape.words) if shape.shared else self._chance
            return " ".join(chance.choice(_WORDS) for _ in range(shape.words))

    def _ask(self, prompt: str, output: int) -> dict[str, int]:
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": output,
            "ignore_eos": True,
            "temperature": 0,
        }
        reply = self._http.post("/chat/completions", json=body)
        reply.raise_for_status()
        usage = reply.json()["usage"]
        details = usage.get("prompt_tokens_details") or {}
        return {
            "input": usage["prompt_tokens"],
            "cached": details.get("cached_tokens") or 0,
            "output": usage["completion_tokens"],
        }


@dataclass(frozen=True)
class Weights:
    """Seconds of the server for a token of each kind, and for a request beside its tokens."""

    input: float
    cached: float
    output: float
    request: float


def sweep(server: Server, levels: Sequence[int], shape: Shape, requests: int) -> dict[int, Level]:
    """Each level three times, in turn, so that a noisy minute spoils one round; the median."""
    found: dict[int, list[Level]] = {}
    for _ in range(3):
        for workers in sorted(levels):
            found.setdefault(workers, []).append(server.level(workers, shape, requests))
    return {n: sorted(rounds, key=lambda each: each.requests)[1] for n, rounds in found.items()}


def weights(server: Server, workers: int, words: int) -> Weights:
    """By requests that are nearly empty, long, long and cached (few at a time, for reading takes
    all of a server), and by long answers at full load.
    """
    few, many = min(workers, 4), 6
    empty = sweep(server, [few], Shape(2, 1), many)[few]
    server.level(1, Shape(words, 1, shared=True), 1)  # fills the cache
    fresh = sweep(server, [few], Shape(words, 1), 3)[few]
    again = sweep(server, [few], Shape(words, 1, shared=True), many)[few]
    brief = sweep(server, [workers], Shape(2, 1), many)[workers]
    written = sweep(server, [workers], Shape(2, 64), many)[workers]

    def each(level: Level, base: Level, count: Callable[[Level], float]) -> float:
        grown = count(level) * level.seconds - count(base) * base.seconds
        return (level.seconds - base.seconds) / grown

    by_input = each(fresh, empty, lambda level: level.input)
    cached = again.cached * again.seconds
    rest = max((again.input - again.cached) * again.seconds - empty.input * empty.seconds, 0.0)
    by_cached = again.seconds - empty.seconds - rest * by_input
    return Weights(
        input=by_input,
        cached=max(by_cached, 0.0) / cached if cached else by_input,
        output=each(written, brief, lambda level: level.output),
        request=empty.seconds,
    )
