"""Servers that a command starts: waited for, checked, and stopped with all that they started."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from router.cli import main, vllm
from router.cli.serving import (
    interruptible,
    require_free,
    require_serves,
    started,
    stop,
    wait_until_healthy,
)
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
            name = sys.argv[sys.argv.index("--served-model-name") + 1]
            body = json.dumps({"data": [{"id": name, "max_model_len": 4096}]}).encode()
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
print("child", child, os.getpid(), flush=True)
server.serve_forever()
"""


@pytest.fixture
def port():
    """One that is free now."""
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


@pytest.fixture
def serve(tmp_path, port):
    """Runs `vllm serve --run` with a stand-in for vLLM; the process, and what it said so far."""
    program = tmp_path / "vllm"
    program.write_text(f"#!{sys.executable}\n{SERVER}")
    program.chmod(0o755)
    script = (
        "import signal, sys\nfrom router.cli import main, vllm\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "vllm._program = lambda *, running: (sys.argv[1], 'serve')\n"
        "sys.exit(main(sys.argv[2:]))\n"
    )

    def run(*extra):
        words = ["vllm", "serve", "mixtral-8x7b-instruct-v0.1", "--run", "--port", port, *extra]
        command = subprocess.Popen(
            [sys.executable, "-c", script, str(program), *words],
            stdout=subprocess.PIPE,
            text=True,
            cwd=HERE.parent,
        )
        said = []
        for line in command.stdout:
            said.append(line)
            if line.startswith("ready: "):
                break
        return command, said

    return run


def pids(said):
    """Of the worker that will not be asked, and of its server."""
    line = next(line for line in said if line.startswith("child"))
    return [int(word) for word in line.split()[1:]]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_serve_runs_until_it_is_interrupted(serve, port, how):
    """It waits until the server answers, says what it lacks, and stops it when told to.

    A terminal that is closed (SIGHUP) tells it to as well.
    """
    command, said = serve()
    command.send_signal(how)
    said.append(command.stdout.read())
    assert command.wait(30) == 0
    command.stdout.close()
    text = "".join(said)
    assert f"ready: export VLLM_BASE_URL=http://127.0.0.1:{port}/v1" in text
    assert "takes 4,096 tokens" in text
    assert text.endswith("stopped\n")
    assert all(gone(pid) for pid in pids(said))


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_server_does_not_outlive_a_command_that_is_killed(serve):
    """Nobody is left to stop it, so that it is asked to end by the kernel."""
    command, said = serve()
    child, server = pids(said)
    try:
        assert alive(server)
        command.kill()
        command.wait(30)
        assert gone(server)
    finally:
        os.kill(child, signal.SIGKILL)
        command.stdout.close()


def test_a_hangup_that_is_ignored_stays_so(monkeypatch):
    """`nohup` runs what is to outlive its terminal."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert callable(signal.getsignal(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_port_that_is_in_use(tmp_path, monkeypatch, capsys, port):
    """Whoever listens there is not taken for the server, which is not started at all."""
    mark = tmp_path / "started"
    touch = ("import pathlib, sys; pathlib.Path(sys.argv[1]).touch()", str(mark))
    monkeypatch.setattr(vllm, "_program", lambda *, running: (sys.executable, "-c", *touch))
    require_free("127.0.0.1", int(port))
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", int(port)))
        foreign.listen()
        assert main(["vllm", "serve", "a/model", "--run", "--port", port]) == 1
        with pytest.raises(ConfigError, match=f"port {port} of this machine"):
            require_free("", int(port))
    said, error = capsys.readouterr()
    assert f"port {port} of 127.0.0.1 is in use" in error
    assert "--port" in error
    assert "ready" not in said
    assert not mark.exists()

    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConfigError, match="cannot listen at nowhere"):
        require_free("nowhere", int(port))


def test_who_answers_must_be_the_server_that_was_started(port):
    """Another that took the port meanwhile has another model; ours may have ended, too."""
    url = f"http://127.0.0.1:{port}/v1"
    flags = ["--port", port, "--served-model-name", "theirs"]
    with (
        started([sys.executable, "-c", "import time; time.sleep(600)"]) as ours,
        started([sys.executable, "-c", SERVER, *flags], stdout=subprocess.PIPE) as foreign,
    ):
        wait_until_healthy(foreign, url, seconds=30)
        wait_until_healthy(ours, url)
        require_serves(foreign, url, "theirs", "key")
        with pytest.raises(ConfigError, match=r"does not serve ours: .* --port"):
            require_serves(ours, url, "ours", None)
        ours.kill()
        ours.wait()
        with pytest.raises(ConfigError, match="ended with exit code"):
            require_serves(ours, url, "theirs", None)
    with (
        started([sys.executable, "-c", "import time; time.sleep(600)"]) as ours,
        pytest.raises(ConfigError, match="gives no list of models"),
    ):
        require_serves(ours, url, "ours", None)


def test_a_key_among_the_flags_is_the_one_that_is_used(monkeypatch, port):
    """Over the one in the environment, as vLLM itself takes it."""
    used = []
    asleep = ("-c", "import time; time.sleep(600)")
    monkeypatch.setenv("VLLM_API_KEY", "of the environment")
    monkeypatch.setattr(vllm, "_program", lambda *, running: (sys.executable, *asleep))
    monkeypatch.setattr(vllm, "wait_until_healthy", lambda *_: None)
    monkeypatch.setattr(vllm, "require_serves", lambda *given: used.append(given[-1]))

    def check(kind, url, key, *, contexts):
        used.append(key)
        raise ConfigError("enough")

    monkeypatch.setattr(vllm, "check", check)
    words = ["vllm", "serve", "a/model", "--run", "--port", port, "--", "--api-key", "sk-mine"]
    assert main(words) == 1
    assert used == ["sk-mine", "sk-mine"]
