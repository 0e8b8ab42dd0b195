"""`centroute reprice` and `reconcile`: files, zones and spans, as `report` has them."""

import csv
import json

import pytest
from invoices import deepseek, ledger_of, month, told, utc

from router.cli import main
from router.reports import verify


@pytest.fixture
def run(tmp_path, capsys):
    """Runs a command on a ledger of three calls, or of the lines that are given."""

    def command(name, *arguments, lines=None):
        path = tmp_path / "l.sqlite3"
        if not path.exists():
            ledger_of(path, month(3) if lines is None else lines)
        code = main([name, *map(str, arguments), "--ledger", str(path)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return command


@pytest.fixture
def bill(tmp_path):
    """A bill that agrees with the ledger of `run`."""
    path = tmp_path / "bill.csv"
    path.write_text(deepseek(month(3)))
    return path


@pytest.mark.parametrize("name", ["reprice", "reconcile"])
def test_files_as_reports_have_them(name, run, bill, tmp_path):
    """CSV for a language's sheets, Parquet, each with a checksum; or on standard output."""
    files = [bill] if name == "reconcile" else []
    sheet = tmp_path / "out.csv"
    arguments = ("--format", "csv", "--out", sheet, "--locale", "de", "--checksum")
    code, out, _ = run(name, *files, *arguments)
    assert code == 0
    assert f"written: {sheet}" in out
    assert verify(sheet)
    with sheet.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert len(rows) == (3 if name == "reprice" else 2)
    money = "old_usd" if name == "reprice" else "billed_usd"
    assert all("," in row[money] for row in rows)
    code, out, _ = run(name, *files, "--format", "csv", "--out", "-")
    assert code == 0
    assert out.startswith(("at,request_id,", "day,model,billed_usd,"))
    assert len(out.splitlines()) == 1 + len(rows)


@pytest.mark.parametrize("name", ["reprice", "reconcile"])
def test_parquet(name, run, bill, tmp_path):
    """The same rows with types, and a digest."""
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "out.parquet"
    files = [bill] if name == "reconcile" else []
    code, out, _ = run(name, *files, "--format", "parquet", "--out", path, "--checksum")
    assert code == 0
    assert verify(path)
    assert f"written: {path}" in out
    assert parquet.read_table(path).num_rows == (3 if name == "reprice" else 2)


@pytest.mark.parametrize("name", ["reprice", "reconcile"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "csv"], "expected --out"),
        (["--out", "x.csv"], "expected --format csv or parquet"),
        (["--checksum"], "--checksum goes with a file: csv or parquet"),
        (["--locale", "de"], "--locale goes with"),
        (["--csv", "x.csv", "--locale", "xx"], "locale"),
        (["--csv", "-"], "--format csv --out -"),
        (["--format", "csv", "--out", "-", "--json"], "drop"),
    ],
)
def test_what_would_be_ignored_is_refused(name, arguments, said, run, tmp_path, monkeypatch):
    """Options that do not go together are an error that says which do, and write no file."""
    monkeypatch.chdir(tmp_path)
    code, _, err = run(name, *arguments)
    assert code == 1
    assert said in err
    assert not (tmp_path / "x.csv").exists()


def test_days_of_a_zone(run):
    """`reprice --by day --tz` has the days of `report --by day --tz`."""
    lines = [told(utc("2026-10-31T23:30"), 1000, 0, 10)]
    for name in ("reprice", "report"):
        code, out, _ = run(name, "--by", "day", "--tz", "Europe/Berlin", lines=lines)
        assert code == 0
        assert "2026-11-01" in out
    since = ("--since", "2026-11-01")
    assert "total" in run("reprice", *since, "--tz", "Europe/Berlin")[1]
    asked = json.loads(run("reprice", *since, "--tz", "Europe/Berlin", "--json")[1])
    assert asked["total"]["requests"] == 1
    assert json.loads(run("reprice", *since, "--json")[1])["total"]["requests"] == 0


def test_what_makes_no_sense(run):
    """A span that ends before it begins, no column, no zone: errors, and no empty table."""
    for wrong, said in (
        (["--since", "2026-11-02", "--until", "2026-11-01"], "expected one after since"),
        (["--by", ""], "--by: expected columns"),
        (["--by", " , "], "--by: expected columns"),
        (["--tz", "Europe/Nowhere"], "expected an IANA zone"),
    ):
        code, out, err = run("reprice", *wrong)
        assert (code, out) == (1, "")
        assert said in err


def test_an_unknown_cost_reads_unknown(run):
    """In the table and as JSON; what is not compared says why and what it cost."""
    strange = {"host": "acme", "model": "m", "candidate": "m@acme"}
    free = told(utc("2026-11-03T12:00"), 0, 0, 0, record=strange, rates_id="")
    known = told(utc("2026-11-03T13:00"), 1000, 0, 0)
    out = run("reprice", "--candidate", "deepseek-v3.2@deepinfra", lines=[free, known])[1]
    (row,) = [line for line in out.splitlines() if line.split()[:1] == ["m"]]
    assert row.split() == ["m", "1", "unknown", "unknown", "unknown", "1", "unknown"]
    assert "not priced, 1: what it did cost is not known" in out
    data = json.loads(run("reprice", "--candidate", "deepseek-v3.2@deepinfra", "--json")[1])
    (group,) = [group for group in data["groups"] if group["model"] == "m"]
    assert {group[name] for name in ("old_usd", "new_usd", "unpriced_old_usd")} == {None}
    assert data["total"]["unpriced"] == 1
    out = run("reprice", "--host", "azure")[1]
    assert "not priced, 1, which cost 0.000150000000 USD: deepseek-flash@azure is not" in out
