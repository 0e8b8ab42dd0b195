"""The driver for an event loop.

What the ledger has begun it ends: a cancellation is thrown into the flow when that is done, so
that the flow knows what holds.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, Generic, TypeVar

from router import effects
from router._drive import judged, keep, look, notified
from router.effects import Effect
from router.ledgers import Ledger
from router.responses import ResponseCache
from router.streamed import StreamClosed
from router.transports import AsyncSource, AsyncTransport
from router.types import Chunk

T = TypeVar("T")
R = TypeVar("R")
_log = logging.getLogger("router")


class AsyncDrive(Generic[T]):
    """Runs one flow on an event loop; the ledger works in `executor`."""

    result: T

    def __init__(
        self,
        flow: Generator[Effect, Any, T],
        ledger: Ledger,
        transport: AsyncTransport,
        executor: Executor,
        cache: ResponseCache | None = None,
    ) -> None:
        self._flow, self._ledger, self._transport = flow, ledger, transport
        self._executor, self._cache = executor, cache
        self._source: AsyncSource | None = None
        self.done = False

    async def run(self) -> T:
        """Run to the end and return what the flow returns."""
        while not self.done:
            await self.next()
        return self.result

    async def next(self, throw: BaseException | None = None) -> Chunk | None:
        """Run to the next chunk that is handed out; None when there was none, or at the end."""
        step: Callable[[Any], Effect] = self._flow.throw if throw else self._flow.send
        answer: Any = throw
        while True:
            try:
                effect = step(answer)
            except StopIteration as stop:
                self.result, self.done = stop.value, True
                await self._close_source()
                return None
            except BaseException:
                self.done = True
                await self._close_source()
                raise
            if isinstance(effect, effects.Emit):
                return effect.chunk
            try:
                answer = await self._obey(effect)
                step = self._flow.send
            except BaseException as error:  # noqa: BLE001 - the flow decides what it means
                answer, step = error, self._flow.throw

    async def close(self) -> None:
        """End a stream early: it is settled, the connection is let go."""
        if not self.done:
            with suppress(StreamClosed):
                await self.next(throw=StreamClosed())

    async def _obey(self, effect: Effect) -> Any:
        match effect:
            case effects.Send(call):
                return await self._transport.send(call)
            case effects.Open(call):
                await self._close_source()
                self._source = await self._transport.open(call)
                return None
            case effects.Read():
                assert self._source is not None
                return await self._source.read()
            case effects.Sleep(seconds):
                return await asyncio.sleep(seconds)
            case effects.Recall() | effects.Memorize():
                return await asyncio.to_thread(look, self._cache, effect)
            case effects.Notify(listener):
                awaits = inspect.iscoroutinefunction(listener)
                told = notified(effect) if awaits else await asyncio.to_thread(notified, effect)
                return await _heard(told) if inspect.isawaitable(told) else None
            case effects.Verify(verifier):
                # One that does not await may take long (it runs the tests, say): into a thread.
                awaits = inspect.iscoroutinefunction(verifier)
                verdict = judged(effect) if awaits else await asyncio.to_thread(judged, effect)
                return await verdict if inspect.isawaitable(verdict) else verdict
        return await to_its_end(self._executor, keep, self._ledger, effect)

    async def _close_source(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            await source.close()


async def to_its_end(executor: Executor, work: Callable[..., R], *given: Any) -> R:
    """Let `work` run in a thread, to its end even when we are cancelled meanwhile.

    Who is cancelled must know what holds, so the CancelledError is raised when `work` is done:
    from its error, where it failed.
    """
    answer, cancelled = asyncio.wrap_future(executor.submit(work, *given)), None
    while not answer.done():
        try:
            await asyncio.shield(answer)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:  # noqa: BLE001, S110 - raised below
            pass
    if cancelled is not None:
        raise cancelled from None if answer.cancelled() else answer.exception()
    return answer.result()


async def _heard(told: Awaitable[Any]) -> None:
    try:
        await told
    except Exception:  # noqa: BLE001 - a listener is anybody's code
        _log.exception("on_warning failed")
