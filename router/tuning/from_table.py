"""Tables as traffic: what `Traffic.to_frame` wrote, out of a file or a frame."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from router.errors import ConfigError
from router.tuning.rows import NEEDED, json_of, logged_rows
from router.tuning.traffic import Traffic

_ASKED = ("prompt", "messages")
_SHAPES = (
    f"expected traffic ({', '.join(NEEDED)}, ... as Traffic.to_frame writes it) or an evaluation "
    "set (prompt or messages, model or candidate, score)"
)


Table: TypeAlias = tuple[list[dict[str, Any]], str, tuple[str, ...]]
"""Rows, what to call them in an error, and the columns, which are there without rows, too."""


def read_table(source: Any) -> Table:
    """The rows of a file or table.

    Raises:
        ConfigError: it cannot be read; of JSON lines, which line.
    """
    if not isinstance(source, str | Path):
        return _frame(source, "table")
    path = Path(source)
    try:
        if path.suffix.lower() == ".parquet":
            return _parquet(path)
        with path.open(encoding="utf-8", newline="") as file:
            if path.suffix.lower() == ".csv":
                reader = csv.DictReader(file)
                rows = [_filled(row) for row in reader]
                return rows, path.name, tuple(reader.fieldnames or ())
            rows = [_line(text, n, path) for n, text in enumerate(file, 1) if text.strip()]
            return rows, path.name, _columns(rows)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def _frame(source: Any, where: str) -> Table:
    from router.frames import rows_of

    rows = rows_of(source)
    if rows or isinstance(source, list | tuple):
        return rows, where, _columns(rows)
    from router.frames import library

    found = library("narwhals").from_native(source)
    return rows, where, tuple(map(str, found.collect_schema().names()))


def _columns(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(map(str, rows[0])) if rows else ()


def _parquet(path: Path) -> Table:
    from router.frames import library

    library("pyarrow")
    from pyarrow import parquet

    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    try:
        return _frame(parquet.read_table(path), path.name)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: not Parquet: {error}") from None


def _line(text: str, number: int, path: Path) -> dict[str, Any]:
    try:
        row = json.loads(text, parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{path}:{number}: expected a JSON object, got no JSON: {error}"
        ) from None
    if not isinstance(row, dict):
        raise ConfigError(f"{path}:{number}: expected a JSON object, got {type(row).__name__}")
    return row


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    return {str(name): value or None for name, value in row.items()}


def with_tags(table: Table, tags: Sequence[str], ignore: Sequence[str]) -> Table:
    """The table with some columns as tags of its rows, and without some others.

    Raises:
        ConfigError: it has no such column.
    """
    rows, where, columns = table
    known = {*columns, *(str(name) for row in rows for name in row)}
    for option, names in (("tags", tags), ("ignore", ignore)):
        if lacking := [name for name in names if name not in known]:
            raise ConfigError(
                f"{option}: {where} has no column {', '.join(map(repr, lacking))}; it has "
                f"{', '.join(sorted(known))}"
            )
    gone = {*tags, *ignore}
    made = [
        _tagged(
            {name: value for name, value in row.items() if name not in gone},
            {name: str(row[name]) for name in tags if row.get(name) is not None},
            f"{where}: row {number}: tags",
        )
        for number, row in enumerate(rows, start=1)
    ]
    return made, where, tuple(name for name in columns if name not in gone)


def _tagged(row: dict[str, Any], tags: Mapping[str, str], where: str) -> dict[str, Any]:
    own = json_of(row.get("tags"), where) if tags else None
    if not tags or not (own is None or isinstance(own, Mapping)):
        return row  # what is no object is refused with the row
    return {**row, "tags": {**(own or {}), **tags}}


def is_set(rows: Sequence[Mapping[str, Any]], where: str, columns: Sequence[str]) -> bool:
    """Whether the rows are an evaluation set, not logged traffic.

    Raises:
        ConfigError: they are neither; says what was expected.
    """
    if all(name in columns for name in NEEDED):
        return False
    if not rows:
        raise ConfigError(f"{where}: expected rows, got none; {_SHAPES}")
    if any(name in columns for name in _ASKED) and "score" in columns:
        return True
    raise ConfigError(f"{where}: {_SHAPES}; got the columns {', '.join(columns)}")


def from_rows(rows: Sequence[Mapping[str, Any]], where: str) -> Traffic:
    """Traffic of rows of `COLUMNS`; see `router.tuning.rows.logged_rows`."""
    return Traffic(logged_rows(rows, where))
