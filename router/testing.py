"""For tests of your own code: a transport without a network, and a clock you can move.

>>> from router import Client
>>> from router.testing import MockTransport, reply
>>> transport = MockTransport(reply("Hello", input_tokens=3, output_tokens=2))
>>> client = Client(transport=transport, keys={"deepinfra": "k"}, ledger=":memory:")
>>> client.chat.completions.create(
...     [{"role": "user", "content": "Hi"}], model="deepseek-v3.2@deepinfra"
... ).text
'Hello'

A function of the call answers each call anew:

>>> transport = MockTransport(lambda call: reply(call.request.messages[-1]["content"].upper()))
>>> client = Client(transport=transport, keys={"deepinfra": "k"}, ledger=":memory:")
>>> client.chat.completions.create(
...     [{"role": "user", "content": "Hi"}], model="deepseek-v3.2@deepinfra"
... ).text
'HI'
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from inspect import isawaitable, iscoroutinefunction
from typing import Any, NoReturn, TypeAlias

from router.errors import ConfigError
from router.types import Call, Chunk, Reply, Usage
from router.usage import to_openai

__all__ = [
    "Answer",
    "AsyncAnswer",
    "AsyncMockSource",
    "AsyncMockTransport",
    "FakeClock",
    "MockSource",
    "MockTransport",
    "chunks",
    "reply",
]


def __dir__() -> list[str]:
    return list(__all__)


class FakeClock:
    """An aware UTC clock that stands still until it is told: pass it as `Client(now=...)`."""

    def __init__(self, start: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)) -> None:
        self.instant = start

    def __call__(self) -> datetime:
        return self.instant

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.instant += timedelta(seconds=seconds)


def reply(
    text: str = "",
    *,
    input_tokens: int = 10,
    output_tokens: int = 5,
    cache_read_tokens: int = 0,
    reasoning_tokens: int = 0,
    finish_reason: str = "stop",
    usage: bool = True,
) -> Reply:
    """A whole answer as a host would send it; `usage=False` leaves the token counts out."""
    counted = Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cache_read_tokens,
        reasoning_tokens=reasoning_tokens,
    )
    body: dict[str, Any] = {
        "id": "mock",
        "object": "chat.completion",
        "created": 0,
        "model": "mock",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": finish_reason,
            }
        ],
    }
    if usage:
        body["usage"] = to_openai(counted)
    return Reply(body=body, usage=counted if usage else None, finish_reason=finish_reason)


def chunks(answer: Reply) -> list[Chunk]:
    """The same answer as a stream: a chunk for each word, then the usage."""
    text = answer.body["choices"][0]["message"]["content"]
    words = [word + " " for word in text.split(" ")[:-1]] + [text.split(" ")[-1]]

    def body(delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return {"id": "mock", "model": "mock", "choices": [choice]}

    return [
        *(Chunk(body=body({"content": word}, None), text=word) for word in words),
        Chunk(
            body=body({}, answer.finish_reason),
            usage=answer.usage,
            finish_reason=answer.finish_reason,
        ),
    ]


Fixed: TypeAlias = Reply | Exception | list[Chunk | Exception]
Answer: TypeAlias = Fixed | Callable[[Call], Fixed]
"""A whole answer (streamed word by word if asked), an error, a stream that may break, or a
function of the call that returns one of these; it may raise, too."""
AsyncAnswer: TypeAlias = Answer | Callable[[Call], Awaitable[Fixed]]


class MockTransport:
    """Answers from a queue and keeps the `calls` it was given; the last answer repeats.

    Raises:
        ConfigError: an answer of another kind.
    """

    def __init__(self, *answers: Answer) -> None:
        self._answers: deque[object] = deque()
        self.calls: list[Call] = []
        self.enqueue(*answers)

    def enqueue(self, *answers: Answer) -> None:
        """Add answers to the queue."""
        if any(map(iscoroutinefunction, answers)):
            raise ConfigError("MockTransport: only AsyncMockTransport awaits a function")
        self._add(answers)

    def send(self, call: Call) -> Reply:
        """The next answer, or the next error raised."""
        return _whole(self._next(call))

    def open(self, call: Call) -> MockSource:
        """The next answer as a stream."""
        return MockSource(_pieces(self._next(call)))

    def close(self) -> None:
        """Nothing to close."""

    def _add(self, answers: Iterable[object]) -> None:
        for answer in answers:
            fixed = isinstance(answer, (Reply, Exception, list))
            if isinstance(answer, type) or not (fixed or callable(answer)):
                raise _odd(answer)
            self._answers.append(answer)

    def _next(self, call: Call) -> object:
        self.calls.append(call)
        if not self._answers:
            raise LookupError("MockTransport has no answer queued")
        answer = self._answers.popleft() if len(self._answers) > 1 else self._answers[0]
        return answer(call) if callable(answer) else answer


class AsyncMockTransport:
    """`MockTransport` for an `AsyncClient`; a function of the call may be a coroutine function."""

    def __init__(self, *answers: AsyncAnswer) -> None:
        self._mock = MockTransport()
        self._mock._add(answers)
        self.calls = self._mock.calls

    def enqueue(self, *answers: AsyncAnswer) -> None:
        """Add answers to the queue."""
        self._mock._add(answers)

    async def send(self, call: Call) -> Reply:
        """The next answer, or the next error raised."""
        return _whole(await self._next(call))

    async def open(self, call: Call) -> AsyncMockSource:
        """The next answer as a stream."""
        return AsyncMockSource(MockSource(_pieces(await self._next(call))))

    async def close(self) -> None:
        """Nothing to close."""

    async def _next(self, call: Call) -> object:
        found = self._mock._next(call)
        return await found if isawaitable(found) else found


def _whole(answer: object) -> Reply:
    if isinstance(answer, list):
        raise TypeError("a list of chunks answers streamed calls only")
    return answer if isinstance(answer, Reply) else _raised(answer)


def _pieces(answer: object) -> list[Chunk | Exception]:
    if isinstance(answer, Reply):
        return list(chunks(answer))
    return answer if isinstance(answer, list) else _raised(answer)


def _raised(answer: object) -> NoReturn:
    raise answer if isinstance(answer, Exception) else _odd(answer)


def _odd(answer: object) -> ConfigError:
    kind = answer.__name__ if isinstance(answer, type) else type(answer).__name__
    return ConfigError(
        "MockTransport: expected reply(...), an error, a list of chunks, or a function of the "
        f"call that returns one of these; got {kind}"
    )


class MockSource:
    """A queued stream; `closed` tells whether it was let go."""

    def __init__(self, pieces: list[Chunk | Exception]) -> None:
        self._pieces = deque(pieces)
        self.closed = False

    def read(self) -> Chunk | None:
        """The next chunk, or the next error raised."""
        piece = self._pieces.popleft() if self._pieces else None
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        """Let go."""
        self.closed = True


class AsyncMockSource:
    """`MockSource` for an event loop."""

    def __init__(self, source: MockSource) -> None:
        self._source = source

    async def read(self) -> Chunk | None:
        """The next chunk, or the next error raised."""
        return self._source.read()

    async def close(self) -> None:
        """Let go."""
        self._source.close()
