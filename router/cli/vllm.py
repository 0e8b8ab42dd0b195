"""`centroute vllm serve`: print the command that serves a model with vLLM, or run it."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from router.catalog import Catalog
from router.cli.output import Output, add_json
from router.cli.serving import (
    interruptible,
    require_free,
    require_serves,
    started,
    wait_until_healthy,
)
from router.errors import ConfigError
from router.transports.access import Access
from router.transports.vllm.checks import check
from router.transports.vllm.command import OLD_PROGRAM, PROGRAM, Command, command_for, target_of

_MISSING = (
    "vLLM is not installed here: pip install 'centroute[vllm]' (Linux), or leave --run out and "
    "run the command where it is"
)


class _WithRest(argparse.ArgumentParser):
    """Puts what follows `--` into `extra`, wherever it stands."""

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        words = list(sys.argv[1:] if args is None else args)
        at = words.index("--") if "--" in words else len(words)
        found, unknown = super().parse_known_args(words[:at], namespace or argparse.Namespace())
        found.extra = words[at + 1 :]
        return found, unknown


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("vllm", help="serve a model with vLLM")
    actions = parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=_WithRest
    )
    serve = actions.add_parser(
        "serve",
        help="print the command that serves a model, or run it",
        usage="%(prog)s MODEL [--run] [options] [-- flags for vLLM]",
        description="Print the vLLM command that serves a model with what caching and billing "
        "need, or run it, wait until it answers and check it. Flags after -- go to vLLM and "
        "replace ours.",
    )
    serve.add_argument("model", metavar="MODEL", help="a catalogue name, an id, or a directory")
    serve.add_argument("--run", dest="serving", action="store_true", help="run it, until Ctrl-C")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on; this machine's")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--gpus", type=int, metavar="N", help="shard the weights over N GPUs")
    serve.add_argument("--catalog", action="append", default=[], metavar="FILE", help="overlay")
    add_json(serve)
    serve.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Print or run."""
    out = Output(as_json=given.json)
    catalog = Catalog.default().overlay(*given.catalog)
    command = command_for(
        target_of(given.model, catalog),
        program=_program(running=given.serving),
        host=given.host,
        port=given.port,
        gpus=given.gpus,
        extra=given.extra,
    )
    for note in command.notes:
        out.line(f"# {note}")
    out.line(command.shell())
    out.data({"arguments": command.arguments, "url": command.base_url, "notes": command.notes})
    if given.serving:
        return _serve(command, catalog, out)
    if command.base_url is not None:
        out.line(f"\n# then: export VLLM_BASE_URL={command.base_url}")
    return 0


def _program(*, running: bool) -> tuple[str, ...]:
    """How vLLM is called on this machine; where it is not installed, how it is called at all.

    Raises:
        ConfigError: it is to be run and not installed.
    """
    beside = Path(sys.executable).with_name("vllm")
    found = str(beside) if beside.exists() else shutil.which("vllm")
    installed = find_spec("vllm")
    if installed is not None and installed.origin is not None:
        try:
            version("vllm")
        except PackageNotFoundError:
            return (sys.executable, *OLD_PROGRAM[1:])
        return (found, "serve") if found else (sys.executable, *OLD_PROGRAM[1:])
    if not running:
        return PROGRAM
    if found is None:
        raise ConfigError(_MISSING)
    return found, "serve"


def _serve(command: Command, catalog: Catalog, out: Output) -> int:
    """Run the server, wait until it answers, say what it lacks, and stay until it or we end."""
    url = command.base_url
    if url is None:
        raise ConfigError("--uds: --run asks the server over TCP; leave one of the two out")
    host = catalog.hosts["vllm"]
    keys = {"vllm": command.api_key} if command.api_key else {}
    key = Access(environ=os.environ, keys=keys).key("vllm", host)
    contexts = {e.model_id: e.context_tokens for e in catalog.endpoints if e.host == "vllm"}
    require_free(command.host, command.port)
    try:
        with interruptible(), started(command.arguments, ends_with_us=True) as process:
            wait_until_healthy(process, url)
            require_serves(process, url, command.served_name, key)
            findings = list(check("vllm", url, key, contexts=contexts))
            rows = [(f.state, f.what, f.finding) for f in findings]
            out.table(f"vLLM at {url}", ("", "what", "finding"), rows)
            out.line(f"\nready: export VLLM_BASE_URL={url}")
            sys.stdout.flush()
            return process.wait()
    except KeyboardInterrupt:
        out.line("stopped")
        return 0
