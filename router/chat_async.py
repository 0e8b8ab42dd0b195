"""`client.chat.completions.create` of an `AsyncClient`, and the streams it returns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, Unpack, cast, overload

from router._arguments import CallArguments, VerifierLike
from router._drive_async import AsyncDrive
from router.chat import Budgets, Messages, Result, cost_of, public, route_of
from router.types import Route

if TYPE_CHECKING:
    from router.completion import ChatCompletion, ChatCompletionChunk


Create: TypeAlias = Callable[[Any, Any, Any, Mapping[str, Any]], Awaitable[object]]


class AsyncCompletionStream:
    """`CompletionStream` for an event loop: close it, or use it in an `async with` statement.

    One that is left is charged alike, also where its task is cancelled.
    """

    def __init__(self, drive: AsyncDrive[Result]) -> None:
        self._drive = drive

    @classmethod
    async def start(cls, drive: AsyncDrive[Result]) -> AsyncCompletionStream:
        """Run until a host has accepted the call, so that refusals are raised here."""
        await drive.next()
        return cls(drive)

    def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        return self

    async def __anext__(self) -> ChatCompletionChunk:
        chunk = None if self._drive.done else await self._drive.next()
        if chunk is None:
            raise StopAsyncIteration
        return public(chunk)

    @property
    def route(self) -> Route:
        """How the request was served; RouterError while the stream is open."""
        return route_of(self._drive)

    @property
    def cost_usd(self) -> Decimal:
        """USD that this request was charged; raises as `route` and `ChatCompletion.cost_usd`."""
        return cost_of(self.route)

    async def close(self) -> None:
        """Stop reading, settle and let the connection go. Idempotent."""
        await self._drive.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


class AsyncCompletions:
    """`client.chat.completions` of an `AsyncClient`."""

    def __init__(self, create: Create) -> None:
        self._create = create

    @overload
    async def create(
        self,
        messages: Messages,
        *,
        stream: Literal[False] = False,
        budget: Budgets = None,
        verify: VerifierLike = None,
        **arguments: Unpack[CallArguments],
    ) -> ChatCompletion: ...
    @overload
    async def create(
        self,
        messages: Messages,
        *,
        stream: Literal[True],
        budget: Budgets = None,
        verify: VerifierLike = None,
        **arguments: Unpack[CallArguments],
    ) -> AsyncCompletionStream: ...
    @overload
    async def create(
        self,
        messages: Messages,
        *,
        stream: bool,
        budget: Budgets = None,
        verify: VerifierLike = None,
        **arguments: Unpack[CallArguments],
    ) -> ChatCompletion | AsyncCompletionStream: ...
    async def create(
        self,
        messages: Messages,
        *,
        stream: bool = False,
        budget: Budgets = None,
        verify: VerifierLike = None,
        **arguments: Unpack[CallArguments],
    ) -> ChatCompletion | AsyncCompletionStream:
        """Answer a conversation; see `Completions.create`."""
        made = await self._create(messages, budget, verify, {**arguments, "stream": stream})
        return cast("ChatCompletion | AsyncCompletionStream", made)


class AsyncChat:
    """`client.chat` of an `AsyncClient`."""

    def __init__(self, create: Create) -> None:
        self.completions = AsyncCompletions(create)
