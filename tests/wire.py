"""A real HTTP server on loopback that answers from a script, piece by piece, as hosts do."""

from __future__ import annotations

import json
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

CUT = "cut"
"""Close the connection here, without the end that the headers promised."""
STALL = "stall"
"""Send nothing more until the client goes away or the test ends."""
REPEAT = "repeat"
"""Send the piece before again and again until the client goes away."""


@dataclass(frozen=True)
class Answer:
    """What one request gets: `pieces` are written and flushed one by one.

    With `chunked` each piece is one HTTP chunk; without, the length is announced and the pieces
    are cut as they are. `raw` pieces replace the whole response, status line included. A float
    is a pause in seconds.
    """

    pieces: Sequence[bytes | str | float] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    chunked: bool = False
    raw: bool = False


@dataclass(frozen=True)
class Seen:
    """A request as it came in; names of headers in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self):
        """The JSON body."""
        return json.loads(self.content)


class Wire:
    """The server. Each host has its own path, so that one server plays several hosts."""

    def __init__(self) -> None:
        self._script: dict[str, deque[Answer]] = defaultdict(deque)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler, bind_and_activate=True)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._server.wire = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True
        )
        self.seen: list[Seen] = []
        self.unscripted: list[str] = []
        self.connections = 0
        self.stop = threading.Event()
        self.arrived = threading.Semaphore(0)
        """Released once for each request that has come in."""
        self.gone = threading.Event()
        """Set when a client went away from a stalled or repeating answer."""

    def url(self, host: str) -> str:
        """The base URL of a host."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{host}/v1"

    def script(self, host: str, *answers: Answer) -> None:
        """Queue answers to the chat completions of a host, in order."""
        self._script[f"/{host}/v1/chat/completions"].extend(answers)

    def models(self, host: str, answer: Answer) -> None:
        """Queue an answer to a host's GET /models."""
        self._script[f"/{host}/v1/models"].append(answer)

    def calls(self, host: str) -> list[Seen]:
        """The chat completions that a host was asked for."""
        return [s for s in self.seen if s.path == f"/{host}/v1/chat/completions"]

    def take(self, seen: Seen) -> Answer:
        """The next answer for a request; how a server is it does not tell."""
        if seen.path.endswith(("/health", "/metrics")):
            return Answer((b"{}",), status=404)
        self.seen.append(seen)
        self.arrived.release()
        queue = self._script[seen.path]
        if not queue:
            self.unscripted.append(f"{seen.method} {seen.path}")
            return Answer((b"{}",), status=418)
        return queue.popleft()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.wire.connections += 1

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""

    def handle(self) -> None:
        try:
            super().handle()
        except ConnectionError:
            self.server.wire.gone.set()

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        content = self.rfile.read(length)
        wire = self.server.wire
        seen = Seen(
            self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, content
        )
        answer = wire.take(seen)
        if not answer.raw:
            self._head(answer)
        last = b""
        for piece in answer.pieces:
            if isinstance(piece, float):
                wire.stop.wait(piece)
                continue
            if piece == CUT:
                return self._cut()
            if piece == STALL:
                return self._stall()
            if piece == REPEAT:
                return self._repeat(last, answer.chunked)
            last = piece
            self._write(piece, answer.chunked)
        if answer.chunked:
            self.wfile.write(b"0\r\n\r\n")
        if answer.raw:
            self._cut()
        return None

    def _head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("content-type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.chunked:
            self.send_header("transfer-encoding", "chunked")
        else:
            # A script that is cut short promises more than it sends.
            sent = sum(len(p) for p in answer.pieces if isinstance(p, bytes))
            whole = all(isinstance(p, bytes) for p in answer.pieces)
            self.send_header("content-length", str(sent if whole else sent + 1000))
        self.end_headers()

    def _write(self, piece: bytes, chunked: bool) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
        self.wfile.flush()

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _stall(self) -> None:
        self.connection.settimeout(0.01)
        while not self.server.wire.stop.is_set():
            try:
                if self.connection.recv(1) == b"":
                    self.server.wire.gone.set()
                    break
            except TimeoutError:
                continue
            except OSError:
                self.server.wire.gone.set()
                break
        self.close_connection = True

    def _repeat(self, piece: bytes, chunked: bool) -> None:
        try:
            while not self.server.wire.stop.wait(0.002):
                self._write(piece, chunked)
        except OSError:
            self.server.wire.gone.set()
        self.close_connection = True
