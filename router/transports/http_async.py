"""The same HTTP on an event loop, through aiohttp, which costs a seventh of httpx's own CPU."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime

import aiohttp
import httpx

from router._clock import utcnow
from router.errors import ConnectionFailedError
from router.transports import openai, sse
from router.transports.access import Access
from router.transports.http import IDLE_SECONDS, End, Wire, too_late
from router.types import Call, Chunk, Reply

_ERRORS = (httpx.HTTPError, aiohttp.ClientError)
"""httpx-aiohttp translates most of aiohttp's errors, not all."""


class AsyncHTTPTransport(Wire):
    """Sends calls from an event loop. `client` may be any configured `httpx.AsyncClient`."""

    def __init__(
        self,
        access: Access,
        *,
        client: httpx.AsyncClient | None = None,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        super().__init__(access, now)
        self._client = client
        self._loop: asyncio.AbstractEventLoop | None = None

    async def _pool(self) -> httpx.AsyncClient:
        loop, former, left = asyncio.get_running_loop(), self._loop, None
        if former not in {None, loop}:  # a pool belongs to its loop
            left, self._client = self._client, None
        client = self._client
        if client is None:  # aiohttp wants a running loop
            from httpx_aiohttp import AiohttpTransport

            client = httpx.AsyncClient(transport=AiohttpTransport(), follow_redirects=False)
            self._loop, self._client = loop, client
        if left is not None and former is not None and former.is_closed():
            await left.aclose()  # else aiohttp logs an error when it is collected
        return client

    async def send(self, call: Call) -> Reply:
        """Make the call within its deadline."""
        client = await self._pool()
        request = self.request(client, call)
        try:
            async with asyncio.timeout(call.timeout):
                response = await client.send(request, stream=True)
                try:
                    content = await response.aread()
                finally:
                    await response.aclose()
        except TimeoutError:
            raise too_late(call) from None
        except _ERRORS as error:
            raise self.failed(error, call) from error
        if not response.is_success:
            raise self.refused(response, content, call)
        return openai.reply_from(self.redacted(content, call), call)

    async def open(self, call: Call) -> AsyncHTTPSource:
        """Begin a streamed call."""
        client = await self._pool()
        request = self.request(client, call)
        try:
            async with asyncio.timeout(call.timeout):
                response = await client.send(request, stream=True)
                if not response.is_success:
                    content = await response.aread()
                    await response.aclose()
                    raise self.refused(response, content, call)
        except TimeoutError:
            raise too_late(call) from None
        except _ERRORS as error:
            raise self.failed(error, call) from error
        return AsyncHTTPSource(response, call, self)

    async def close(self) -> None:
        """Close the pool."""
        if self._client is not None:
            await self._client.aclose()

    def failed(self, error: Exception, call: Call) -> ConnectionFailedError:
        # httpx-aiohttp calls every broken connection a ConnectTimeout, also one that broke after
        # the request was sent: that one may have been charged.
        cause = error if isinstance(error, aiohttp.ClientError) else error.__cause__
        broke = isinstance(cause, aiohttp.ClientConnectionError)
        if not broke or isinstance(cause, aiohttp.ServerTimeoutError):
            return super().failed(error, call)
        return ConnectionFailedError(
            f"{type(cause).__name__}: no connection, or it broke",
            candidate=call.candidate.name,
            billable=not isinstance(cause, aiohttp.ClientConnectorError),
        )


class AsyncHTTPSource:
    """An open stream over HTTP."""

    def __init__(self, response: httpx.Response, call: Call, wire: Wire) -> None:
        self._response, self._call, self._wire = response, call, wire
        self._deadline = time.monotonic() + call.timeout
        self._fields = self._decode()
        self._end = End()

    async def read(self) -> Chunk | None:
        """The next chunk, None after [DONE]."""
        try:
            async for data in self._fields:
                if data == sse.DONE:
                    return None
                clean = self._wire.redacted(data.encode(), self._call).decode()
                return self._end.seen(openai.chunk_from(clean, self._call))
        except TimeoutError:
            raise too_late(self._call) from None
        except _ERRORS as error:
            raise self._wire.failed(error, self._call) from error
        self._end.check(self._call)
        return None

    async def close(self) -> None:
        """Close the response."""
        await self._response.aclose()

    async def _decode(self) -> AsyncIterator[str]:
        decoder = sse.Decoder()
        pieces = self._response.aiter_bytes()
        while True:
            # Our own limit beside aiohttp's: that one ends with the socket, and a broken
            # chunk can leave the reader waiting after it.
            left = min(IDLE_SECONDS, self._deadline - time.monotonic())
            async with asyncio.timeout(left):
                piece = await anext(pieces, None)
            if piece is None:
                break
            for data in decoder.feed(piece):
                yield data
        for data in decoder.end():
            yield data
