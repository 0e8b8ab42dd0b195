"""`centroute replay`: decide again from a decision record, and compare."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from policies import load_policy
from router.cli.output import Output, add_json
from router.errors import ConfigError
from router.record import DecisionRecord


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("replay", help="decide again from a decision record")
    parser.add_argument("record", metavar="FILE", help="the JSON of a record, as --record writes")
    parser.add_argument("--policy", metavar="NAME|FILE", help="another policy than the recorded")
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Decide again; 1 if the decision is another one."""
    out = Output(as_json=given.json)
    record = DecisionRecord.from_json(_text(Path(given.record)))
    policy = None
    if given.policy is not None:
        try:
            policy = load_policy(given.policy)
        except ValueError as error:  # policies know nothing of our errors
            raise ConfigError(str(error)) from None
    decision, same = record.replay(policy), record.replays(policy)
    chosen = decision.chosen if decision.ranking else "nobody"
    out.line(f"{chosen}: {decision.reason}  [{decision.policy}]")
    out.line(f"decided at {record.context.now:%Y-%m-%d %H:%M:%S} UTC for {record.request_id}")
    out.table("Not chosen", ("candidate", "why"), sorted(decision.rejected.items()))
    out.table("Versions", ("what", "version"), sorted(record.versions.items()))
    if same:
        out.line("\nthe same decision, to the last bit")
    else:
        out.line(f"\nanother decision; recorded: {record.decision.chosen}")
        out.line(f"  {record.decision.reason}  [{record.decision.policy}]")
    out.data(
        {
            "same": same,
            "request_id": record.request_id,
            "chosen": decision.ranking[0] if decision.ranking else None,
            "recorded": record.decision.chosen,
            "reason": decision.reason,
            "policy": decision.policy,
            "ranking": decision.ranking,
            "escalation": decision.escalation,
            "rejected": decision.rejected,
            "versions": record.versions,
        }
    )
    return int(not same)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(f"expected UTF-8 text in {str(path)!r}") from None
    except OSError as error:
        raise ConfigError(
            f"expected the file of a decision record, {str(path)!r}: {error.strerror}"
        ) from error
