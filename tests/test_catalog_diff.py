"""What differs between two catalogues or instants, on values and on the command line."""

import json
import re
from decimal import Decimal

import pytest
from catalogs import by_clock, rate, small, utc

from router.catalog import Catalog
from router.catalog.diff import diff_prices, diff_rows
from router.catalog.schema import json_schema
from router.cli import main
from router.money import to_pico

HOURS = [{"name": "s", "zone": "UTC", "hours": ["09:00-12:00"]}]


def test_prices_between_two_instants():
    """DeepSeek's prices of August against today's: known ones change, new ones are added."""
    catalog = Catalog.default()
    changes = {
        change.name: change
        for change in diff_prices(
            catalog, utc("2026-08-01"), catalog, utc("2026-11-22"), "@deepseek"
        )
    }
    pro = changes["deepseek-v4-pro@deepseek"]
    assert pro.what == "changed"
    assert (pro.before["input"], pro.after["input"]) == (to_pico("0.435"), to_pico("0.66"))
    assert round(pro.percent("input"), 1) == Decimal("51.7")
    assert pro.percent("no such kind") is None
    assert changes["deepseek-flash@deepseek"].what == "added"
    assert set(changes["deepseek-flash@deepseek"].after) == {"input", "cache_read", "output"}
    assert diff_prices(catalog, utc("2026-11-22"), catalog, utc("2026-11-22")) == ()


def test_a_price_that_ends_is_removed():
    """An endpoint that retires, or is not there, has no price any more."""
    catalog = small(rate(), endpoint={"retires_at": "2026-06-01"})
    (change,) = diff_prices(catalog, utc("2026-05-31"), catalog, utc("2026-06-01"))
    assert (change.what, change.name, change.after) == ("removed", "m@h", {})
    assert diff_prices(Catalog.load(), utc("2026-01-01"), small(rate()), utc("2026-01-01"))


def test_rows():
    """Rows are compared by name: prices of every set, and what else decides when they count."""
    tiers = [{"above_input_tokens": 10, "input": "5", "output": "5"}]
    before = small(
        rate(valid_from="2026-01-01"),
        rate(valid_from="2026-02-01", batch={"input": "1", "output": "1"}),
        by_clock(valid_from="2026-03-01"),
        rate(valid_from="2026-04-01"),
        schedule=HOURS,
    )
    after = small(
        rate(valid_from="2026-01-01", checked="2026-12-01"),
        rate(valid_from="2026-02-01", batch={"input": "2", "output": "1"}, tiers=tiers),
        by_clock(valid_from="2026-03-01", peak="4", valid_to="2026-09-01"),
        rate(valid_from="2026-05-01"),
        schedule=HOURS,
    )
    changes = diff_rows(before.entries, after.entries)
    assert [(c.what, c.name[:14]) for c in changes] == [
        ("changed", "m@h/2026-02-01"),
        ("changed", "m@h/2026-03-01"),
        ("removed", "m@h/2026-04-01"),
        ("added", "m@h/2026-05-01"),
    ]
    february, march = changes[:2]
    assert february.percent("batch.input") == 100
    assert february.after[">10.input"] == to_pico(5)
    assert march.percent("peak.input") == 100
    assert march.terms == ("valid_to: none -> 2026-09-01 00:00:00+00:00",)
    assert diff_rows(before.entries, after.entries, "other@") == ()
    assert diff_rows(before.entries, before.entries) == ()


OVERLAY = """\
[[rate]]
endpoint = "deepseek-v3.2@deepinfra"
valid_from = 2025-12-01
known_since = 2026-11-21
input = "0.52"
cache_read = "0.13"
output = "0.38"
source = "contract"
checked = 2026-11-22
"""


@pytest.fixture
def cli(capsys):
    """Runs a catalog command; exit code, standard output and standard error."""

    def run(*arguments):
        code = main(["catalog", *arguments])
        return code, *capsys.readouterr()

    return run


