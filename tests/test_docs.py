"""README and docstrings are run as they stand; notebooks by `make notebooks`."""

from __future__ import annotations

import doctest
import importlib
import inspect
import json
import re
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import router
from router.cli import main
from router.ledgers.sqlite import SQLiteLedger

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
FLAGS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL


class _Vllm(BaseHTTPRequestHandler):
    """Stands in for the user's own vLLM server in README's example."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        rows = [{"id": "mistralai/Mixtral-8x7B-Instruct-v0.1", "max_model_len": 32768}]
        self._answer({"object": "list", "data": rows})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": "The capital of France is Paris."}
        usage = {"prompt_tokens": 15, "completion_tokens": 8, "total_tokens": 23}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        self._answer({"id": "x", "model": "m", "choices": [choice], "usage": usage})

    def _answer(self, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def vllm_url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Vllm)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_readme_python_runs_and_prints_what_it_says(
    vllm_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every Python block of README runs, in order, and prints what README shows."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    ran = 0
    for kind, text in BLOCKS:
        code = text.replace("http://localhost:8000/v1", vllm_url)
        if kind == "pycon":
            test = doctest.DocTestParser().get_doctest(code, names, "README.md", "README.md", 0)
            runner.run(test, clear_globs=False)
            names = test.globs
            ran += 1
        elif kind == "python":
            exec(compile(code, "README.md", "exec"), names)
            ran += 1
    assert runner.summarize(verbose=False).failed == 0
    assert ran >= 10


def test_readme_commands_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every shell line of README is a target of the Makefile or a command that works."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CENTROUTE_LEDGER", str(tmp_path / "ledger.sqlite3"))
    asked = {"messages": [{"role": "user", "content": "Hi"}]}
    Path("requests.jsonl").write_text(f"{json.dumps(asked)}\n" * 2, "utf-8")
    ledger = SQLiteLedger("spend.sqlite3")
    ledger.check()
    ledger.close()
    makefile = (ROOT / "Makefile").read_text("utf-8")
    inline = re.findall(r"`(python -m router [^`]*)`", README)
    lines = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
    for line in [*lines, *inline]:
        command = line.partition(" # ")[0].strip()
        if command.startswith("make "):
            assert f"\n{command[5:]}:" in makefile
        elif command.startswith("python -m router "):
            words = re.findall(r'"[^"]*"|\S+', command)[3:]
            assert main([word.strip('"') for word in words]) == 0, command
        else:
            assert command == "pip install ."


def test_readme_extras_exist() -> None:
    """The extras that README names are those of the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    named = re.search(r"extras: ([\w, ]+)", README)
    assert named
    assert set(named.group(1).split(", ")) == set(project["optional-dependencies"]) - {"dev"}


def test_readme_shows_what_the_demo_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """README's demo output is the demo's, but for times and places."""
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    printed = {line.rstrip() for line in capsys.readouterr().out.splitlines()}
    shown = next(text for kind, text in BLOCKS if kind == "text" and "Who answered" in text)
    for line in shown.splitlines():
        if not re.search(r"requests in .* s, reserved", line):
            assert line.rstrip() in printed, line


@pytest.mark.parametrize("name", router.__all__)
def test_public_docstrings_run(name: str) -> None:
    """Every public name has a docstring, and the examples in it work."""
    found = getattr(router, name)
    assert inspect.getdoc(found), name
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for test in doctest.DocTestFinder(recurse=False).find(found, name, globs={}):
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


@pytest.mark.parametrize("module", ["router.money", "router.testing", "router.tokens"])
def test_module_docstrings_run(module: str) -> None:
    """The examples of modules that users read work."""
    assert doctest.testmod(importlib.import_module(module), optionflags=FLAGS).failed == 0
