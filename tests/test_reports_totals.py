"""Every way out of the ledger adds up to the ledger, to the last pico-dollar."""

import csv
import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_ledger import random_entries

from router.catalog import Catalog
from router.money import to_usd
from router.reports import focus_from, report_from
from router.reports.prices import billed_by

CATALOG = Catalog.default()
COLUMNS = ("day", "week", "month", "model", "host", "policy", "outcome", "rates", "source")
COLUMNS += ("tag", "team", "tag:feature", "hour", "mode", "candidate")


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(0, 120),
    st.lists(st.sampled_from(COLUMNS), max_size=4, unique=True),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns"]),
)
def test_reports_and_focus_add_up(seed, count, by, tz):
    """However lines are grouped and whatever they are, all sums are the ledger's."""
    entries = random_entries(count, seed=seed, days=70, catalog=CATALOG)
    spent = to_usd(sum(entry.cost for entry in entries))
    report = report_from(entries, by=by, tz=tz, rates_of=billed_by(CATALOG))
    assert report.total == spent == sum(row["cost_usd"] or 0 for row in report)
    for period in ("day", "hour"):
        focus = focus_from(entries, CATALOG, tz=tz, period=period)
        assert focus.total == spent == sum((row["BilledCost"] for row in focus), Decimal(0))
        assert focus.unpriced == report.unpriced
    tokens = sum(e.usage.input_tokens for e in entries)
    assert sum(row["input_tokens"] for row in report) == tokens


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_the_order_of_lines_does_not_matter(seed):
    """The same lines in another order give the same report and the same FOCUS rows."""
    entries = random_entries(60, seed=seed, catalog=CATALOG)
    shuffled = list(entries)
    random.Random(seed).shuffle(shuffled)
    # What a correction corrects is known by the line before it, so those keep their order.
    shuffled.sort(key=lambda e: (e.kind == "correct", 0))
    ordered = sorted(entries, key=lambda e: (e.kind == "correct", 0))
    assert list(report_from(shuffled, by="team")) == list(report_from(entries, by="team"))
    assert list(focus_from(shuffled, CATALOG)) == list(focus_from(ordered, CATALOG))


def test_files_add_up(tmp_path):
    """CSV, German CSV, Parquet and FOCUS files, read back, are the ledger to the last digit."""
    parquet = pytest.importorskip("pyarrow.parquet")
    entries = random_entries(1500, seed=11, catalog=CATALOG)
    spent = to_usd(sum(entry.cost for entry in entries))
    report = report_from(entries, by=("day", "model", "tag"))
    assert _csv(report.to_csv(tmp_path / "a.csv"), "cost_usd", ",") == spent
    assert _csv(report.to_csv(tmp_path / "b.csv", "de"), "cost_usd", ";") == spent
    table = parquet.read_table(report.to_parquet(tmp_path / "a.parquet"))
    assert sum(filter(None, table["cost_usd"].to_pylist())) == spent
    focus = focus_from(entries, CATALOG)
    assert _csv(focus.to_csv(tmp_path / "focus.csv"), "BilledCost", ",") == spent
    table = parquet.read_table(focus.to_parquet(tmp_path / "focus.parquet"))
    assert sum(table["BilledCost"].to_pylist()) == spent


def _csv(path, column, separator):
    with path.open(newline="", encoding="utf-8-sig") as file:
        cells = [row[column] for row in csv.DictReader(file, delimiter=separator)]
    if separator == ";":
        cells = [cell.replace(",", ".") for cell in cells]
    return sum((Decimal(cell) for cell in cells if cell), Decimal(0))
