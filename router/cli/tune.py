"""`centroute tune`: what other policies would have got on one's own traffic, and the best of them.

It reads a ledger or a table of traffic, and writes a policy that a client can run.
"""

from __future__ import annotations

import argparse
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies import cascade, cheapest_adequate, load_policy, pacing, threshold, utility
from policies.types import Policy
from router._files import file_named, whole
from router.cli.common import add_ledger, require_ledger
from router.cli.instants import instant
from router.cli.output import Output, add_json
from router.errors import ConfigError
from router.ledgers.open import default_ledger

if TYPE_CHECKING:
    from router.tuning import Choice, Frontier, Measured, Traffic

_FAMILIES = {
    kind.__name__: kind for kind in (utility, cascade, threshold, cheapest_adequate, pacing)
}
_CHARTS = (".png", ".svg", ".pdf")


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("tune", help="choose a policy on your own traffic")
    add_ledger(parser)
    parser.add_argument(
        "--table", metavar="FILE", help="traffic in a .csv, .jsonl or .parquet, not a ledger"
    )
    parser.add_argument("--since", metavar="ISO", type=instant, help="requests from then on")
    parser.add_argument("--until", metavar="ISO", type=instant, help="requests before then")
    parser.add_argument("--by", metavar="WORD", help="whose grades: label, feedback, judge, ...")
    parser.add_argument("--family", choices=sorted(_FAMILIES), default="utility")
    parser.add_argument("--policy", metavar="NAME|FILE", help="the one in use, to compare with")
    parser.add_argument("--budget", metavar="USD", help="choose the best within this mean cost")
    parser.add_argument("--per", choices=("request", "month"), default="request")
    parser.add_argument("--floor", metavar="GRADE", type=float, help="choose the cheapest so good")
    parser.add_argument("--sure", action="store_true", help="its 95 %% interval must keep to it")
    parser.add_argument("--out", metavar="FILE", help="write the chosen policy here, as TOML")
    parser.add_argument(
        "--plot", metavar="FILE", help="write the frontier here, as .png, .svg or .pdf"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Show the frontier; with a target choose, and write what was chosen."""
    from router import tuning

    chooses = given.budget is not None or given.floor is not None
    if given.out and not chooses:
        raise ConfigError("--out: expected a target to choose by, --budget or --floor")
    chart = None if given.plot is None else _chart(given.plot)
    out = Output(as_json=given.json)
    traffic = _traffic(given)
    out.line(repr(traffic))
    for note in traffic.notes:
        out.line(f"  {note}")
    family = tuning.family(_FAMILIES[given.family])
    found = tuning.frontier(traffic, family, point=_present(given.policy))
    _show(out, found)
    if chart is not None:
        _save(found, chart)
        out.line(f"chart: {chart}")
    choice = None
    if chooses:
        choice = tuning.choose(
            traffic,
            family,
            budget_usd=given.budget,
            per=given.per,
            quality_floor=given.floor,
            sure=given.sure,
        )
        out.line()
        out.line(str(choice))
        if given.out:
            out.line(f"policy: {choice.save(given.out)}")
    out.data(_data(traffic, found, choice))
    return 0


def _traffic(given: argparse.Namespace) -> Traffic:
    import os

    from router import tuning

    if given.table is not None and given.ledger is not None:
        raise ConfigError("expected one of --ledger and --table, got both")
    if given.table is None:
        require_ledger(given.ledger)
    source = given.table or given.ledger or default_ledger(os.environ)
    by = {} if given.by is None else {"by": given.by}
    return tuning.load(source, since=given.since, until=given.until, **by)


def _present(name: str | None) -> Policy | None:
    try:
        return None if name is None else load_policy(name)
    except ValueError as error:  # policies know nothing of our errors
        raise ConfigError(str(error)) from None


def _show(out: Output, found: Frontier) -> None:
    best = "luckiest" if found.caution else "frontier"
    kinds = [("all to", p) for p in found.singles] + [(best, p) for p in found.hull]
    kinds += [("", p) for p in (found.point, found.oracle) if p is not None]
    out.table(
        "Policies on this traffic, 95 % intervals",
        ("", "policy", "quality", "from", "to", "USD a request", "USD in all"),
        [(kind, *_cells(point)) for kind, point in kinds],
    )
    if found.caution:
        out.line(found.caution)
    if found.untold:
        named = ", ".join(p.name for p in found.untold[:3])
        more = len(found.untold) - 3
        out.line(f"not told by this traffic: {named}" + (f" and {more} more" if more > 0 else ""))
        for note in dict.fromkeys(note for p in found.untold for note in p.notes):
            out.line(f"  {note}")


def _cells(point: Measured) -> tuple[str, ...]:
    usd, quality = point.at
    total = point.total_usd or Decimal(0)
    bounds = f"{point.quality_low:.3f}", f"{point.quality_high:.3f}"
    return point.name, f"{quality:.3f}", *bounds, f"{usd:.6f}", f"{total:.6f}"


def _chart(name: str) -> Path:
    """Where the chart goes: a name without an ending gets .png."""
    path = file_named(name)
    ending = path.suffix.lower()
    if not ending:
        return path.with_name(f"{path.name}.png")
    if ending not in _CHARTS:
        raise ConfigError(f"--plot: expected a name that ends in {', '.join(_CHARTS)}, got {name}")
    return path


def _save(found: Frontier, path: Path) -> None:
    with whole(path) as part:
        found.plot().savefig(part, format=path.suffix[1:].lower())


def _data(traffic: Traffic, found: Frontier, choice: Choice | None) -> dict[str, Any]:
    from policies.spec import to_spec

    points = {"singles": found.singles, "frontier": found.hull, "untold": found.untold}
    data: dict[str, Any] = {
        "requests": len(traffic),
        "notes": traffic.notes,
        **{name: [point.row() for point in some] for name, some in points.items()},
        "in_use": found.point and found.point.row(),
        "oracle": found.oracle and found.oracle.row(),
    }
    if choice is not None:
        data["choice"] = {
            "policy": to_spec(choice.policy),
            "target": choice.target,
            "met": choice.met,
            "held_out": choice.held_out and choice.held_out.row(),
            "fitted": choice.fitted.row(),
        }
    return data
