"""`centroute selfhost`: what one's own GPUs cost, and from which load on they pay."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from router._clock import utcnow
from router.catalog import Catalog
from router.cli.common import add_ledger
from router.cli.instants import instant
from router.cli.output import Output, add_json
from router.cli.selfhost_spent import dollars, percent_of, spent
from router.errors import ConfigError
from router.money import to_usd

if TYPE_CHECKING:
    from router.catalog.fleet_rows import FleetRow
    from router.selfhost import Mix, Rival, Sized


class _Found(NamedTuple):
    """A fleet for a model, and where it is from: the catalogue, or a published scenario."""

    model: str
    name: str
    note: str
    row: FleetRow


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "selfhost", help="what your own GPUs cost, and from which load on they pay"
    )
    parser.add_argument("model", nargs="?", default="", help="such as deepseek-v3.2 (the default)")
    parser.add_argument(
        "--fleet",
        action="append",
        default=[],
        metavar="FILE",
        help="catalogue overlay with your [[fleet]] rows",
    )
    parser.add_argument(
        "--per-month", type=int, nargs="+", metavar="N", help="requests a month to compare"
    )
    parser.add_argument(
        "--mix",
        default="1000/0/300",
        metavar="IN/CACHED/OUT",
        help="tokens of a request, cached ones within the input (default: 1000/0/300)",
    )
    parser.add_argument(
        "--against", action="append", default=[], metavar="ENDPOINT", help="compare with it, too"
    )
    parser.add_argument(
        "--spent", action="store_true", help="what the ledger's calls cost instead"
    )
    parser.add_argument("--since", type=instant, metavar="ISO", help="with --spent: 30 days ago")
    parser.add_argument("--until", type=instant, metavar="ISO", help="with --spent: now")
    add_ledger(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Compare, or with --spent say what was."""
    out = Output(as_json=given.json)
    now = utcnow()
    catalog = Catalog.default().overlay(*given.fleet)
    if given.spent:
        return spent(out, given, catalog, now)
    return _compare(out, given, catalog, now)


def _fleets(catalog: Catalog, model: str, now: datetime, *, own: bool) -> list[_Found]:
    """Fleets of the catalogue for this model ("" for any), else the published ones.

    Raises:
        ConfigError: there is none.
    """
    from router.selfhost import scenarios

    wanted = model or ("" if own else "deepseek-v3.2")
    rows = {name: row.fleet for name, row in catalog.fleets(now).items() if row.fleet}
    by_model = {name: name.rpartition("@")[0] for name in rows}
    published = scenarios().fleets
    found = [
        _Found(by_model[name], name, row.source, row)
        for name, row in rows.items()
        if not wanted or by_model[name] == wanted
    ] or [
        _Found(wanted, s.name, f"{s.note}; {s.row.source}", s.row)
        for s in published
        if wanted in s.models
    ]
    if not found:
        known = sorted({*by_model.values(), *(name for s in published for name in s.models)})
        raise ConfigError(
            f"expected a model with a [[fleet]] row ({', '.join(known)}), got {wanted!r}; give "
            "yours with --fleet FILE"
        )
    return found


def _mix(text: str) -> Mix:
    from router.selfhost import Mix

    try:
        read, cached, written = map(int, text.replace("_", "").split("/"))
    except ValueError:
        raise ConfigError(
            f"--mix: expected IN/CACHED/OUT such as 1000/0/300, got {text!r}"
        ) from None
    return Mix(read, cached, written)


def _compare(out: Output, given: argparse.Namespace, catalog: Catalog, now: datetime) -> int:
    from router.selfhost import UTILISATIONS, rivals, scenarios, sized

    mix = _mix(given.mix)
    requests = given.per_month or [volume.requests for volume in scenarios().volumes]
    data = []
    for found in _fleets(catalog, given.model, now, own=bool(given.fleet)):
        fleet, row, model = found.row.fleet, found.row, found.model
        hosts = rivals(catalog, model, fleet, mix, now, also=given.against)
        plans = [
            (percent, sized(fleet, mix, n, percent)) for n in requests for percent in UTILISATIONS
        ]
        explained = fleet.explain(row.utilisation)
        out.line(f"\n{model} on your own GPUs: {found.name} ({found.note})")
        for line in explained:
            out.line(f"  {line}")
        wanted = [host for host in hosts if host.live or host.endpoint in given.against]
        _show_plans(out, plans, wanted, mix)
        _show_hosts(out, hosts)
        data.append(
            {
                "fleet": found.name,
                "model": model,
                "source": row.source,
                "assumes": explained,
                "per_month": [_plan_data(percent, plan, hosts) for percent, plan in plans],
                "hosts": [_host_data(host) for host in hosts],
            }
        )
    if any(str(each["model"]).startswith("deepseek-v3.2") for each in data):
        _show_memory(out)
    out.data({"mix": given.mix, "fleets": data, "quoted": _quoted()})
    return 0


