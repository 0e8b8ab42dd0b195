"""The tasks of a batch on an event loop; see `batch.py`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from router.batch import Seen
from router.prompts.rule import CacheRule
from router.prompts.warmup import Queue

T = TypeVar("T")


async def run_async(
    queue: Queue,
    answer: Callable[[int], Awaitable[tuple[T, CacheRule | None]]],
    *,
    concurrency: int,
    clock: Callable[[], float],
    seen: Seen | None,
) -> list[T | Exception]:
    """What `answer` returns for each position, or the error that it raised, in tasks.

    Cancelled, it cancels what is under way, and ends when that is settled.
    """
    results: dict[int, T | Exception] = {}
    fatal: list[Exception] = []
    changed = asyncio.Event()

    async def work() -> None:
        nonlocal changed
        while len(queue) and not fatal:
            now = clock()
            at = queue.take(now)
            if at is None:
                until = queue.wakes_at
                with suppress(TimeoutError):
                    async with asyncio.timeout(None if until is None else until - now):
                        await changed.wait()
                continue
            made: T | Exception
            rule, sent = None, True
            try:
                made, rule = await answer(at)
                sent = rule is not None
            except Exception as error:  # noqa: BLE001 - one that fails is not to lose others
                made = error
            results[at] = made
            queue.done(at, clock(), rule, sent=sent)
            changed.set()
            changed = asyncio.Event()
            try:
                if seen is not None and inspect.isawaitable(told := seen(at, made)):
                    await told
            except Exception as error:  # noqa: BLE001 - raised when what is under way has ended
                fatal.append(error)

    tasks = [asyncio.create_task(work()) for _ in range(min(concurrency, len(queue)))]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    if fatal:
        raise fatal[0]
    return [results[at] for at in range(len(results))]
