"""`centroute budgets ...`: what is left of each; top-ups, transfers and freezes by people."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args

from router.budgets import Unit
from router.cli.common import add_ledger, require_ledger, tag
from router.cli.instants import instant
from router.cli.output import Output, add_json
from router.client import Client
from router.errors import ConfigError
from router.ledgers.status import BudgetStatus
from router.money import to_usd


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("budgets", help="what is left; top-ups, transfers, freezes")
    parts = parser.add_subparsers(required=True, metavar="SUBCOMMAND")
    _add(parts, "status", "what is left of each budget", run_status)
    top_up = _add(parts, "top-up", "raise a limit for the rest of its window", run_top_up, "name")
    top_up.add_argument("amount", metavar="AMOUNT", help="a negative one lowers the limit")
    _add_change(top_up)
    transfer = _add(parts, "transfer", "move an amount", run_transfer, "source", "target")
    transfer.add_argument("amount", metavar="AMOUNT")
    _add_change(transfer)
    transfer.add_argument(
        "--to-tag", action="append", type=tag, metavar="NAME=VALUE", help="whose the target is"
    )
    for kind, says in (("freeze", "refuse every request of a budget"), ("unfreeze", "end it")):
        _add_change(_add(parts, kind, says, run_freeze, "name"), units=False)
    history = parts.add_parser("history", help="all changes in a ledger")
    history.add_argument("--since", type=instant, metavar="ISO", help="from this instant on")
    history.add_argument("--until", type=instant, metavar="ISO", help="before this instant")
    add_ledger(history)
    add_json(history)
    history.set_defaults(run=run_history)


def run_status(given: argparse.Namespace) -> int:
    """Show what is left."""
    with _client(given) as client:
        states = client.budgets.status(dict(given.tag))
    _show(given, states)
    return 0


def run_top_up(given: argparse.Namespace) -> int:
    """Raise a limit, and show what is left."""
    amount = _amount(given)
    with _client(given) as client:
        state = client.budgets.top_up(
            given.name, amount, by=given.by, why=given.why, unit=given.unit, tags=dict(given.tag)
        )
    _show(given, [state])
    return 0


def run_transfer(given: argparse.Namespace) -> int:
    """Move an amount from one budget to another."""
    amount = _amount(given)
    with _client(given) as client:
        client.budgets.transfer(
            given.source,
            given.target,
            amount,
            by=given.by,
            why=given.why,
            unit=given.unit,
            tags=dict(given.tag),
            target_tags=dict(given.to_tag) if given.to_tag else None,
        )
    out = Output(as_json=given.json)
    out.line(f"moved {amount} {given.unit} from {given.source} to {given.target}")
    out.data({"from": given.source, "to": given.target, "amount": amount, "unit": given.unit})
    return 0


def run_freeze(given: argparse.Namespace) -> int:
    """Freeze a budget, or end that: what the subcommand is called."""
    with _client(given) as client:
        change = client.budgets.freeze if given.part == "freeze" else client.budgets.unfreeze
        change(given.name, by=given.by, why=given.why, tags=dict(given.tag))
    frozen = given.part == "freeze"
    out = Output(as_json=given.json)
    out.line(f"{given.name} is {'frozen until somebody unfreezes it' if frozen else 'open'}")
    out.data({"name": given.name, "frozen": frozen})
    return 0


def run_history(given: argparse.Namespace) -> int:
    """Show who changed what, and why."""
    out = Output(as_json=given.json)
    require_ledger(given.ledger)
    with Client(ledger=given.ledger) as client:
        found = client.budgets.history(since=given.since, until=given.until)
    rows = [
        {
            "at": change.at,
            "change": change.kind,
            "budget": change.budget,
            "amount": to_usd(change.amount) if change.unit == "usd" else change.amount,
            "unit": change.unit,
            "by": change.by,
            "why": change.why,
        }
        for change in found
    ]
    shown = [[f"{row['at']:%Y-%m-%d %H:%M:%S}", *list(row.values())[1:]] for row in rows]
    columns = ("UTC", "change", "budget", "amount", "unit", "by", "why")
    out.table("Changes of budgets", columns, shown)
    out.data(rows)
    return 0


def _add(
    parts: Any, name: str, says: str, run: Callable[[argparse.Namespace], int], *budgets: str
) -> argparse.ArgumentParser:
    """A subcommand about budgets of a file."""
    parser: argparse.ArgumentParser = parts.add_parser(name, help=says)
    for budget in budgets:
        metavar = {"source": "FROM", "target": "TO"}.get(budget, "NAME")
        parser.add_argument(budget, metavar=metavar, help="the name of a budget")
    parser.add_argument(
        "--file", default="budgets.toml", metavar="FILE", help="the budgets (budgets.toml)"
    )
    parser.add_argument(
        "--tag", action="append", type=tag, default=[], metavar="NAME=VALUE", help="whose"
    )
    add_ledger(parser)
    add_json(parser)
    parser.set_defaults(run=run, part=name)
    return parser


def _add_change(parser: argparse.ArgumentParser, *, units: bool = True) -> None:
    parser.add_argument("--by", required=True, help="who changes it")
    parser.add_argument("--why", required=True)
    if units:
        parser.add_argument("--unit", choices=get_args(Unit), default="usd")


def _client(given: argparse.Namespace) -> Client:
    require_ledger(given.ledger)
    return Client(budgets=Path(given.file), ledger=given.ledger)


def _amount(given: argparse.Namespace) -> str | int:
    """The amount: USD as text, tokens and requests as a whole number."""
    text: str = given.amount
    if given.unit == "usd":
        return text
    try:
        return int(text)
    except ValueError:
        raise ConfigError(f"amount: expected whole {given.unit}, got {text!r}") from None


def _show(given: argparse.Namespace, states: Iterable[BudgetStatus]) -> None:
    out = Output(as_json=given.json)
    rows = [
        {
            "budget": state.name,
            "unit": state.unit,
            "limit": state.limit,
            "adjusted": state.adjusted,
            "spent": state.spent,
            "reserved": state.reserved,
            "remaining": state.remaining,
            "frozen": state.frozen,
            "resets_at": state.resets_at,
        }
        for state in states
    ]
    if rows:
        out.table("Budgets", list(rows[0]), [_cells(row) for row in rows])
    else:
        out.line("no budget applies; say whose with --tag NAME=VALUE")
    out.data(rows)


def _cells(row: dict[str, Any]) -> list[Any]:
    resets = row["resets_at"]
    when = "" if resets is None else f"{resets:%Y-%m-%d %H:%M} UTC"
    return [*list(row.values())[:-2], "frozen" if row["frozen"] else "", when]
