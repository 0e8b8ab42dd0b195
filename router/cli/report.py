"""`centroute report`: spend from the ledger, on the screen and as CSV, Parquet, FOCUS or HTML."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from router.cli.common import add_ledger, require_ledger
from router.cli.instants import day, instant
from router.cli.output import Output, add_json
from router.client import Client
from router.errors import ConfigError
from router.reports import Focus, Report, Table, verify

_SHOWN = 12
"""Figures that fit a screen: those behind them are in files and JSON."""
_KINDS = ("spend", "accuracy", "savings", "fleets")


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("report", help="spend from the ledger, by day, model, tag, ...")
    parser.add_argument(
        "--kind", choices=_KINDS, default="spend", help="forecasts against costs, savings, ..."
    )
    parser.add_argument(
        "--by",
        metavar="COLUMNS",
        help="day, hour, week, month, model, mode, host, candidate, policy, outcome, rates, "
        "source, tag, tag:NAME, tenant, team, feature, user; default day,model",
    )
    parser.add_argument("--since", metavar="ISO", type=_when, help="from this day or instant on")
    parser.add_argument("--until", metavar="ISO", type=_when, help="before this day or instant")
    parser.add_argument("--tz", default="UTC", metavar="ZONE", help="zone of days and months")
    parser.add_argument(
        "--format", choices=("table", "csv", "parquet", "focus", "html", "json"), default="table"
    )
    parser.add_argument("--out", metavar="FILE", help="write csv, parquet, focus or html here")
    parser.add_argument("--csv", metavar="FILE", help="write CSV here, beside the table")
    parser.add_argument("--locale", metavar="NAME", help="of the spreadsheet: de, en, fr, ...")
    parser.add_argument(
        "--checksum", action="store_true", help="write FILE.sha256 beside it, for sha256sum -c"
    )
    parser.add_argument("--verify", metavar="FILE", help="only check FILE by its FILE.sha256")
    parser.add_argument(
        "--account", default="centroute", metavar="NAME", help="BillingAccountId of focus"
    )
    add_ledger(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Report."""
    out = Output(as_json=given.json or given.format == "json")
    if given.verify:
        return _verified(out, given.verify)
    _check(given)
    require_ledger(given.ledger)
    span = {"since": given.since, "until": given.until, "tz": given.tz}
    with Client(ledger=given.ledger) as client:
        if given.format == "html":
            written = client.html_report(given.out, **span)
            out.line(f"written: {written}")
            out.data({"written": str(written)})
            return 0
        if given.format == "focus":
            return _focus(out, client.focus(account=given.account, **span), given)
        table = _table(client, given, span)
    _show(out, table, given)
    return 0


def _table(client: Client, given: argparse.Namespace, span: Mapping[str, Any]) -> Table:
    by = [column.strip() for column in (given.by or "").split(",") if column.strip()]
    if given.kind == "savings":
        return client.savings(**span)
    if given.kind == "fleets":
        return client.fleets(**span)
    if given.kind == "accuracy":
        return client.accuracy(by or ("model",), **span)
    return client.report(by or ("day", "model"), **span)


def _show(out: Output, table: Table, given: argparse.Namespace) -> None:
    rows = list(table)
    columns = table.columns
    if isinstance(table, Report):
        columns = columns[: len(table.by) + _SHOWN]
    shown = [["unknown" if row[c] is None else row[c] for c in columns] for row in rows]
    if given.format == "table":
        right = [name for name, kind in table.kinds.items() if kind is not str]
        out.table(given.kind.capitalize(), columns, shown, right=right)
    data: dict[str, Any] = {"rows": rows}
    if isinstance(table, Report):
        out.line(f"\ntotal: {table.total:f} USD")
        if table.unpriced:
            out.line(f"calls without a known price, not in this total: {table.unpriced}")
        data |= {"total_usd": table.total, "unpriced": table.unpriced}
    for path, kind in ((given.csv, "csv"), (given.out, given.format)):
        if path:
            out.line(f"written: {_write(table, path, kind, given)}")
    out.data(data)


def _focus(out: Output, focus: Focus, given: argparse.Namespace) -> int:
    written = _write(focus, given.out, "csv", given)
    out.line(f"written: {written}: {len(focus)} rows, BilledCost {focus.total:f} USD")
    if focus.unpriced:
        out.line(
            f"calls without a known price, in none of the rows: {focus.unpriced}; "
            "FOCUS has no unknown cost, and unknown is not zero"
        )
    out.data(
        {
            "written": str(written),
            "rows": len(focus),
            "billed_cost_usd": focus.total,
            "unpriced": focus.unpriced,
        }
    )
    return 0


def _write(table: Table, path: str, kind: str, given: argparse.Namespace) -> Path:
    if kind == "parquet":
        return table.to_parquet(path, checksum=given.checksum)
    return table.to_csv(path, given.locale, checksum=given.checksum)


def _verified(out: Output, path: str) -> int:
    same = verify(path)
    out.line(f"{path}: {'OK' if same else 'FAILED: it is not the file that was written'}")
    out.data({"file": path, "same": same})
    return 0 if same else 1


def _check(given: argparse.Namespace) -> None:
    """Refuse what would be ignored.

    Raises:
        ConfigError: says which options go together.
    """
    files = given.format in {"csv", "parquet", "focus", "html"}
    if files and not given.out:
        raise ConfigError(f"--format {given.format}: expected --out FILE, got none")
    if given.out and not files:
        raise ConfigError(f"--out {given.out}: expected --format csv, parquet, focus or html")
    if given.format in {"focus", "html"}:
        if given.kind != "spend" or given.by:
            raise ConfigError(f"--format {given.format} has its own columns: drop --kind and --by")
        if given.csv:
            raise ConfigError(f"--csv goes with --format table or csv, not {given.format}")
    if given.format == "focus" and given.locale:
        raise ConfigError("--format focus: the specification has decimal points; drop --locale")
    sheet = given.csv or given.format == "csv"
    if given.locale and not sheet:
        raise ConfigError("--locale goes with --csv or --format csv")
    if given.checksum and not (given.csv or given.format in {"csv", "parquet", "focus"}):
        raise ConfigError("--checksum goes with a file of figures: csv, parquet or focus")


def _when(text: str) -> Any:
    # A day is one of --tz, an instant without an offset is in UTC, as everywhere in this command.
    return day(text) if len(text) == len("2026-11-01") else instant(text)
