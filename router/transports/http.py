"""OpenAI-compatible HTTP over httpx; async through aiohttp, which costs a seventh of the CPU."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Any

import httpx

from router._clock import utcnow
from router.errors import ConnectionFailedError, ProviderTimeoutError
from router.transports import openai, sse
from router.transports.access import Access
from router.types import Call, Chunk, Reply

_CONNECT_SECONDS = 10.0
_IDLE_SECONDS = 120.0
"""Longest silence inside a stream. DeepSeek sends keep-alives; streams that stall for ever have
been reported (deepseek-ai/DeepSeek-V3 issue 1608)."""


class _Wire:
    """What both transports share: requests out of calls, errors out of failures."""

    def __init__(self, access: Access, now: Callable[[], datetime] = utcnow) -> None:
        self._access = access
        self._now = now

    def _request(self, client: Any, call: Call) -> httpx.Request:
        url, key = self._access.require(call.candidate.host, call.candidate)
        read = min(call.timeout, _IDLE_SECONDS) if call.request.stream else call.timeout
        request: httpx.Request = client.build_request(
            "POST",
            f"{url}/chat/completions",
            json=openai.body_of(call),
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(
                read, connect=min(call.timeout, _CONNECT_SECONDS), pool=call.timeout
            ),
        )
        return request

    def _failed(self, error: httpx.HTTPError, call: Call) -> ConnectionFailedError:
        # Before the request was whole at the host it cannot have been charged.
        unsent = (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.PoolTimeout,
            httpx.WriteError,
            httpx.WriteTimeout,
            httpx.UnsupportedProtocol,
        )
        kind = ConnectionFailedError
        if isinstance(error, httpx.TimeoutException):
            kind = ProviderTimeoutError
        return kind(
            f"{type(error).__name__}: no connection, or it broke",
            candidate=call.candidate.name,
            billable=not isinstance(error, unsent),
        )

    def _refused(self, response: httpx.Response, content: bytes, call: Call) -> Exception:
        return openai.error_from(
            response.status_code, response.headers, content, call, now=self._now()
        )


class HTTPTransport(_Wire):
    """Sends calls over a connection pool. `client` may be any configured `httpx.Client`."""

    def __init__(
        self,
        access: Access,
        *,
        client: httpx.Client | None = None,
        now: Callable[[], datetime] = utcnow,
    ) -> None:
        super().__init__(access, now)
        self._client = client or httpx.Client(follow_redirects=False)

    def send(self, call: Call) -> Reply:
        """Make the call; blank keep-alive lines do not prolong its deadline."""
        deadline = time.monotonic() + call.timeout
        request = self._request(self._client, call)
        try:
            response = self._client.send(request, stream=True)
            try:
                pieces = []
                for piece in response.iter_bytes():
                    pieces.append(piece)
                    if time.monotonic() > deadline:
                        raise _too_late(call)
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise self._failed(error, call) from error
        content = b"".join(pieces)
        if response.status_code >= 400:
            raise self._refused(response, content, call)
        return openai.reply_from(content, call)

    def open(self, call: Call) -> HTTPSource:
        """Begin a streamed call."""
        request = self._request(self._client, call)
        try:
            response = self._client.send(request, stream=True)
            if response.status_code >= 400:
                content = response.read()
                response.close()
                raise self._refused(response, content, call)
        except httpx.HTTPError as error:
            raise self._failed(error, call) from error
        return HTTPSource(response, call, self)

    def close(self) -> None:
        """Close the pool."""
        self._client.close()


class HTTPSource:
    """An open stream over HTTP."""

    def __init__(self, response: httpx.Response, call: Call, wire: _Wire) -> None:
        self._response, self._call, self._wire = response, call, wire
        self._fields = self._decode()
        self._end = _End()

    def read(self) -> Chunk | None:
        """The next chunk, None after [DONE]."""
        try:
            for data in self._fields:
                if data == sse.DONE:
                    return None
                return self._end.seen(openai.chunk_from(data, self._call))
        except httpx.HTTPError as error:
            raise self._wire._failed(error, self._call) from error
        self._end.check(self._call)
        return None

    def close(self) -> None:
        """Close the response."""
        self._response.close()

    def _decode(self) -> Iterator[str]:
        decoder = sse.Decoder()
        for piece in self._response.iter_bytes():
            yield from decoder.feed(piece)
        yield from decoder.end()


class AsyncHTTPTransport(_Wire):
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

    def _pool(self) -> httpx.AsyncClient:
        if self._client is None:  # aiohttp wants a running loop
            from httpx_aiohttp import AiohttpTransport

            self._client = httpx.AsyncClient(transport=AiohttpTransport(), follow_redirects=False)
        return self._client

    async def send(self, call: Call) -> Reply:
        """Make the call within its deadline."""
        client = self._pool()
        request = self._request(client, call)
        try:
            async with asyncio.timeout(call.timeout):
                response = await client.send(request, stream=True)
                try:
                    content = await response.aread()
                finally:
                    await response.aclose()
        except TimeoutError:
            raise _too_late(call) from None
        except httpx.HTTPError as error:
            raise self._failed(error, call) from error
        if response.status_code >= 400:
            raise self._refused(response, content, call)
        return openai.reply_from(content, call)

    async def open(self, call: Call) -> AsyncHTTPSource:
        """Begin a streamed call."""
        client = self._pool()
        request = self._request(client, call)
        try:
            async with asyncio.timeout(call.timeout):
                response = await client.send(request, stream=True)
                if response.status_code >= 400:
                    content = await response.aread()
                    await response.aclose()
                    raise self._refused(response, content, call)
        except TimeoutError:
            raise _too_late(call) from None
        except httpx.HTTPError as error:
            raise self._failed(error, call) from error
        return AsyncHTTPSource(response, call, self)

    async def close(self) -> None:
        """Close the pool."""
        if self._client is not None:
            await self._client.aclose()


class AsyncHTTPSource:
    """An open stream over HTTP."""

    def __init__(self, response: httpx.Response, call: Call, wire: _Wire) -> None:
        self._response, self._call, self._wire = response, call, wire
        self._fields = self._decode()
        self._end = _End()

    async def read(self) -> Chunk | None:
        """The next chunk, None after [DONE]."""
        try:
            async for data in self._fields:
                if data == sse.DONE:
                    return None
                return self._end.seen(openai.chunk_from(data, self._call))
        except httpx.HTTPError as error:
            raise self._wire._failed(error, self._call) from error
        self._end.check(self._call)
        return None

    async def close(self) -> None:
        """Close the response."""
        await self._response.aclose()

    async def _decode(self) -> AsyncIterator[str]:
        decoder = sse.Decoder()
        async for piece in self._response.aiter_bytes():
            for data in decoder.feed(piece):
                yield data
        for data in decoder.end():
            yield data


class _End:
    """Whether a stream that stops without [DONE] had said all it had to say."""

    def __init__(self) -> None:
        self._finished = False

    def seen(self, chunk: Chunk) -> Chunk:
        self._finished = self._finished or chunk.finish_reason is not None
        return chunk

    def check(self, call: Call) -> None:
        if not self._finished:
            raise ConnectionFailedError(
                "the stream ended before the answer did",
                candidate=call.candidate.name,
                billable=True,
            )


def _too_late(call: Call) -> ProviderTimeoutError:
    return ProviderTimeoutError(
        f"no whole answer within {call.timeout:.1f} s",
        candidate=call.candidate.name,
        billable=True,
    )
