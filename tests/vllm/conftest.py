"""A real vLLM, started by our own command. These tests run where `CENTROUTE_TEST_VLLM` names the
directory of a model that `build_moe.py` made: see `make test-vllm`."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from router import Client

MODEL = os.environ.get("CENTROUTE_TEST_VLLM", "")
if not MODEL:
    collect_ignore_glob = ["test_*.py"]

# What makes vLLM's build for CPUs steady on few cores, and quick to start.
_ENVIRON = {
    "HF_HUB_OFFLINE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "OMP_NUM_THREADS": "1",
}
_SMALL = (
    *("--enforce-eager", "--dtype=float32", "--max-model-len=4096", "--max-num-seqs=8"),
    *("--block-size=32", "--kv-cache-memory-bytes=128M"),
)
_PARSER = ("--enable-auto-tool-choice", "--tool-call-parser=hermes")
_WITHOUT = (
    "--no-enable-prefix-caching",
    "--no-enable-prompt-tokens-details",
    "--no-enable-server-load-tracking",
)
_READY_SECONDS = 300


class Server:
    """`centroute vllm serve --run` as a process; what it printed, and its base URL once ready."""

    def __init__(self, *flags):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environ = os.environ | _ENVIRON
        # Without compiled files every start takes twice as long.
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [sys.executable, "-m", "router", "vllm", "serve", MODEL, "--run"]
        self.url = f"http://127.0.0.1:{port}/v1"
        self.process = subprocess.Popen(
            [*command, f"--port={port}", "--", *_SMALL, *flags],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self.said = []
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.said.append(line)
            if line.startswith("ready: "):
                self._ready.set()
        self._ready.set()

    @property
    def text(self):
        return "".join(self.said)

    def wait(self):
        """Until it is ready."""
        assert self._ready.wait(_READY_SECONDS), self.text
        assert self.process.poll() is None, self.text

    def stop(self):
        """As Ctrl-C does; its exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(60)
        self._reader.join(10)
        self.process.stdout.close()
        return code


@contextmanager
def _running(*flags):
    server = Server(*flags)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture(scope="session")
def bare():
    """A server without anything that caching and billing need; begun beside the other one."""
    with _running(*_WITHOUT) as server:
        yield server


@pytest.fixture(scope="session")
def server(bare):
    """A server with all that our command gives it."""
    with _running(*_PARSER) as server:
        server.wait()
        bare.wait()
        yield server


@pytest.fixture
def name():
    """The candidate that the server is."""
    return f"{Path(MODEL).resolve().name}@vllm"


@pytest.fixture
def client(server, name):
    """A client of it, at a price of our own: a cached token costs a tenth of another."""
    price = {
        "endpoint": name,
        "input": "1.00",
        "cache_read": "0.10",
        "output": "2.00",
        "source": "made up",
        "checked": "2026-11-22",
    }
    model = Path(MODEL).resolve().name
    rows = {
        "model": [{"name": model, "tools": True, "json_mode": True}],
        "endpoint": [
            {
                "model": model,
                "host": "vllm",
                "model_id": model,
                "context_tokens": 4096,
                "max_output_tokens": 4096,
            }
        ],
        "rate": [price],
    }
    with Client(
        base_urls={"vllm": server.url}, catalog=rows, ledger=":memory:", hosts=["vllm"]
    ) as made:
        yield made


@pytest.fixture(scope="session")
def llm():
    """A `vllm.LLM` in this process; made before the guards of single tests are up."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in _ENVIRON.items():
            patch.setenv(variable, value)
        from vllm import LLM

        yield LLM(
            MODEL,
            enforce_eager=True,
            dtype="float32",
            max_model_len=2048,
            max_num_seqs=4,
            block_size=32,
            kv_cache_memory_bytes=64 << 20,
        )
