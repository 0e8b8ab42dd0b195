"""One text of an invoice, CSV or JSON, as lines; errors name the line that they are about."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from router.bills.amounts import reversed_out, without_amount
from router.bills.columns import generic
from router.bills.figures import (
    atto,
    day_in,
    half_a_place,
    instant_or_day,
    mark_of,
    number,
    units_in,
)
from router.bills.lines import BillLine, Invoice
from router.bills.shapes import SHAPES, Row, Shape
from router.bills.texts import NamedCells, csv_rows, json_rows
from router.errors import ConfigError

_TOTAL = re.compile(
    r"(grand |sub)?-?(totals?|sum|gesamt|gesamtsumme|summe|somme|totale|合计|总计)\b.*",
    re.IGNORECASE,
)
_DAY = re.compile(
    r"\d{4}[-/]\d{2}[-/]\d{2}|\d{1,2}[./]\d{1,2}[./]\d{4}|[A-Z][a-z]{2} \d{1,2}, \d{4}"
)


class InvoiceFile:
    """One text of an invoice, split into rows with their line numbers."""

    def __init__(
        self, name: str, text: str, *, columns: Mapping[str, str] | None, decimal: str | None
    ) -> None:
        self.name = name
        first = text.lstrip()[:1]
        if first in {"{", "["}:
            self._delimiter, (header, rows) = ",", json_rows(name, text)
        else:
            self._delimiter, header, rows = csv_rows(name, text)
        self._header = [column.strip().lower() for column in header]
        self._twice = frozenset(n for n, times in Counter(self._header).items() if times > 1)
        self._rows = list(rows)
        self._shape = self._shape_of(columns)
        at = [self._header.index(c) for c in self._shape.numbers if c in self._header]
        cells = (row[i] for _, row in self._rows for i in at if i < len(row))
        if decimal not in {None, ".", ","}:
            raise ConfigError(f"decimal: expected '.' or ',', got {decimal!r}")
        self._mark = decimal or mark_of(cells, self._delimiter)

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
            if self._is_total(cells):
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
        if shape.beside:
            beside = ", ".join(shape.beside)
            notes.append(f"amounts are taken of {shape.money!r}, not of {beside}")
        zone = self._zone(tz, rows)
        told = {row.currency.strip().upper() for _, row in rows if row.currency.strip()}
        if len(told) > 1:
            raise ConfigError(f"{self.name}: expected one currency, got {', '.join(sorted(told))}")
        unit = self._unit((currency or next(iter(told), "")).upper())
        if not unit:
            notes.append("no currency is named: taken as USD")
        worth = _worth(self.name, unit or "USD", exchange)
        again, half = frozenset(repeated), atto(self._half_a_place() * worth)
        lines = reversed_out(
            [
                bill
                for line, row in rows
                for bill in self._lines(line, row, zone, worth, half, repeats=line in again)
            ]
        )
        unpriced = without_amount(lines)
        if unpriced:
            shown = ", ".join(map(str, unpriced[:8])) + (" ..." if len(unpriced) > 8 else "")
            notes.append(f"lines with tokens and no amount, taken as free: {shown}")
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
        """What the shape reads.

        Raises:
            ConfigError: more or fewer cells than the header has, or cells that make no sense.
        """
        over = any(cell.strip() for cell in cells[len(self._header) :])
        if over or len(cells) < len(self._header):
            raise ConfigError(
                f"{self.name}, line {line}: expected {len(self._header)} cells as in the header, "
                f"got {len(cells)}; put cells that hold {self._delimiter!r} in quotes, and look "
                "for a line or a download that was cut"
            )
        by_name = NamedCells(zip(self._header, cells, strict=False))
        by_name.twice = self._twice

        def figure(column: str) -> Decimal | None:
            cell = by_name.get(column, "").strip()
            if not cell:
                return None
            try:
                return number(cell, self._mark)
            except ValueError as error:
                raise ValueError(f"{column}: {error}") from None

        try:
            row = self._shape.read(by_name, figure)
            if any("\n" in cell for cell in (row.model, row.when, row.key)):
                raise ValueError(
                    "expected a model, a day and a key in one line each; is a quote not closed?"
                )
            return row
        except KeyError as error:
            raise ConfigError(f"{self.name}, line {line}: no cell for {error.args[0]}") from None
        except ValueError as error:
            raise ConfigError(f"{self.name}, line {line}: {error}") from None

    def _is_total(self, cells: Sequence[str]) -> bool:
        """Whether a row sums up others: it says so in one of its first cells, and has no day."""
        if not any(_TOTAL.fullmatch(cell.strip()) for cell in cells[:4]):
            return False
        if any(_DAY.match(cell.strip()) for cell in cells):
            return False
        try:
            instant_or_day(self._row(0, cells).when)
        except (ConfigError, ValueError):
            return True
        return False

    def _unit(self, named: str) -> str:
        """The currency: as named, which signs in the cells of amounts must not contradict."""
        at = self._column(self._shape.money)
        for line, row in self._rows if at is not None else ():
            signs = units_in(row[at]) if at is not None and at < len(row) else frozenset()
            if not signs or named in signs:
                continue
            first = "USD" if "USD" in signs else min(signs)
            if named or (len(signs) > 1 and first != "USD"):
                raise ConfigError(
                    f"{self.name}, line {line}: expected amounts in {named or 'one currency'}, "
                    f"got {row[at or 0].strip()[:40]!r}; name the right one with currency="
                )
            named = first
        return named

    def _column(self, name: str) -> int | None:
        return self._header.index(name) if name in self._header else None

    def _half_a_place(self) -> Decimal:
        at = self._column(self._shape.money)
        if at is None:
            return Decimal(0)
        return half_a_place((row[at] for _, row in self._rows if at < len(row)), self._mark)

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

    def _lines(
        self, line: int, row: Row, zone: tzinfo, worth: Decimal, half: int, *, repeats: bool
    ) -> Iterator[BillLine]:
        at = self._at(line, row)
        # Negative tokens or requests take an earlier line back; an amount alone is a credit.
        takes_back = any((n or 0) < 0 for part in row.parts for n in (part.tokens, part.requests))
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
            negative = part.amount is not None and part.amount < 0
            if nature == "usage" and negative and not takes_back:
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
                file=self.name,
                repeats=repeats,
                rounding=0 if part.amount is None else half,
                host=row.host,
            )


def _worth(name: str, unit: str, exchange: Mapping[str, str | Decimal] | None) -> Decimal:
    if unit == "USD":
        return Decimal(1)
    rate = (exchange or {}).get(unit)
    if rate is None:
        raise ConfigError(
            f"{name}: amounts are in {unit}; say what one is worth: exchange={{{unit!r}: '0.14'}} "
            "in USD"
        )
    try:
        worth = number(str(rate))
    except ValueError as error:
        raise ConfigError(f"exchange: {unit}: {error}") from None
    if worth <= 0:
        raise ConfigError(f"exchange: expected USD for one {unit} above zero, got {rate}")
    return worth
