"""Options that several commands share."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from router.client import Client
from router.errors import ConfigError
from router.ledgers.open import server_url
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
    add_ledger(parser)
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


def add_ledger(parser: argparse.ArgumentParser) -> None:
    """The ledger that a command reads or writes."""
    parser.add_argument(
        "--ledger",
        metavar="FILE|URL",
        help="the ledger; of a URL the password can be left to PGPASSWORD or ~/.pgpass",
    )


def require_ledger(ledger: str | None) -> None:
    """Refuse a file that is named and not there: reading must not make one."""
    if ledger is None or server_url(ledger, "--ledger") is not None:
        return
    if not Path(ledger).expanduser().is_file():
        raise ConfigError(f"expected the file of a ledger, {ledger!r} is none")


def tag(text: str) -> tuple[str, str]:
    """A tag of the command line.

    Raises:
        argparse.ArgumentTypeError: no name, or no "=".
    """
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def prompt_from(given: argparse.Namespace) -> list[dict[str, str]]:
    """The prompt on the command line, or standard input for "-"."""
    text = sys.stdin.read() if given.prompt == "-" else given.prompt
    if not text.strip():
        raise ConfigError("expected a prompt, or - to read it from standard input; got none")
    return [{"role": "user", "content": text}]
