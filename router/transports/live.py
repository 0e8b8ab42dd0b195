"""The default transports: recordings are replayed, an engine in this process is asked directly,
everything else goes over HTTP.

httpx is loaded when the first live call is made: replaying and planning do without it.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from router.transports.access import Access
from router.transports.base import (
    AsyncByKind,
    AsyncSource,
    AsyncTransport,
    ByKind,
    Source,
    Transport,
)
from router.transports.replay import AsyncReplayTransport, ReplayTransport
from router.types import Call, Reply

if TYPE_CHECKING:
    from router.transports.http import HTTPTransport
    from router.transports.http_async import AsyncHTTPTransport


def sync_transport(access: Access, engine: Any = None) -> Transport:
    """Replay, engine and HTTP, by the candidate's kind; `engine` is a `vllm.LLM`.

    Raises:
        ConfigError: `engine` is no `vllm.LLM`.
    """
    transports: dict[str, Transport] = {"replay": ReplayTransport(), "*": _LazyHTTP(access)}
    if engine is not None:
        from router.transports.vllm.engine import EngineTransport

        transports["engine"] = EngineTransport(engine)
    return ByKind(transports)


def async_transport(access: Access, engine: Any = None) -> AsyncTransport:
    """The same for an event loop."""
    transports: dict[str, AsyncTransport] = {
        "replay": AsyncReplayTransport(),
        "*": _LazyAsyncHTTP(access),
    }
    if engine is not None:
        from router.transports.vllm.engine import AsyncEngineTransport

        transports["engine"] = AsyncEngineTransport(engine)
    return AsyncByKind(transports)


class _LazyHTTP:
    def __init__(self, access: Access) -> None:
        self._access = access
        self._http: HTTPTransport | None = None
        self._lock = threading.Lock()

    def _made(self) -> HTTPTransport:
        from router.transports.http import HTTPTransport

        with self._lock:
            if self._http is None:
                self._http = HTTPTransport(self._access)
            return self._http

    def send(self, call: Call) -> Reply:
        return self._made().send(call)

    def open(self, call: Call) -> Source:
        return self._made().open(call)

    def close(self) -> None:
        if self._http is not None:
            self._http.close()


class _LazyAsyncHTTP:
    def __init__(self, access: Access) -> None:
        self._access = access
        self._http: AsyncHTTPTransport | None = None

    def _made(self) -> AsyncHTTPTransport:
        from router.transports.http_async import AsyncHTTPTransport

        if self._http is None:
            self._http = AsyncHTTPTransport(self._access)
        return self._http

    async def send(self, call: Call) -> Reply:
        return await self._made().send(call)

    async def open(self, call: Call) -> AsyncSource:
        return await self._made().open(call)

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
