"""`centroute report` in its formats: what is written, what is refused."""

import csv
import json
from decimal import Decimal

import pytest
from spending import HOLD, NOW, Book

from router.cli import main
from router.ledgers.sqlite import SQLiteLedger
from router.money import to_usd
from router.reports import verify


@pytest.fixture
def ledger(tmp_path):
    """The file of a ledger with three calls, one of them without a price."""
    path = tmp_path / "ledger.sqlite3"
    book = Book()
    book.ledger.close()
    book.ledger = SQLiteLedger(path)
    book.call(501, tags={"team": "=1"})
    book.call(700, model="b", forecast_cost_p90=900)
    book.call(0, rates_id="", forecast_cost=None, model="c")
    assert book.ledger.balances([HOLD])[0].spent == 1201
    book.ledger.close()
    return path


@pytest.fixture
def report(ledger, capsys):
    """Runs the command; gives its exit status and what it wrote."""

    def run(*arguments):
        code = main(["report", "--ledger", str(ledger), *map(str, arguments)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def rows_of(path, delimiter=","):
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def test_csv_with_its_checksum(report, tmp_path):
    """A file, its digest beside it, and a command that tells whether it was changed."""
    path = tmp_path / "spend.csv"
    arguments = ["--by", "team", "--format", "csv", "--out", path, "--checksum"]
    assert report(*arguments)[0] == 0
    assert sum(Decimal(r["cost_usd"] or 0) for r in rows_of(path)) == to_usd(1201)
    assert verify(path)
    assert report("--verify", path)[:2] == (0, f"{path}: OK\n")
    path.write_text(path.read_text() + "x")
    assert report("--verify", path)[0] == 1
    assert json.loads(report("--verify", path, "--json")[1])["same"] is False


def test_csv_of_a_locale(report, tmp_path):
    """`--locale de` is for a German spreadsheet, beside the table and alone."""
    for arguments in (["--csv"], ["--format", "csv", "--out"]):
        path = tmp_path / "de.csv"
        assert report("--by", "model", "--locale", "de", *arguments, path)[0] == 0
        assert rows_of(path, ";")[0]["cost_usd"] == "0,000000000700"
    assert "locale: expected one of" in report("--csv", tmp_path / "x", "--locale", "xx")[2]


def test_focus(report, tmp_path):
    """What is billed adds up to the ledger, and what has no price is said, not written as zero."""
    path = tmp_path / "focus.csv"
    code, out, _ = report("--format", "focus", "--out", path, "--account", "acme", "--checksum")
    assert code == 0
    assert "BilledCost 0.000000001201 USD" in out
    assert "without a known price, in none of the rows: 1" in out
    rows = rows_of(path)
    assert sum(Decimal(r["BilledCost"]) for r in rows) == to_usd(1201)
    assert {r["BillingAccountId"] for r in rows} == {"acme"}
    assert verify(path)


def test_parquet_html_and_json(report, tmp_path):
    """The other formats: a file each, or JSON on standard output."""
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "spend.parquet"
    assert report("--by", "model", "--format", "parquet", "--out", path)[0] == 0
    assert [r["model"] for r in parquet.read_table(path).to_pylist()] == ["b", "c", "m"]
    page = tmp_path / "spend.html"
    assert report("--format", "html", "--out", page, "--since", "2026-11-01")[0] == 0
    assert page.read_text("utf-8").startswith("<!doctype html>")
    data = json.loads(report("--by", "model", "--format", "json")[1])
    assert data["total_usd"] == "0.000000001201"
    assert [row["within_p90"] for row in data["rows"]] == ["1.000000", None, None]


def test_focus_as_parquet(report, tmp_path):
    """A file that ends in .parquet is Parquet."""
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "focus.parquet"
    assert report("--format", "focus", "--out", path)[0] == 0
    assert sum(parquet.read_table(path)["BilledCost"].to_pylist()) == to_usd(1201)


def test_a_wrong_locale_is_refused_before_anything_is_said(report, tmp_path):
    """No table comes before the error, and no file is written."""
    code, out, err = report("--csv", tmp_path / "x.csv", "--locale", "de-XX")
    assert (code, out) == (1, "")
    assert "locale: expected 'de' alone or with one of AT, BE, CH" in err
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.sqlite3"]


@pytest.mark.parametrize("kind", ["accuracy", "savings", "fleets"])
def test_other_reports(report, tmp_path, kind):
    """Forecasts, savings and own GPUs, on the screen, as JSON and as CSV."""
    code, out, _ = report("--kind", kind)
    assert code == 0
    assert kind.capitalize() in out
    assert "total:" not in out
    data = json.loads(report("--kind", kind, "--json")[1])
    path = tmp_path / "x.csv"
    report("--kind", kind, "--format", "csv", "--out", path)
    assert len(rows_of(path)) == len(data["rows"])


def test_days_are_those_of_the_zone(report):
    """A day of `--since` begins in `--tz`; an instant is one, wherever."""
    day = f"{NOW:%Y-%m-%d}"
    assert json.loads(report("--since", day, "--json")[1])["rows"]
    assert not json.loads(report("--until", day, "--json")[1])["rows"]
    late = ["--tz", "Pacific/Kiritimati", "--json"]  # there it is the 23rd by now
    assert json.loads(report("--since", "2026-11-23", *late)[1])["rows"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "csv"], "expected --out FILE"),
        (["--out", "x.csv"], "expected --format csv"),
        (["--format", "focus", "--out", "x", "--by", "day"], "has its own columns"),
        (["--format", "html", "--out", "x", "--kind", "savings"], "has its own columns"),
        (["--format", "focus", "--out", "x", "--csv", "y"], "--csv goes with"),
        (["--format", "focus", "--out", "x", "--locale", "de"], "drop --locale"),
        (["--locale", "de"], "--locale goes with"),
        (["--checksum"], "--checksum goes with"),
        (["--kind", "savings", "--by", "day"], "--kind savings has its own rows: drop --by"),
        (["--kind", "fleets", "--by", "day"], "--kind fleets has its own rows: drop --by"),
        (["--csv", "-"], "expected --format csv --out -"),
        (["--format", "csv", "--out", "-", "--checksum"], "--out -: drop --checksum"),
        (["--since", "2026-12-01", "--until", "2026-11-01"], "until: expected one after since"),
        (["--verify", "/no/such.csv"], "cannot read /no/such.csv.sha256"),
    ],
)
def test_what_would_be_ignored_is_refused(report, arguments, said):
    """Options that do not go together: an error that says which do, and no file."""
    code, _, err = report(*arguments)
    assert code == 1
    assert said in err
