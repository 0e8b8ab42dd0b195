"""`[[fleet]]` and `[[utilisation]]` rows: the rates that follow, their ids, what is refused."""

import json
import re
import tomllib
from datetime import date, timedelta
from pathlib import Path

import pytest
from catalogs import rate, small, utc

import router.catalog
from router.catalog import Catalog
from router.catalog.check import check
from router.catalog.diff import diff_rows
from router.cli import main
from router.errors import CatalogError

NOW = utc("2026-11-22T12:00")
MIXTRAL = "mixtral-8x7b-instruct-v0.1@vllm"
OWN = {"host": [{"name": "h", "self_hosted": True}]}


def fleet(**columns):
    """A fleet row of m@h: one USD a million at 45 percent."""
    row = {
        "endpoint": "m@h",
        "gpus": 1,
        "usd_per_gpu_hour": "1.62",
        "utilisation": 45,
        "curve": [{"input": 500, "output": 500}],
        "source": "measured",
        "checked": "2026-11-22",
    }
    return {k: v for k, v in (row | columns).items() if v is not None}


def busy(at, percent):
    return {"endpoint": "m@h", "valid_from": at, "percent": percent}


def own(*rates, **tables):
    return small(*rates, **OWN, **tables)


def dollars(rates):
    return rates.input / 10**12, rates.cache_read / 10**12, rates.output / 10**12


def test_the_shipped_fleet_costs_what_was_worked_out_by_hand():
    """Mixtral on two A100: 0.6436 USD a million at 45 percent, decided when a call begins."""
    rates = Catalog.default().rates(MIXTRAL, NOW)
    assert rates.id == f"{MIXTRAL}/2024-01-01#amortised@45%"
    assert dollars(rates) == (0.6436, 0.6436, 0.6436)
    assert rates.cache_write == rates.input
    assert rates.decided_by == "start"
    assert rates.source.startswith("amortised at 45% of capacity: 2 x A100")


def test_a_fleet_gives_an_endpoint_its_rates():
    """Both bases, with the weights of input and of cached input."""
    rates = own(fleet=[fleet()]).rates("m@h", NOW)
    assert (rates.id, dollars(rates)) == ("m@h/1970-01-01#amortised@45%", (1.0, 1.0, 1.0))
    row = fleet(basis="marginal", input_weight=0.2, cached_weight="0.02")
    rates = own(fleet=[row]).rates("m@h", NOW)
    assert rates.id == "m@h/1970-01-01#marginal@45%"
    assert dollars(rates) == (0.15, 0.015, 0.75)  # saturated, as a single point is


def test_floats_are_read_by_their_shortest_form():
    """0.1 is a tenth: the same price on every machine, and as text."""
    found = [
        own(fleet=[fleet(input_weight=w, curve=[{"input": i, "output": 333.3}])]).rates("m@h", NOW)
        for w, i in ((0.1, 0.3), ("0.1", "0.3"))
    ]
    assert found[0] == found[1]


def test_load_of_a_point_in_both_forms():
    """Requests in flight are given, or are arrivals times seconds each."""
    first = [{"in_flight": 4, "output": 80}, {"in_flight": 8, "output": 100}]
    second = [
        {"requests_per_second": 2, "seconds": 2, "output": 80},
        {"requests_per_second": 0.5, "seconds": 16, "output": 100},
    ]
    found = [
        own(fleet=[fleet(basis="marginal", curve=c)]).rates("m@h", NOW) for c in (first, second)
    ]
    assert found[0] == found[1]


def test_a_quoted_rate_of_a_higher_layer_wins():
    """An explicit [[rate]] goes before a fleet below it, and a fleet before a rate below it."""
    base = own(fleet=[fleet()])
    assert base.overlay({"rate": [rate()]}).rates("m@h", NOW).id == "m@h/1970-01-01+1"
    above = own(rate()).overlay({"fleet": [fleet()]})
    assert above.rates("m@h", NOW).id == "m@h/1970-01-01+1#amortised@45%"
    beside = own(rate(), fleet=[fleet()])
    assert "#" not in beside.rates("m@h", NOW).id
    later = own(rate(), fleet=[fleet(valid_from="2026-11-01")])
    assert later.rates("m@h", NOW).id == "m@h/2026-11-01#amortised@45%"


