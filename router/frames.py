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


def to_frame(
    columns: Sequence[str],
    rows: Iterable[Mapping[str, Any]],
    backend: str = "pandas",
    *,
    kinds: Mapping[str, type] | None = None,
) -> Any:
    """Rows as a frame of "pandas", "polars" or "pyarrow", with these columns in this order.

    Decimals are Arrow's decimal128(38, 12), in pandas too, whose floats would round them; with 18
    places where a value has more than 12. None is a null, datetimes are in UTC. `kinds` types
    columns that have no value (Decimal, int, str ...).

    Raises:
        ConfigError: the library is not installed.
        InvalidRequestError: no such backend; values of a column that do not go together.
    """
    if backend not in BACKENDS:
        raise InvalidRequestError(
            f"backend: expected {', '.join(BACKENDS)}; got {backend!r}", param="backend"
        )
    arrow = library("pyarrow")
    framed = None if backend == "pyarrow" else library(backend)
    every = list(rows)
    table = arrow.table(
        {
            name: _array(arrow, name, [row[name] for row in every], (kinds or {}).get(name))
            for name in columns
        }
    )
    if framed is None:
        return table
    return framed.from_arrow(table) if backend == "polars" else _pandas(framed, arrow, table)


def rows_of(frame: Any) -> list[dict[str, Any]]:
    """The rows of a frame that narwhals reads, eager or lazy, of an Arrow table, or of a list.

    Decimals stay exact, aware datetimes come in UTC; a null, NaN, NaT or NA of a frame is None.

    Raises:
        ConfigError: narwhals is not installed.
        InvalidRequestError: it is none of these.
    """
    if isinstance(frame, (list, tuple)) and all(isinstance(row, Mapping) for row in frame):
        return [dict(row) for row in frame]
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


def _array(arrow: Any, name: str, values: list[Any], kind: type | None) -> Any:
    found: set[type | None] = {type(value) for value in values if value is not None} or {kind}
    wanted = _type(arrow, found)
    if wanted is not None and arrow.types.is_decimal(wanted):
        values = [Decimal(v) if isinstance(v, int) else v for v in values]
        if any(_places(value) > 12 for value in values):
            wanted = arrow.decimal128(38, 18)  # a price times tokens, before it is rounded
    try:
        return arrow.array(values, type=wanted)
    except (arrow.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InvalidRequestError(
            f"column {name!r}: expected values of one kind, decimals of at most 38 digits with 18 "
            f"places, aware datetimes; {error}",
            param=name,
        ) from None


def _type(arrow: Any, found: set[type | None]) -> Any:
    """The Arrow type of a column that has values of these types; None leaves it to Arrow."""
    if Decimal in found and found <= {Decimal, int}:
        return arrow.decimal128(38, 12)
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
        return pandas.Series(pandas.array(column, dtype=pandas.ArrowDtype(kind)))
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
    if isinstance(value, datetime):
        if hasattr(value, "to_pydatetime"):
            value = value.to_pydatetime(warn=False)
        return value if value.tzinfo is None else value.astimezone(UTC)
    return value
