import sys
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.errors import ConfigError, InvalidRequestError
from router.frames import BACKENDS, rows_of, to_frame

nw = pytest.importorskip("narwhals")
pa = pytest.importorskip("pyarrow")
pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

AT = datetime(2026, 11, 22, 12, 30, 0, 7, tzinfo=UTC)
COLUMNS = ("name", "cost_usd", "at", "requests", "share", "good", "day")
ROWS = [
    {
        "name": "a",
        "cost_usd": Decimal("9223372.036854775807"),
        "at": AT,
        "requests": 2**60 + 1,
        "share": 0.1,
        "good": True,
        "day": date(2026, 11, 22),
    },
    dict.fromkeys(COLUMNS),
    {
        "name": "",
        "cost_usd": Decimal("-0.000000000001"),
        "at": AT.astimezone(timezone(timedelta(hours=9))),
        "requests": -1,
        "share": 1.0,
        "good": False,
        "day": date(1999, 1, 1),
    },
]


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_come_back_as_they_went_in(backend):
    """Decimals, large integers, instants, days and nulls survive every library, in order."""
    frame = to_frame(COLUMNS, ROWS, backend)
    back = rows_of(frame)
    assert back == ROWS
    assert all(tuple(row) == COLUMNS for row in back)
    assert [type(row["cost_usd"]) for row in back] == [Decimal, type(None), Decimal]
    assert back[2]["at"].tzinfo is UTC
    assert type(back[0]["at"]) is datetime
    assert type(back[0]["requests"]) is int


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.none(),
            st.decimals(
                min_value=Decimal(-(10**14)),
                max_value=Decimal(10**14),
                places=12,
            ),
        ),
        max_size=20,
    ),
    st.sampled_from(BACKENDS),
)
def test_money_is_exact(amounts, backend):
    """Any amount of pico-dollars is the same after a round trip, to the last digit."""
    rows = [{"cost_usd": amount} for amount in amounts]
    assert rows_of(to_frame(["cost_usd"], rows, backend, kinds={"cost_usd": Decimal})) == rows


def test_sums_in_pandas_and_polars_are_exact():
    """What a user adds up in a frame is the ledger's total, not a float beside it."""
    rows = [{"k": "ab"[i % 2], "c": Decimal(10**i + 1).scaleb(-12)} for i in range(18)]
    total = sum(row["c"] for row in rows)
    frame = to_frame(["k", "c"], rows)
    assert frame["c"].sum() == total
    assert frame.groupby("k")["c"].sum().sum() == total
    assert to_frame(["k", "c"], rows, "polars")["c"].sum() == total


def test_columns_are_what_a_user_expects_of_pandas():
    """Numbers are numbers, instants are instants in UTC; only nulls make integers nullable."""
    frame = to_frame(COLUMNS, ROWS[::2])
    kinds = {name: str(dtype) for name, dtype in frame.dtypes.items()}
    assert kinds["requests"] == "int64"
    assert kinds["share"] == "float64"
    assert kinds["at"] == "datetime64[us, UTC]"
    assert kinds["cost_usd"] == "object"  # Decimals, which pandas can calculate with
    assert {type(value) for value in frame["cost_usd"]} == {Decimal}
    assert str(to_frame(COLUMNS, ROWS).dtypes["requests"]) == "Int64"
    assert list(frame.columns) == list(COLUMNS)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_rows(backend):
    """A frame without rows has its columns, and the kinds that were named."""
    frame = to_frame(["n", "c"], [], backend, kinds={"n": int, "c": Decimal})
    assert list(nw.from_native(frame).columns) == ["n", "c"]
    assert rows_of(frame) == []
    table = to_frame(["n", "c"], [], "pyarrow", kinds={"n": int, "c": Decimal})
    assert table.schema.types == [pa.int64(), pa.decimal128(38, 12)]


def test_more_places_than_money_has():
    """An exact product of a price and tokens keeps its digits, where a column has one."""
    table = to_frame(["c"], [{"c": Decimal("1E-18")}, {"c": Decimal(2)}], "pyarrow")
    assert table.schema.types == [pa.decimal128(38, 18)]
    assert rows_of(table) == [{"c": Decimal("1E-18")}, {"c": Decimal(2)}]


def test_integers_beside_decimals_and_floats():
    """A zero that is an int does not turn money into a float."""
    table = to_frame(["c"], [{"c": 0}, {"c": Decimal("0.1")}], "pyarrow")
    assert table.schema.types == [pa.decimal128(38, 12)]
    assert to_frame(["c"], [{"c": 0}, {"c": 0.5}], "pyarrow").schema.types == [pa.float64()]


