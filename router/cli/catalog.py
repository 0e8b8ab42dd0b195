"""`centroute catalog`: the candidates, their rates at an instant, and where those come from."""

from __future__ import annotations

import argparse
from decimal import Decimal
from typing import Any

from router._clock import utcnow
from router.catalog import Catalog
from router.cli.output import Output, add_json
from router.cli.report import _instant
from router.money import to_usd


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("catalog", help="candidates and their rates, with sources")
    parser.add_argument("name", nargs="?", default="", help="show names that contain this")
    parser.add_argument("--at", type=_instant, metavar="ISO", help="rates at this instant")
    parser.add_argument("--catalog", action="append", default=[], metavar="FILE", help="overlay")
    parser.add_argument("--sources", action="store_true", help="show sources and dates")
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Show the catalogue."""
    out = Output(as_json=given.json)
    catalog = Catalog.default().overlay(*given.catalog)
    at = given.at or utcnow()
    lines = [line for line in catalog.describe(at) if given.name in line.candidate.name]
    if not lines:
        catalog.find(given.name, at=at)  # raises, and names the nearest
    rows, data = [], []
    for line in lines:
        rates = line.rates
        quoted = (rates.input, rates.cache_read, rates.output) if rates else ()
        amounts: list[Decimal | None] = [to_usd(pico).normalize() for pico in quoted]
        amounts = amounts or [None, None, None]
        note = line.note or (rates.window if rates else "")
        row = [line.candidate.name, *("-" if a is None else f"{a:f}" for a in amounts), note]
        if given.sources:
            row += [line.source, str(line.checked or "")]
        rows.append(row)
        data.append(
            {
                "candidate": line.candidate.name,
                "model_id": line.candidate.model_id,
                "rates": rates.id if rates else None,
                "input_usd_per_mtok": amounts[0],
                "cache_read_usd_per_mtok": amounts[1],
                "output_usd_per_mtok": amounts[2],
                "retires_at": line.retires_at,
                "region": line.candidate.region,
                "note": note,
                "source": line.source,
                "checked": line.checked,
            }
        )
    columns = ["candidate", "input", "cached", "output", "note"]
    columns += ["source", "checked"] if given.sources else []
    out.table(f"USD per million tokens at {at:%Y-%m-%d %H:%M} UTC", columns, rows)
    out.data(data)
    return 0
