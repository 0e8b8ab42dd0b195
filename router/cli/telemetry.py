"""`centroute telemetry ...`: a Grafana dashboard, alert rules, and the names of all metrics."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from router.cli.output import Output, add_json
from router.telemetry import names
from router.telemetry.names import Instrument

_BOTH = "both"
_KINDS = {"observed": "gauge"}
_UNITS = {"s": "seconds", "1": ""}


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("telemetry", help="a dashboard, alert rules, names of metrics")
    parts = parser.add_subparsers(required=True, metavar="SUBCOMMAND")
    dashboard = parts.add_parser(
        "dashboard", help="a Grafana dashboard as JSON: `centroute telemetry dashboard > it.json`"
    )
    dashboard.set_defaults(run=_writer("grafana.json"))
    alerts = parts.add_parser("alerts", help="alert rules for Prometheus as YAML")
    alerts.set_defaults(run=_writer("alerts.yml"))
    listed = parts.add_parser("names", help="all metrics: type, unit, meaning, name in Prometheus")
    add_json(listed)
    listed.set_defaults(run=run_names)


def run_names(given: argparse.Namespace) -> int:
    """Show every metric of both generations."""
    out = Output(as_json=given.json)
    rows = [_row(one, generation) for one, generation in metrics()]
    shown = [[r["name"], r["type"], r["unit"], r["meaning"], r["generation"]] for r in rows]
    out.table("Metrics", ("name", "type", "unit", "meaning", "generation"), shown)
    out.table(
        "In Prometheus, with the labels of each",
        ("name", "labels"),
        [[r["prometheus"], _short(r["labels"])] for r in rows],
    )
    out.line(
        f"\nLabels of a call: {', '.join(map(plain, names.COMMON))}; {plain(names.TAG)}NAME for a "
        f"tag in Client(metric_tags=...).\nEach series also has otel_scope_name and -version.\n"
        f"The newest gen_ai names are emitted where {names.OPT_IN} has {names.LATEST}."
    )
    out.data(rows)
    return 0


def metrics() -> list[tuple[Instrument, str]]:
    """Every metric with the generation that emits it: "both", "v1.41", ..."""
    gauges = (names.POOLS, names.BUDGETS, names.LEDGERS)
    read = (one for group in gauges for one in group.values())
    found = [(one, _BOTH) for one in (*names.OURS, *names.FLEETS, *read)]
    for generation in (names.WIDELY, names.NEWEST):
        found += [(one, generation.name) for one in generation.instruments]
    return found


def prometheus_name(one: Instrument) -> str:
    """What Prometheus calls a metric that opentelemetry-exporter-prometheus serves it.

    Dots become underscores. A unit that is a word follows, one in braces or the number 1 does
    not. A counter ends in `_total`; a histogram has `_bucket`, `_sum` and `_count` besides.
    """
    name = plain(one.name)
    unit = re.sub(r"\{.*\}", "", one.unit)
    unit = plain(_UNITS.get(unit, unit.replace("/s", "per_second"))).strip("_")
    if unit and not name.endswith(f"_{unit}"):
        name = f"{name}_{unit}"
    return f"{name}_total" if one.kind == "counter" else name


def plain(name: str) -> str:
    """A name of OpenTelemetry as a label or a part of a name of Prometheus."""
    return re.sub(r"[^a-zA-Z0-9:]+", "_", name)


def _row(one: Instrument, generation: str) -> dict[str, Any]:
    common = names.COMMON if one.common else ()
    return {
        "name": one.name,
        "type": _KINDS.get(one.kind, one.kind),
        "unit": one.unit,
        "meaning": one.description,
        "generation": generation,
        "prometheus": prometheus_name(one),
        "labels": [plain(label) for label in (*common, *one.labels)],
    }


def _short(labels: list[str]) -> str:
    common = [plain(label) for label in names.COMMON]
    own = [label for label in labels if label not in common]
    return ", ".join(["those of a call", *own] if len(own) < len(labels) else own)


def _writer(name: str) -> Callable[[argparse.Namespace], int]:
    def run(_: argparse.Namespace) -> int:
        """Write the file as it is."""
        text = files("router.telemetry").joinpath("data", name).read_text("utf-8")
        sys.stdout.write(text)
        return 0

    return run
