"""One process of the storm through LiteLLM's Router; run by a Python that has LiteLLM.

The budget is its documented one: `provider_budget_config`, and Redis where several processes are
to share it. The Router is made inside a running event loop, as it must be; its awaited calls run
on that loop, the others in threads. Speaks with its parent as `_storm_ours.py` does.
"""

import asyncio
import json
import os
import sys
import threading
from collections import Counter
from importlib.metadata import version

from benchmarks._storm_calls import (
    AT_ONCE,
    CACHED,
    INPUT,
    MAX_TOKENS,
    MODEL,
    OUTPUT,
    PATIENCE,
    Wish,
    loops,
    wishes,
)

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LITELLM_LOG"] = "CRITICAL"
_FLUSH = 3.0
"""Seconds for its callbacks and for its sync with Redis, which it makes once a second."""


def made(given):
    """The Router: one deployment at the storm's prices, nothing that keeps it from being used."""
    import litellm
    from litellm import Router

    litellm.suppress_debug_info = True
    parameters = {
        "model": f"openai/{MODEL}",
        "api_base": given["url"],
        "api_key": "k",
        "input_cost_per_token": INPUT / 1e12,
        "cache_read_input_token_cost": CACHED / 1e12,
        "output_cost_per_token": OUTPUT / 1e12,
    }
    shared = {}
    if given["redis"]:
        host, _, port = given["redis"].rpartition(":")
        shared = {"redis_host": host, "redis_port": int(port)}
    return Router(
        model_list=[{"model_name": MODEL, "litellm_params": parameters}],
        provider_budget_config={
            "openai": {"budget_limit": float(given["limit"]), "time_period": "1d"}
        },
        num_retries=2,
        disable_cooldowns=True,  # the storm's timeouts are no reason to send nothing
        **shared,
    )


def arguments(wish: Wish):
    """What it is called with."""
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": wish.prompt}],
        "max_tokens": MAX_TOKENS,
        "timeout": PATIENCE if wish.manner == "slow" else 120.0,
        "stream": wish.stream,
        "num_retries": 0 if wish.manner == "slow" else 2,
    } | ({"stream_options": {"include_usage": True}} if wish.stream else {})


class Callers:
    """The callers of one process, and what became of their calls."""

    def __init__(self, given, router):
        self.given, self.router = given, router
        self.seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, what):
        with self._lock:
            self.seen[what] += 1

    def failed(self, error):
        self.note("refused" if "budget" in str(error).lower() else "failed at the provider")

    def in_thread(self, thread):
        for wish in wishes(self.given["process"], thread, self.given["calls"]):
            try:
                answer = self.router.completion(**arguments(wish))
                left = False
                if wish.stream:
                    for i, _ in enumerate(answer):
                        if wish.leave is not None and i >= wish.leave:
                            left = True
                            break
                del answer
                self.note("left" if left else "answered")
            except Exception as error:  # noqa: BLE001 - its errors have no common base
                self.failed(error)

    async def in_loop(self, thread):
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(wish):
            async with gate:
                task = asyncio.ensure_future(self._awaited(wish))
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

    async def _awaited(self, wish):
        answer = await self.router.acompletion(**arguments(wish))
        if not wish.stream:
            return self.note("answered")
        i = 0
        async for _ in answer:
            if wish.leave is not None and i >= wish.leave:
                await answer.aclose()
                return self.note("left")
            i += 1
        return self.note("answered")

    async def run(self):
        count = self.given["threads"]
        looped = list(loops(count))
        threads = [
            threading.Thread(target=self.in_thread, args=(t,))
            for t in range(count)
            if t not in looped
        ]
        for thread in threads:
            thread.start()
        await asyncio.gather(*(self.in_loop(t) for t in looped))
        for thread in threads:
            await asyncio.to_thread(thread.join)


async def main():
    given = json.loads(sys.argv[1])
    callers = Callers(given, made(given))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await callers.run()
    await asyncio.sleep(_FLUSH)
    account = await callers.router.router_budget_logger._get_current_provider_spend("openai")
    told = {"seen": callers.seen, "account": account or 0.0, "version": version("litellm")}
    print(json.dumps(told), flush=True)
    os._exit(0)  # it leaves threads and tasks behind


if __name__ == "__main__":
    asyncio.run(main())
