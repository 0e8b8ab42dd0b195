"""`centroute catalog ...`: the candidates and their prices; what changed; what needs a look."""

from __future__ import annotations

import argparse
from typing import Any

from router.cli import catalog_check, catalog_diff, catalog_import, catalog_show

PARTS = (catalog_show, catalog_diff, catalog_check, catalog_import)
"""Modules with `add_to(commands)`, each of which adds subcommands."""


def add_to(commands: Any) -> None:
    """Add the command; without a subcommand it is `show`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "catalog", help="candidates and their rates; changes, checks, imports"
    )
    catalog_show.add_options(parser)
    parser.set_defaults(run=catalog_show.run, name="", history=False)
    parts = parser.add_subparsers(metavar="SUBCOMMAND")
    for part in PARTS:
        part.add_to(parts)
