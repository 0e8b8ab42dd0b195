"""FOCUS exports that are put together: of parts of a month, of hours, as Parquet, with tags."""

import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from focus_rules import check
from hypothesis import given
from hypothesis import strategies as st
from random_ledger import random_entries
from spending import Book

from router import Client
from router.catalog import Catalog
from router.ledgers.entries import Entry, Record
from router.reports import focus_from
from router.reports.csv import SIGNS, cell
from router.reports.focus import tags_json
from router.types import Usage

CATALOG = Catalog.default()
V32 = "deepseek-v3.2@deepinfra"


def call(at, tokens=1000):
    rates = CATALOG.rates(V32, at)
    usage = Usage(input_tokens=tokens, output_tokens=1)
    names = {"candidate": V32, "model": "deepseek-v3.2", "mode": "chat", "host": "deepinfra"}
    return Entry(
        kind="settle",
        at=at,
        reservation_id="r/0",
        record=Record(request_id="r", policy="x", **names),
        usage=usage,
        cost=-(-(tokens * rates.input + rates.output) // 10**6),
        reserved=10**9,
        overage=0,
        outcome="ok",
        finish_reason=None,
        seconds=1.0,
        rates_id=rates.id,
    )


def test_the_class_of_a_charge_is_the_same_in_every_export():
    """A correction of the same month is none of FOCUS, however late in the month an export
    begins; one of an earlier month is one, whatever is exported.
    """
    book = Book()
    for day in (2, 31 - 61):  # of this month and of the one before the last
        begun = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=day)
        rid = book.reserve(at=begun)
        book.ledger.sweep(begun + timedelta(hours=1))
        book.settle(rid, 400, at=datetime(2026, 11, 20, 5, tzinfo=UTC))
    client = Client(ledger=book.ledger)
    whole = [row for row in client.focus(since="2026-11-01") if row["BilledCost"] < 0]
    late = list(client.focus(since="2026-11-20"))
    assert {row["ChargeClass"] for row in whole} == {None, "Correction"}
    assert late == whole
    assert client.focus(since="2026-11-20", tz="Asia/Kathmandu").total == Decimal("-1.2E-9")
    book.ledger.close()


@pytest.mark.parametrize("tz", ["Asia/Kathmandu", "Asia/Kolkata", "America/St_Johns"])
def test_hours_of_zones_off_the_hour(tz):
    """An hour is one of the zone's clock, so that none of it is in two months."""
    start = datetime(2026, 10, 31, tzinfo=UTC)
    calls = [call(start + timedelta(minutes=10 * i)) for i in range(200)]
    rows = list(focus_from(calls, CATALOG, tz=tz, period="hour"))
    for row in rows:
        check(row)
    minutes = {row["ChargePeriodStart"][14:16] for row in rows}
    assert minutes == {"Asia/Kathmandu": {"15"}}.get(tz, {"30"})
    months = {}
    for period in ("hour", "day"):
        found = months.setdefault(period, {})
        for row in focus_from(calls, CATALOG, tz=tz, period=period):
            month = row["BillingPeriodStart"]
            found[month] = found.get(month, 0) + row["BilledCost"]
    assert months["hour"] == months["day"]
    assert len(months["day"]) == 2


def test_parquet_of_any_month_has_the_same_columns(tmp_path):
    """Of no rows, of adjustments only, of products with 12 places or 18: files go together, and
    periods are instants.
    """
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    at = datetime(2026, 11, 1, tzinfo=UTC)
    lines = random_entries(300, seed=4, catalog=CATALOG)
    lost = [line for line in lines if line.kind == "expire"][:1]
    schemas = []
    for i, some in enumerate(([], lost, [call(at, 10**6)], [call(at, 1)], lines)):
        path = focus_from(some, CATALOG).to_parquet(tmp_path / f"{i}.parquet")
        schemas.append(parquet.read_schema(path))
    assert len({str(schema) for schema in schemas}) == 1
    types = {name: schemas[0].field(name).type for name in schemas[0].names}
    assert types["ChargePeriodStart"] == types["BillingPeriodEnd"] == pa.timestamp("us", tz="UTC")
    assert types["BilledCost"] == types["ListUnitPrice"] == pa.decimal128(38, 12)
    assert types["ListCost"] == pa.decimal128(38, 18)
    table = parquet.read_table(tmp_path / "4.parquet").to_pylist()
    focus = list(focus_from(lines, CATALOG))
    assert [f"{r['ChargePeriodStart']:%Y-%m-%dT%H:%M:%SZ}" for r in table] == [
        r["ChargePeriodStart"] for r in focus
    ]
    assert [r["ListCost"] for r in table] == [r["ListCost"] for r in focus]


NASTY = st.text(
    alphabet=SIGNS.replace("\\", "") + "\u200b\ufeff\x85,;|\t\n\0\"'a{:\ud800", max_size=9
)


@given(st.dictionaries(st.one_of(st.text(max_size=5), NASTY), st.one_of(st.text(), NASTY)))
def test_no_tag_is_altered_by_the_guard(tags):
    """The guard against formulas finds nothing to mark in Tags; reading them gives the tags."""
    text = tags_json(tags)
    assert cell(text) == text
    assert json.loads(text.encode()) == tags


def test_tags_of_a_csv_are_the_calls(tmp_path):
    """Also those with blanks that are seen nowhere, signs in full width, half a surrogate pair."""
    for value in ("a,'=b", "x;\u200b=1", "a, \ufe62b", "\ud800x", "a\n=b", '"=x', "@me"):
        tags = {"k": value, "=k": "v"}
        line = call(datetime(2026, 11, 1, tzinfo=UTC))
        record = Record(**{**_fields(line.record), "tags": tags})
        line = Entry(**{**_fields(line), "record": record})
        path = focus_from([line], CATALOG).to_csv(tmp_path / "focus.csv")
        with path.open(newline="", encoding="utf-8") as file:
            assert {json.dumps(json.loads(r["Tags"])) for r in csv.DictReader(file)} == {
                json.dumps(dict(sorted(tags.items())))
            }
        focus_from([line], CATALOG).to_parquet(tmp_path / "focus.parquet")


def _fields(value):
    return {name: getattr(value, name) for name in value.__dataclass_fields__}
