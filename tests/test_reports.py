import csv
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from spending import NOW, Book

from router.errors import ConfigError, InvalidRequestError
from router.money import to_usd
from router.reports import report_from
from router.reports.csv import cell, write_csv


@pytest.fixture
def book():
    found = Book()
    yield found
    found.ledger.check()
    found.ledger.close()


def test_every_kind_of_ending_counts(book):
    """Answered, failed, estimated, released, lost and corrected calls add up to the balance."""
    book.call(501)
    book.call(33, outcome="ServerError", estimated=True)
    book.call(0, rates_id="", forecast_cost=None)
    book.ledger.release(book.reserve(), at=NOW, outcome="RateLimitError")
    lost = book.reserve()
    book.ledger.sweep(NOW + timedelta(hours=1))
    (row,) = book.report()
    assert row == {
        "requests": 4,
        "failed": 3,
        "estimated": 2,
        "unpriced": 1,
        "input_tokens": 300,
        "cache_read_tokens": 192,
        "output_tokens": 30,
        "reasoning_tokens": 12,
        "cost_usd": Decimal("0.000000001534"),
        "forecast_cost_usd": Decimal("0.000000002100"),
        "cached": 0,
        "saved_usd": Decimal(0),
        "cache_write_tokens": 0,
        "cache_saved_usd": None,
        "within_p90": None,
        "reserved_usd": Decimal("0.000000005000"),
    }
    assert book.report().total == book.spent == row["cost_usd"]
    book.settle(lost, 400)  # the late truth: 600 less, and the tokens it took
    (row,) = book.report()
    assert row["requests"] == 4
    assert row["cost_usd"] == Decimal("0.000000000934")
    assert row["input_tokens"] == 400
    assert book.report().total == book.spent


@pytest.mark.parametrize(
    "by", [(), ("day",), ("model", "tag:team"), ("hour", "candidate", "outcome", "tag", "policy")]
)
def test_totals_are_the_ledgers_to_the_last_digit(book, by):
    """However calls are grouped, the sum over all rows is the balance, to the pico-dollar."""
    chance = random.Random(7)
    for i in range(60):
        at = NOW + timedelta(hours=i)
        rid = book.reserve(
            amount=10**9, at=at, model=chance.choice("ab"), tags={"team": chance.choice("xyz")}
        )
        end = chance.choice(["settle", "failed", "release", "lose", "late"])
        if end == "release":
            book.ledger.release(rid, at=at, outcome="RateLimitError")
        elif end in {"lose", "late"}:
            book.ledger.sweep(at + timedelta(minutes=11))
        if end in {"settle", "failed", "late"}:
            outcome = "ServerError" if end == "failed" else "ok"
            book.settle(rid, chance.randrange(2 * 10**9), at=at, outcome=outcome)
    report = book.report(*by)
    assert report.total == book.spent > 0
    assert sum(row["cost_usd"] for row in report) == book.spent
    assert sum(row["requests"] for row in report) == sum(
        e.kind in {"settle", "expire"} for e in book.ledger.entries()
    )


def test_days_are_those_of_the_zone(book):
    """A call at half past eleven in the evening UTC is the next day's in Berlin."""
    late = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    book.call(5, at=late)
    assert [r["day"] for r in book.report("day")] == ["2026-11-22"]
    assert [r["day"] for r in book.report("day", tz="Europe/Berlin")] == ["2026-11-23"]
    assert [r["hour"] for r in book.report("hour", tz="Asia/Kolkata")] == ["2026-11-23T05:00+0530"]
    assert [r["month"] for r in book.report("month")] == ["2026-11"]


def test_the_repeated_hour_is_two_hours(book):
    """When the clock goes back, both hours of the same name have rows of their own."""
    for hour in (0, 1):
        book.call(5, at=datetime(2026, 10, 25, hour, 30, tzinfo=UTC))
    hours = [row["hour"] for row in book.report("hour", tz="Europe/Berlin")]
    assert hours == ["2026-10-25T02:00+0200", "2026-10-25T02:00+0100"]  # in order of time


