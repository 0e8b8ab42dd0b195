"""The text of an invoice, CSV or JSON, as rows of cells with their line numbers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from router.errors import ConfigError


def csv_rows(name: str, text: str) -> tuple[str, list[str], Iterator[tuple[int, list[str]]]]:
    """The delimiter, the header, and the rows by the line on which each begins.

    Raises:
        ConfigError: it begins empty, or has a quote that is not closed or not at a cell's end.
    """
    opening = text.splitlines()[:1]
    if not opening or not opening[0].strip():
        raise ConfigError(f"{name}, line 1: expected a header, the file begins empty")
    delimiter = max(",;\t|", key=opening[0].count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        header = next(reader)
    except csv.Error as error:
        raise ConfigError(f"{name}, line 1: expected CSV: {error}") from None
    return delimiter, header, _lines_of(name, reader)


def _lines_of(name: str, reader: Any) -> Iterator[tuple[int, list[str]]]:
    begins = reader.line_num + 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield begins, row
            begins = reader.line_num + 1
    except csv.Error as error:
        raise ConfigError(
            f"{name}, line {begins}: expected CSV, each quote closed: {error}"
        ) from None


def json_rows(name: str, text: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
    """JSON lines, a list, or an object with a list under "data": the fields as columns."""
    found: list[tuple[int, Mapping[str, object]]] = []
    try:
        whole = json.loads(text, parse_float=Decimal)
        if isinstance(whole, Mapping) and isinstance(whole.get("data"), list):
            whole = whole["data"]
        found = list(enumerate(whole if isinstance(whole, list) else [whole], start=1))
    except json.JSONDecodeError:
        for i, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                found.append((i, json.loads(line, parse_float=Decimal)))
            except json.JSONDecodeError as error:
                raise ConfigError(f"{name}, line {i}: expected JSON: {error.msg}") from None
    for i, row in found:
        if not isinstance(row, Mapping):
            raise ConfigError(f"{name}, row {i}: expected an object, got {type(row).__name__}")
    header = list(dict.fromkeys(key for _, row in found for key in row))

    def cell(value: object) -> str:
        return "" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)

    return header, ((i, [cell(row.get(key)) for key in header]) for i, row in found)
