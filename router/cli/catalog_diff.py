"""`centroute catalog diff`: which prices differ between two instants, or two catalogues."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from router._clock import utcnow
from router.catalog import Catalog
from router.catalog.diff import Change, diff_prices, diff_rows
from router.catalog.load import Entry, read
from router.cli.catalog_show import add_shared
from router.cli.instants import OutOfRangeError, instant
from router.cli.output import Output
from router.errors import ConfigError, InvalidRequestError
from router.money import to_usd

_SHIPPED = "shipped"
_UNIT = "USD per million tokens"


def add_to(commands: Any) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("diff", help="prices that differ between instants or files")
    both = "an instant, a TOML file, or 'shipped'"
    parser.add_argument("before", metavar="A", help=both)
    parser.add_argument("after", metavar="B", help=both)
    parser.add_argument("name", nargs="?", default="", help="endpoints that contain this")
    parser.add_argument(
        "--at",
        type=instant,
        metavar="ISO",
        default=argparse.SUPPRESS,
        help="for files: prices at",
    )
    add_shared(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Show the differences."""
    out = Output(as_json=given.json)
    base = Catalog.default().overlay(*given.catalog)
    instants = [_as_instant(text) for text in (given.before, given.after)]
    first, then = instants
    if first is not None and then is not None:
        changes = diff_prices(base, first, base, then, given.name)
        _table(out, f"{_UNIT} at {first:%Y-%m-%d %H:%M} and {then:%Y-%m-%d %H:%M} UTC", changes)
        out.data({"prices": _data(changes)})
        return 0
    if first is not None or then is not None:
        raise ConfigError(
            f"expected two instants or two catalogues, got {given.before!r} and {given.after!r}"
        )
    at = given.at or utcnow()
    laid = [_over(base, text) for text in (given.before, given.after)]
    against_shipped = _SHIPPED in (given.before, given.after)
    before, after = (
        catalog.entries if against_shipped else _own(text)
        for catalog, text in zip(laid, (given.before, given.after), strict=True)
    )
    rows = diff_rows(before, after, given.name)
    prices = diff_prices(laid[0], at, laid[1], at, given.name)
    _table(out, "Price rows, per million tokens", rows)
    _table(out, f"{_UNIT} at {at:%Y-%m-%d %H:%M} UTC", prices)
    out.data({"rows": _data(rows), "prices": _data(prices)})
    return 0


def _as_instant(text: str) -> datetime | None:
    try:
        return instant(text)
    except OutOfRangeError as error:
        raise InvalidRequestError(str(error)) from None
    except argparse.ArgumentTypeError:
        return None


def _over(base: Catalog, text: str) -> Catalog:
    return base if text == _SHIPPED else base.overlay(text)


def _own(text: str) -> Iterable[Entry]:
    """Only the rows that the file itself has, so that missing ones show as removed."""
    return read((text,), layer=0)


def _table(out: Output, title: str, changes: Iterable[Change]) -> None:
    rows: list[list[Any]] = []
    for change in changes:
        label = [change.what, change.name]
        for kind in dict.fromkeys((*change.before, *change.after)):
            old, new = change.before.get(kind), change.after.get(kind)
            if old != new:
                percent = change.percent(kind)
                shown = "" if percent is None else f"{percent:+.1f}%"
                rows.append([*label, kind, _usd(old), _usd(new), shown])
                label = ["", ""]
        rows += [[*label, term, "", "", ""] for term in change.terms]
    if rows:
        out.table(title, ["", "endpoint", "price", "before", "after", "by"], rows)
    else:
        out.line(f"\n{title}: no difference")


def _data(changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [
        {
            "change": change.what,
            "name": change.name,
            "before": {kind: _amount(pico) for kind, pico in change.before.items()},
            "after": {kind: _amount(pico) for kind, pico in change.after.items()},
            "percent": {
                kind: percent.quantize(Decimal("0.01"))
                for kind in change.after
                if (percent := change.percent(kind)) is not None
            },
            "terms": change.terms,
        }
        for change in changes
    ]


def _amount(pico: int) -> Decimal:
    return to_usd(pico).normalize()


def _usd(pico: int | None) -> str:
    return "" if pico is None else f"{_amount(pico):f}"
