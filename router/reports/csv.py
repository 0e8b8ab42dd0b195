"""CSV that a spreadsheet opens without harm and an accountant can add up."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from router.reports.files import replacing

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows to `path`, whole or not at all; returns the path.

    Raises:
        ConfigError: the file cannot be written.
    """
    target = Path(path).expanduser()
    with replacing(target, errors="backslashreplace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([cell(row[column]) for column in columns] for row in rows)
    return target


def cell(value: Any) -> str:
    """A value as a CSV cell: decimals in full, None as nothing, no text that a sheet would run."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
