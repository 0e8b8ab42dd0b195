"""`centroute report`: spend from the ledger, on the screen and as CSV."""

from __future__ import annotations

import argparse
from typing import Any

from router.cli.common import add_ledger, require_ledger
from router.cli.instants import instant
from router.cli.output import Output, add_json
from router.client import Client


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("report", help="spend from the ledger, by day, model, tag, ...")
    parser.add_argument(
        "--by",
        default="day,model",
        metavar="COLUMNS",
        help="day, hour, month, model, mode, host, candidate, policy, outcome, tag, tag:NAME",
    )
    parser.add_argument("--since", type=instant, metavar="ISO", help="from this instant on")
    parser.add_argument("--until", type=instant, metavar="ISO", help="before this instant")
    parser.add_argument("--tz", default="UTC", metavar="ZONE", help="zone of days and months")
    parser.add_argument("--csv", metavar="FILE", help="write CSV here")
    add_ledger(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Report."""
    out = Output(as_json=given.json)
    require_ledger(given.ledger)
    by = [column.strip() for column in given.by.split(",") if column.strip()]
    with Client(ledger=given.ledger) as client:
        report = client.report(by, since=given.since, until=given.until, tz=given.tz)
    rows = list(report)
    shown = [["unknown" if v is None else v for v in row.values()] for row in rows]
    out.table("Spend", report.columns, shown, right=("cost_usd", "forecast_cost_usd"))
    out.line(f"\ntotal: {report.total:f} USD")
    if report.unpriced:
        out.line(f"calls without a known price, not in this total: {report.unpriced}")
    if given.csv:
        out.line(f"written: {report.to_csv(given.csv)}")
    out.data({"rows": rows, "total_usd": report.total, "unpriced": report.unpriced})
    return 0
