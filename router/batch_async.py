"""The tasks of a batch on an event loop; see `batch.py`."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from router.batch import Seen, told, with_answers
from router.prompts.rule import CacheRule
from router.prompts.warmup import Queue

T = TypeVar("T")
_log = logging.getLogger("router")


async def run_async(
    queue: Queue,
    answer: Callable[[int], Awaitable[tuple[T, CacheRule | None]]],
    *,
    concurrency: int,
    clock: Callable[[], float],
    seen: Seen | None,
) -> list[T | Exception]:
    """What `answer` returns for each position, or the error that it raised, in tasks.

    Cancelled, it cancels what is under way, and ends when that is settled; what it raises then
    has `answers`; see `with_answers`.
    """
    total = len(queue)
    results: dict[int, T | Exception] = {}
    changed = asyncio.Event()

    async def work() -> None:
        nonlocal changed
        while len(queue):
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
            if seen is not None:
                await _told(seen, at, made)

    tasks = [asyncio.create_task(work()) for _ in range(min(concurrency, total))]
    try:
        try:
            await asyncio.gather(*tasks)
        except BaseException:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise
    except BaseException as error:
        with_answers(error, results, total)
        raise
    return [results[at] for at in range(total)]


async def _told(seen: Seen, position: int, made: object) -> None:
    try:
        if inspect.isawaitable(waits := told(seen, position, made)):
            await waits
    except Exception:  # noqa: BLE001 - a listener is anybody's code
        _log.exception("on_answer failed")
