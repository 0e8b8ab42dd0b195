"""What one request costs on this side of the network: deciding, reserving, settling.

Replayed requests through the whole client; the ledger in memory and on disk (WAL, FULL), beside
the physical limit: two committed transactions of one row each on the same disk.
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path

from router import AsyncClient, Client, recorded_prompts

N = 400


def main() -> None:
    prompts = [r.prompt for r in recorded_prompts(source="zeroeval")[:N]]
    with tempfile.TemporaryDirectory() as scratch:
        print(f"{'what':44}{'p50 us':>9}{'p99 us':>9}")
        plain = Client(ledger=":memory:")
        show("plan, no budget", timed(lambda p: plain.plan(ask(p)), prompts))
        memory = Client(ledger=":memory:", budgets="10")
        show("create, replay, ledger in memory", timed(create(memory), prompts))
        disk = Client(ledger=Path(scratch) / "ledger.sqlite3", budgets="10")
        show("create, replay, ledger on disk (FULL)", timed(create(disk), prompts))
        show("limit: two one-row commits (WAL, FULL)", commits(Path(scratch) / "limit.sqlite3"))
        seconds = asyncio.run(concurrent(Path(scratch) / "async.sqlite3", prompts))
        print(f"async, 64 at once, ledger on disk: {N / seconds:,.0f} requests a second")
        if "--profile" in sys.argv:
            profile = cProfile.Profile()
            profile.runcall(timed, create(memory), prompts)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)


def ask(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]


def create(client: Client):
    return lambda prompt: client.chat.completions.create(ask(prompt))


def timed(call, prompts: list[str]) -> list[float]:
    call(prompts[0])  # loads weights and vocabulary
    took = []
    for prompt in prompts:
        began = time.perf_counter()
        call(prompt)
        took.append((time.perf_counter() - began) * 1e6)
    return took


def commits(path: Path) -> list[float]:
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("CREATE TABLE t (x INTEGER)")
    took = []
    for i in range(N):
        began = time.perf_counter()
        for _ in range(2):
            db.execute("INSERT INTO t VALUES (?)", (i,))
        took.append((time.perf_counter() - began) * 1e6)
    db.close()
    return took


async def concurrent(path: Path, prompts: list[str]) -> float:
    async with AsyncClient(ledger=path, budgets="10") as client:
        await client.chat.completions.create(ask(prompts[0]))
        gate = asyncio.Semaphore(64)

        async def one(prompt: str) -> None:
            async with gate:
                await client.chat.completions.create(ask(prompt))

        began = time.perf_counter()
        await asyncio.gather(*(one(p) for p in prompts))
        return time.perf_counter() - began


def show(name: str, took: list[float]) -> None:
    cuts = statistics.quantiles(took, n=100)
    print(f"{name:44}{cuts[49]:>9.0f}{cuts[98]:>9.0f}")


if __name__ == "__main__":
    main()
