"""A real vLLM server for the prefix benchmarks: started, asked for its tokens, and stopped."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

TEMPLATE = """\
{%- set first = messages[0]['content'] if messages[0]['role'] == 'system' else '' -%}
<|im_start|>system
{{ first }}{% if tools %}

# Tools
{% for tool in tools %}{{ tool | tojson }}
{% endfor %}{% endif %}<|im_end|>
{% for message in messages %}{% if not (loop.first and message['role'] == 'system') -%}
<|im_start|>{{ message['role'] }}
{{ message['content'] or '' }}{% for call in message['tool_calls'] or [] %}
<tool_call>{{ call['function'] | tojson }}</tool_call>{% endfor %}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""
"""A chat template in the manner of Hermes and Qwen: tools after the system text, whole history."""


@contextlib.contextmanager
def server(
    venv: Path, model: Path, *, block: int = 32, kv: str = "512M", blocks: int | None = None
) -> Iterator[str]:
    """Serve `model` on one core and yield the base URL; its KV cache is `kv`, or `blocks` blocks.

    Raises:
        RuntimeError: it ended before it answered; its last lines are in the message.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "OMP_NUM_THREADS": "1",
    }
    with tempfile.TemporaryDirectory() as scratch:
        template, log = Path(scratch, "template.jinja"), Path(scratch, "log")
        template.write_text(TEMPLATE, encoding="utf-8")
        command = [str(venv / "bin/python"), "-m", "vllm.entrypoints.openai.api_server"]
        command += ["--host", "127.0.0.1", "--port", str(port), "--model", str(model)]
        command += ["--served-model-name", "bench", "--chat-template", str(template)]
        command += ["--enforce-eager", "--dtype", "float32", "--max-model-len", "4608"]
        command += ["--max-num-seqs", "8", "--block-size", str(block)]
        command += ["--enable-prompt-tokens-details", "--kv-cache-memory-bytes", kv]
        if blocks:
            command += ["--num-gpu-blocks-override", str(blocks)]
        kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        with log.open("wb") as file:
            started = subprocess.Popen(
                command, env=kept | environ, stdout=file, stderr=file, start_new_session=True
            )
        try:
            _wait(f"http://127.0.0.1:{port}", started, log)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()


def _wait(url: str, started: subprocess.Popen[bytes], log: Path) -> None:
    while started.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{url}/health", timeout=2.0).is_success:
                return
        time.sleep(0.5)
    said = log.read_text("utf-8", "replace")[-2000:]
    raise RuntimeError(f"the server ended with {started.returncode}:\n{said}")


class Tokens:
    """Token ids as the server at `url` counts them: of prompts, and of its own answers."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url.removesuffix("/v1"), timeout=60.0)
        models = self._client.get("/v1/models").raise_for_status().json()
        self.model: str = models["data"][0]["id"]
        self.name = self.model.rpartition("/")[2].lower()

    def prompt(
        self, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
    ) -> list[int]:
        """A conversation under the server's chat template, up to where its answer begins."""
        body = {"model": self.model, "messages": list(messages), "tools": list(tools) or None}
        return self._ids(body)

    def text(self, text: str) -> list[int]:
        """A text by itself."""
        return self._ids({"model": self.model, "prompt": text, "add_special_tokens": False})

    def blocks(self) -> tuple[int, int]:
        """Tokens in a block of its KV cache, and how many blocks there are, by its metrics."""
        for line in self._client.get("/metrics").raise_for_status().text.splitlines():
            if line.startswith("vllm:cache_config_info"):
                labels = dict(p.split("=", 1) for p in line[line.index("{") + 1 :].split('",'))
                size, count = labels["block_size"], labels["num_gpu_blocks"]
                return int(size.strip('"')), int(count.strip('"'))
        raise ValueError("the server tells nothing of its cache: expected vllm:cache_config_info")

    def _ids(self, body: Mapping[str, Any]) -> list[int]:
        answer = self._client.post("/tokenize", json=body).raise_for_status()
        return list(answer.json()["tokens"])

    def close(self) -> None:
        self._client.close()
