"""Numbers, days and instants as invoices write them. Money never becomes a float."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation, localcontext
from functools import lru_cache

ATTO_PER_USD = 10**18
"""A pico-dollar a million tokens is an atto-dollar a token: prices times tokens stay whole."""
YEARS = range(2000, 3000)
"""Far from both ends of what `datetime` holds, so that a day more or less never fails."""
_SIGNS = re.compile(r"[\s\u00a0\u202f'\u2019]|[$\u20ac\u00a3\u00a5]|\b[A-Z]{3}\b")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_WRITTEN = {
    mark: re.compile(rf"[+-]?(\d*|[1-9]\d{{0,2}}(\{other}\d{{3}})+)(\{mark}\d*)?([eE][+-]?\d+)?")
    for mark, other in ((".", ","), (",", "."))
}
_UNIT = re.compile(r"[$\u20ac\u00a3\u00a5]|\b[A-Z]{3}\b")
_UNITS = {"\u20ac": {"EUR"}, "\u00a3": {"GBP"}, "\u00a5": {"CNY", "JPY"}}
_DOLLARS = {"USD", "AUD", "CAD", "SGD", "HKD", "NZD", "TWD"}
_DATES = ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d", "%d.%m.%Y", "%b %d, %Y", "%d %b %Y", "%m/%d/%Y")
_MONTHS = re.compile(r"\d{1,2}/\d{1,2}/\d{4}")


def mark_of(cells: Iterable[str], delimiter: str) -> str:
    """The decimal mark of a file: what its numbers say, else "," behind a ";" and "." else."""
    commas = False
    for raw in cells:
        cell = _SIGNS.sub("", raw)
        dot, comma = cell.rfind("."), cell.rfind(",")
        if dot >= 0 and comma >= 0:
            return "." if dot > comma else ","
        if dot >= 0 and not _THOUSANDS.fullmatch(cell.replace(".", ",")):
            return "."
        if comma >= 0:
            commas = True
            if not _THOUSANDS.fullmatch(cell):
                return ","
    return "," if commas and delimiter == ";" else "."


def number(text: str, mark: str = ".") -> Decimal:
    """A number: thousands apart by "," "." "'" or blanks, a currency, brackets or a minus behind.

    Raises:
        ValueError: it is none.
    """
    cell = _SIGNS.sub("", text)
    negative = cell.startswith("(") and cell.endswith(")")
    cell = cell.strip("()") if negative else cell
    if cell.endswith("-"):
        cell, negative = cell[:-1], True
    other = "," if mark == "." else "."
    if not _WRITTEN[mark].fullmatch(cell):
        why = f"; {mark!r} is the decimal mark of this file" if other in cell else ""
        raise ValueError(f"expected a number, got {text[:40]!r}{why}")
    cell = cell.replace(other, "").replace(mark, ".")
    try:
        found = Decimal(cell)
    except InvalidOperation:
        raise ValueError(f"expected a number, got {text[:40]!r}") from None
    if not found.is_finite() or found.adjusted() > 18:
        raise ValueError(f"expected a number of at most 18 digits, got {text[:40]!r}")
    return -found if negative else found


def units_in(text: str) -> frozenset[str]:
    """The currencies that the sign or code in a cell may mean; none where it has neither."""
    found = _UNIT.search(text)
    if found is None:
        return frozenset()
    sign = found.group()
    return frozenset(_DOLLARS if sign == "$" else _UNITS.get(sign, {sign}))


def half_a_place(cells: Iterable[str], mark: str) -> Decimal:
    """Half a unit of the last place in which amounts are written, at most half a cent: by so much
    each may be rounded. A file that leaves out zeros is as exact as its longest amount.
    """
    places = 2
    for cell in cells:
        fraction = _SIGNS.sub("", cell).lower().rpartition(mark)[2] if mark in cell else ""
        if "e" in fraction:
            return Decimal(0)
        places = max(places, len(fraction.rstrip("-)")))
    return Decimal(5).scaleb(-places - 1)


def count(text: str, mark: str = ".") -> int:
    """A whole number of tokens or requests.

    Raises:
        ValueError: it is none.
    """
    found = number(text, mark)
    if found != found.to_integral_value():
        raise ValueError(f"expected a whole number, got {text[:40]!r}")
    return int(found)


def atto(amount: Decimal) -> int:
    """Atto-dollars (1e-18 USD) of an amount in USD, the nearest whole number."""
    with localcontext() as context:
        context.prec = 80
        return int((amount * ATTO_PER_USD).to_integral_value())


def instant_or_day(text: str) -> datetime | date:
    """An ISO instant (naive where it has no offset), a day, or seconds since 1970.

    Raises:
        ValueError: none of these, a day whose month cannot be told, or no year of `YEARS`.
    """
    found = _instant_or_day(text.strip())
    if found is None:
        raise ValueError(f"expected a day such as 2026-11-22 or an ISO instant, got {text[:40]!r}")
    if found.year not in YEARS:
        raise ValueError(f"expected a day of the years 2000 to 2999, got {text[:40]!r}")
    return found


@lru_cache(maxsize=8192)
def _instant_or_day(cell: str) -> datetime | date | None:
    if cell[4:5] == "-":  # the usual forms first: bills have a line for every call
        with suppress(ValueError):
            if len(cell) == 10:
                return date.fromisoformat(cell)
            return datetime.fromisoformat(
                cell.removesuffix(" UTC") + ("+00:00" * cell.endswith(" UTC"))
            )
    if re.fullmatch(r"\d{10}(\.\d+)?", cell):
        return datetime.fromtimestamp(int(float(cell)), UTC)
    for form in _DATES:
        if form == "%m/%d/%Y" and not _tells_month(cell):
            continue
        try:
            return datetime.strptime(cell, form).date()  # noqa: DTZ007 - a day has no offset
        except ValueError:
            continue
    try:
        return datetime.fromisoformat(cell.removesuffix(" UTC"))
    except ValueError:
        return None


def day_in(at: datetime | date, zone: tzinfo) -> date:
    """The day of an instant in the zone of the bill; one without an offset is in that zone."""
    if not isinstance(at, datetime):
        return at
    return at.astimezone(zone).date() if at.tzinfo else at.date()


def _tells_month(cell: str) -> bool:
    # 13/04 is a day first and not of this form; 04/03 may be either, so nothing is guessed.
    return bool(_MONTHS.fullmatch(cell)) and int(cell.split("/")[1]) > 12
