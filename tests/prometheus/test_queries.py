"""Every query of the dashboard is run, and every rule is loaded and tried."""

import json
import math
import re
import subprocess

import pytest
from scraping import ALERTS, HERE, program

DASHBOARD = json.loads(ALERTS.with_name("grafana.json").read_text("utf-8"))
TRIED = sorted(HERE.glob("alerts_*.yml"))
ALL = {"job": ".*", "team": ".*", "model": ".*", "host": ".*", "policy": ".*"}
ONE = {
    "job": "centroute",
    "team": "search|support",
    "model": "deepseek-.*|org/.*",
    "host": ".*",
    "policy": ".+",
}
"""As Grafana writes a choice of several values."""
SECONDS = 30
TARGETS = [
    pytest.param(panel, target, id=f"{panel['title']}/{target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
]


def filled(expr, chosen):
    """A query with Grafana's variables replaced by values."""
    for name, value in {"__rate_interval": "15s", "__range": f"{SECONDS}s"}.items():
        expr = expr.replace(f"${name}", value)
    for name, value in chosen.items():
        expr = expr.replace(f"${name}", value)
    assert "$" not in expr, expr
    return expr


@pytest.mark.parametrize(("panel", "target"), TARGETS)
def test_a_panel_shows_something(prometheus, panel, target):
    """Each query returns numbers, for all teams and models, and for a choice of them."""
    chosen = [ALL] if "Saved by" in panel["title"] else [ALL, ONE]
    for values in chosen:
        expr = filled(target["expr"], values)
        if target["instant"]:
            found = [value for _, value in prometheus.query(expr)]
        else:
            rows = prometheus.series(expr, SECONDS, prometheus.seen)
            found = [value for _, column in rows for value in column]
            labels = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            assert all(set(row) <= labels for row, _ in rows), "two series would look the same"
        assert any(math.isfinite(value) for value in found), expr
        assert all(value >= 0 for value in found if math.isfinite(value)), expr


def test_the_choices(prometheus):
    """The lists of teams, models, hosts and policies have values."""
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            query = filled(variable["query"]["query"], ALL)
            metric, label = query.removeprefix("label_values(").rstrip(")").split(", ")
            assert prometheus.query(f"count by ({label}) ({metric})"), query
            least = 1 if label == "job" else 2
            assert len(prometheus.get(f"/api/v1/label/{label}/values")) >= least, query


def test_the_cache_hit_ratio(prometheus):
    """The headline ratio is cached input tokens over all, of what came since the first scrape."""
    (panel,) = (p for p in DASHBOARD["panels"] if p["title"] == "Input tokens out of a cache")
    ((_, found),) = prometheus.query(filled(panel["targets"][0]["expr"], ALL))

    def grown(kind):
        selector = f'centroute_tokens_total{{gen_ai_token_type="{kind}"}}[{SECONDS}s]'
        return sum(values[-1] - values[0] for values in prometheus.samples(selector))

    assert found == pytest.approx(grown("cache_read") / grown("input"), rel=0.1), "extrapolated"


def test_the_rules_are_loaded(prometheus):
    """Prometheus evaluates each of them without an error; alerts say what to do."""
    groups = prometheus.get("/api/v1/rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == ALERTS.read_text("utf-8").count("expr:")
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}, rules
    for rule in rules:
        if rule["type"] == "alerting":
            assert rule["labels"]["severity"] in {"critical", "warning", "info"}
            assert set(rule["annotations"]) == {"summary", "description", "runbook"}, rule["name"]
            assert len(rule["annotations"]["summary"]) < 80


def test_the_traffic_alerts_nobody(prometheus):
    """Two rounds of small traffic with room in all budgets: no budget alert is pending."""
    alerts = prometheus.get("/api/v1/alerts")["alerts"]
    assert not [a for a in alerts if "Budget" in a["labels"]["alertname"]], alerts


@pytest.mark.parametrize(
    "arguments", [("check", "rules", ALERTS), *(("test", "rules", file) for file in TRIED)]
)
def test_promtool(arguments):
    """The rules are well formed, and fire for series that should and for no others."""
    done = subprocess.run(
        [program("promtool"), *arguments], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried():
    """No alert without series that make it fire, at each severity that it has."""
    tried = "".join(file.read_text("utf-8") for file in TRIED)
    rules = re.findall(
        r"- alert: (\w+).*?severity: (\w+)", ALERTS.read_text("utf-8"), flags=re.DOTALL
    )
    assert len(rules) == len(set(rules)) == 25
    assert [name for name, _ in rules if name not in tried] == []
    both = {name for name, severity in rules if (name, "warning") in rules} & {
        name for name, severity in rules if severity == "critical"
    }
    for name in both:
        for severity in ("critical", "warning"):
            assert re.search(rf"{name}.*?severity(: |=\"){severity}", tried, re.DOTALL), name
