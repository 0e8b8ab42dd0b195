"""CSV that a spreadsheet opens without harm and an accountant can add up."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from router.errors import ConfigError

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write rows to `path`, whole or not at all; returns the path.

    Raises:
        ConfigError: the file cannot be written.
    """
    target = Path(path).expanduser()
    part = target.with_name(target.name + ".part")
    try:
        with part.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([cell(row[column]) for column in columns] for row in rows)
        os.replace(part, target)  # noqa: PTH105 - Path.replace hides which file an error is about
    except OSError as error:
        raise ConfigError(
            f"cannot write {target}: {error.strerror}. Name a file in a directory that exists and "
            "can be written."
        ) from error
    finally:  # whatever went wrong, no half of a report stays; after a success it is gone already
        with suppress(OSError):
            part.unlink()
    return target


def cell(value: Any) -> str:
    """A value as a CSV cell: decimals in full, and no text that a spreadsheet would run."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