def test_measured_utilisation_changes_the_price_from_then_on():
    """Before it the assumed one holds; ids name the step, and the same step has the same id."""
    steps = [busy("2026-11-22T10:00Z", 60), busy("2026-11-22T11:00Z", 90)]
    catalog = own(fleet=[fleet()]).overlay({"utilisation": steps})
    found = [catalog.rates("m@h", utc(f"2026-11-22T{hour}:30")) for hour in ("09", "10", "11")]
    assert [r.id.partition("#")[2] for r in found] == [
        "amortised@45%",
        "amortised@60%",
        "amortised@90%",
    ]
    assert [r.output / 10**12 for r in found] == [1.0, 0.75, 0.5]
    back = catalog.overlay({"utilisation": [busy("2026-11-22T12:00Z", 60)]})
    assert back.rates("m@h", NOW).id == found[1].id
    assert catalog.rates("m@h", NOW, known_at=utc("2026-11-22T10:30")).id == found[1].id
    assert catalog.boundary("m@h", utc("2026-11-22T10:30"), NOW) == utc("2026-11-22T11:00")


def test_measured_utilisation_is_not_below_the_least():
    """An idle fleet keeps a price that somebody may still choose."""
    catalog = own(fleet=[fleet(least_utilisation=20)], utilisation=[busy("2026-11-22T10:00Z", 2)])
    assert catalog.rates("m@h", NOW).id.endswith("#amortised@20%")


def test_an_idle_fleet_is_at_most_twice_as_dear_as_assumed():
    """Half of what is assumed is the least, unless it says otherwise or prices are marginal."""
    idle = [busy("2026-11-22T10:00Z", 1)]
    for columns, percent in (
        ({}, 22),
        ({"utilisation": 1}, 1),
        ({"least_utilisation": 3}, 3),
        ({"basis": "marginal"}, 1),
    ):
        rates = own(fleet=[fleet(**columns)], utilisation=idle).rates("m@h", NOW)
        assert rates.id.endswith(f"@{percent}%")
    assert own(fleet=[fleet()], utilisation=idle).rates("m@h", NOW).output <= 2.05 * 10**12


def test_what_was_measured_of_an_older_fleet_is_not_of_a_new_one():
    """A fleet that is laid over another starts from what it assumes itself."""
    old = own(fleet=[fleet()], utilisation=[busy("2026-11-22T10:00Z", 90)])
    new = old.overlay({"fleet": [fleet(gpus=2, utilisation=30)]})
    assert new.rates("m@h", NOW).id.endswith("#amortised@30%")
    dated = old.overlay({"fleet": [fleet(valid_from="2026-11-22T11:00Z", utilisation=30)]})
    assert dated.rates("m@h", utc("2026-11-22T10:30")).id.endswith("#amortised@90%")
    assert dated.rates("m@h", NOW).id.endswith("#amortised@30%")


