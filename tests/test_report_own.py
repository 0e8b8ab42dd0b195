"""Prices and fleets of one's own in reports, on the command line too; the example fleet."""

import csv
import json
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal

import pytest
from spending import NOW, Book

from router import Client
from router.catalog import Catalog
from router.cli import main
from router.ledgers.sqlite import SQLiteLedger
from router.money import to_usd
from router.pricing import cost
from router.types import Usage

OWN = """
[[host]]
name = "acme"
base_url = "https://api.acme.example/v1"
api_key_env = "ACME_KEY"
source = "contract"
checked = 2026-11-21
[[endpoint]]
model = "deepseek-v3.2"
host = "acme"
model_id = "deepseek-v3.2"
context_tokens = 163840
max_output_tokens = 65536
source = "contract"
checked = 2026-11-21
[[rate]]
endpoint = "deepseek-v3.2@acme"
valid_from = 2026-01-01
input = "0.20"
cache_read = "0.02"
output = "0.30"
source = "contract"
checked = 2026-11-21
"""
FLEET = {
    "endpoint": "m@h",
    "gpus": 1,
    "usd_per_gpu_hour": "3.60",
    "input_weight": "0.1",
    "cached_weight": "0.01",
    "utilisation": 45,
    "curve": [{"in_flight": 1, "output": 60}, {"in_flight": 4, "output": 100}],
    "source": "measured",
    "checked": "2026-11-22",
}
EXAMPLE = "mixtral-8x7b-instruct-v0.1@vllm"


@pytest.fixture
def own(tmp_path):
    """A ledger of five calls at prices of one's own, the overlay they are in, and their cost."""
    overlay, path = tmp_path / "own.toml", tmp_path / "ledger.sqlite3"
    overlay.write_text(OWN)
    rates = Catalog.default().overlay(overlay).rates("deepseek-v3.2@acme", NOW)
    usage = Usage(input_tokens=10_000, cache_read_tokens=6_000, output_tokens=500)
    names = {"candidate": "deepseek-v3.2@acme", "model": "deepseek-v3.2", "host": "acme"}
    book = Book()
    book.ledger.close()
    book.ledger = SQLiteLedger(path)
    for _ in range(5):
        book.call(cost(usage, rates).pico, amount=10**12, usage=usage, rates_id=rates.id, **names)
    book.ledger.close()
    return path, overlay, to_usd(5 * cost(usage, rates).pico)


def test_the_command_knows_prices_of_ones_own(own, tmp_path, capsys):
    """With --catalog a FOCUS export has their meters and a report what caches saved; without it
    both say that the price row is not in this catalogue.
    """
    path, overlay, spent = own
    out = tmp_path / "focus.csv"
    command = ["report", "--ledger", str(path), "--format", "focus", "--out", str(out)]

    def rows():
        with out.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    assert main([*command, "--catalog", str(overlay)]) == 0
    assert {r["SkuMeter"] for r in rows()} == {
        "Input Tokens",
        "Cached Input Tokens",
        "Output Tokens",
    }
    assert sum(Decimal(r["BilledCost"]) for r in rows()) == spent
    assert "not in this catalogue" not in capsys.readouterr().out
    assert main(command) == 0
    (row,) = rows()
    assert (row["ChargeCategory"], Decimal(row["BilledCost"])) == ("Adjustment", spent)
    assert "which is not in this catalogue" in row["ChargeDescription"]
    assert "row that is not in this catalogue, so they are adjustments: 5; --catalog FILE" in (
        capsys.readouterr().out
    )
    for more, saved in ((["--catalog", str(overlay)], "0.005400000000"), ([], None)):
        assert main(["report", "--ledger", str(path), "--json", *more]) == 0
        data = json.loads(capsys.readouterr().out)
        assert data["rows"][0]["cache_saved_usd"] == saved
        assert data.get("unlisted") == (None if saved else 5)
    assert main(["report", "--ledger", str(path)]) == 0
    assert "a price row that is not in this catalogue: 5" in capsys.readouterr().out


