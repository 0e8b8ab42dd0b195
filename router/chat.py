"""`client.chat.completions.create`, and the streams it returns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, Unpack, cast, overload

from router._arguments import BudgetLike, CallArguments, VerifierLike
from router._drive import Drive
from router.errors import RouterError
from router.types import Chunk, Reply, Route

if TYPE_CHECKING:
    from router.completion import ChatCompletion, ChatCompletionChunk

Messages: TypeAlias = Sequence[Mapping[str, Any]]
Budgets: TypeAlias = BudgetLike | Sequence[BudgetLike] | None
Result: TypeAlias = tuple[Reply | None, Route]
Create: TypeAlias = Callable[[Any, Any, Any, Mapping[str, Any]], object]


class CompletionStream:
    """Chunks as they come. `route` holds usage and cost once the stream has ended or is closed.

    Close it, or use it in a `with` statement. One that is left before its end is charged what
    came until then, but all that was reserved where a hard budget counts on it and the host may go
    on working, or may have worked unseen; `route.notes` says so then.
    """

    def __init__(self, drive: Drive[Result]) -> None:
        self._drive = drive

    @classmethod
    def start(cls, drive: Drive[Result]) -> CompletionStream:
        """Run until a host has accepted the call, so that refusals are raised here."""
        drive.next()
        return cls(drive)

    def __iter__(self) -> Iterator[ChatCompletionChunk]:
        return self

    def __next__(self) -> ChatCompletionChunk:
        chunk = None if self._drive.done else self._drive.next()
        if chunk is None:
            raise StopIteration
        return public(chunk)

    @property
    def route(self) -> Route:
        """How the request was served; RouterError while the stream is open."""
        return route_of(self._drive)

    @property
    def cost_usd(self) -> Decimal:
        """USD that this request was charged; raises as `route` and `ChatCompletion.cost_usd`."""
        return cost_of(self.route)

    def close(self) -> None:
        """Stop reading, settle and let the connection go. Idempotent."""
        self._drive.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


def route_of(drive: object) -> Route:
    """The route of a finished stream.

    Raises:
        RouterError: it has not ended.
    """
    result: Result | None = getattr(drive, "result", None)
    if result is None:
        raise RouterError("route: the stream has not ended; read it to its end or close it")
    return result[1]


def cost_of(route: Route) -> Decimal:
    """USD of all attempts; ConfigError where that is not known."""
    from router.completion import known_cost

    return known_cost(route)


def public(chunk: Chunk) -> ChatCompletionChunk:
    """The OpenAI-shaped form; pydantic is loaded when the first one is needed."""
    from router.completion import chunk_from

    return chunk_from(chunk)


class Completions:
    """`client.chat.completions`."""

    def __init__(self, create: Create) -> None:
        self._create = create

    @overload
    def create(
        self,
        messages: Messages,
        *,
        stream: Literal[False] = False,
        budget: Budgets = None,
        verify: VerifierLike = None,
        **arguments: Unpack[CallArguments],
    ) -> ChatCompletion: ...
    @overload
    def create(
        self,
        messages: Messages,
        *,
        stream: Literal[True],
        budget: Budgets = None,
        verify: VerifierLike = None,
        **arguments: Unpack[CallArguments],
    ) -> CompletionStream: ...
    @overload
    def create(
        self,
        messages: Messages,
        *,
        stream: bool,
        budget: Budgets = None,
        verify: VerifierLike = None,
        **arguments: Unpack[CallArguments],
    ) -> ChatCompletion | CompletionStream: ...
    def create(
        self,
        messages: Messages,
        *,
        stream: bool = False,
        budget: Budgets = None,
        verify: VerifierLike = None,
        **arguments: Unpack[CallArguments],
    ) -> ChatCompletion | CompletionStream:
        """Answer a conversation by the candidate that the policy chooses.

        `messages` are those of OpenAI's client, or a `PromptBuilder`; a system message marked
        `"segment": "static"`, `"session"` or `"volatile"` is put where caches are served best.
        `model` is "auto", a model, a candidate (`model@host`) or several; `budget` caps this
        request in USD, besides the client's budgets; `verify` judges the answer instead of the
        client's verifier (False: nobody does); the rest is as in OpenAI's client.

        Raises:
            BudgetExceededError, NoCandidateError, InvalidRequestError, UnknownModelError:
                before anything was sent.
            ProviderError: every candidate tried has failed.
        """
        made = self._create(messages, budget, verify, {**arguments, "stream": stream})
        return cast("ChatCompletion | CompletionStream", made)


class Chat:
    """`client.chat`."""

    def __init__(self, create: Create) -> None:
        self.completions = Completions(create)
