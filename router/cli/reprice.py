"""`centroute reprice`: what the ledger's calls would have cost at another date, host or model."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from router._clock import utcnow
from router.catalog import Catalog
from router.cli.common import add_ledger, require_ledger
from router.cli.instants import instant, when
from router.cli.output import Output
from router.cli.report_out import STDOUT, add_files, check_files, output, write, write_files
from router.errors import ConfigError, RouterError
from router.ledgers.open import default_ledger
from router.money import to_usd

if TYPE_CHECKING:
    from router.bills.repriced import Group, Repriced


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("reprice", help="past calls at other prices, dates or hosts")
    parser.add_argument("--at", type=instant, metavar="ISO", help="as if all were sent then")
    parser.add_argument("--later", type=_days, metavar="DAYS", help="as if each were sent later")
    parser.add_argument("--known-at", type=instant, metavar="ISO", help="prices known by then")
    parser.add_argument("--host", metavar="HOST", help="the same models at this host")
    parser.add_argument("--candidate", metavar="NAME", help="all by this candidate")
    parser.add_argument("--by", default="model", metavar="COLUMNS", help="model, host, day, ...")
    parser.add_argument("--since", type=when, metavar="ISO", help="from this day or instant on")
    parser.add_argument("--until", type=when, metavar="ISO", help="before this day or instant")
    parser.add_argument("--tz", default="UTC", metavar="ZONE", help="zone of days and months")
    parser.add_argument(
        "--catalog", action="append", default=[], metavar="FILE", help="your catalogue overlay"
    )
    add_ledger(parser)
    add_files(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Reprice, and show the sums."""
    from router.bills import reprice

    if given.at is not None and given.later is not None:
        raise ConfigError("expected --at or --later, got both")
    by = [column.strip() for column in given.by.split(",") if column.strip()]
    if not by:
        raise ConfigError("--by: expected columns such as model,day; got none")
    check_files(given)
    catalog = Catalog.default().overlay(*given.catalog)
    _known(catalog, given.candidate, given.host)
    require_ledger(given.ledger)
    repriced = reprice(
        given.ledger or default_ledger(os.environ),
        catalog,
        at=given.at if given.later is None else given.later,
        known_at=given.known_at,
        candidate=given.candidate,
        host=given.host,
        since=given.since,
        until=given.until,
        tz=given.tz,
    )
    groups = repriced.by(*by)
    if given.out == STDOUT:
        write(repriced, given.out, given.format, given)
    else:
        _show(output(given), repriced, groups, by, given)
    return 0


def _show(
    out: Output,
    repriced: Repriced,
    groups: Sequence[Group],
    by: Sequence[str],
    given: argparse.Namespace,
) -> None:
    total, whys = repriced.total, [group for group in repriced.by("why") if group.group[0]]
    if given.format == "table":
        figures = ["requests", "was USD", "would be USD", "difference", "unpriced", "they cost"]
        rows = [[*group.group, *_figures(group)] for group in groups]
        rows.append(["total", *[""] * (len(by) - 1), *_figures(total)])
        out.table("Repriced", [*by, *figures], rows, right=figures)
    else:
        out.line(f"total: {total}")
    for group in whys:
        left = "" if group.left_out is None else f", which cost {to_usd(group.left_out):f} USD"
        if group.unpriced:
            out.line(f"not priced, {group.unpriced}{left}: {group.group[0]}")
        else:
            out.line(f"note on {group.requests}: {group.group[0]}")
    if repriced.held:
        out.line(f"of no call, and left out: {to_usd(repriced.held):f} USD")
    write_files(out, repriced, given)
    out.data(
        {
            "groups": [dict(zip(by, group.group, strict=True)) | _data(group) for group in groups],
            "total": _data(total),
            "whys": [{"why": group.group[0]} | _data(group) for group in whys],
            "held_usd": to_usd(repriced.held),
        }
    )


def _known(catalog: Catalog, candidate: str | None, host: str | None) -> None:
    """Refuse what no call could be priced by.

    Raises:
        ConfigError: the catalogue has no such candidate or host.
    """
    if candidate is not None:
        try:
            catalog.rates(candidate, utcnow())
        except RouterError as error:
            raise ConfigError(f"--candidate: {error}") from None
    hosts = {endpoint.host for endpoint in catalog.endpoints}
    if host is not None and host not in hosts:
        raise ConfigError(f"--host: expected one of {', '.join(sorted(hosts))}; got {host!r}")


def _figures(group: Group) -> list[Any]:
    dollars = [group.old, group.new, group.difference]
    return [
        group.requests,
        *(f"{to_usd(pico):.6f}" if group.compared else "unknown" for pico in dollars),
        group.unpriced,
        "unknown" if group.left_out is None else f"{to_usd(group.left_out):.6f}",
    ]


def _data(group: Group) -> dict[str, Any]:
    return {
        "requests": group.requests,
        "old_usd": to_usd(group.old) if group.compared else None,
        "new_usd": to_usd(group.new) if group.compared else None,
        "difference_usd": to_usd(group.difference) if group.compared else None,
        "unpriced": group.unpriced,
        "unpriced_old_usd": None if group.left_out is None else to_usd(group.left_out),
    }


def _days(text: str) -> timedelta:
    if not re.fullmatch(r"[+-]?\d{1,5}", text):
        raise argparse.ArgumentTypeError(f"expected a whole number of days, got {text!r}")
    return timedelta(days=int(text))
