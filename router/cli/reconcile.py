"""`centroute reconcile`: a host's bill against the ledger."""

from __future__ import annotations

import argparse
import os
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from router._clock import utcnow
from router.catalog import Catalog
from router.cli.common import add_ledger, require_ledger, tag
from router.cli.instants import day
from router.cli.output import Output
from router.cli.report_out import STDOUT, add_files, check_files, output, write, write_files
from router.ledgers.open import default_ledger
from router.money import to_usd

if TYPE_CHECKING:
    from router.bills.result import Reconciliation

_ALARM = 2


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "reconcile",
        help="a host's bill against the ledger",
        epilog="exit status: 0 all agrees; 1 a file or setting cannot be used; 2 an alarm, with "
        "the table on standard output. Arguments that do not parse end with 2 too, as in every "
        "command, with 'usage:' on standard error and nothing on standard output.",
    )
    parser.add_argument(
        "invoice", nargs="*", metavar="FILE", help="CSV, JSON lines or zip; none: reported costs"
    )
    parser.add_argument("--host", metavar="HOST", help="whose bill it is, if it does not say")
    parser.add_argument("--tz", metavar="ZONE", help="the zone of its days (UTC)")
    parser.add_argument("--since", type=day, metavar="DAY", help="from this day of the bill on")
    parser.add_argument("--until", type=day, metavar="DAY", help="before this day of the bill")
    parser.add_argument(
        "--fail-over",
        type=_share,
        default=Decimal("0.005"),
        metavar="SHARE",
        help="the difference that alarms, such as 0.5%% (the default); exit status 2",
    )
    parser.add_argument(
        "--model", action="append", type=tag, default=[], metavar="WORD=MODEL",
        help="which of your models a word of the bill means",
    )  # fmt: skip
    parser.add_argument(
        "--column", action="append", type=tag, default=[], metavar="ROLE=COLUMN",
        help="a column of a bill of no known form: day, model, amount, input_tokens, ...",
    )  # fmt: skip
    parser.add_argument("--currency", metavar="CODE", help="of a bill that names none")
    parser.add_argument(
        "--exchange", action="append", type=tag, default=[], metavar="CODE=USD",
        help="what one unit of a currency is worth",
    )  # fmt: skip
    parser.add_argument("--decimal", choices=[".", ","], help="decimal mark, if it does not show")
    parser.add_argument(
        "--catalog", action="append", default=[], metavar="FILE", help="your catalogue overlay"
    )
    add_ledger(parser)
    add_files(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Reconcile; 2 where something differs beyond tolerance and doubt."""
    from router.bills import Tolerance, reconcile

    check_files(given)
    require_ledger(given.ledger)
    reading = {
        "columns": dict(given.column) or None,
        "tz": given.tz,
        "currency": given.currency,
        "exchange": dict(given.exchange) or None,
        "decimal": given.decimal,
    }
    found = reconcile(
        given.invoice or None,
        given.ledger or default_ledger(os.environ),
        Catalog.default().overlay(*given.catalog),
        host=given.host,
        models=dict(given.model) or None,
        tolerance=Tolerance(share=given.fail_over),
        since=given.since,
        until=given.until,
        at=utcnow(),
        **(reading if given.invoice else {}),
    )
    if given.out == STDOUT:
        write(found, given.out, given.format, given)
    else:
        out = output(given)
        _show(out, found, table=given.format == "table")
        write_files(out, found, given)
        out.data(_data(found))
    return _ALARM if found.alarm else 0


def _show(out: Output, found: Reconciliation, *, table: bool) -> None:
    bill = found.invoice
    if bill is not None:
        days = f"{bill.days[0]} to {bill.days[-1]}" if bill.days else "no days"
        out.line(f"{', '.join(bill.files)}: {bill.shape} ({bill.seen}), {days}")
        rows = [
            [
                f.model,
                _dollars(f.billed),
                _dollars(f.ours),
                _dollars(f.residual),
                f"-{_dollars(f.low)} +{_dollars(f.high)}",
                ", ".join(f.causes) or ("alarm" if f.alarm else "agrees"),
            ]
            for f in found.findings
        ]
        columns = ["model", "billed", "ours", "difference", "in doubt", "cause"]
        if table:
            out.table("USD", columns, rows, right=columns[1:5])
            out.line("")
        for finding in found.findings:
            if finding.alarm:
                out.line(str(finding))
    for drift in found.drift:
        out.line(str(drift))
    if bill is None and not found.drift:
        out.line("no host has reported costs; name the file of an invoice")
    for note in found.notes:
        out.line(f"note: {note}")


def _data(found: Reconciliation) -> dict[str, Any]:
    return {
        "alarm": found.alarm,
        "billed_usd": found.billed,
        "ledger_usd": found.ours,
        "models": [
            {
                "model": f.model,
                "billed_usd": _usd(f.billed),
                "ledger_usd": _usd(f.ours),
                "residual_usd": _usd(f.residual),
                "low_usd": to_usd(-f.low),
                "high_usd": to_usd(f.high),
                "alarm": f.alarm,
                "causes": list(f.causes),
                "could_be": list(f.could_be),
                "explained": f.explained,
                "says": list(f.says),
                "advice": list(f.advice),
            }
            for f in found.findings
        ],
        "drift": [
            {
                "candidate": d.candidate,
                "calls": d.calls,
                "reported_usd": to_usd(d.reported),
                "ledger_usd": to_usd(d.ours),
                "off": d.off,
                "seen_after": d.since,
                "alarm": d.alarm,
            }
            for d in found.drift
        ],
        "residuals": list(found),
        "notes": list(found.notes),
    }


def _dollars(pico: int | None) -> str:
    return "unknown" if pico is None else f"{to_usd(pico):.4f}"


def _usd(pico: int | None) -> Decimal | None:
    return None if pico is None else to_usd(pico)


def _share(text: str) -> Decimal:
    try:
        found = Decimal(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except InvalidOperation:
        found = Decimal("nan")
    if not (found.is_finite() and 0 <= found <= 1):
        raise argparse.ArgumentTypeError(f"expected a share such as 0.5% or 0.005, got {text!r}")
    return found
