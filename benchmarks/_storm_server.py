"""The storm's provider: OpenAI's wire format on loopback, and its own exact books.

Standard library only. It writes down what it served to each call id, priced in integers, before
anything of it is sent: what it has worked on is billed, whether or not somebody reads it.
`GET /bill` answers the books, `GET /served` how many calls were begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections.abc import Callable
from typing import Any

from benchmarks._storm_calls import CACHED, INPUT, OUTPUT, PATIENCE, read

_LATENCY, _PACE, _WORDS = 0.03, 0.004, 4
"""Seconds to the first word, between two chunks of a stream; words in a chunk."""
_SMALL = {"id": "s", "created": 1795300265, "model": "storm-1"}


class Books:
    """What was served, in the order in which it was begun."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.refused: set[str] = set()

    def begin(self, call: str, prompt_tokens: int) -> dict[str, Any]:
        """A new line; the input is billed as soon as the answer is begun."""
        cached = prompt_tokens // 32 * 32 if zlib.crc32(call.encode()) % 3 == 0 else 0
        line = {"id": call, "input": prompt_tokens, "cached": cached, "output": 0, "whole": False}
        self.lines.append(line)
        return line


def price(line: dict[str, Any]) -> int:
    """Pico-dollars of a line of the books."""
    missed = line["input"] - line["cached"]
    return int(missed * INPUT + line["cached"] * CACHED + line["output"] * OUTPUT)


def usage(line: dict[str, Any]) -> dict[str, Any]:
    """A line as the provider reports it."""
    return {
        "prompt_tokens": line["input"],
        "completion_tokens": line["output"],
        "total_tokens": line["input"] + line["output"],
        "prompt_tokens_details": {"cached_tokens": line["cached"]},
    }


class Connection(asyncio.Protocol):
    """One caller: requests one after another, each answered before the next is read."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._buffer = b""
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        first, *fields = head.split(b"\r\n")
        length = 0
        for field in fields:
            name, _, value = field.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(rest) < length:
            return
        self._buffer = rest[length:]
        method, path, _ = first.split(b" ", 2)
        if method == b"GET":
            self._tell(path)
        else:
            self._answer(json.loads(rest[:length]))

    def _tell(self, path: bytes) -> None:
        lines = self._books.lines
        told: Any = len(lines)
        if path == b"/bill":
            told = [line | {"pico": price(line)} for line in lines]
        self._send(json.dumps(told).encode())

    def _answer(self, body: dict[str, Any]) -> None:
        prompt = body["messages"][-1]["content"]
        call, words, manner = read(prompt)
        if manner == "busy" and call not in self._books.refused:
            self._books.refused.add(call)
            error = {"error": {"message": "busy", "type": "rate_limit", "code": "busy"}}
            return self._send(json.dumps(error).encode(), b"429 Too Many Requests")
        most = body.get("max_tokens") or body.get("max_completion_tokens") or words
        line = self._books.begin(call, len(prompt.split()))
        wait = 4 * PATIENCE if manner == "slow" else _LATENCY
        words = min(words, most)
        if body.get("stream"):
            self._later(wait, lambda: self._open(line, words, manner))
        else:
            # An answer that is not streamed is worked out whether or not somebody still waits.
            line |= {"output": words, "whole": True}
            self._later(wait, lambda: self._whole(line, manner))
        return None

    def _whole(self, line: dict[str, Any], manner: str) -> None:
        message = {"role": "assistant", "content": " word" * line["output"]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = _SMALL | {"object": "chat.completion", "choices": [choice], "usage": usage(line)}
        content = json.dumps(body).encode()
        if manner == "cut":
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            self._transport.write(head % len(content) + b"\r\n" + content[: len(content) // 2])
            return self._transport.close()
        return self._send(content)

    def _open(self, line: dict[str, Any], words: int, manner: str) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n"
        )
        self._more(line, words, manner)

    def _more(self, line: dict[str, Any], words: int, manner: str) -> None:
        if manner == "cut" and line["output"] >= words // 2:
            return self._transport.close()
        if line["output"] < words:
            some = min(_WORDS, words - line["output"])
            line["output"] += some
            self._event({"choices": [{"index": 0, "delta": {"content": " word" * some}}]})
            return self._later(_PACE, lambda: self._more(line, words, manner))
        line["whole"] = True
        self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        self._event({"choices": [], "usage": usage(line)})
        self._transport.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        return None

    def _event(self, fields: dict[str, Any]) -> None:
        body = json.dumps(_SMALL | {"object": "chat.completion.chunk"} | fields)
        event = b"data: " + body.encode() + b"\n\n"
        self._transport.write(b"%x\r\n%s\r\n" % (len(event), event))

    def _send(self, content: bytes, status: bytes = b"200 OK") -> None:
        head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
        self._transport.write(head % (status, len(content)) + content)

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, work)


async def serve() -> None:
    books = Books()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(books), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
