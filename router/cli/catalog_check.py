"""`centroute catalog check` and `schema`: what needs a look, and what a file may hold."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any, get_args

from router._clock import utcnow
from router.catalog import Catalog
from router.catalog.check import Finding, Kind, check
from router.cli.catalog_show import add_shared
from router.cli.instants import days, instant
from router.cli.output import Output


def add_to(commands: Any) -> None:
    """Add the subcommands."""
    parser = commands.add_parser("check", help="stale rows, ending calendars, retirements, gaps")
    parser.add_argument(
        "--days", type=days, default=60, metavar="N", help="how long a check lasts"
    )
    parser.add_argument(
        "--skip", action="append", default=[], choices=get_args(Kind), help="leave these out"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 if there is anything")
    parser.add_argument(
        "--at", type=instant, metavar="ISO", default=argparse.SUPPRESS, help="as of this instant"
    )
    add_shared(parser)
    parser.set_defaults(run=run)
    schema = commands.add_parser("schema", help="the JSON Schema of a catalogue file")
    add_shared(schema)
    schema.set_defaults(run=run_schema)


def run(given: argparse.Namespace) -> int:
    """Show the findings; 1 with --strict if there are any."""
    out = Output(as_json=given.json)
    catalog = Catalog.default().overlay(*given.catalog)
    now = utcnow()
    at = given.at or now
    found = check(catalog, at, days=given.days, today=now.date())
    found = tuple(f for f in found if f.kind not in given.skip)
    if found:
        rows = [[f.kind, f.name, f.says, _where(f)] for f in found]
        out.table(f"To look at, as of {at:%Y-%m-%d}", ["kind", "what", "says", "where"], rows)
        counts = Counter(finding.kind for finding in found).items()
        summary = ", ".join(f"{n} {kind}" for kind, n in counts)
        out.line(f"\n{summary} (--skip KIND leaves one out)")
    else:
        out.line("nothing to look at")
    out.data(
        [
            {"kind": f.kind, "name": f.name, "says": f.says, "file": f.file, "line": f.line}
            for f in found
        ]
    )
    return 1 if found and given.strict else 0


def _where(finding: Finding) -> str:
    return f"{Path(finding.file).name}:{finding.line}" if finding.file else ""


def run_schema(given: argparse.Namespace) -> int:
    """Print the schema; it is JSON with and without --json."""
    from router.catalog.schema import json_schema

    del given
    print(json.dumps(json_schema(), indent=2))
    return 0
