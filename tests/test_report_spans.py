"""Spans of reports: the ends of the calendar, hours that come twice, names of checked files."""

import os
import subprocess
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spending import Book

from router import Client
from router.catalog import Catalog
from router.errors import InvalidRequestError
from router.money import to_usd
from router.reports import accuracy_from, focus_from, verify
from router.reports.periods import hour_of

REPORTS = ("report", "accuracy", "savings", "focus", "fleets")
ZONES = (
    "Europe/Berlin",
    "Africa/Cairo",
    "Antarctica/Troll",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
)


@pytest.fixture
def book():
    book = Book()
    yield book
    book.ledger.close()


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize(
    ("span", "wrong"),
    [
        ({"since": date.min, "tz": "Asia/Tokyo"}, "since"),
        ({"until": date.max, "tz": "America/New_York"}, "until"),
        ({"until": "9999-12-31T23:00:00-05:00"}, "until"),
        ({"since": "0001-01-01T00:00:00+05:00"}, "since"),
        ({"since": datetime.max.replace(tzinfo=UTC)}, "since"),
    ],
)
def test_ends_of_the_calendar(book, name, span, wrong):
    """A time that no zone can be applied to is refused by its argument's name."""
    with (
        Client(ledger=book.ledger) as client,
        pytest.raises(InvalidRequestError, match=f"{wrong}: .* years 2 to 9998"),
    ):
        getattr(client, name)(**span)


@pytest.mark.parametrize("name", REPORTS)
def test_years_within_are_fine(book, name, tmp_path):
    """From the first to the last day that is taken, in any zone; as a page, too."""
    with Client(ledger=book.ledger) as client:
        for tz in ("Asia/Tokyo", "America/New_York"):
            span = {"since": "0002-01-01", "until": "9998-12-31", "tz": tz}
            getattr(client, name)(**span)
            assert client.html_report(tmp_path / "x.html", **span).is_file()


@pytest.mark.parametrize("zone", ZONES)
def test_hours_are_in_order_of_time(book, zone):
    """Also at the end of summer time, when the earlier 02:00 has the later offset."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for i in range(0, 340 * 24, 5):
        book.call(5, at=start + timedelta(hours=i))
    for change in (datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 10, 29, tzinfo=UTC)):
        for i in range(48):
            book.call(5, at=change + timedelta(minutes=30 * i))
    for report in (
        book.report("hour", tz=zone),
        accuracy_from(book.ledger.entries(), by="hour", tz=zone),
    ):
        hours = [datetime.fromisoformat(row["hour"]) for row in report]
        assert hours == sorted(hours)
        assert len(set(hours)) == len(hours)


def test_hours_beside_other_columns(book):
    """Within a model hours are in order of time; models are in order of their names."""
    for model in ("b", "a"):
        for hour in (1, 0):
            book.call(5, at=datetime(2026, 10, 25, hour, 30, tzinfo=UTC), model=model)
    rows = [(r["model"], r["hour"][-5:]) for r in book.report("model", "hour", tz="Europe/Berlin")]
    assert rows == [("a", "+0200"), ("a", "+0100"), ("b", "+0200"), ("b", "+0100")]


@given(st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)), st.sampled_from(ZONES))
def test_an_hour_has_its_instant_and_no_other_hours(at, zone):
    """Every instant of an hour gives the same hour, and the next begins where it ends."""
    at, zone = at.replace(tzinfo=UTC), ZoneInfo(zone)
    start, end = hour_of(at, zone)
    assert start <= at < end <= start + timedelta(hours=1)
    last = end - timedelta.resolution
    assert hour_of(start, zone) == hour_of(last, zone) == (start, end)
    assert hour_of(end, zone)[0] == end
    assert start.astimezone(zone).utcoffset() == last.astimezone(zone).utcoffset()


def test_hours_of_focus_do_not_overlap(book):
    """Where clocks change by half an hour (Lord Howe) periods end and begin at the change."""
    for change in (datetime(2026, 4, 4, 12, tzinfo=UTC), datetime(2026, 10, 3, 12, tzinfo=UTC)):
        for i in range(40):
            book.call(5, at=change + timedelta(minutes=10 * i))
    focus = focus_from(
        book.ledger.entries(), Catalog.default(), tz="Australia/Lord_Howe", period="hour"
    )
    spans = sorted({(row["ChargePeriodStart"], row["ChargePeriodEnd"]) for row in focus})
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert focus.total == to_usd(400)


@pytest.mark.skipif(os.name == "nt", reason="names that only bytes and newlines make")
@pytest.mark.parametrize(
    "name", ["a\nb.csv", "a\rb.csv", "a\\b.csv", "sp ace.csv", os.fsdecode(b"caf\xe9.csv")]
)
def test_a_checksum_beside_any_name(book, tmp_path, name):
    """`verify` and `sha256sum -c` read it, whatever bytes the file's name is made of."""
    book.call(5)
    path = book.report("model").to_csv(tmp_path / name, checksum=True)
    assert verify(path)
    side = os.fsencode(path.name + ".sha256")
    if "\r" not in name:  # of which older ones make no mark
        subprocess.run([b"sha256sum", b"-c", side], cwd=tmp_path, capture_output=True, check=True)
    path.write_bytes(path.read_bytes() + b"x")
    assert not verify(path)
