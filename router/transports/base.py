"""The seam between the library and the world: one call in, one answer or one stream out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from router.types import Call, Chunk, Reply


class Source(Protocol):
    """An open stream."""

    def read(self) -> Chunk | None:
        """The next chunk, None at the proper end; raises ProviderError when it breaks."""

    def close(self) -> None:
        """Let go of the connection. Idempotent."""


class AsyncSource(Protocol):
    """An open stream."""

    async def read(self) -> Chunk | None:
        """The next chunk, None at the proper end; raises ProviderError when it breaks."""

    async def close(self) -> None:
        """Let go of the connection. Idempotent."""


class Transport(Protocol):
    """Sends calls. Anything with these methods can take the place of the network."""

    def send(self, call: Call) -> Reply:
        """Make the call and wait for the whole answer; raises ProviderError."""

    def open(self, call: Call) -> Source:
        """Begin a streamed call; raises ProviderError if the host does not accept it."""

    def close(self) -> None:
        """Close all connections. Idempotent."""


class AsyncTransport(Protocol):
    """Sends calls from an event loop."""

    async def send(self, call: Call) -> Reply:
        """Make the call and wait for the whole answer; raises ProviderError."""

    async def open(self, call: Call) -> AsyncSource:
        """Begin a streamed call; raises ProviderError if the host does not accept it."""

    async def close(self) -> None:
        """Close all connections. Idempotent."""


class ByKind:
    """Hands each call to the transport for its candidate's kind; `"*"` takes the rest."""

    def __init__(self, transports: Mapping[str, Transport]) -> None:
        self._transports = dict(transports)

    def send(self, call: Call) -> Reply:
        """Make the call."""
        return self._for(call).send(call)

    def open(self, call: Call) -> Source:
        """Begin a streamed call."""
        return self._for(call).open(call)

    def close(self) -> None:
        """Close them all."""
        for transport in self._transports.values():
            transport.close()

    def _for(self, call: Call) -> Transport:
        return self._transports.get(call.candidate.kind) or self._transports["*"]


class AsyncByKind:
    """The same for an event loop."""

    def __init__(self, transports: Mapping[str, AsyncTransport]) -> None:
        self._transports = dict(transports)

    async def send(self, call: Call) -> Reply:
        """Make the call."""
        return await self._for(call).send(call)

    async def open(self, call: Call) -> AsyncSource:
        """Begin a streamed call."""
        return await self._for(call).open(call)

    async def close(self) -> None:
        """Close them all."""
        for transport in self._transports.values():
            await transport.close()

    def _for(self, call: Call) -> AsyncTransport:
        return self._transports.get(call.candidate.kind) or self._transports["*"]
