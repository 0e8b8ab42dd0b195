"""Data frames in and out: pandas, polars and Arrow, with money exact to the last digit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import import_module
from typing import Any

from router.errors import ConfigError, InvalidRequestError

BACKENDS = ("pandas", "polars", "pyarrow")
_INSTALL = {"polars": "polars"}
_MISSING = {"NaTType", "NAType"}
_PLACES = 12


def to_frame(
    columns: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    backend: str = "pandas",
    *,
    kinds: Mapping[str, type] | None = None,
    places: Mapping[str, int] | None = None,
) -> Any:
    """Rows as a frame of "pandas", "polars" or "pyarrow", with these columns in this order.

    Decimals are exact: decimal128(38, 12) of Arrow and polars, with 18 places where a value has
    more than 12 or where `places` says so; in pandas they are Python's, which can be calculated
    with. None is a null, datetimes are in UTC. `kinds` types columns that have no value (Decimal,
    int, str ...).

    Raises:
        ConfigError: the library is not installed.
        InvalidRequestError: no such backend; a column twice, or not in every row; values of a
            column that do not go together; a datetime without an offset.
    """
    if backend not in BACKENDS:
        raise InvalidRequestError(
            f"backend: expected {', '.join(BACKENDS)}; got {backend!r}", param="backend"
        )
    _once(columns)
    arrow = library("pyarrow")
    framed = None if backend == "pyarrow" else library(backend)
    every = list(rows)
    table = arrow.table(
        {
            name: _array(
                arrow, name, _cells(every, name), (kinds or {}).get(name), (places or {}).get(name)
            )
            for name in columns
        }
    )
    if framed is None:
        return table
    return framed.from_arrow(table) if backend == "polars" else _pandas(framed, arrow, table)


def rows_of(frame: Any) -> list[dict[str, Any]]:
    """The rows of a frame that narwhals reads, eager or lazy, of an Arrow table, or of a list.

    Decimals stay exact, aware datetimes come in UTC; a null, NaN, NaT or NA is None.

    Raises:
        ConfigError: narwhals is not installed.
        InvalidRequestError: it is none of these.
    """
    if isinstance(frame, (list, tuple)) and all(isinstance(row, Mapping) for row in frame):
        return [{name: _value(value) for name, value in row.items()} for row in frame]
    narwhals = library("narwhals")
    try:
        wrapped = narwhals.from_native(frame)
        eager = wrapped.collect() if isinstance(wrapped, narwhals.LazyFrame) else wrapped
        found = eager.rows(named=True)
    except (TypeError, AttributeError, narwhals.exceptions.NarwhalsError) as error:
        said = type(frame).__module__.partition(".")[0] + "." + type(frame).__qualname__
        raise InvalidRequestError(
            "expected a pandas or polars DataFrame, a LazyFrame, an Arrow table or a list of "
            f"dicts, got {said}: {error}",
            param="frame",
        ) from None
    return [{str(name): _value(value) for name, value in row.items()} for row in found]


def library(name: str) -> Any:
    """A library that is installed on request only.

    Raises:
        ConfigError: it is not there; says what to install.
    """
    try:
        return import_module(name)
    except ImportError as error:
        wanted = _INSTALL.get(name, "'centroute[data]'")
        raise ConfigError(f"this needs {name}: pip install {wanted} ({error})") from error


def _once(columns: Sequence[str]) -> None:
    twice = sorted({str(name) for name in columns if list(columns).count(name) > 1})
    if twice:
        raise InvalidRequestError(
            f"columns: expected each once, got {', '.join(twice)} more often", param="columns"
        )


def _cells(rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    try:
        found = [row[name] for row in rows]
    except KeyError:
        raise InvalidRequestError(
            f"column {name!r}: expected it in every row; None says that there is no value",
            param=name,
        ) from None
    if any(isinstance(value, datetime) and value.tzinfo is None for value in found):
        raise InvalidRequestError(
            f"column {name!r}: expected datetimes with an offset, such as "
            "datetime(2026, 11, 1, tzinfo=UTC); got one without",
            param=name,
        )
    return found


def _array(arrow: Any, name: str, values: list[Any], kind: type | None, places: int | None) -> Any:
    found: set[type | None] = {type(value) for value in values if value is not None} or {kind}
    wanted = _type(arrow, found)
    if wanted is not None and arrow.types.is_decimal(wanted):
        values = [Decimal(v) if isinstance(v, int) else v for v in values]
        if (places or 0) > _PLACES or any(_places(value) > _PLACES for value in values):
            wanted = arrow.decimal128(38, 18)  # a price times tokens, before it is rounded
    if found == {str}:
        values = [None if value is None else _storable(value) for value in values]
    try:
        return arrow.array(values, type=wanted)
    except (arrow.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InvalidRequestError(
            f"column {name!r}: expected values of one kind, decimals of at most 38 digits with 18 "
            f"places, aware datetimes; {error}",
            param=name,
        ) from None


def _storable(text: str) -> str:
    # A lone half of a surrogate pair is no text that UTF-8 has; a CSV writes it like this too.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _type(arrow: Any, found: set[type | None]) -> Any:
    """The Arrow type of a column that has values of these types; None leaves it to Arrow."""
    if Decimal in found and found <= {Decimal, int}:
        return arrow.decimal128(38, _PLACES)
    if found == {int, float}:
        return arrow.float64()
    if len(found) != 1:
        return None
    return {
        bool: arrow.bool_(),
        int: arrow.int64(),
        float: arrow.float64(),
        str: arrow.string(),
        datetime: arrow.timestamp("us", tz="UTC"),
        date: arrow.date32(),
    }.get(next(iter(found)) or type(None))


def _places(value: Decimal | None) -> int:
    exponent = 0 if value is None else value.as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


def _pandas(pandas: Any, arrow: Any, table: Any) -> Any:
    series = {name: _series(pandas, arrow, table[name]) for name in table.column_names}
    return pandas.DataFrame(series, columns=table.column_names, index=range(table.num_rows))


def _series(pandas: Any, arrow: Any, column: Any) -> Any:
    kind = column.type
    if arrow.types.is_decimal(kind):
        # pandas cannot add or divide decimals of Arrow's: theirs is a precision, not a number.
        return pandas.Series(column.to_pylist(), dtype=object)
    if column.null_count and arrow.types.is_integer(kind):
        return column.to_pandas(types_mapper=lambda _: pandas.Int64Dtype())
    if column.null_count and arrow.types.is_boolean(kind):
        return column.to_pandas(types_mapper=lambda _: pandas.BooleanDtype())
    return column.to_pandas()


def _value(value: Any) -> Any:
    """A cell as Python has it: no NaN, no scalar of numpy, no timestamp of pandas."""
    if type(value).__name__ in _MISSING:
        return None
    if type(value).__module__ == "numpy" and hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - what NaN is told by
        return None
    if isinstance(value, Decimal) and value.is_nan():
        return None
    if isinstance(value, datetime):
        if hasattr(value, "to_pydatetime"):
            value = value.to_pydatetime(warn=False)
        return value if value.tzinfo is None else value.astimezone(UTC)
    return value