def test_a_lazy_frame_and_a_list():
    """A lazy frame is collected; a list of dicts is copied, not held."""
    frame = to_frame(["c"], [{"c": Decimal("0.5")}], "polars").lazy()
    assert rows_of(frame) == [{"c": Decimal("0.5")}]
    given_rows = [{"a": 1}]
    found = rows_of(given_rows)
    found[0]["a"] = 2
    assert given_rows == [{"a": 1}]
    assert rows_of([]) == []


def test_missing_values_of_pandas_are_none():
    """NaN, NaT and NA say that there is nothing; so does None."""
    import pandas as pd

    frame = pd.DataFrame({"f": [1.5, None], "t": pd.to_datetime(["2026-01-01", None])})
    frame["n"] = pd.array([1, None], dtype="Int64")
    frame["o"] = pd.Series([Decimal("0.1"), None], dtype=object)
    assert rows_of(frame) == [
        {"f": 1.5, "t": datetime(2026, 1, 1), "n": 1, "o": Decimal("0.1")},
        {"f": None, "t": None, "n": None, "o": None},
    ]


@pytest.mark.parametrize("thing", ["text", 7, object(), [1, 2], {"a": [1]}])
def test_what_is_no_frame(thing):
    """Anything else is refused, with what was expected."""
    with pytest.raises(InvalidRequestError, match="expected a pandas or polars DataFrame"):
        rows_of(thing)


@pytest.mark.parametrize("bad", [Decimal("1E-19"), Decimal("1E+30"), "text"])
def test_values_that_do_not_fit(bad):
    """No digit is lost in silence: what does not fit is refused with its column."""
    with pytest.raises(InvalidRequestError, match="column 'c'"):
        to_frame(["c"], [{"c": Decimal(1)}, {"c": bad}])


def test_backends_and_libraries(monkeypatch):
    """An unknown backend is refused; a missing library says what to install."""
    with pytest.raises(InvalidRequestError, match="expected pandas, polars, pyarrow; got 'dask'"):
        to_frame([], [], "dask")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ConfigError, match="pip install polars"):
        to_frame([], [], "polars")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"pip install 'centroute\[data\]'"):
        to_frame([], [])
    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(ConfigError, match=r"needs narwhals: pip install 'centroute\[data\]'"):
        rows_of(object())


def test_a_list_has_no_nan_either():
    """NaN, NaT and numpy's numbers of a list of dicts are what they are in a frame."""
    import numpy as np
    import pandas as pd

    rows = [{"f": float("nan"), "t": pd.NaT, "n": np.int64(3), "d": Decimal("NaN"), "c": 1.5}]
    assert rows_of(rows) == [{"f": None, "t": None, "n": 3, "d": None, "c": 1.5}]
    assert type(rows_of(rows)[0]["n"]) is int


def test_datetimes_without_an_offset():
    """They are nobody's instants: refused with their column, whatever is beside them."""
    for values in ([datetime(2026, 1, 1)], [AT, datetime(2026, 1, 1)]):
        with pytest.raises(
            InvalidRequestError, match="column 'a': expected datetimes with an off"
        ):
            to_frame(["a"], [{"a": value} for value in values])


def test_columns_that_are_not_there_or_twice():
    """A row without a column and a column that is named twice are refused by name."""
    with pytest.raises(InvalidRequestError, match="column 'b': expected it in every row"):
        to_frame(["a", "b"], [{"a": 1}])
    with pytest.raises(InvalidRequestError, match="columns: expected each once, got a"):
        to_frame(["a", "a"], [{"a": 1}])


@pytest.mark.parametrize("backend", BACKENDS)
def test_text_that_utf8_does_not_have(backend):
    """Half a surrogate pair of a caller's tag is written as its escape, as in a CSV."""
    frame = to_frame(["a"], [{"a": "\ud800x"}, {"a": "größe"}, {"a": None}], backend)
    assert [row["a"] for row in rows_of(frame)] == ["\\ud800x", "größe", None]


def test_places_of_a_column():
    """Named ones are there whatever the values are, so that files of two months go together."""
    for value in (Decimal(1), Decimal("1E-15"), None):
        kinds = {"c": Decimal}
        table = to_frame(["c"], [{"c": value}], "pyarrow", kinds=kinds, places={"c": 18})
        assert table.schema.types == [pa.decimal128(38, 18)]