def test_fleets_in_force():
    """`Catalog.fleets` has those whose row counts: not those behind a quoted rate."""
    catalog = own(fleet=[fleet(valid_to="2026-12-01")])
    assert set(catalog.fleets(NOW)) == {"m@h"}
    assert catalog.fleets(utc("2026-12-01T00:00")) == {}
    assert catalog.overlay({"rate": [rate()]}).fleets(NOW) == {}
    assert set(Catalog.default().fleets(NOW)) == {MIXTRAL}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (fleet(gpus=0), "gpus"),
        (fleet(usd_per_gpu_hour=3.5), "as strings"),
        (fleet(usd_per_gpu_hour="0"), "usd_per_gpu_hour above zero"),
        (fleet(utilisation=None), "expected this key"),
        (fleet(utilisation=101), "utilisation"),
        (fleet(curve=[]), "curve"),
        (fleet(curve=[{"output": "much"}]), "expected a number such as"),
        (fleet(curve=[{"output": True}]), "expected a number such as"),
        (fleet(curve=[{"output": -1}]), "zero or more"),
        (fleet(curve=[{"output": 5, "seconds": 2}]), "requests_per_second and seconds"),
        (fleet(curve=[{"output": 5, "in_flight": 2}, {"output": 6}]), "rise by in_flight"),
        (fleet(basis="free"), "amortised"),
        (fleet(valid_from="2026-11-22", valid_to="2026-11-22"), "valid_to after"),
        (fleet(surprise=1), "unknown key"),
        (fleet(endpoint="m@elsewhere"), r"\[\[endpoint\]\]"),
    ],
)
def test_rows_that_cannot_be_used(row, says):
    """Each is refused with what was expected."""
    with pytest.raises(CatalogError, match=says):
        own(fleet=[row])


def test_fleets_are_ones_own():
    """A host that sells tokens has a rate; nobody pays its rent."""
    with pytest.raises(CatalogError, match="self_hosted = true"):
        small(fleet=[fleet()])
    with pytest.raises(CatalogError, match=r"\[\[fleet\]\]"):
        own(rate(), utilisation=[busy("2026-11-22T10:00Z", 90)])
    with pytest.raises(CatalogError, match="duplicate"):
        own(fleet=[fleet(), fleet()])


def test_checks_and_differences_know_fleets():
    """A fleet checked long ago is stale, one behind a quoted rate is not; a change of it shows."""
    old = own(fleet=[fleet(checked="2026-01-01")])
    (finding,) = check(old, NOW)
    assert (finding.kind, finding.name) == ("stale", "m@h/1970-01-01")
    assert "[[fleet]] last checked on 2026-01-01" in finding.says
    quoted = old.overlay({"rate": [rate(checked="2026-11-21")]})
    assert check(quoted, NOW) == ()
    measured = own(fleet=[fleet()], utilisation=[busy(NOW - timedelta(hours=1), 60)])
    assert check(measured, NOW) == ()
    (change,) = diff_rows(own(fleet=[fleet()]).entries, own(fleet=[fleet(gpus=2)]).entries)
    assert (change.what, change.after["output"]) == ("changed", 2 * 10**12)


def test_the_catalogue_shows_fleets(tmp_path, capsys):
    """On the command line a fleet's price is listed like any other, with its id."""
    file = tmp_path / "mine.toml"
    file.write_text(
        '[[fleet]]\nendpoint = "deepseek-v3.2@vllm"\ngpus = 8\nusd_per_gpu_hour = "3.50"\n'
        "utilisation = 45\ncurve = [{ input = 4725, output = 4243 }]\ninput_weight = 0.135\n"
        'source = "mine"\nchecked = 2026-11-22\n',
        "utf-8",
    )
    assert main(["catalog", "show", "deepseek-v3.2@vllm", "--catalog", str(file), "--json"]) == 0
    (line,) = json.loads(capsys.readouterr().out)
    assert line["rates"] == "deepseek-v3.2@vllm/1970-01-01#amortised@45%"
    assert line["output_usd_per_mtok"] == "3.542"
    assert line["checked"] == str(date(2026, 11, 22))


def test_the_fleet_in_the_readme_is_one():
    """The row that the catalogue's README shows can be used as it stands."""
    path = Path(router.catalog.__file__).parent / "data" / "README.md"
    (shown,) = [
        block
        for block in re.findall(r"```toml\n(.*?)```", path.read_text("utf-8"), re.DOTALL)
        if "[[fleet]]" in block
    ]
    catalog = Catalog.default().overlay(tomllib.loads(shown))
    rates = catalog.rates("deepseek-v3.2@vllm", NOW)
    assert rates.id == "deepseek-v3.2@vllm/1970-01-01#amortised@45%"
    assert rates.cache_read < rates.input < rates.output
