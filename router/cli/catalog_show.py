"""`centroute catalog show` and `at`: candidates, their rates at an instant, all rows ever."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from router._clock import utcnow
from router.catalog import Catalog, Line, Rates
from router.catalog.fields import EPOCH
from router.catalog.rates import RateRow, stamp
from router.cli.instants import instant
from router.cli.output import Output
from router.money import to_usd

_PRICES = ("input", "cached", "output")


def add_to(commands: Any) -> None:
    """Add the subcommands."""
    show = commands.add_parser("show", help="candidates and their rates (the default)")
    show.add_argument("name", nargs="?", default="", help="show names that contain this")
    add_options(show, default=argparse.SUPPRESS)
    show.add_argument("--history", action="store_true", help="all rows, withdrawn and future ones")
    show.set_defaults(run=run)
    at = commands.add_parser("at", help="rates at an instant")
    at.add_argument("at", type=instant, metavar="INSTANT", help="such as 2026-08-24T01:30Z")
    at.add_argument("name", nargs="?", default="", help="show names that contain this")
    add_shared(at, default=argparse.SUPPRESS)
    at.add_argument("--sources", action="store_true", default=argparse.SUPPRESS)
    at.set_defaults(run=run, history=False)


def add_options(parser: argparse.ArgumentParser, default: Any = None) -> None:
    """Options of `show`. With SUPPRESS those given before the subcommand hold."""
    parser.add_argument(
        "--at", type=instant, metavar="ISO", default=default, help="rates at this instant"
    )
    parser.add_argument(
        "--sources",
        action="store_true",
        default=default if default is argparse.SUPPRESS else False,
        help="show sources and dates",
    )
    add_shared(parser, default)


def add_shared(parser: argparse.ArgumentParser, default: Any = argparse.SUPPRESS) -> None:
    """`--catalog FILE` and `--json`, which every subcommand has."""
    parser.add_argument(
        "--catalog",
        action="append",
        metavar="FILE",
        default=[] if default is None else default,
        help="overlay",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        default=False if default is None else default,
        help="machine-readable output",
    )


def run(given: argparse.Namespace) -> int:
    """Show the catalogue."""
    out = Output(as_json=given.json)
    catalog = Catalog.default().overlay(*given.catalog)
    at = given.at or utcnow()
    lines = [line for line in catalog.describe(at) if given.name in line.candidate.name]
    if not lines:
        catalog.find(given.name, at=at)  # raises, and names the nearest
    if given.history:
        return _history(out, catalog, lines, at, sources=given.sources)
    rows, data = [], []
    for line in lines:
        rates = line.rates
        quoted = (rates.input, rates.cache_read, rates.output) if rates else ()
        amounts: list[Decimal | None] = [to_usd(pico).normalize() for pico in quoted]
        amounts = amounts or [None, None, None]
        note = "; ".join(filter(None, [line.note, *_remarks(rates)]))
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
                "uncertain": bool(rates and rates.uncertain),
                "retires_at": line.retires_at,
                "region": line.candidate.region,
                "note": note,
                "source": line.source,
                "checked": line.checked,
            }
        )
    columns = ["candidate", "input", "cached", "output", "note"]
    columns += ["source", "checked"] if given.sources else []
    title = f"USD per million tokens at {at:%Y-%m-%d %H:%M} UTC"
    out.table(title, columns, rows, right=_PRICES)
    out.data(data)
    return 0


def _remarks(rates: Rates | None) -> Iterator[str]:
    if rates is not None:
        yield rates.window
        yield f"converted from {rates.currency}" if rates.exchange else ""
        yield "holidays not known for this day" if rates.uncertain else ""


def _history(
    out: Output, catalog: Catalog, lines: Sequence[Line], at: datetime, *, sources: bool
) -> int:
    rows, data = [], []
    for endpoint in dict.fromkeys(line.candidate.endpoint for line in lines):
        candidate = next(line.candidate for line in lines if line.candidate.endpoint == endpoint)
        counted = catalog.counts(candidate, at)
        for row in catalog.rows(candidate, at):
            rate = row.rate
            state = _state(row, counted, at)
            for window, prices in _sets(row):
                amounts = [
                    None if pico is None else to_usd(pico).normalize()
                    for pico in (prices.input, prices.cache_read, prices.output)
                ]
                texts = ("-" if a is None else f"{a:f}" for a in amounts)
                known = stamp(rate.known) if rate.known != rate.valid_from else ""
                start = "always" if rate.valid_from == EPOCH else stamp(rate.valid_from)
                shown = [endpoint, start, *texts, rate.currency, window, known, state]
                rows.append([*shown, rate.source, str(rate.checked)] if sources else shown)
                data.append(
                    {
                        "endpoint": endpoint,
                        "valid_from": rate.valid_from,
                        "valid_to": rate.valid_to,
                        "known_since": rate.known,
                        "withdrawn": rate.withdrawn,
                        "set": window,
                        "currency": rate.currency,
                        "input_per_mtok": amounts[0],
                        "cache_read_per_mtok": amounts[1],
                        "output_per_mtok": amounts[2],
                        "state": state,
                        "source": rate.source,
                        "checked": rate.checked,
                    }
                )
    columns = ["endpoint", "from", "input", "cached", "output", "", "for", "known since", "state"]
    columns += ["source", "checked"] if sources else []
    title = f"All price rows, per million tokens, at {at:%Y-%m-%d %H:%M} UTC"
    out.table(title, columns, rows, right=_PRICES)
    out.data(data)
    return 0


def _state(row: RateRow, counted: RateRow | None, at: datetime) -> str:
    if row.rate.withdrawn is not None:
        return f"withdrawn {stamp(row.rate.withdrawn)}"
    if row is counted:
        return "in force"
    return "to come" if row.rate.valid_from > at else "past"


def _sets(row: RateRow) -> Iterator[tuple[str, Any]]:
    rate = row.rate
    if rate.schedule is None:
        yield "", rate
    yield from (
        (name.replace("_", "-"), prices)
        for name in ("off_peak", "peak", "batch", "flex", "priority")
        if (prices := getattr(rate, name)) is not None
    )
    yield from ((f">{tier.above_input_tokens}", tier) for tier in rate.tiers)
