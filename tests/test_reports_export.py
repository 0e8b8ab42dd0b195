"""Reports as frames, CSV for programs and spreadsheets, Parquet and checksums."""

import csv
import io
import subprocess
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spending import Book

from router import Client
from router.errors import ConfigError, InvalidRequestError
from router.frames import rows_of
from router.reports import FIGURES, report_from, verify
from router.reports.csv import LOCALES, cell, conventions, write_csv
from router.reports.periods import instant_of, month_of, zone_of

BERLIN = zone_of("Europe/Berlin")


@pytest.fixture
def book():
    found = Book()
    found.call(501, tags={"team": "größe;=1", "user": "ann"})
    found.call(10**14 + 1, model="b", tags={"team": "=1+1"})
    found.call(0, rates_id="", forecast_cost=None, model="c")
    yield found
    found.ledger.close()


def test_columns_are_where_they_were(book):
    """New figures come behind the old ones, whose order users' scripts rely on."""
    assert book.report("model").columns == ("model", *FIGURES)
    assert tuple(FIGURES)[:12] == (
        "requests",
        "failed",
        "estimated",
        "unpriced",
        "input_tokens",
        "cache_read_tokens",
        "output_tokens",
        "reasoning_tokens",
        "cost_usd",
        "forecast_cost_usd",
        "cached",
        "saved_usd",
    )
    assert all(tuple(row) == book.report("model").columns for row in book.report("model"))


def test_tags_by_their_name_and_other_columns(book):
    """`team` is `tag:team`; weeks, price rows and the source of the usage can be grouped by."""
    report = book.report("team", "user", "week", "rates", "source")
    assert report.columns[:5] == ("team", "user", "week", "rates", "source")
    assert [tuple(row.values())[:5] for row in report] == [
        ("", "", "2026-W47", "", "reported"),
        ("=1+1", "", "2026-W47", "m@h/1", "reported"),
        ("größe;=1", "ann", "2026-W47", "m@h/1", "reported"),
    ]
    assert not set(report.columns[:5]) & set(FIGURES)


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_a_frame_is_the_report(book, backend):
    """Every value of every row, None where it is unknown, in each library."""
    pytest.importorskip(backend)
    pytest.importorskip("narwhals")
    report = book.report("model", "team")
    assert rows_of(report.to_frame(backend)) == list(report)


def test_parquet_is_the_report(book, tmp_path):
    """Read back, amounts are the same decimals; an empty report has the same types."""
    parquet = pytest.importorskip("pyarrow.parquet")
    report = book.report("model")
    path = report.to_parquet(tmp_path / "spend.parquet", checksum=True)
    table = parquet.read_table(path)
    assert table.to_pylist() == list(report)
    assert verify(path)
    empty = report_from([], by="model").to_parquet(tmp_path / "empty.parquet")
    assert parquet.read_table(empty).schema.types == table.schema.types


def test_a_notebook_shows_a_table(book):
    """Text is escaped, what is unknown says so, numbers are exact."""
    book.call(1, model="<script>alert(1)</script>")
    html = book.report("model")._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert "100.000000000001" in html
    assert ">unknown<" in html


def test_days_and_instants(book):
    """A day begins in the report's zone; an instant without an offset is refused by name."""
    assert instant_of("2026-10-25", BERLIN, "since") == datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert instant_of(date(2026, 10, 26), BERLIN, "x") == datetime(2026, 10, 25, 23, tzinfo=UTC)
    at = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert instant_of(at, BERLIN, "x") == at
    assert instant_of("2026-10-25T02:30:00+01:00", BERLIN, "x") == at
    for wrong in (datetime(2026, 11, 1), "2026-11-01T00:00:00", "yesterday", 5, ""):
        with pytest.raises(InvalidRequestError, match="since: expected a day such as") as caught:
            instant_of(wrong, BERLIN, "since")
        assert caught.value.param == "since"


def test_months_of_a_zone():
    """A month begins and ends by the zone's clock, also where the clock changes in it."""
    first, after = month_of(datetime(2026, 10, 31, 23, 30, tzinfo=UTC), BERLIN)
    assert (first, after) == (
        datetime(2026, 10, 31, 23, tzinfo=UTC),
        datetime(2026, 11, 30, 23, tzinfo=UTC),
    )
    first, after = month_of(datetime(2026, 10, 1, tzinfo=UTC), BERLIN)
    assert (after - first).total_seconds() == 31 * 86400 + 3600  # summer time ends in it