def test_columns(book):
    """Any set of columns can be grouped by; rows come in a fixed order."""
    book.call(1, model="b", candidate="b:thinking@h", mode="thinking", host="h")
    book.call(2, model="a", candidate="a@k", host="k", policy="utility")
    report = book.report("model", "mode", "host", "candidate", "policy", "outcome")
    assert [tuple(row.values())[:6] for row in report] == [
        ("a", "chat", "k", "a@k", "utility", "ok"),
        ("b", "thinking", "h", "b:thinking@h", "cheapest", "ok"),
    ]
    assert report.columns[:2] == ("model", "mode")
    assert len(report) == 2


def test_tag_columns(book):
    """One tag is a column; `tag` alone is all of them; a missing one is empty."""
    book.call(1, tags={"team": "search", "user": "ann"})
    book.call(2, tags={"team": "search"})
    book.call(4)
    by_team = {r["tag:team"]: r["cost_usd"] for r in book.report("tag:team")}
    assert by_team == {"search": to_usd(3), "": to_usd(4)}
    assert [r["tag"] for r in book.report("tag")] == ["", "team=search", "team=search;user=ann"]


def test_an_empty_ledger(book, tmp_path):
    """Nothing spent is a report without rows, a total of zero and a CSV file with a header."""
    report = book.report("day", "model")
    assert (list(report), len(report), report.total) == ([], 0, 0)
    path = report.to_csv(tmp_path / "spend.csv")
    assert path.read_text() == ",".join(report.columns) + "\n"


@pytest.mark.parametrize("by", ["dya", "tag:", "", "Day", "cost_usd"])
def test_unknown_columns(by):
    """A column that there is not is refused with those that there are."""
    with pytest.raises(InvalidRequestError, match=r"by: expected day, hour, .* tag:NAME; got"):
        report_from([], by=[by])


@pytest.mark.parametrize("tz", ["Berlin", "", "../x"])
def test_unknown_zones(tz):
    """A zone that there is not is refused; it never silently becomes UTC."""
    with pytest.raises(InvalidRequestError, match="tz: expected an IANA zone"):
        report_from([], tz=tz)


def test_a_csv_adds_up(book, tmp_path):
    """Read back from the file, the exact decimals add up to the ledger."""
    for i in range(20):
        book.call(10**i % (10**9 + 7), model=f"m{i % 3}")
    report = book.report("model")
    path = report.to_csv(tmp_path / "spend.csv")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(Decimal(row["cost_usd"]) for row in rows) == book.spent
    assert [row["model"] for row in rows] == ["m0", "m1", "m2"]
    assert all("E" not in row["cost_usd"] for row in rows)
    before = path.read_bytes()
    report.to_csv(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t'=1"),
        ("\r=1", "'\r'=1"),
        ("search", "search"),
        ("a=b", "a=b"),
        (Decimal("-0.000000000001"), "-0.000000000001"),
        (Decimal("1E-12"), "0.000000000001"),
        (-5, "-5"),
        (None, ""),
    ],
)
def test_no_cell_is_a_formula(value, text):
    """Text that a spreadsheet would run is quoted; numbers stay numbers."""
    assert cell(value) == text


def test_a_tag_that_is_a_formula(book, tmp_path):
    """A caller's tag reaches the file as text, commas, quotes and lines included."""
    tag = '=HYPERLINK("http://x";"y"),\nz'
    book.call(1, tags={"team": tag})
    path = book.report("tag:team").to_csv(tmp_path / "spend.csv")
    with path.open(newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file))["tag:team"] == "'" + tag


def test_a_csv_is_written_whole_or_not_at_all(tmp_path):
    """When writing fails half way, the old file stays and no half of a new one is left."""
    path = tmp_path / "spend.csv"
    path.write_text("old")

    def rows():
        yield {"a": 1}
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        write_csv(path, ["a"], rows())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    assert write_csv(path, ["a"], [{"a": 1}]).read_text() == "a\n1\n"
    assert list(tmp_path.iterdir()) == [path]


def test_where_no_csv_can_be_written(tmp_path):
    """A missing directory, a directory or a path below a file: an error that says what to do."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "directory").mkdir()
    for path in ("missing/spend.csv", "file/spend.csv", "directory"):
        with pytest.raises(ConfigError, match=r"cannot write .*Name a file in a directory"):
            write_csv(tmp_path / path, ["a"], [])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["directory", "file"]
