"""What every report can do: rows with stable columns, as frames, CSV, Parquet and HTML."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from itertools import islice
from pathlib import Path
from typing import Any

from router._files import file_named, whole
from router.frames import library, to_frame
from router.reports.checksum import check_file, write_checksum
from router.reports.csv import write_csv

_SHOWN = 200
"""Rows that a notebook shows; a frame has all."""
_PRINTED, _LONGEST = 10, 28
"""Rows that `str` shows, and letters of a text."""


class Table(ABC):
    """Rows as mappings, in a fixed order, with fixed columns. Amounts are Decimals in USD."""

    __slots__ = ()

    @property
    @abstractmethod
    def kinds(self) -> Mapping[str, type]:
        """The columns in their order, with their types: a report without rows has them, too."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in their order."""
        return tuple(self.kinds)

    @abstractmethod
    def __iter__(self) -> Iterator[dict[str, Any]]: ...

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def brief(self) -> tuple[str, ...]:
        """The columns that are shown where there is little room."""

    def __repr__(self) -> str:
        rows = "1 row" if len(self) == 1 else f"{len(self):,} rows"
        return f"{type(self).__name__}({rows} of {', '.join(self.brief)}, ...)"

    def __str__(self) -> str:
        head = list(self.brief)
        rows = [[_said(row[c]) for c in head] for row in islice(self, _PRINTED)]
        widths = [max(map(len, cells)) for cells in zip(head, *rows, strict=True)]
        right = [issubclass(self.kinds[c], (int, Decimal)) for c in head]
        lines = [
            "  ".join(
                cell.rjust(width) if to_right else cell.ljust(width)
                for cell, width, to_right in zip(cells, widths, right, strict=True)
            ).rstrip()
            for cells in (head, *rows)
        ]
        more = len(self) - len(rows)
        lines += [f"... and {more:,} more rows: see to_frame()"] if more else []
        return "\n".join(lines)

    def to_frame(self, backend: str = "pandas") -> Any:
        """The rows as a frame of "pandas", "polars" or "pyarrow", with exact decimals.

        Raises:
            ConfigError: the library is not installed; says what to install.
            InvalidRequestError: no such backend.
        """
        return to_frame(self.columns, self, backend, kinds=self.kinds)

    def to_csv(
        self, path: str | Path, locale: str | None = None, *, checksum: bool = False
    ) -> Path:
        """Write CSV: exact decimals, stable order, text that no sheet executes; returns the path.

        `locale` ("de", "fr-FR") writes it for that language's spreadsheets; see
        `router.reports.csv`. With `checksum` its SHA-256 is written beside it, for
        `sha256sum -c` or `router.reports.verify`.

        Raises:
            ConfigError: a file cannot be written.
            InvalidRequestError: no such locale, or no path.
        """
        if checksum:
            check_file(path)
        written = write_csv(path, self.columns, iter(self), locale=locale)
        if checksum:
            write_checksum(written)
        return written

    def to_parquet(self, path: str | Path, *, checksum: bool = False) -> Path:
        """Write Parquet, with amounts as exact decimals; returns the path.

        Raises:
            ConfigError: pyarrow is not installed, or a file cannot be written.
            InvalidRequestError: no path.
        """
        target = check_file(path) if checksum else file_named(path)
        frame = self.to_frame("pyarrow")
        parquet = library("pyarrow.parquet")
        with whole(target) as part:
            parquet.write_table(frame, part)
        if checksum:
            write_checksum(target)
        return target

    def _repr_html_(self) -> str:
        rows = [list(row.values()) for row in islice(self, _SHOWN)]
        more = len(self) - len(rows)
        note = f"<p>and {more:,} more rows: see to_frame()</p>" if more else ""
        return html_table(self.columns, rows) + note


def _said(value: Any) -> str:
    """A cell of a printed table: short, without line breaks."""
    if value is None:
        return "unknown"
    if isinstance(value, Decimal):
        return exact(value)
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
    text = f"{value:,}" if isinstance(value, int) else "".join(filter(str.isprintable, str(value)))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def html_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> str:
    """A table of HTML; numbers are set to the right, text is escaped, None is "unknown"."""
    right = [all(is_number(row[i]) for row in rows) and bool(rows) for i in range(len(columns))]
    style = [' class="n"' if r else "" for r in right]
    head = "".join(
        f'<th scope="col"{s}>{escape(c)}</th>' for c, s in zip(columns, style, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{s}>{shown(v)}</td>" for v, s in zip(row, style, strict=True))
        + "</tr>"
        for row in rows
    )
    said = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{said}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def is_number(value: Any) -> bool:
    """Whether a cell belongs to a column of numbers; one that is not known does."""
    return value is None or isinstance(value, (int, Decimal))


def shown(value: Any) -> str:
    """A cell as HTML: text is escaped, None is "unknown"."""
    if value is None:
        return '<span class="unknown">unknown</span>'
    if isinstance(value, Decimal):
        return exact(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return escape(str(value))


def exact(value: Decimal) -> str:
    """All digits of a decimal that say something, two places at least, thousands apart."""
    text = f"{value:,f}"
    whole_part, point, places = text.partition(".")
    return f"{whole_part}.{places.rstrip('0'):0<2}" if point else text
