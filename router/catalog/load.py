"""TOML files and Python mappings -> validated rows, with the file and line of what is wrong."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from router.catalog.schema import TABLES, row_key
from router.errors import CatalogError

Source: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]
"""A path of a TOML file, or a mapping of the same structure."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row, where it was written, and its layer: rows of a higher layer come later."""

    table: str
    row: Any
    file: str | None
    line: int | None
    layer: int

    def error(self, message: str, key: str | None = None) -> CatalogError:
        """A CatalogError that points here (`key` names the offending key in the message)."""
        where = f"[[{self.table}]] {row_key(self.row)}" + (f", {key}" if key else "")
        return CatalogError(f"{where}: {message}", file=self.file, line=self.line)


def read(sources: tuple[Source, ...], layer: int) -> list[Entry]:
    """All rows of these files and mappings, in order.

    Raises:
        CatalogError: unreadable, not TOML, an unknown table or key, or a value that is not what
            was expected; also two rows of one name in these sources.
    """
    entries: list[Entry] = []
    for source in sources:
        if isinstance(source, Mapping):
            entries.extend(_rows(source, "", None, layer))
        elif isinstance(source, str | os.PathLike):
            entries.extend(_read_file(Path(source), layer))
        else:
            raise CatalogError(f"expected the path of a TOML file or a mapping, got {source!r}")
    seen: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        key = (entry.table, row_key(entry.row))
        if key in seen:
            first = seen[key]
            where = f", first at {first.file}:{first.line}" if first.file else ""
            raise entry.error(f"expected each name once, this one is a duplicate{where}")
        seen[key] = entry
    return entries


def digest(entries: Iterable[Entry]) -> str:
    """Twelve hex digits of what the rows say and in which layers; where they stood is left out."""
    rows = [[e.table, e.layer, e.row.model_dump(mode="python")] for e in entries]
    text = json.dumps(rows, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: Any) -> Any:
    # A set has another order in every process.
    return sorted(map(str, value)) if isinstance(value, frozenset | set) else str(value)


def _read_file(path: Path, layer: int) -> list[Entry]:
    file = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise CatalogError("expected UTF-8 text", file=file) from None
    except OSError as error:
        raise CatalogError(
            f"expected a readable TOML file: {error.strerror or error}", file=file
        ) from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        raise CatalogError(f"expected TOML: {error}", file=file, line=line) from None
    return list(_rows(data, text, file, layer))


def _rows(data: Mapping[str, Any], text: str, file: str | None, layer: int) -> Iterator[Entry]:
    places = _headers(text)
    for table, rows in data.items():
        if table not in TABLES:
            known = ", ".join(f"[[{name}]]" for name in TABLES)
            line = _line_of_key(text, table)
            raise CatalogError(f"expected one of {known}, got {table!r}", file=file, line=line)
        if isinstance(rows, Mapping) or not isinstance(rows, list | tuple):
            raise CatalogError(
                f"expected a list of tables, written [[{table}]], got {type(rows).__name__}",
                file=file,
                line=_line_of_key(text, table),
            )
        lines = places.get(table, [])
        for index, raw in enumerate(rows):
            start = lines[index] if index < len(lines) else None
            try:
                row = TABLES[table].model_validate(raw)
            except ValidationError as error:
                raise _explain(error, table, index, raw, text, file, start) from None
            yield Entry(table, row, file, start, layer)


def _headers(text: str) -> dict[str, list[int]]:
    """Line numbers (from 1) of each `[[table]]` header, in order, per table."""
    found: dict[str, list[int]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = re.match(r"\s*\[\[\s*([\w-]+)\s*\]\]", line)
        if match:
            found.setdefault(match[1], []).append(number)
    return found


def _line_of_key(text: str, key: str, start: int = 1) -> int | None:
    """The first line from `start` on that opens a table or assigns `key`; None if there is none.

    From a row's header on, the search ends at the next `[[...]]` header.
    """
    for number, line in enumerate(text.splitlines(), start=1):
        if number < start:
            continue
        if number > start > 1 and re.match(r"\s*\[\[", line):
            return None
        if re.match(rf"\s*(?:\[+[\w.\s-]*\b)?{re.escape(key)}\b\s*[=.\]]", line):
            return number
    return None


def _explain(
    error: ValidationError,
    table: str,
    index: int,
    raw: Any,
    text: str,
    file: str | None,
    start: int | None,
) -> CatalogError:
    """The first problem pydantic found, in words of the file."""
    problem = error.errors(include_url=False)[0]
    keys = [str(part) for part in problem["loc"] if isinstance(part, str)]
    line = start
    for key in keys:
        line = (_line_of_key(text, key, start) if start else None) or line
    name = _label(raw, index)
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        known = ", ".join(sorted(TABLES[table].model_fields))
        message = f"unknown key; expected one of {known}" if len(keys) == 1 else "unknown key"
    elif problem["type"] == "missing":
        message = "expected this key, it is not there"
    elif problem["type"] != "value_error":
        message = f"{message}, got {problem['input']!r}"
    path = ".".join(keys)
    where = f"[[{table}]] {name}" + (f", {path}" if path else "")
    return CatalogError(f"{where}: {message}", file=file, line=line)


def _label(raw: Any, index: int) -> str:
    if isinstance(raw, Mapping):
        for key in ("name", "endpoint", "currency"):
            if isinstance(raw.get(key), str):
                return str(raw[key])
        if isinstance(raw.get("model"), str) and isinstance(raw.get("host"), str):
            return f"{raw['model']}@{raw['host']}"
    return f"number {index + 1}"
