"""Servers that a command starts: waited for, checked, and stopped with all that they started."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from router.cli.serving import started, stop, wait_until_healthy
from router.errors import ConfigError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and groups are POSIX's")
HERE = Path(__file__).parent
SERVER = """
import json, os, signal, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"{}"
        if self.path == "/v1/models":
            body = json.dumps({"data": [{"id": "m", "max_model_len": 4096}]}).encode()
        if self.path == "/metrics":
            body = b'vllm:cache_config_info{enable_prefix_caching="True"} 1.0'
        self.answer(body)

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer(b'{"usage": {"prompt_tokens_details": {"cached_tokens": 0}}}')

    def answer(self, body):
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass

child = os.fork()
if child == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler)
print("child", child, flush=True)
server.serve_forever()
"""


@pytest.fixture
def port():
    """One that is free now."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def gone(pid):
    """Whether it ends within ten seconds."""
    until = time.monotonic() + 10
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not alive(pid)


def test_a_server_and_its_children_end_with_the_block(port):
    """Workers that ignore being asked are ended, too: on a GPU they would hold its memory."""
    with started([sys.executable, "-c", SERVER, "--port", port], stdout=subprocess.PIPE) as server:
        child = int(server.stdout.readline().split()[1])
        wait_until_healthy(server, f"http://127.0.0.1:{port}/v1", seconds=30)
        assert alive(child)
    assert server.poll() is not None
    assert gone(child)
    stop(server)


def test_a_server_that_ends_or_never_answers(port):
    """Waiting ends with words, not with a hang."""
    with (
        started([sys.executable, "-c", "raise SystemExit(3)"]) as server,
        pytest.raises(ConfigError, match="exit code 3"),
    ):
        wait_until_healthy(server, f"http://127.0.0.1:{port}/v1")
    with (
        started([sys.executable, "-c", "import time; time.sleep(60)"]) as server,
        pytest.raises(ConfigError, match="did not answer within 0 s"),
    ):
        wait_until_healthy(server, f"http://127.0.0.1:{port}/v1", seconds=0.2)
    with pytest.raises(ConfigError, match="cannot start /no/such"), started(["/no/such"]):
        pass


def test_a_server_that_will_not_end(port):
    """After the grace it is killed."""
    deaf = "import signal, time; signal.signal(15, 1); print(1, flush=True); time.sleep(600)"
    deaf = deaf.replace("(15, 1)", "(signal.SIGTERM, signal.SIG_IGN)")
    with started([sys.executable, "-c", deaf], stdout=subprocess.PIPE) as server:
        server.stdout.readline()
        stop(server, grace=0.05)
        assert server.returncode == -signal.SIGKILL


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_serve_runs_until_it_is_interrupted(tmp_path, port, how):
    """It waits until the server answers, says what it lacks, and stops it when told to."""
    program = tmp_path / "vllm"
    program.write_text(f"#!{sys.executable}\n{SERVER}")
    program.chmod(0o755)
    script = (
        "import sys\nfrom router.cli import main, vllm\n"
        "vllm._program = lambda *, running: (sys.argv[1], 'serve')\n"
        "sys.exit(main(sys.argv[2:]))\n"
    )
    words = ["vllm", "serve", "mixtral-8x7b-instruct-v0.1", "--run", "--port"]
    command = subprocess.Popen(
        [sys.executable, "-c", script, str(program), *words, port],
        stdout=subprocess.PIPE,
        text=True,
        cwd=HERE.parent,
    )
    said = []
    for line in command.stdout:
        said.append(line)
        if line.startswith("ready: "):
            break
    command.send_signal(how)
    said.append(command.stdout.read())
    assert command.wait(30) == 0
    command.stdout.close()
    text = "".join(said)
    assert f"ready: export VLLM_BASE_URL=http://127.0.0.1:{port}/v1" in text
    assert "not in the catalogue at this host" in text
    assert text.endswith("stopped\n")
    child = int(next(line.split()[1] for line in said if line.startswith("child")))
    assert gone(child)
