"""A server of one's own for the application: it speaks as vLLM does."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class Replica:
    """A server that speaks as vLLM does, with counters."""

    def __enter__(self) -> Self:
        self.served = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.replica = self
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def metrics(self) -> str:
        """The page of counters, as vLLM writes it."""
        label = '{model_name="org/small"}'
        rows = {
            "num_requests_running": 1,
            "num_requests_waiting": 0,
            "kv_cache_usage_perc": 0.25,
            "prompt_tokens_total": 100 * self.served,
            "generation_tokens_total": 10 * self.served,
        }
        return "".join(
            f"# TYPE vllm:{name} {'counter' if name.endswith('total') else 'gauge'}\n"
            f"vllm:{name}{label} {value}\n"
            for name, value in rows.items()
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: object) -> None:
        """Keep the output clean."""

    def do_GET(self) -> None:
        replica = self.server.replica
        models = json.dumps({"data": [{"id": "org/small", "max_model_len": 8192}]})
        pages = {"/health": "", "/v1/models": models, "/metrics": replica.metrics()}
        found = pages.get(self.path)
        self._send(404 if found is None else 200, found or "")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.replica.served += 1
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": "Yes"},
            "finish_reason": "stop",
        }
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        head = {"id": "1", "object": "chat.completion", "created": 1, "model": "org/small"}
        self._send(200, json.dumps(head | {"choices": [choice], "usage": usage}))

    def _send(self, status: int, content: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(content.encode())))
        self.end_headers()
        self.wfile.write(content.encode())
