"""Options that several commands share."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from router.client import Client
from router.errors import ConfigError
from router.record import DecisionRecord


def add_client_options(parser: argparse.ArgumentParser) -> None:
    """Settings of the client."""
    parser.add_argument(
        "--model", action="append", metavar="NAME", help="auto, a model, or several"
    )
    parser.add_argument(
        "--host", action="append", metavar="HOST", help="choose from these hosts only"
    )
    parser.add_argument("--policy", metavar="NAME|FILE", help="a preset or a TOML file")
    parser.add_argument(
        "--catalog", action="append", metavar="FILE", help="your catalogue overlay"
    )
    parser.add_argument("--budget", metavar="USD", help="cap of this request")
    parser.add_argument("--max-tokens", type=int, metavar="N")
    parser.add_argument("--ledger", metavar="FILE", help="the ledger to use")
    parser.add_argument("--record", metavar="FILE", help="write the decision, to replay it later")


def client_from(given: argparse.Namespace) -> Client:
    """A client with these settings."""
    return Client(
        hosts=given.host,
        policy=given.policy,
        catalog=given.catalog,
        ledger=given.ledger,
    )


def call_from(given: argparse.Namespace) -> dict[str, Any]:
    """Arguments of `plan` and `create` with these settings."""
    return {
        "model": given.model or "auto",
        "budget": given.budget,
        "max_tokens": given.max_tokens,
    }


def write_record(path: str | None, record: DecisionRecord) -> None:
    """Write the record of a decision, if a file was named for it."""
    if path is None:
        return
    try:
        Path(path).write_text(record.to_json() + "\n", "utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


def require_file(ledger: str | None) -> None:
    """Refuse a ledger that is named and not there: reading must not make one."""
    if ledger is not None and not Path(ledger).expanduser().is_file():
        raise ConfigError(f"expected the file of a ledger, {ledger!r} is none")


def prompt_from(given: argparse.Namespace) -> list[dict[str, str]]:
    """The prompt on the command line, or standard input for "-"."""
    text = sys.stdin.read() if given.prompt == "-" else given.prompt
    if not text.strip():
        raise ConfigError("expected a prompt, or - to read it from standard input; got none")
    return [{"role": "user", "content": text}]