def test_a_client_reports_days_of_a_zone(book):
    """`since` and `until` as days cut where the zone's day does; `until` is not counted."""
    client = Client(ledger=book.ledger)
    book.call(7, at=datetime(2026, 11, 30, 22, 59, 59, tzinfo=UTC), model="last")
    book.call(9, at=datetime(2026, 11, 30, 23, 0, tzinfo=UTC), model="next")
    zone = {"tz": "Europe/Berlin"}
    november = client.report("model", since="2026-11-01", until=date(2026, 12, 1), **zone)
    assert [row["model"] for row in november] == ["b", "c", "last", "m"]
    december = client.report("month", since="2026-12-01", **zone)
    assert [(row["month"], row["cost_usd"]) for row in december] == [
        ("2026-12", Decimal("0.000000000009"))
    ]
    with pytest.raises(InvalidRequestError, match="until: expected a day"):
        client.report(until=datetime(2026, 12, 1))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("\uff1d1", "'\uff1d1"),
        ("\uff20SUM(A1)", "'\uff20SUM(A1)"),
        (" =1", "' =1"),
        ("\n=1", "'\n'=1"),
        ("\0=1", "'\0=1"),
        ("\ufeff=1", "'\ufeff=1"),
        ("\u200b+1", "'\u200b+1"),
        ("\xa0-1", "'\xa0-1"),
        ("\ttext", "'\ttext"),
        ("a;=1", "a;'=1"),
        ('a;"=1', "a;\"'=1"),
        ("a,-b", "a,'-b"),
        ("a-b=c", "a-b=c"),
        ("", ""),
        ("a; b", "a; b"),
    ],
)
def test_no_cell_is_a_formula_in_any_sheet(value, text):
    """Nor behind white space, in full width, nor where a sheet separates by another character."""
    assert cell(value) == text


@given(st.text(max_size=30), st.text(alphabet="=+-@;,\t\r\n \"'a\0\uff1d", max_size=12))
def test_no_text_starts_a_formula(free, nasty):
    """Split by any separator that sheets know, no part begins like a formula, quotes or not."""
    for text in (free, nasty, free + nasty):
        line = io.StringIO()
        csv.writer(line).writerow([cell(text)])
        for separator in ",;\t|\r\n":
            for piece in line.getvalue().split(separator):
                assert piece.strip(' "\0\ufeff\xa0')[:1] not in {
                    *"=+-@\uff1d\uff0b\uff0d\uff20"
                } - {""}


def test_numbers_stay_numbers():
    """A correction downwards is a negative number, in every locale, and no text."""
    assert cell(Decimal("-0.5"), ",") == "-0,5"
    assert cell(-3, ",") == "-3"
    assert cell(Decimal("1E+3")) == "1000"


def test_a_locale_is_for_its_spreadsheet(book, tmp_path):
    """German: semicolons, decimal commas, the mark that makes Excel read UTF-8; same figures."""
    report = book.report("model", "team")
    german = report.to_csv(tmp_path / "de.csv", locale="de_DE.UTF-8").read_bytes()
    assert german.startswith(b"\xef\xbb\xbfmodel;team;requests;")
    rows = list(csv.DictReader(io.StringIO(german.decode("utf-8-sig")), delimiter=";"))
    amounts = [Decimal(r["cost_usd"].replace(",", ".")) for r in rows if r["cost_usd"]]
    assert sum(amounts) == report.total == book.spent
    assert [r["team"] for r in rows] == ["'=1+1", "", "größe;'=1"]
    assert rows[1]["cost_usd"] == ""
    plain = report.to_csv(tmp_path / "plain.csv").read_bytes()
    assert plain.startswith(b"model,team,requests,")


def test_locales(tmp_path):
    """A language with or without a country; an unknown one is refused, and nothing written."""
    assert conventions("de-AT") == (";", ",")
    assert conventions("de_CH") == (";", ".")
    assert conventions("en-GB") == (",", ".")
    assert all(separator != point for separator, point in LOCALES.values())
    with pytest.raises(InvalidRequestError, match=r"locale: expected one of en, .* got 'xx'"):
        write_csv(tmp_path / "x.csv", ["a"], [], locale="xx")
    assert list(tmp_path.iterdir()) == []


def test_a_checksum_tells_a_changed_file(book, tmp_path):
    """`sha256sum -c` and `verify` agree; one byte more and both refuse it."""
    path = book.report("model").to_csv(tmp_path / "spend.csv", checksum=True)

    def says():
        command = ["sha256sum", "-c", "spend.csv.sha256"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode

    assert says() == 0
    assert verify(path)
    path.write_bytes(path.read_bytes() + b"\n")
    assert not verify(str(path))
    assert says() != 0


def test_no_checksum_to_check(book, tmp_path):
    """A missing or broken side file is an error that says which, not a verdict."""
    path = book.report("model").to_csv(tmp_path / "spend.csv")
    with pytest.raises(ConfigError, match=r"cannot read .*spend\.csv\.sha256"):
        verify(path)
    side = tmp_path / "spend.csv.sha256"
    for wrong in ("", "abc  spend.csv\n", f"{'0' * 64}  other.csv\n"):
        side.write_text(wrong)
        with pytest.raises(ConfigError, match="expected one line, a SHA-256 and the name"):
            verify(path)
    side.write_text(f"{'0' * 64}  spend.csv\n")
    path.unlink()
    with pytest.raises(ConfigError, match=r"cannot read .*spend\.csv: "):
        verify(path)
