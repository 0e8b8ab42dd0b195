"""`centroute tune`: what other policies would have got on one's own traffic, and the best of them.

It reads a ledger, a table of traffic or an evaluation set, and writes a policy that a client can
run; with `--gate` it compares one policy with that in use.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterable
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies import cascade, cheapest_adequate, load_policy, pacing, threshold, utility
from policies.types import Policy
from router._files import file_named, whole
from router.cli.common import add_ledger, require_ledger
from router.cli.instants import instant
from router.cli.output import Output, add_json
from router.client import Client
from router.errors import ConfigError
from router.ledgers.open import default_ledger

if TYPE_CHECKING:
    from router.tuning import Choice, Frontier, Measured, Traffic

_FAMILIES = {
    kind.__name__: kind for kind in (utility, cascade, threshold, cheapest_adequate, pacing)
}
_UNSURE = 2
"""Status where a gate is not sure that the policy is better."""
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")
_CHARTS = (".png", ".svg", ".pdf")


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("tune", help="choose a policy on your own traffic")
    add_ledger(parser)
    parser.add_argument(
        "--table",
        metavar="FILE",
        help="traffic or graded answers (prompt, model, score) in a .csv, .jsonl or .parquet",
    )
    parser.add_argument("--tags", metavar="NAME,...", help="columns of the table that are tags")
    parser.add_argument("--ignore", metavar="NAME,...", help="columns of the table to leave out")
    parser.add_argument(
        "--catalog", action="append", metavar="FILE", help="overlay: prices of graded answers"
    )
    parser.add_argument("--since", metavar="ISO", type=instant, help="requests from then on")
    parser.add_argument("--until", metavar="ISO", type=instant, help="requests before then")
    parser.add_argument("--by", metavar="WORD", help="whose grades: label, feedback, judge, ...")
    parser.add_argument(
        "--cluster", metavar="TAG", help="requests with the same TAG belong together"
    )
    parser.add_argument("--family", choices=sorted(_FAMILIES), default="utility")
    parser.add_argument(
        "--among", action="append", metavar="NAME|FILE", help="choose among these, not a family"
    )
    parser.add_argument("--policy", metavar="NAME|FILE", help="the one in use, to compare with")
    parser.add_argument("--budget", metavar="USD", help="choose the best within this mean cost")
    parser.add_argument("--per", choices=("request", "month"), default="request")
    parser.add_argument("--floor", metavar="GRADE", type=float, help="choose the cheapest so good")
    parser.add_argument("--sure", action="store_true", help="its 95 %% interval must keep to it")
    parser.add_argument("--out", metavar="FILE", help="write the chosen policy here, as TOML")
    parser.add_argument(
        "--plot", metavar="FILE", help="write the frontier here, as .png, .svg or .pdf"
    )
    parser.add_argument(
        "--gate",
        metavar="NAME|FILE",
        help="is this one better than --policy? status 2 if not sure",
    )
    parser.add_argument("--worth", metavar="USD", help="of a right answer, for --gate")
    parser.add_argument("--margin", metavar="GRADE", type=float, help="so much worse is as good")
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Show the frontier; with a target choose, and write what was chosen. Or gate a policy."""
    chart = _checked(given)
    out = Output(as_json=given.json)
    traffic = _traffic(given)
    out.line(repr(traffic))
    for note in traffic.notes:
        out.line(f"  {note}")
    return _gate(given, traffic, out) if given.gate else _tune(given, traffic, chart, out)


def _checked(given: argparse.Namespace) -> Path | None:
    """What would be refused at the end is refused at once; where the chart goes."""
    from router.tuning.targets import check_target

    chooses = given.budget is not None or given.floor is not None
    if given.gate and (chooses or given.out or given.plot or given.among):
        raise ConfigError(
            "--gate: expected no --budget, --floor, --among, --out or --plot with it"
        )
    if not given.gate and (given.worth is not None or given.margin is not None):
        raise ConfigError("--worth and --margin: expected --gate with them")
    if given.out and not chooses:
        raise ConfigError("--out: expected a target to choose by, --budget or --floor")
    if chooses:
        try:
            check_target(given.budget, given.floor)
        except ConfigError as error:
            said = str(error).removeprefix("choose: ")
            said = said.replace("budget_usd", "--budget").replace("quality_floor", "--floor")
            raise ConfigError(said) from None
    return None if given.plot is None else _chart(given.plot)


def _tune(given: argparse.Namespace, traffic: Traffic, chart: Path | None, out: Output) -> int:
    from router import tuning

    tried = given.among or tuning.family(_FAMILIES[given.family])
    found = tuning.frontier(traffic, tried, point=_present(given.policy), cluster=given.cluster)
    _show(out, found)
    if chart is not None:
        _save(found, chart)
        out.line(f"chart: {chart}")
    choice = None
    if given.budget is not None or given.floor is not None:
        choice = tuning.choose(
            traffic,
            tried,
            budget_usd=given.budget,
            per=given.per,
            quality_floor=given.floor,
            sure=given.sure,
            cluster=given.cluster,
        )
        out.line()
        out.line(str(choice))
        if given.out:
            out.line(f"policy: {choice.save(given.out)}")
    out.data(_data(traffic, found, choice))
    return 0


def _gate(given: argparse.Namespace, traffic: Traffic, out: Output) -> int:
    from router import tuning

    found = tuning.gate(
        traffic,
        given.gate,
        _present(given.policy),
        value_usd=given.worth,
        quality_margin=given.margin or 0.0,
        cluster=given.cluster,
    )
    out.line(str(found))
    out.data({"requests": len(traffic), "notes": traffic.notes, "gate": _finite(asdict(found))})
    return 0 if found else _UNSURE


def _finite(value: Any) -> Any:
    """The same without infinite ends of intervals, which JSON does not have."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _traffic(given: argparse.Namespace) -> Traffic:
    import os

    from router import tuning

    if given.table is not None and given.ledger is not None:
        raise ConfigError("expected one of --ledger and --table, got both")
    by = {} if given.by is None else {"by": given.by}
    if given.table is None:
        if given.tags or given.ignore or given.catalog:
            raise ConfigError("--tags, --ignore and --catalog: expected --table with them")
        require_ledger(given.ledger)
        source = given.ledger or default_ledger(os.environ)
        found = tuning.load(source, since=given.since, until=given.until, **by)
    else:
        with Client(ledger=":memory:", catalog=given.catalog) as client:
            found = tuning.load(
                given.table,
                since=given.since,
                until=given.until,
                client=client,
                tags=_names(given.tags),
                ignore=_names(given.ignore),
                **by,
            )
    if not found:
        within = given.since is not None or given.until is not None
        when = " between --since and --until" if within else ""
        raise ConfigError(f"expected traffic{when}, got no request")
    return found


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name for name in (text or "").split(",") if name)


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
        for note in _together(note for p in found.untold for note in p.notes):
            out.line(f"  {note}")


def _together(notes: Iterable[str]) -> list[str]:
    """Each note once; those that differ by a percentage are one, with the least and the most."""
    alike: dict[str, list[str]] = {}
    for note in notes:
        shares = _PERCENT.findall(note)
        alike.setdefault(_PERCENT.sub("%", note, count=1), []).extend(shares[:1])
    made = []
    for text, shares in alike.items():
        ends = sorted({float(share) for share in shares})
        share = f"{ends[0]:.1f}%" if ends else ""
        share += f" to {ends[-1]:.1f}%" if len(ends) > 1 else ""
        made.append(text.replace("%", share, 1) if ends else text)
    return made


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
