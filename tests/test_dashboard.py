"""The dashboard and the rules that `centroute telemetry` writes, as far as no server is needed.

That every query and rule works is tried against a real Prometheus in `tests/prometheus`.
"""

import json
import re
from importlib.resources import files
from itertools import combinations

import pytest

from router.cli import main
from router.cli.telemetry import metrics, plain, prometheus_name
from router.telemetry import names
from router.telemetry.names import Instrument

DATA = files("router.telemetry").joinpath("data")
DASHBOARD = json.loads(DATA.joinpath("grafana.json").read_text("utf-8"))
ALERTS = DATA.joinpath("alerts.yml").read_text("utf-8")
PANELS = DASHBOARD["panels"]
CHARTS = [panel for panel in PANELS if panel["type"] != "row"]
EXPRESSIONS = [target["expr"] for panel in CHARTS for target in panel["targets"]]


def known():
    """All names that Prometheus has of ours, those of histograms with their endings."""
    return {
        f"{prometheus_name(one)}{ending}"
        for one, _ in metrics()
        for ending in (("_bucket", "_sum", "_count") if one.kind == "histogram" else ("",))
    }


def labels():
    """All labels of ours."""
    found = {*names.COMMON, *(label for one, _ in metrics() for label in one.labels)}
    return {plain(label) for label in found}


def words(text):
    return set(re.findall(r"\b(?:centroute|gen_ai)_\w+", text))


def test_every_metric_that_is_asked_for_is_emitted():
    """A name that changes in `names` must change in dashboard and rules as well."""
    families = {"gen_ai_client_"}  # of a pattern that stands for both generations
    for text in (*EXPRESSIONS, ALERTS):
        strange = words(text) - known() - labels() - families - {"centroute_tag_team"}
        assert not strange, text


def test_the_pattern_of_both_generations():
    """One panel reads the durations of either generation by a pattern of names."""
    (pattern,) = {
        found for text in EXPRESSIONS for found in re.findall(r'__name__=~"([^"]+)"', text)
    }
    found = {name for name in known() if re.fullmatch(pattern, name)}
    assert found == {
        f"{prometheus_name(generation.duration)}_bucket"
        for generation in (names.WIDELY, names.NEWEST)
    }


def test_panels_stand_beside_each_other():
    """Ids are unique, nothing overlaps, nothing is wider than the grid of 24 columns."""
    ids = [panel["id"] for panel in PANELS]
    assert len(set(ids)) == len(ids)
    places = [panel["gridPos"] for panel in PANELS]
    for at in places:
        assert at["x"] >= 0
        assert at["x"] + at["w"] <= 24
        assert min(at["w"], at["h"]) > 0
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)


@pytest.mark.parametrize("panel", CHARTS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows(panel):
    """A title, a sentence, a unit; each query has a letter, a data source and a legend."""
    assert panel["title"]
    assert panel["description"].endswith((".", ")."))
    assert panel["fieldConfig"]["defaults"]["unit"] in {
        *("currencyUSD", "percentunit", "s", "short", "none", "reqps"),
    }
    letters = [target["refId"] for target in panel["targets"]]
    assert letters == list("ABCDEF"[: len(letters)])
    for target in panel["targets"]:
        assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert target["instant"] != target["range"]
        assert target["legendFormat"] or panel["type"] in {"stat", "table"}


def test_money_is_in_dollars():
    """What is summed from a metric in USD is shown as such, ratios of two as ratios."""
    for panel in CHARTS:
        unit = panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            if "_USD" in target["expr"] and " / " not in target["expr"]:
                assert unit == "currencyUSD", panel["title"]


def test_runbooks_name_panels_that_exist():
    """What somebody who is woken is sent to look at is on the dashboard, under that title."""
    titles = [panel["title"] for panel in CHARTS]
    told = "\n".join(line for line in ALERTS.splitlines() if "summary:" not in line)
    named = [" ".join(found.split()) for found in re.findall(r'(?<![=~])"([A-Z][^"=]+)"', told)]
    assert len(named) >= 8
    for name in named:
        assert any(title.startswith(name) for title in titles), name


def test_variables_are_declared_and_used():
    """Service, team, model, host and policy narrow all that has them, choices of theirs, too."""
    declared = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS)))
    assert declared == {"datasource", "job", "team", "model", "host", "policy"}
    assert used - declared == {"__range", "__rate_interval"}
    assert declared <= used
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            assert variable["allValue"] == ".*", "also what has no such label"
            assert words(variable["query"]["query"]) <= known() | labels() | {"centroute_tag_team"}
            narrowed = 'job=~"$job"' in variable["query"]["query"]
            assert narrowed != (variable["name"] == "job")