def test_diff_on_the_command_line(cli, tmp_path):
    """Two instants, shipped against a file, two files; anything else is an error."""
    code, out, _ = cli("diff", "2026-08-01", "2026-11-22", "v4-pro@deepseek")
    assert code == 0
    assert "+51.7%" in out and "deepinfra" not in out
    assert out.startswith("\nUSD per million tokens at 2026-08-01 00:00 and 2026-11-22 00:00 UTC")
    assert "hours: any hour -> off-peak" in out
    assert "hours: off-peak -> peak" in cli("diff", "2026-11-20", "2026-11-20T01:30Z", "flash")[1]
    assert "retired at 2026-10-21" in cli("diff", "2026-08-01", "2026-11-22", "vertex")[1]
    path = tmp_path / "mine.toml"
    path.write_text(OVERLAY)
    found = json.loads(cli("diff", "shipped", str(path), "--json")[1])
    assert [(c["change"], c["percent"]["input"]) for c in found["rows"]] == [("changed", "100.00")]
    assert [c["name"] for c in found["prices"]] == ["deepseek-v3.2@deepinfra"]
    other = tmp_path / "other.toml"
    other.write_text("")
    found = json.loads(cli("diff", str(path), str(other), "--json")[1])
    assert [c["change"] for c in found["rows"]] == ["removed"]
    assert found["prices"][0]["after"]["input"] == "0.26"
    code, out, _ = cli("diff", "shipped", "shipped")
    assert code == 0 and out.count("no difference") == 2
    code, _, err = cli("diff", "2026-08-01", "shipped")
    assert code == 1 and err.startswith("ConfigError: expected two instants or two catalogues")
    assert cli("diff", "shipped", "/no/such.toml")[2].startswith("CatalogError: /no/such.toml: ")


def test_check_on_the_command_line(cli):
    """Findings are listed; they are an error only with --strict, and can be left out."""
    at = ("--at", "2026-11-22")
    code, out, _ = cli("check", *at)
    assert code == 0 and "ends on 2026-12-31" in out
    assert re.search(r"^  calendar  cn-holidays .* deepseek\.toml:\d+$", out, re.MULTILINE)
    assert re.search(
        r"^1 calendar, \d+ unpriced \(--skip KIND leaves one out\)$", out, re.MULTILINE
    )
    old = cli("check", "--at", "2027-02-01")[1]
    (line,) = re.findall(r"^.* deepseek-v3\.2@novita/2025-12-01 .*$", old, re.MULTILINE)
    assert "last checked on 2026-11-21: compare with LiteLLM 1.109.1 novita/" in line
    assert re.search(r" v32\.toml:\d+$", line)
    assert cli("check", *at, "--strict")[0] == 1
    code, out, _ = cli("check", *at, "--strict", "--skip", "unpriced", "--skip", "calendar")
    assert code == 0 and "nothing to look at" in out
    kinds = {f["kind"] for f in json.loads(cli("check", *at, "--json")[1])}
    assert kinds == {"unpriced", "calendar"}


def test_history_on_the_command_line(cli):
    """Every row of an endpoint is shown with its state, withdrawn ones too."""
    at = ("--at", "2026-11-22")
    code, out, _ = cli("show", "v4-pro@deepseek", "--history", "--sources", *at)
    assert code == 0
    assert "withdrawn 2026-09-11" in out and "PR 6904" in out
    # From when, since when known, and prices in columns of their own.
    assert re.search(r"2026-05-31T16:00Z +0\.435 +0\.003625 +0\.87  USD +2026-05-22   past", out)
    prices = [line for line in out.splitlines() if "USD" in line]
    assert len({line.index("USD") for line in prices}) == 1
    assert len({re.search(r"\S  USD", line).start() for line in prices}) == 1  # set to the right
    rows = json.loads(cli("show", "v4-pro@deepseek", "--history", "--json", *at)[1])
    states = [row["state"] for row in rows]
    assert states == ["past"] * 5 + ["in force"] * 2 + ["withdrawn 2026-09-11"] * 2


def test_options_before_the_subcommand(cli, tmp_path):
    """`catalog` alone is `show`; options in front of a subcommand count for it."""
    shown = cli("--at", "2026-11-22")[1]
    assert shown == cli("show", "--at", "2026-11-22")[1]
    path = tmp_path / "mine.toml"
    path.write_text(OVERLAY)
    rows = json.loads(
        cli("--json", "--catalog", str(path), "at", "2026-11-22", "v3.2@deepinfra")[1]
    )
    assert [row["input_usd_per_mtok"] for row in rows] == ["0.52"]


def test_schema_on_the_command_line(cli):
    """The JSON Schema that is printed is that of the rows."""
    code, out, _ = cli("schema")
    assert code == 0
    assert json.loads(out) == json_schema()
