"""The synchronous driver: it obeys a flow's effects.

Whatever interrupts an effect is thrown into the flow, which settles what is open and lets it
pass. `_drive_async.py` does the same on an event loop.
"""

from __future__ import annotations

import inspect
import logging
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Generic, TypeVar

from router import effects
from router.effects import Effect
from router.errors import ConfigError
from router.ledgers import Ledger
from router.responses import ResponseCache
from router.streamed import StreamClosed
from router.transports import Source, Transport
from router.types import Chunk

T = TypeVar("T")
_log = logging.getLogger("router")


def keep(ledger: Ledger, effect: Effect) -> Any:
    """Obey one of the effects that are for the ledger."""
    match effect:
        case effects.Balances(holds):
            return ledger.balances(holds)
        case effects.Reserve(reservation):
            return ledger.reserve(reservation)
        case effects.Settle(reservation_id, settlement):
            return ledger.settle(reservation_id, settlement)
        case effects.Release(reservation_id, at, outcome):
            return ledger.release(reservation_id, at=at, outcome=outcome)
        case effects.Post(reservation, settlement):
            return ledger.post(reservation, settlement)
        case effects.Warned(key, window_start, share):
            return ledger.warned(key, window_start, share)
        case effects.Graded(grades):
            return ledger.grade(grades)
    raise TypeError(f"not a ledger effect: {effect!r}")


def look(cache: ResponseCache | None, effect: Effect) -> Any:
    """Obey one of the effects that are for the response cache."""
    assert cache is not None
    match effect:
        case effects.Recall(key):
            return cache.get(key)
        case effects.Memorize(key, reply):
            return cache.put(key, reply)
    raise TypeError(f"not an effect of the cache: {effect!r}")


def notified(effect: effects.Notify) -> Any:
    """What the listener returns; its errors are logged, for they must not cost an answer."""
    try:
        return effect.listener(effect.warning)
    except Exception:  # noqa: BLE001 - a listener is anybody's code
        _log.exception("on_warning failed")
        return None


def judged(effect: effects.Verify) -> Any:
    """What the verifier says of the answer, or what is to be awaited for it."""
    from router.completion import completion_from

    return effect.verifier(completion_from(effect.reply, effect.route))


class Drive(Generic[T]):
    """Runs one flow synchronously; `result` is what it returned."""

    result: T

    def __init__(
        self,
        flow: Generator[Effect, Any, T],
        ledger: Ledger,
        transport: Transport,
        sleep: Callable[[float], None] = time.sleep,
        cache: ResponseCache | None = None,
    ) -> None:
        self._flow, self._ledger, self._transport, self._sleep = flow, ledger, transport, sleep
        self._cache = cache
        self._source: Source | None = None
        self.done = False

    def run(self) -> T:
        """Run to the end and return what the flow returns."""
        while not self.done:
            self.next()
        return self.result

    def next(self, throw: BaseException | None = None) -> Chunk | None:
        """Run to the next chunk that is handed out; None when there was none, or at the end."""
        step: Callable[[Any], Effect] = self._flow.throw if throw else self._flow.send
        answer: Any = throw
        while True:
            try:
                effect = step(answer)
            except StopIteration as stop:
                self.result, self.done = stop.value, True
                self._close_source()
                return None
            except BaseException:
                self.done = True
                self._close_source()
                raise
            if isinstance(effect, effects.Emit):
                return effect.chunk
            try:
                answer, step = self._obey(effect), self._flow.send
            except BaseException as error:  # noqa: BLE001 - the flow decides what it means
                answer, step = error, self._flow.throw

    def close(self) -> None:
        """End a stream early: it is settled, the connection is let go."""
        if not self.done:
            with suppress(StreamClosed):
                self.next(throw=StreamClosed())

    def _obey(self, effect: Effect) -> Any:
        match effect:
            case effects.Send(call):
                return self._transport.send(call)
            case effects.Open(call):
                self._close_source()
                self._source = self._transport.open(call)
                return None
            case effects.Read():
                assert self._source is not None
                return self._source.read()
            case effects.Sleep(seconds):
                return self._sleep(seconds)
            case effects.Recall() | effects.Memorize():
                return look(self._cache, effect)
            case effects.Notify():
                told = notified(effect)
                if inspect.iscoroutine(told):
                    told.close()
                    _log.error("on_warning: only AsyncClient awaits a listener")
                return None
            case effects.Verify():
                verdict = judged(effect)
                if inspect.iscoroutine(verdict):
                    verdict.close()
                    raise ConfigError("only AsyncClient awaits a verifier")
                return verdict
        return keep(self._ledger, effect)

    def _close_source(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()