def test_every_query_is_of_the_chosen_services():
    """Two services on one Prometheus do not mix; budgets of one name are told apart by theirs."""
    for expr in EXPRESSIONS:
        selected = re.findall(r"\b(?:centroute_(?!tag|host|replica|budget_unit)\w+)\{", expr)
        assert expr.count('job=~"$job"') >= max(1, len(selected)), expr
    for title in ("Left of each budget", "Used within an hour", "Budgets now"):
        (panel,) = (p for p in CHARTS if p["title"] == title)
        assert all("by (job, " in target["expr"] for target in panel["targets"])


def test_failures_are_the_same_on_the_dashboard_and_in_the_rules():
    """A caller who leaves is no failure of the host: not in the panel, not in the alert."""
    (panel,) = (p for p in CHARTS if p["title"] == "Failed attempts")
    (target,) = panel["targets"]
    counted = re.findall(r'error_type!~?"[^"]*"', target["expr"])
    assert counted == ['error_type!~"|closed|cancelled"']
    rules = set(re.findall(r"centroute_attempts_total\{(error_type![^}]*)\}", ALERTS))
    assert rules == set(counted)


def test_thresholds_are_on_top():
    """What is to be set by whoever uses the rules stands before all rules, each with a comment."""
    names_of = re.findall(r"record: (\S+)", ALERTS)
    assert [name for name in names_of[:3] if name.startswith("centroute:threshold:")] == [
        "centroute:threshold:page_usd",
        "centroute:threshold:warn_usd",
        "centroute:threshold:throttle_seconds",
    ]
    for name in names_of[:3]:
        before = ALERTS[: ALERTS.index(f"- record: {name}")].rstrip().splitlines()[-1]
        assert before.strip().startswith("#"), name
        assert ALERTS.count(f"scalar({name})") >= 1 or ALERTS.count(name) > 2, name


def test_the_dashboard_is_of_today():
    """The last version of the classic schema; no machine, organisation or data source is in it."""
    assert DASHBOARD["schemaVersion"] == 42
    assert "id" not in DASHBOARD
    assert "__inputs" not in DASHBOARD
    assert [panel["title"] for panel in PANELS if panel["type"] == "row"] == [
        *("Money", "Budgets", "Tokens and caches", "Reliability", "Own servers"),
    ]


def test_the_cache_hit_ratio_is_the_conventions():
    """`sum(increase(cache_read)) / sum(increase(input))`, as the GenAI migration guide has it."""
    (panel,) = (p for p in CHARTS if p["title"] == "Input tokens out of a cache")
    (target,) = panel["targets"]
    plain_text = re.sub(r"\{[^}]*(gen_ai_token_type=\"\w+\")\}", r"{\1}", target["expr"])
    assert plain_text == (
        'sum(increase(centroute_tokens_total{gen_ai_token_type="cache_read"}[$__range])) / '
        'sum(increase(centroute_tokens_total{gen_ai_token_type="input"}[$__range]))'
    )


@pytest.mark.parametrize(
    ("part", "name"), [("dashboard", "grafana.json"), ("alerts", "alerts.yml")]
)
def test_the_command_writes_the_files(capsys, part, name):
    """Byte by byte, to be sent into a file."""
    assert main(["telemetry", part]) == 0
    assert capsys.readouterr().out == DATA.joinpath(name).read_text("utf-8")


def test_the_command_lists_all_names(capsys):
    """Every metric of both generations, with what it means, for people and for programs."""
    assert main(["telemetry", "names", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == len(metrics())
    assert {row["generation"] for row in rows} == {"both", names.WIDELY.name, names.NEWEST.name}
    assert all(row["meaning"] and row["type"] in {"counter", "gauge", "histogram"} for row in rows)
    assert main(["telemetry", "names"]) == 0
    shown = capsys.readouterr().out
    assert all(row["name"] in shown and row["prometheus"] in shown for row in rows)
    assert "those of a call, centroute_cost_source" in shown


@pytest.mark.parametrize(
    ("kind", "name", "unit", "expected"),
    [
        ("counter", "centroute.spend", "USD", "centroute_spend_USD_total"),
        ("counter", "centroute.tokens", "{token}", "centroute_tokens_total"),
        ("histogram", "gen_ai.client.x.duration", "s", "gen_ai_client_x_duration_seconds"),
        ("histogram", "centroute.forecast.error", "1", "centroute_forecast_error"),
        ("observed", "a.tokens_per_second", "{token}/s", "a_tokens_per_second"),
        ("observed", "a.rate", "{token}/s", "a_rate_per_second"),
        ("observed", "centroute.budget.limit", "", "centroute_budget_limit"),
    ],
)
def test_names_in_prometheus(kind, name, unit, expected):
    """As the exporter makes them, which `tests/prometheus` compares with."""
    assert prometheus_name(Instrument(kind, name, unit, "")) == expected
