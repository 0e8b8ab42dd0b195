"""The text of an invoice, CSV or JSON, as rows of cells with their line numbers."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from router.errors import ConfigError

_DIGITS = 40
"""Numbers are read up to so many digits; longer ones stay text, and no column takes them."""


class NamedCells(dict[str, str]):
    """The cells of a row by column; one whose name is there twice cannot be told from the other.

    Raises:
        ValueError: such a column is read.
    """

    twice: frozenset[str] = frozenset()

    def __getitem__(self, column: str) -> str:
        if column in self.twice:
            raise ValueError(f"column {column!r} is there twice: rename the one that is not meant")
        return super().__getitem__(column)

    def get(self, column: str, default: Any = None) -> Any:
        """The cell, or the default where there is no such column."""
        return self[column] if column in self else default  # noqa: SIM401 - this is `get`


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
    """JSON lines, a list, or an object with a list under "data": the fields as columns.

    Raises:
        ConfigError: it is no JSON, nested too deep, names a field twice, or has text that is none.
    """
    found: list[tuple[int, object]] = []
    try:
        whole = _loaded(text)
        if isinstance(whole, Mapping) and isinstance(whole.get("data"), list):
            whole = whole["data"]
        found = list(enumerate(whole if isinstance(whole, list) else [whole], start=1))
    except json.JSONDecodeError:
        for i, line in enumerate(text.splitlines(), start=1):
            if not line.strip():
                continue
            try:
                found.append((i, _loaded(line)))
            except json.JSONDecodeError as error:
                raise ConfigError(f"{name}, line {i}: expected JSON: {error.msg}") from None
            except (ValueError, RecursionError) as error:
                raise ConfigError(f"{name}, line {i}: {_why(error)}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: {_why(error)}") from None
    rows: list[tuple[int, Mapping[str, object]]] = []
    for i, row in found:
        if not isinstance(row, Mapping):
            raise ConfigError(f"{name}, row {i}: expected an object, got {type(row).__name__}")
        rows.append((i, row))
    header = list(dict.fromkeys(key for _, row in rows for key in row))
    return header, ((i, _cells(f"{name}, row {i}", row, header)) for i, row in rows)


def _loaded(text: str) -> object:
    return json.loads(text, parse_float=_real, parse_int=_whole, object_pairs_hook=_once)


def _why(error: Exception) -> str:
    return "expected JSON, nested less deep" if isinstance(error, RecursionError) else str(error)


def _real(text: str) -> object:
    try:
        found = Decimal(text)
    except InvalidOperation:  # an exponent beyond any number
        return text
    # Written out, a few letters with a large exponent would be millions of zeros.
    return found if abs(found.adjusted()) <= _DIGITS else text


def _whole(text: str) -> object:
    return int(text) if len(text) <= _DIGITS else text


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"expected each field once in an object, got {twice[:40]!a} again")
    return found


def _cells(where: str, row: Mapping[str, object], header: Sequence[str]) -> list[str]:
    try:
        cells = [_cell(row.get(key)) for key in header]
        "".join((*cells, *row)).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"{where}: expected text, got half of a character: {error.object[error.start]!a}"
        ) from None
    except RecursionError:
        raise ConfigError(f"{where}: expected plain values, nested less deep") from None
    return cells


def _cell(value: object) -> str:
    return "" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)
