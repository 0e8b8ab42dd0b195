"""Tables, progress and JSON: rich on a terminal, plain text elsewhere."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

T = TypeVar("T")
_CODES = "\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROL = re.compile(f"[{_CODES}]")
_IN_CELL = re.compile(f"[\t\n{_CODES}]")
"""What a terminal obeys, reads backwards or cannot write; a cell has one line."""


def printable(text: str) -> str:
    """Text for a terminal: names come from requests and bills, and may hold commands of one.
    These are shown as Python writes them; tabs and ends of lines stay.
    """
    return _CONTROL.sub(_escaped, text)


class Output:
    """Where a command writes. With `as_json` only `data` is written, and tables are left out."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        self._console = None if as_json or not sys.stdout.isatty() else _rich_console()

    def line(self, text: str = "") -> None:
        """A line of text."""
        if not self.as_json:
            print(printable(text))

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Iterable[Sequence[Any]],
        *,
        right: Collection[str] = (),
    ) -> None:
        """A table; numbers are set to the right, and so is any column named in `right`."""
        if self.as_json:
            return
        cells = [[_IN_CELL.sub(_escaped, _text(value)) for value in row] for row in rows]
        to_right = [
            column in right or all(_numeric(row[i]) for row in cells)
            for i, column in enumerate(columns)
        ]
        if self._console is None:
            _plain(title, columns, cells, to_right)
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(title=title, title_justify="left", title_style="bold")
        for column, numbers in zip(columns, to_right, strict=True):
            table.add_column(column, justify="right" if numbers else "left", overflow="fold")
        for row in cells:
            table.add_row(*map(Text, row))  # of a text alone it would read [marks]
        self._console.print(table)

    def track(self, items: Sequence[T], what: str) -> Iterator[T]:
        """The items, with a progress bar on a terminal and a line every fifth of the way else."""
        if self._console is not None:
            from rich.progress import track

            yield from track(items, description=what, console=self._console)
            return
        fifth = max(1, len(items) // 5)
        for i, item in enumerate(items, start=1):
            yield item
            if i % fifth == 0 or i == len(items):
                self.line(f"{what}: {i} of {len(items)}")

    def data(self, value: Any) -> None:
        """The same as JSON, with amounts as exact decimal strings."""
        if self.as_json:
            text = json.dumps(value, indent=2, default=_plain_value, ensure_ascii=False)
            print(_CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def add_json(parser: argparse.ArgumentParser) -> None:
    """The `--json` switch."""
    parser.add_argument("--json", action="store_true", help="machine-readable output")


def _rich_console() -> Any:
    try:
        from rich.console import Console
    except ImportError:  # pip install 'centroute[cli]'
        return None
    return Console()


def _plain(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]
) -> None:
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    print(f"\n{title}")
    for row in (columns, *rows):
        cells = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        print("  " + "  ".join(cells).rstrip())


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "" if value is None else str(value)


def _numeric(text: str) -> bool:
    return not text or text.lstrip("-$+").replace(",", "").replace(".", "").rstrip("%sx").isdigit()


def _plain_value(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    raise TypeError(f"no JSON for {type(value).__name__}")
