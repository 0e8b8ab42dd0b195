"""`client.chat.completions.create`, and the streams it returns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias, Unpack, cast, overload

from router._arguments import BudgetLike, CallArguments
from router._drive import AsyncDrive, Drive
from router.completion import ChatCompletion, ChatCompletionChunk, chunk_from
from router.errors import RouterError
from router.types import Reply, Route

Messages: TypeAlias = Sequence[Mapping[str, Any]]
Budgets: TypeAlias = BudgetLike | Sequence[BudgetLike] | None
_Result: TypeAlias = tuple[Reply | None, Route]


class CompletionStream:
    """Chunks as they come. `route` holds usage and cost once the stream has ended.

    Close it, or use it in a `with` statement: what came until then is charged and no more.
    """

    def __init__(self, drive: Drive[_Result]) -> None:
        self._drive = drive

    @classmethod
    def start(cls, drive: Drive[_Result]) -> CompletionStream:
        """Run until a host has accepted the call, so that refusals are raised here."""
        drive.next()
        return cls(drive)

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        return self

    def __next__(self) -> ChatCompletionChunk:
        chunk = None if self._drive.done else self._drive.next()
        if chunk is None:
            raise StopIteration
        return chunk_from(chunk)

    @property
    def route(self) -> Route:
        """How the request was served; RouterError before the end of the stream."""
        return _route(self._drive)

    def close(self) -> None:
        """Stop reading and settle what came. Idempotent."""
        self._drive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class AsyncCompletionStream:
    """The same for an event loop: close it, or use it in an `async with` statement."""

    def __init__(self, drive: AsyncDrive[_Result]) -> None:
        self._drive = drive

    @classmethod
    async def start(cls, drive: AsyncDrive[_Result]) -> AsyncCompletionStream:
        """Run until a host has accepted the call, so that refusals are raised here."""
        await drive.next()
        return cls(drive)

    def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        return self

    async def __anext__(self) -> ChatCompletionChunk:
        chunk = None if self._drive.done else await self._drive.next()
        if chunk is None:
            raise StopAsyncIteration
        return chunk_from(chunk)

    @property
    def route(self) -> Route:
        """How the request was served; RouterError before the end of the stream."""
        return _route(self._drive)

    async def close(self) -> None:
        """Stop reading and settle what came. Idempotent."""
        await self._drive.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()


def _route(drive: Drive[_Result] | AsyncDrive[_Result]) -> Route:
    if not hasattr(drive, "result"):
        raise RouterError("route: the stream has not ended; read it to its end first")
    return drive.result[1]


class Completions:
    """`client.chat.completions`."""

    def __init__(self, create: Callable[[Any, Any, Mapping[str, Any]], object]) -> None:
        self._create = create

    @overload
    def create(
        self,
        messages: Messages,
        *,
        stream: Literal[False] = False,
        budget: Budgets = None,
        **arguments: Unpack[CallArguments],
    ) -> ChatCompletion: ...
    @overload
    def create(
        self,
        messages: Messages,
        *,
        stream: Literal[True],
        budget: Budgets = None,
        **arguments: Unpack[CallArguments],
    ) -> CompletionStream: ...
    def create(
        self,
        messages: Messages,
        *,
        stream: bool = False,
        budget: Budgets = None,
        **arguments: Unpack[CallArguments],
    ) -> ChatCompletion | CompletionStream:
        """Answer a conversation by the candidate that the policy chooses.

        `model` is "auto", a model, a candidate (`model@host`) or several; `budget` caps this
        request in USD, besides the client's budgets; the rest is as in OpenAI's client.

        Raises:
            BudgetExceededError, NoCandidateError, InvalidRequestError, UnknownModelError:
                before anything was sent.
            ProviderError: every candidate tried has failed.
        """
        made = self._create(messages, budget, {**arguments, "stream": stream})
        return cast("ChatCompletion | CompletionStream", made)


class AsyncCompletions:
    """`client.chat.completions` of an `AsyncClient`."""

    def __init__(self, create: Callable[[Any, Any, Mapping[str, Any]], Awaitable[object]]) -> None:
        self._create = create

    @overload
    async def create(
        self,
        messages: Messages,
        *,
        stream: Literal[False] = False,
        budget: Budgets = None,
        **arguments: Unpack[CallArguments],
    ) -> ChatCompletion: ...
    @overload
    async def create(
        self,
        messages: Messages,
        *,
        stream: Literal[True],
        budget: Budgets = None,
        **arguments: Unpack[CallArguments],
    ) -> AsyncCompletionStream: ...
    async def create(
        self,
        messages: Messages,
        *,
        stream: bool = False,
        budget: Budgets = None,
        **arguments: Unpack[CallArguments],
    ) -> ChatCompletion | AsyncCompletionStream:
        """Answer a conversation; see `Completions.create`."""
        made = await self._create(messages, budget, {**arguments, "stream": stream})
        return cast("ChatCompletion | AsyncCompletionStream", made)


class Chat:
    """`client.chat`."""

    def __init__(self, create: Callable[[Any, Any, Mapping[str, Any]], object]) -> None:
        self.completions = Completions(create)


class AsyncChat:
    """`client.chat` of an `AsyncClient`."""

    def __init__(self, create: Callable[[Any, Any, Mapping[str, Any]], Awaitable[object]]) -> None:
        self.completions = AsyncCompletions(create)