def test_budgets_are_on_the_page_where_they_are_given(own, tmp_path, capsys):
    """--budgets FILE shows them; without it there is no section that says there are none."""
    path, _, _ = own
    budgets, page = tmp_path / "budgets.toml", tmp_path / "page.html"
    budgets.write_text('[[budget]]\nname = "of search"\nlimit = "5"\nwindow = "month"\n')
    command = ["report", "--ledger", str(path), "--format", "html", "--out", str(page)]
    assert main([*command, "--budgets", str(budgets), "--checksum"]) == 0
    assert "of search" in page.read_text("utf-8")
    assert main(["report", "--verify", str(page)]) == 0
    assert main(command) == 0
    assert "<h2>Budgets</h2>" not in page.read_text("utf-8")
    assert main(["report", "--ledger", str(path), "--budgets", str(budgets)]) == 1
    assert "--budgets goes with --format html" in capsys.readouterr().err


def test_to_standard_output(own):
    """`--out -` is the file and nothing else, whatever the format."""
    path, _, _ = own
    command = [sys.executable, "-m", "router", "report", "--ledger", str(path)]
    for form, first in (("csv", b"day,model"), ("html", b"<!doctype html>"), ("focus", b"Billed")):
        done = subprocess.run(
            [*command, "--format", form, "--out", "-"],
            capture_output=True,
            check=True,
        )
        assert done.stdout.startswith(first)
        assert b"written: " not in done.stdout
        assert (b"not in this catalogue" in done.stderr) == (form == "focus")


def test_a_fleet_that_is_only_an_example(tmp_path):
    """The shipped fleet is nobody's rent until it serves a call; one of an overlay is, idle or
    not.
    """
    book = Book()
    client = Client(ledger=book.ledger, now=lambda: NOW)
    assert list(client.fleets()) == []
    assert "Own GPUs" not in client.html_report(tmp_path / "x.html").read_text("utf-8")
    limits = {"context_tokens": 10_000, "max_output_tokens": 1_000}
    mine = {
        "host": [{"name": "h", "base_url": "http://localhost:1", "self_hosted": True}],
        "model": [{"name": "m"}],
        "endpoint": [{"model": "m", "host": "h", "model_id": "m", **limits}],
        "fleet": [FLEET],
    }
    own = Client(ledger=book.ledger, catalog=Catalog.default().overlay(mine), now=lambda: NOW)
    assert [row["endpoint"] for row in own.fleets()] == ["m@h"]
    model, _, host = EXAMPLE.partition("@")
    book.call(5, candidate=EXAMPLE, model=model, host=host)
    since = "2026-11-01"
    assert [r["endpoint"] for r in client.fleets(since=since, until="2026-11-23")] == [EXAMPLE]
    book.ledger.close()


def test_rent_that_is_not_due_is_none(tmp_path):
    """A month that is not over has cost what it did until now; the next one nothing."""
    book = Book()
    limits = {"context_tokens": 10_000, "max_output_tokens": 1_000}
    mine = {
        "host": [{"name": "h", "base_url": "http://localhost:1", "self_hosted": True}],
        "model": [{"name": "m"}],
        "endpoint": [{"model": "m", "host": "h", "model_id": "m", **limits}],
        "fleet": [FLEET],
    }
    catalog, some = Catalog.default().overlay(mine), Usage(input_tokens=10, output_tokens=1)
    book.call(5000, usage=some, at=NOW - timedelta(hours=1))
    book.call(5000, usage=some)  # this very instant, or by a clock that is ahead of ours
    book.call(5000, usage=some, at=NOW + timedelta(seconds=2))
    client = Client(ledger=book.ledger, catalog=catalog, now=lambda: NOW)
    hours = 21 * 24 + 12
    (row,) = client.fleets(since="2026-11-01", until="2026-12-01")
    assert row["rent_usd"] == to_usd(hours * 36 * 10**11)
    assert row["calls"] == 3
    assert row["idle_usd"] < row["rent_usd"]
    (past,) = client.fleets(since="2026-11-01", until="2026-11-20")
    assert past["rent_usd"] == to_usd(19 * 24 * 36 * 10**11)
    assert list(client.fleets(since="2026-12-01", until="2026-12-31")) == []
    assert list(client.fleets(since="2026-12-01")) == []
    path = client.html_report(tmp_path / "x.html", since="2026-12-01", until="2027-01-01")
    assert "Own GPUs" not in path.read_text("utf-8")
    book.ledger.close()
