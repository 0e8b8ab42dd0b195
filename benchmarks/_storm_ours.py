"""One process of the storm: threads and event loops that call through centroute's clients.

Reads its settings as JSON from the command line, says "ready", waits for a line on standard
input, and prints what its callers saw as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections import Counter
from typing import Any

import httpx

from benchmarks._ledger_stores import opened
from benchmarks._storm_calls import AT_ONCE, MAX_TOKENS, MODEL, PATIENCE, Wish, loops, wishes
from classifiers.scores import Quantiles, Score
from policies.types import Decision
from router import AsyncClient, Budget, Client
from router.errors import BudgetExceededError, ProviderError
from router.money import to_pico
from router.transports.access import Access
from router.transports.http import HTTPTransport
from router.transports.http_async import AsyncHTTPTransport


class FixedScorer:
    """Answers of some tens of tokens: the storm is about money, not about forecasts."""

    def score(self, _prompt: Any, profiles: Any, **_named: str) -> dict[str, Score]:
        lengths = Quantiles(p10=8, p50=60, p90=110, p99=120, mean=60)
        none = Quantiles(p10=0, p50=0, p90=0, p99=0, mean=0)
        made = Score(0.5, lengths, none, "trained", tokens_basis="route")
        return dict.fromkeys(profiles, made)


def first(quotes: Any, _context: Any) -> Decision:
    """A policy: there is only one candidate."""
    names = tuple(quote.name for quote in quotes)
    return Decision(ranking=names, reason="the only one", rejected={}, policy="first")


def catalog() -> dict[str, Any]:
    """The storm's host, with the prices of `_storm_calls`."""
    served = {"model": MODEL, "host": "storm", "model_id": MODEL}
    return {
        "host": [{"name": "storm"}],
        "model": [{"name": MODEL, "tokenizer": "deepseek-v3"}],
        "endpoint": [served | {"context_tokens": 64_000, "max_output_tokens": 8_000}],
        "rate": [
            {
                "endpoint": f"{MODEL}@storm",
                "input": "0.27",
                "cache_read": "0.027",
                "output": "1.10",
                "source": "benchmarks/_storm_calls.py",
                "checked": "2026-11-22",
            }
        ],
    }


PICO_PER_TOKEN = 300_000
"""What a token of the storm costs on average, a little more than that."""


def budgets(limit: str) -> list[Budget]:
    """A hard limit in dollars and, at about the same number of calls, in tokens; a soft one that
    only watches.
    """
    tokens = to_pico(limit) // PICO_PER_TOKEN
    return [Budget(limit, "total", tokens=tokens), Budget(tokens=10**12, hard=False, name="watch")]


def settings(ledger: Any, url: str, limit: str) -> dict[str, Any]:
    """Settings of a client of the storm."""
    return {
        "catalog": catalog(),
        "hosts": "storm",
        "keys": {"storm": "k"},
        "base_urls": {"storm": url},
        "ledger": ledger,
        "budgets": budgets(limit),
        "scorer": FixedScorer(),
        "policy": first,
    }


def arguments(wish: Wish) -> dict[str, Any]:
    """What `create` is called with."""
    return {
        "model": MODEL,
        "max_tokens": MAX_TOKENS,
        "tags": {"call": wish.id},
        "timeout": PATIENCE if wish.manner == "slow" else 120.0,
    }


def messages(wish: Wish) -> list[dict[str, str]]:
    return [{"role": "user", "content": wish.prompt}]


class Callers:
    """The threads of one process, and what became of their calls."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given
        self.seen: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.ledger = opened(given["ledger"], leased=given["leased"])
        self._access = Access(keys={"storm": "k"}, base_urls={"storm": given["url"]})
        self._made = settings(self.ledger, given["url"], given["limit"])
        # httpx's own limit of 100 connections would make the threads queue before the budget.
        pool = httpx.Client(limits=httpx.Limits(max_connections=None))
        self.client = Client(transport=HTTPTransport(self._access, client=pool), **self._made)

    def note(self, what: str) -> None:
        with self._lock:
            self.seen[what] += 1

    def failed(self, error: BaseException) -> None:
        """Note how a call ended that did not end well."""
        if isinstance(error, BudgetExceededError):
            self.note("refused")
        elif isinstance(error, ProviderError):
            self.note("failed at the provider")
        else:
            self.note(f"error: {type(error).__name__}: {str(error)[:80]}")

    def in_thread(self, thread: int) -> None:
        """All calls of a plain thread."""
        for wish in wishes(self.given["process"], thread, self.given["calls"]):
            try:
                made: Any = self.client.chat.completions.create(
                    messages(wish), stream=wish.stream, **arguments(wish)
                )
                if wish.stream:
                    for i, _ in enumerate(made):
                        if wish.leave is not None and i >= wish.leave:
                            self.note("left")
                            break
                    else:
                        self.note("answered")
                    if wish.leave is None or wish.leave % 2:
                        made.close()
                    del made  # the others are dropped as they are
                else:
                    self.note("answered")
            except Exception as error:  # noqa: BLE001 - each is counted, and shown
                self.failed(error)

    async def in_loop(self, thread: int) -> None:
        """All calls of a thread with an event loop."""
        transport = AsyncHTTPTransport(self._access)
        gate = asyncio.Semaphore(AT_ONCE)
        async with AsyncClient(transport=transport, **self._made) as client:

            async def one(wish: Wish) -> None:
                async with gate:
                    task = asyncio.ensure_future(self._awaited(client, wish))
                    if wish.cancel is not None:
                        await asyncio.wait([task], timeout=wish.cancel)
                        task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
                if task.cancelled():
                    self.note("cancelled")
                elif error := task.exception():
                    self.failed(error)

            found = wishes(self.given["process"], thread, self.given["calls"])
            await asyncio.gather(*(one(wish) for wish in found))

    async def _awaited(self, client: AsyncClient, wish: Wish) -> None:
        made: Any = await client.chat.completions.create(
            messages(wish), stream=wish.stream, **arguments(wish)
        )
        if not wish.stream:
            return self.note("answered")
        async with made:
            i = 0
            async for _ in made:
                if wish.leave is not None and i >= wish.leave:
                    return self.note("left")
                i += 1
        return self.note("answered")

    def run(self) -> None:
        """Start all threads and wait for them."""
        count = self.given["threads"]
        looped = set(loops(count))
        threads = [
            threading.Thread(
                target=(lambda t=t: asyncio.run(self.in_loop(t)))
                if t in looped
                else (lambda t=t: self.in_thread(t))
            )
            for t in range(count)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.client.close()
        self.ledger.close()


def main() -> None:
    callers = Callers(json.loads(sys.argv[1]))
    callers.client._core.services()  # vocabulary and scorer are read before the storm begins
    print("ready", flush=True)
    sys.stdin.readline()
    callers.run()
    print(json.dumps(callers.seen), flush=True)


if __name__ == "__main__":
    main()
