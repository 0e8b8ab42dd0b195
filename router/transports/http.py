"""OpenAI-compatible HTTP over httpx. `http_async.py` does the same on an event loop."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import httpx

from router._clock import utcnow
from router.errors import (
    ConfigError,
    ConnectionFailedError,
    InvalidRequestError,
    ProviderTimeoutError,
)
from router.transports import openai, sse
from router.transports.access import Access
from router.types import Call, Chunk, Reply

_CONNECT_SECONDS = 10.0
IDLE_SECONDS = 120.0
"""Longest silence inside a stream. DeepSeek sends keep-alives; streams that stall for ever have
been reported (deepseek-ai/DeepSeek-V3 issue 1608)."""


class Wire:
    """What both transports share: requests out of calls, errors out of failures."""

    def __init__(self, access: Access, now: Callable[[], datetime] = utcnow) -> None:
        self._access = access
        self._now = now

    def request(self, client: Any, call: Call) -> httpx.Request:
        """The HTTP request of a call.

        Raises:
            InvalidRequestError: the body cannot be written as JSON in UTF-8.
            ConfigError: the base URL is none.
        """
        url, key = self._access.require(call.candidate.host, call.candidate)
        url = call.base_url or url
        read = min(call.timeout, IDLE_SECONDS) if call.request.stream else call.timeout
        try:
            content = json.dumps(
                openai.body_of(call), ensure_ascii=False, separators=(",", ":"), allow_nan=False
            ).encode()
        except UnicodeEncodeError:  # its message would show the text
            problem = "text with a lone surrogate, which UTF-8 cannot hold"
        except (TypeError, ValueError) as error:
            problem = str(error)
        else:
            problem = ""
        if problem:
            raise InvalidRequestError(f"the request cannot be sent as JSON: {problem}")
        try:
            if not url.lower().startswith(("http://", "https://")):
                raise httpx.InvalidURL("it has no http:// or https:// before it")
            request: httpx.Request = client.build_request(
                "POST",
                f"{url}/chat/completions",
                content=content,
                headers={"Content-Type": "application/json"}
                | ({"Authorization": f"Bearer {key}"} if key else {}),
                timeout=httpx.Timeout(
                    read, connect=min(call.timeout, _CONNECT_SECONDS), pool=call.timeout
                ),
            )
        except httpx.InvalidURL as error:
            raise ConfigError(
                f"the base URL of host {call.candidate.host!r} cannot be used"
                f"{'' if '@' in url else f' ({error})'}; "  # it may show a part of a password
                "expected one such as https://example.org/v1"
            ) from None
        return request

    def failed(self, error: Exception, call: Call) -> ConnectionFailedError:
        """The error for a connection that could not be made or broke."""
        # Before the request was whole at the host it cannot have been charged.
        unsent = (
            httpx.ConnectError,
            httpx.ConnectTimeout,
            httpx.PoolTimeout,
            httpx.WriteError,
            httpx.WriteTimeout,
            httpx.LocalProtocolError,
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

    def refused(self, response: httpx.Response, content: bytes, call: Call) -> Exception:
        """The error for an answer that is no success; a host may quote the key in it."""
        if key := self._access.key(call.candidate.host, call.candidate):
            content = content.replace(key.encode(), b"***")
        return openai.error_from(
            response.status_code, response.headers, content, call, now=self._now()
        )

    def redacted(self, content: bytes, call: Call) -> bytes:
        """What a host sent, without the key if it tells an error and quotes it there."""
        key = self._access.key(call.candidate.host, call.candidate)
        if not key or b'"error"' not in content:
            return content
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):  # whoever reads it next says so, and shows nothing
            return content
        if not isinstance(body, dict) or not (error := body.get("error")):
            return content
        # Only what is shown: a short key, of one's own server say, is a part of other words.
        if isinstance(error, str):
            body["error"] = error.replace(key, "***")
        elif isinstance(error, dict) and isinstance(message := error.get("message"), str):
            error["message"] = message.replace(key, "***")
        return json.dumps(body).encode()


class HTTPTransport(Wire):
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
        request = self.request(self._client, call)
        try:
            response = self._client.send(request, stream=True)
            try:
                pieces = []
                for piece in response.iter_bytes():
                    pieces.append(piece)
                    if time.monotonic() > deadline:
                        raise too_late(call)
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise self.failed(error, call) from error
        content = b"".join(pieces)
        if not response.is_success:
            raise self.refused(response, content, call)
        return openai.reply_from(self.redacted(content, call), call)

    def open(self, call: Call) -> HTTPSource:
        """Begin a streamed call."""
        request = self.request(self._client, call)
        try:
            response = self._client.send(request, stream=True)
            if not response.is_success:
                content = response.read()
                response.close()
                raise self.refused(response, content, call)
        except httpx.HTTPError as error:
            raise self.failed(error, call) from error
        return HTTPSource(response, call, self)

    def close(self) -> None:
        """Close the pool."""
        self._client.close()


class HTTPSource:
    """An open stream over HTTP."""

    def __init__(self, response: httpx.Response, call: Call, wire: Wire) -> None:
        self._response, self._call, self._wire = response, call, wire
        self._deadline = time.monotonic() + call.timeout
        self._fields = self._decode()
        self._end = End()

    def read(self) -> Chunk | None:
        """The next chunk, None after [DONE]."""
        try:
            for data in self._fields:
                if data == sse.DONE:
                    return None
                clean = self._wire.redacted(data.encode(), self._call).decode()
                return self._end.seen(openai.chunk_from(clean, self._call))
        except httpx.HTTPError as error:
            raise self._wire.failed(error, self._call) from error
        self._end.check(self._call)
        return None

    def close(self) -> None:
        """Close the response."""
        self._response.close()

    def _decode(self) -> Iterator[str]:
        decoder = sse.Decoder()
        for piece in self._response.iter_bytes():
            if time.monotonic() > self._deadline:  # keep-alives alone do not prolong it
                raise too_late(self._call)
            yield from decoder.feed(piece)
        yield from decoder.end()


class End:
    """Whether a stream that stops without [DONE] had said all it had to say."""

    def __init__(self) -> None:
        self._finished = False

    def seen(self, chunk: Chunk) -> Chunk:
        """Note whether this chunk finished the answer."""
        self._finished = self._finished or chunk.finish_reason is not None
        return chunk

    def check(self, call: Call) -> None:
        """Raise ConnectionFailedError if nothing did."""
        if not self._finished:
            raise ConnectionFailedError(
                "the stream ended before the answer did",
                candidate=call.candidate.name,
                billable=True,
            )


def too_late(call: Call) -> ProviderTimeoutError:
    """The error for an answer that was not whole in time."""
    return ProviderTimeoutError(
        f"no whole answer within {call.timeout:.1f} s",
        candidate=call.candidate.name,
        billable=True,
    )
