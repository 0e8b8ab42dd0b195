"""CSV that a spreadsheet opens without harm and an accountant can add up.

Cells are quoted by RFC 4180, lines end in LF. No text is left that a sheet would run as a formula
(https://owasp.org/www-community/attacks/CSV_Injection), numbers stay numbers.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from router._files import file_named, replacing
from router.reports.locales import LOCALES, conventions

__all__ = ["BLANK", "LOCALES", "SIGNS", "cell", "conventions", "write_csv"]

SIGNS = "=+\\-@＝＋－＠﹦﹢﹣﹫"  # noqa: RUF001 - full and small width, which sheets read alike
"""Characters that begin a formula."""
BLANK = "\\s\0\u200b-\u200f\u2060\ufeff"
_FORMULA = re.compile(f"[{BLANK}\"']*[{SIGNS}]|[\t\r\n\0]")
_INSIDE = re.compile(f"([,;|\t\r\n][{BLANK}\"']*)(?=[{SIGNS}])")
"""A sheet that separates by another character than ours would begin a cell there."""


def write_csv(
    path: str | Path,
    columns: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    *,
    locale: str | None = None,
) -> Path:
    """Write rows to `path`, whole or not at all; returns the path.

    Without a locale it is for programs: commas, decimal points, UTF-8. With one ("de", "en",
    "fr-FR") it is for that language's spreadsheets, and begins with the mark by which Excel knows
    UTF-8.

    Raises:
        ConfigError: the file cannot be written.
        InvalidRequestError: a locale that is not among `LOCALES`, or no path.
    """
    comma, point = (",", ".") if locale is None else conventions(locale)
    target = file_named(path)
    encoding = "utf-8" if locale is None else "utf-8-sig"
    with replacing(target, errors="backslashreplace", encoding=encoding) as file:
        writer = csv.writer(file, delimiter=comma, lineterminator="\n")
        writer.writerow([cell(column) for column in columns])
        writer.writerows([cell(row[column], point) for column in columns] for row in rows)
    return target


def cell(value: Any, point: str = ".") -> str:
    """A value as a CSV cell: decimals in full, None as nothing, no text that a sheet would run."""
    if isinstance(value, Decimal):
        return f"{value:f}".replace(".", point)
    if not isinstance(value, str):
        return "" if value is None else str(value)
    text = _INSIDE.sub(r"\1'", value)
    return f"'{text}" if _FORMULA.match(value) else text