def _show_plans(
    out: Output, plans: Sequence[tuple[int, Sized]], hosts: Sequence[Rival], mix: Mix
) -> None:
    rows = []
    for percent, plan in plans:
        best = min(hosts, key=_asked, default=None)
        theirs = None if best is None else best.usd(plan.requests)
        cheaper = "-" if theirs is None else "own" if plan.usd < theirs else "host"
        rows.append(
            [
                f"{plan.requests:,}",
                f"{percent}%",
                plan.replicas,
                plan.gpus,
                percent_of(plan.utilisation),
                dollars(plan.usd),
                "-" if theirs is None else dollars(theirs),
                cheaper,
            ]
        )
    columns = [
        "requests",
        "busy <=",
        "replicas",
        "GPUs",
        "in use",
        "own USD",
        "host USD",
        "cheaper",
    ]
    read, cached, written = mix.input_tokens, mix.cache_read_tokens, mix.output_tokens
    asked = f"{read} tokens in, {cached} of them cached, {written} out"
    out.table(f"A month, each request {asked}", columns, rows, right=("requests", "busy <="))


def _show_hosts(out: Output, hosts: Sequence[Rival]) -> None:
    rows = [
        [
            host.endpoint,
            f"{host.usd_per_request * 1000:.4f}",
            percent_of(host.utilisation),
            "never" if host.requests is None else f"{host.requests:,}",
            host.rates_id + ("" if host.live else " (not called by us)"),
        ]
        for host in hosts
    ]
    columns = ["host", "USD/1000", "needs", "requests a month", "price"]
    title = "One replica is cheaper than this host from so many requests on"
    out.table(title, columns, rows, right=("USD/1000", "needs", "requests a month"))


def _show_memory(out: Output) -> None:
    from router.selfhost import HOURS_A_MONTH, scenarios

    known = scenarios()
    rows = []
    for memory in known.memory:
        cells = [memory.precision, f"{memory.quoted_gb} GB", f"{memory.gb} GB"]
        for gpu in known.gpus:
            count = gpu.needed(memory.gb)
            month = to_usd(count * gpu.usd_per_hour * HOURS_A_MONTH)
            cells.append(f"{count} ({dollars(month)})")
        rows.append([*cells, memory.loss])
    gpus = [f"{gpu.name} (USD/month)" for gpu in known.gpus]
    columns = ["weights", "quoted", "needs", *gpus, "loss of quality"]
    title = "GPUs that hold one replica of DeepSeek-V3.2, by memory alone"
    out.table(title, columns, rows, right=columns[1:-1])
    rows = [
        [f"{v.requests:,}", dollars(to_usd(v.quoted_selfhosted)), dollars(to_usd(v.quoted_api))]
        for v in known.volumes
    ]
    columns = ["requests a month", "own USD", "API USD"]
    out.table("What articles of 2025 quote for it", columns, rows, right=columns)


def _asked(host: Rival) -> Decimal:
    return host.usd_per_request


def _plan_data(percent: int, plan: Sized, hosts: Sequence[Rival]) -> dict[str, Any]:
    return {
        "requests": plan.requests,
        "busy_at_most": percent,
        "replicas": plan.replicas,
        "gpus": plan.gpus,
        "utilisation": round(float(plan.utilisation), 6),
        "usd": plan.usd,
        "hosts_usd": {host.endpoint: host.usd(plan.requests) for host in hosts},
    }


def _host_data(host: Rival) -> dict[str, Any]:
    return {
        "endpoint": host.endpoint,
        "rates": host.rates_id,
        "live": host.live,
        "usd_per_request": host.usd_per_request,
        "utilisation_needed": round(float(host.utilisation), 6),
        "requests_a_month": host.requests,
        "tokens_a_month": host.tokens,
    }


def _quoted() -> list[dict[str, Any]]:
    from router.selfhost import scenarios

    return [
        {
            "requests": volume.requests,
            "selfhosted_usd": to_usd(volume.quoted_selfhosted),
            "api_usd": to_usd(volume.quoted_api),
        }
        for volume in scenarios().volumes
    ]
