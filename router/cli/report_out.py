"""Where a report's file goes, and as what: the options that commands with tables share."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from router.cli.output import Output, add_json
from router.errors import ConfigError
from router.reports.locales import conventions

if TYPE_CHECKING:
    from router.reports import Table

STDOUT = "-"
FILES = ("csv", "parquet")


def add_files(parser: argparse.ArgumentParser, formats: Sequence[str] = FILES) -> None:
    """The options of a file: `--format`, `--out`, `--csv`, `--locale`, `--checksum`; and `--json`.

    `formats` are those that need `--out`.
    """
    kinds = f"{', '.join(formats[:-1])} or {formats[-1]}"
    parser.add_argument("--format", choices=("table", *formats, "json"), default="table")
    parser.add_argument("--out", metavar="FILE", help=f"write {kinds} here; - for standard output")
    parser.add_argument("--csv", metavar="FILE", help="write CSV here, beside the table")
    parser.add_argument("--locale", metavar="NAME", help="of the spreadsheet: de, en, fr, ...")
    parser.add_argument(
        "--checksum", action="store_true", help="write FILE.sha256 beside it, for sha256sum -c"
    )
    add_json(parser)


def check_files(given: argparse.Namespace, formats: Sequence[str] = FILES) -> None:
    """Refuse what would be ignored.

    Raises:
        ConfigError: says which options go together.
    """
    kinds = f"{', '.join(formats[:-1])} or {formats[-1]}"
    file = given.format in formats
    if file and not given.out:
        raise ConfigError(f"--format {given.format}: expected --out FILE, got none")
    if given.out and not file:
        raise ConfigError(f"--out {given.out}: expected --format {kinds}")
    if given.csv == STDOUT:
        raise ConfigError("--csv -: the table is there; expected --format csv --out -")
    if given.out == STDOUT and (given.checksum or given.csv or given.json):
        raise ConfigError("--out -: drop --checksum, --csv and --json")
    if given.locale and not (given.csv or given.format == "csv"):
        raise ConfigError("--locale goes with --csv or --format csv")
    if given.locale:
        conventions(given.locale)
    if given.checksum and not (given.csv or file):
        raise ConfigError(f"--checksum goes with a file: {kinds}")


def output(given: argparse.Namespace) -> Output:
    """What a command with these options writes to."""
    return Output(as_json=given.json or given.format == "json")


def write(table: Table, name: str, kind: str, given: argparse.Namespace) -> Path:
    """Write a report as "csv" or "parquet"; returns the path.

    Raises:
        ConfigError: it cannot be written.
    """
    with to_path(name) as path:
        if kind == "parquet":
            return table.to_parquet(path, checksum=given.checksum)
        return table.to_csv(path, given.locale, checksum=given.checksum)


def write_files(out: Output, table: Table, given: argparse.Namespace) -> None:
    """Write the files that were asked for, and say so.

    Raises:
        ConfigError: one cannot be written.
    """
    for path, kind in ((given.csv, "csv"), (given.out, given.format)):
        if path:
            out.line(f"written: {write(table, path, kind, given)}")


@contextmanager
def to_path(name: str) -> Iterator[Path]:
    """The path to write to; what is written for `-` is copied to standard output at the end.

    Raises:
        ConfigError: standard output was closed.
    """
    if name != STDOUT:
        yield Path(name)
        return
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "report"
        yield path
        try:
            sys.stdout.buffer.write(path.read_bytes())
            sys.stdout.buffer.flush()
        except OSError as error:
            raise ConfigError(f"cannot write to standard output: {error.strerror}") from error
