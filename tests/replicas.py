"""Small servers that speak as vLLM does, with a prefix cache of words; they can die and return."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer

BLOCK = 16


class Replica:
    """One server. `pause` seconds pass before an answer; `sick` answers 503; `cut` breaks off."""

    def __init__(self, models=("moe",)) -> None:
        self.models, self.calls, self.cached = models, 0, []
        self.pause, self.sick, self.cut, self.tells = 0.0, False, "", True
        self.waits = threading.Event()
        self._known: set[tuple[str, ...]] = set()
        self._server: BaseServer | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._port}/v1"

    def start(self) -> None:
        """Listen, with an empty cache; after a death at the same address."""
        self._known = set()
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.replica = self
        self._port = self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True
        ).start()

    def die(self) -> None:
        """Listen no more; calls under way break."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            for connection in server.open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def read(self, messages) -> tuple[int, int]:
        """Words of a prompt, and how many of them were known; all are known afterwards."""
        words = tuple(f"{m['role']}: {m['content']}".split() for m in messages)
        flat = tuple(word for each in words for word in each)
        known = 0
        for end in range(BLOCK, len(flat), BLOCK):
            if flat[:end] not in self._known:
                break
            known = end
        self._known |= {flat[:end] for end in range(BLOCK, len(flat) + 1, BLOCK)}
        return len(flat), known


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.open = []

    def handle_error(self, request, client_address) -> None:
        """Keep the test's output clean: clients go away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.open.append(self.connection)

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        replica = self.server.replica
        if self.path == "/v1/models":
            rows = [{"id": name, "max_model_len": 100_000} for name in replica.models]
            self._send(200, {"data": rows})
        elif self.path == "/health":
            self._send(503 if replica.sick else 200, {})
        else:
            self._send(404, {})

    def do_POST(self) -> None:
        replica = self.server.replica
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        replica.calls += 1
        replica.waits.wait(replica.pause)
        if replica.cut == "before":
            return self._cut()
        if replica.sick:
            return self._send(503, {"error": {"message": "busy", "code": 503}})
        tokens, known = replica.read(body["messages"])
        replica.cached.append(known)
        details = {"cached_tokens": known} if replica.tells else None
        usage = {
            "prompt_tokens": tokens,
            "completion_tokens": 1,
            "total_tokens": tokens + 1,
            "prompt_tokens_details": details,
        }
        head = {"id": "r", "model": body["model"], "created": 0}
        if not body["stream"]:
            message = {"role": "assistant", "content": "Yes"}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return self._send(200, head | {"choices": [choice], "usage": usage})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        first = {"index": 0, "delta": {"role": "assistant", "content": ""}}
        last = {"index": 0, "delta": {"content": "Yes"}, "finish_reason": "stop"}
        self._event(head | {"choices": [first]})
        if replica.cut == "early":
            return self._cut()
        self._event(head | {"choices": [last]})
        self._event(head | {"choices": [], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")
        return None

    def _cut(self) -> None:
        self.close_connection = True
        self.connection.close()

    def _event(self, body) -> None:
        self.wfile.write(b"data: " + json.dumps(body).encode() + b"\n\n")
        self.wfile.flush()

    def _send(self, status, body) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
