"""The command line: `python -m router`, or `centroute`."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import NoReturn

from router.errors import RouterError


class _Parser(argparse.ArgumentParser):
    """Shows no password of a URL that stands where none was expected."""

    def error(self, message: str) -> NoReturn:
        super().error(re.sub(r"(//[^\s:]*):\S*@", r"\1:...@", message))


class _Version(argparse.Action):
    """Prints the version; it is read from the distribution's files only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> NoReturn:
        from importlib.metadata import version

        print(f"centroute {version('centroute')}")
        parser.exit()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when it worked, 1 when it could not, 2 for a wrong command line."""
    from router.cli import (
        budgets,
        catalog,
        chat,
        doctor,
        lint,
        local,
        plan,
        reconcile,
        replay,
        report,
        reprice,
        selfhost,
        telemetry,
        tune,
        vllm,
    )
    from router.cli import demo as demo_command

    parser = _Parser(
        prog="centroute",
        description="Cost-aware routing and budgeting for large language models.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (
        demo_command,
        plan,
        chat,
        replay,
        report,
        reconcile,
        reprice,
        tune,
        budgets,
        catalog,
        selfhost,
        doctor,
        lint,
        local,
        vllm,
        telemetry,
    ):
        command.add_to(commands)
    given = parser.parse_args(arguments)
    try:
        return int(given.run(given))
    except RouterError as error:
        notes = "".join(f"\n  {note}" for note in getattr(error, "__notes__", ()))
        print(f"{type(error).__name__}: {error}{notes}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `... | head`
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
