"""One text of an invoice, CSV or JSON, as lines; errors name the line that they are about."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from router.bills.columns import generic
from router.bills.figures import atto, day_in, instant_or_day, mark_of, number
from router.bills.lines import BillLine, Invoice
from router.bills.shapes import SHAPES, Row, Shape
from router.errors import ConfigError

_TOTAL = re.compile(
    r"(grand |sub)?-?(totals?|sum|gesamt|gesamtsumme|summe|somme|totale|合计|总计)\b.*",
    re.IGNORECASE,
)


class InvoiceFile:
    """One text of an invoice, split into rows with their line numbers."""

    def __init__(
        self, name: str, text: str, *, columns: Mapping[str, str] | None, decimal: str | None
    ) -> None:
        self.name = name
        first = text.lstrip()[:1]
        self._delimiter = ","
        header, rows = _json_rows(name, text) if first in {"{", "["} else self._csv_rows(text)
        self._header = [column.strip().lower() for column in header]
        self._rows = list(rows)
        self._shape = self._shape_of(columns)
        at = [self._header.index(c) for c in self._shape.numbers if c in self._header]
        cells = (row[i] for _, row in self._rows for i in at if i < len(row))
        self._mark = decimal or mark_of(cells, self._delimiter)

    def _csv_rows(self, text: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
        opening = text.splitlines()[:1]
        if not opening or not opening[0].strip():
            raise ConfigError(f"{self.name}, line 1: expected a header, the file begins empty")
        self._delimiter = max(",;\t|", key=opening[0].count)
        reader = csv.reader(io.StringIO(text), delimiter=self._delimiter)
        try:
            header = next(reader)
        except csv.Error as error:
            raise ConfigError(f"{self.name}, line 1: expected CSV: {error}") from None
        return header, self._lines_of(reader)

    def _lines_of(self, reader: Any) -> Iterator[tuple[int, list[str]]]:
        try:
            for row in reader:
                if any(cell.strip() for cell in row):
                    yield reader.line_num, row
        except csv.Error as error:
            raise ConfigError(
                f"{self.name}, line {reader.line_num}: expected CSV: {error}"
            ) from None

    def _shape_of(self, columns: Mapping[str, str] | None) -> Shape:
        known = None if columns else next((s for s in SHAPES if s.needs <= {*self._header}), None)
        try:
            shape = known or generic(self._header, columns)
        except ValueError as error:
            raise ConfigError(f"{self.name}: {error}") from None
        if shape is None:
            names = "; ".join(shape.name for shape in SHAPES)
            raise ConfigError(
                f"{self.name}, line 1: expected an export of one of these forms: {names}; or "
                "columns={'day': ..., 'model': ..., 'amount': ...} that names yours. Got "
                f"{', '.join(self._header)[:300]}"
            )
        return shape

    def invoice(
        self,
        tz: str | None,
        currency: str | None,
        exchange: Mapping[str, str | Decimal] | None,
    ) -> Invoice:
        """The lines of this file."""
        shape, notes = self._shape, []
        rows: list[tuple[int, Row]] = []
        totals: list[int] = []
        seen: Counter[tuple[str, ...]] = Counter()
        repeated: list[int] = []
        for line, cells in self._rows:
            if any(_TOTAL.fullmatch(cell.strip()) for cell in cells[:4]):
                totals.append(line)
                continue
            row = self._row(line, cells)
            if not row.parts:
                continue
            rows.append((line, row))
            same = (row.ident,) if row.ident else tuple(cell.strip() for cell in cells)
            seen[same] += 1
            if seen[same] > 1:
                repeated.append(line)
        if totals:
            notes.append(f"lines with totals, left out: {', '.join(map(str, totals[:8]))}")
        zone = self._zone(tz, rows)
        told = {row.currency.strip().upper() for _, row in rows if row.currency.strip()}
        if len(told) > 1:
            raise ConfigError(f"{self.name}: expected one currency, got {', '.join(sorted(told))}")
        unit = (currency or next(iter(told), "")).upper()
        if not unit:
            notes.append("no currency is named: taken as USD")
        worth = _worth(self.name, unit or "USD", exchange)
        lines = [bill for line, row in rows for bill in self._lines(line, row, zone, worth)]
        return Invoice(
            lines=tuple(lines),
            shape=shape.name,
            seen=shape.seen,
            host=shape.host,
            zone=zone,
            currency=unit or "USD",
            rate=worth,
            repeated=tuple(repeated),
            notes=tuple(notes),
            files=(self.name,),
        )

    def _row(self, line: int, cells: Sequence[str]) -> Row:
        by_name = dict(zip(self._header, cells, strict=False))

        def figure(column: str) -> Decimal | None:
            cell = by_name.get(column, "").strip()
            if not cell:
                return None
            try:
                return number(cell, self._mark)
            except ValueError as error:
                raise ValueError(f"{column}: {error}") from None

        if len(cells) > len(self._header) and any(c.strip() for c in cells[len(self._header) :]):
            raise ConfigError(
                f"{self.name}, line {line}: expected {len(self._header)} cells as in the header, "
                f"got {len(cells)}; put cells that hold {self._delimiter!r} in quotes"
            )
        try:
            return self._shape.read(by_name, figure)
        except KeyError as error:
            raise ConfigError(f"{self.name}, line {line}: no cell for {error.args[0]}") from None
        except ValueError as error:
            raise ConfigError(f"{self.name}, line {line}: {error}") from None

    def _zone(self, tz: str | None, rows: Iterable[tuple[int, Row]]) -> tzinfo:
        if tz is not None:
            try:
                return ZoneInfo(tz)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ConfigError(
                    f"tz: expected an IANA zone such as 'Asia/Shanghai', got {tz!r}"
                ) from None
        zones = {}
        for line, row in rows:
            at = self._at(line, row)
            if isinstance(at, datetime) and at.tzinfo is not None:
                zones[at.utcoffset()] = at.tzinfo
        if len(zones) > 1:
            raise ConfigError(
                f"{self.name}: its days have {len(zones)} different offsets; name the zone with tz"
            )
        return next(iter(zones.values()), UTC)

    def _at(self, line: int, row: Row) -> datetime | date:
        try:
            return instant_or_day(row.when)
        except ValueError as error:
            raise ConfigError(f"{self.name}, line {line}: {error}") from None

    def _lines(self, line: int, row: Row, zone: tzinfo, worth: Decimal) -> Iterator[BillLine]:
        at = self._at(line, row)
        for part in row.parts:
            counts = []
            for value in (part.tokens, part.requests):
                if value is not None and value != value.to_integral_value():
                    raise ConfigError(
                        f"{self.name}, line {line}: expected whole tokens and requests, got "
                        f"{value}; if '.' parts thousands here, pass decimal=','"
                    )
                counts.append(None if value is None else int(value))
            nature = part.nature
            if nature == "usage" and part.amount is not None and part.amount < 0:
                nature = "credit"
            yield BillLine(
                line=line,
                day=day_in(at, zone),
                model=row.model.strip(),
                kind=part.kind,
                nature=nature,
                tokens=counts[0],
                requests=counts[1],
                amount=None if part.amount is None else atto(part.amount * worth),
                key=row.key.strip(),
                ident=row.ident,
            )


def _json_rows(name: str, text: str) -> tuple[list[str], Iterator[tuple[int, list[str]]]]:
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


def _worth(name: str, unit: str, exchange: Mapping[str, str | Decimal] | None) -> Decimal:
    if unit == "USD":
        return Decimal(1)
    rate = (exchange or {}).get(unit)
    if rate is None:
        raise ConfigError(
            f"{name}: amounts are in {unit}; say what one is worth: exchange={{{unit!r}: '0.14'}} "
            "in USD"
        )
    worth = number(str(rate))
    if worth <= 0:
        raise ConfigError(f"exchange: expected USD for one {unit} above zero, got {rate}")
    return worth
