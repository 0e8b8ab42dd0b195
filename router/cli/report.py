"""`centroute report`: spend from the ledger, on the screen and as CSV, Parquet, FOCUS or HTML."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from router.cli.common import add_ledger, require_ledger
from router.cli.instants import when
from router.cli.output import Output
from router.cli.report_out import (
    FILES,
    STDOUT,
    add_files,
    check_files,
    output,
    to_path,
    write,
    write_files,
)
from router.client import Client
from router.errors import ConfigError
from router.reports import Focus, Report, Table, verify

_SHOWN = 12
"""Figures that fit a screen: those behind them are in files and JSON."""
_FILES = (*FILES, "focus", "html")
_KINDS = ("spend", "accuracy", "savings", "fleets")
_UNLISTED = "calls billed by a price row that is not in this catalogue"


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
    parser.add_argument("--since", metavar="ISO", type=when, help="from this day or instant on")
    parser.add_argument("--until", metavar="ISO", type=when, help="before this day or instant")
    parser.add_argument("--tz", default="UTC", metavar="ZONE", help="zone of days and months")
    parser.add_argument("--verify", metavar="FILE", help="only check FILE by its FILE.sha256")
    parser.add_argument(
        "--account", default="centroute", metavar="NAME", help="BillingAccountId of focus"
    )
    parser.add_argument(
        "--catalog",
        action="append",
        default=[],
        metavar="FILE",
        help="catalogue overlay, for prices of your own; may be given again",
    )
    parser.add_argument("--budgets", metavar="FILE", help="budgets that the html page shows")
    add_ledger(parser)
    add_files(parser, _FILES)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Report."""
    out = output(given)
    if given.verify:
        return _verified(out, given.verify)
    _check(given)
    require_ledger(given.ledger)
    span = {"since": given.since, "until": given.until, "tz": given.tz}
    budgets = Path(given.budgets) if given.budgets else None
    catalog = given.catalog or None
    with Client(ledger=given.ledger, catalog=catalog, budgets=budgets) as client:
        if given.format == "html":
            return _page(out, client, given, span)
        if given.format == "focus":
            return _focus(out, client.focus(account=given.account, **span), given)
        table = _table(client, given, span)
    _show(out, table, given)
    return 0


def _page(out: Output, client: Client, given: argparse.Namespace, span: Mapping[str, Any]) -> int:
    with to_path(given.out) as path:
        written = client.html_report(path, **span, checksum=given.checksum)
    if given.out != STDOUT:
        out.line(f"written: {written}")
        out.data({"written": str(written)})
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
    if given.out == STDOUT:
        write(table, given.out, given.format, given)
        return
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
        if table.unlisted:
            out.line(f"{_UNLISTED}: {table.unlisted}; --catalog FILE adds an overlay")
            data |= {"unlisted": table.unlisted}
        data |= {"total_usd": table.total, "unpriced": table.unpriced}
    write_files(out, table, given)
    out.data(data)


def _focus(out: Output, focus: Focus, given: argparse.Namespace) -> int:
    # As the name says: a file that ends in .parquet and holds CSV is read by nothing.
    kind = "parquet" if given.out.lower().endswith(".parquet") else "csv"
    written = write(focus, given.out, kind, given)
    notes = []
    if focus.unpriced:
        notes.append(
            f"calls without a known price, in none of the rows: {focus.unpriced}; "
            "FOCUS has no unknown cost, and unknown is not zero"
        )
    if focus.unlisted:
        notes.append(
            f"{_UNLISTED}, so they are adjustments: {focus.unlisted}; "
            "--catalog FILE adds an overlay"
        )
    if given.out == STDOUT:
        print(*notes, sep="\n", end="\n" if notes else "", file=sys.stderr)
        return 0
    out.line(f"written: {written}: {len(focus)} rows, BilledCost {focus.total:f} USD")
    for note in notes:
        out.line(note)
    out.data(
        {
            "written": str(written),
            "rows": len(focus),
            "billed_cost_usd": focus.total,
            "unpriced": focus.unpriced,
            "unlisted": focus.unlisted,
        }
    )
    return 0


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
    if given.format in {"focus", "html"}:
        if given.kind != "spend" or given.by:
            raise ConfigError(f"--format {given.format} has its own columns: drop --kind and --by")
        if given.csv:
            raise ConfigError(f"--csv goes with --format table or csv, not {given.format}")
    if given.by and given.kind in {"savings", "fleets"}:
        raise ConfigError(f"--kind {given.kind} has its own rows: drop --by")
    if given.budgets and given.format != "html":
        raise ConfigError("--budgets goes with --format html")
    if given.format == "focus" and given.locale:
        raise ConfigError("--format focus: the specification has decimal points; drop --locale")
    check_files(given, _FILES)
