"""`centroute demo`: the whole job on recorded prompts, with no key and no network."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from policies import sparing, utility
from router._clock import utcnow
from router.budgets import Budget
from router.cli.local import local_server
from router.cli.output import Output, add_json
from router.client import Client
from router.demo.answer import ELSEWHERE, Told, converse
from router.demo.chart import draw
from router.demo.compare import Point, baselines, frontier, mixed, table_of
from router.demo.routing import PORTFOLIO, Served, route_all
from router.errors import ConfigError, LedgerError, RouterError
from router.money import format_usd, to_usd
from router.transports.recording import Recorded, recorded_prompts
from router.types import Plan

TODAY = (
    "deepseek-v3.2@deepinfra",
    "deepseek-v3.2:thinking@deepinfra",
    "deepseek-v3.2-speciale@azure",
    "mixtral-8x7b-instruct-v0.1@vllm",
)
"""The same prompts are planned, not sent, over these at today's rates."""
_VALUE, _VALUE_TODAY = "0.10", "0.01"


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("demo", help="route recorded prompts under a budget")
    parser.add_argument("--out", default="demo-out", metavar="DIR", help="for CSV, PNG and ledger")
    parser.add_argument("--budget", default="0.50", metavar="USD")
    parser.add_argument(
        "--no-local", dest="local", action="store_false", help="no real model at the end"
    )
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Route, compare, report."""
    out = Output(as_json=given.json)
    directory = _fresh(Path(given.out))
    prompts = recorded_prompts(source="zeroeval")
    budget = Budget(given.budget)
    policy = sparing(utility(_VALUE), 0.05)
    out.line(
        f"{len(prompts)} public prompts (GSM8K, CRUXEval) that no shipped weight has seen,\n"
        "answered from recorded outcomes of real models: host `replay`, no network.\n"
        f"A right answer is worth ${_VALUE}; the budget is {budget.name}.\n"
    )
    began = time.monotonic()
    with Client(
        candidates=PORTFOLIO, policy=policy, budgets=budget, ledger=directory / "demo.sqlite3"
    ) as client:
        now = utcnow()
        _rates(out, client, now)
        served = list(route_all(client, out.track(prompts, "routing")))
        seconds = time.monotonic() - began
        report = client.report(["day", "model", "tag:dataset"])
        spent, left = client.budgets.status()[0].spent, client.budgets.status()[0].remaining
        table = table_of(prompts, client.catalog, now)
        csv = report.to_csv(directory / "spend.csv")
    if report.total != spent:
        raise LedgerError(f"the report says {report.total} USD, the ledger {spent}")
    _shares(out, served)
    ours = Point(
        "this run",
        sum(s.score for s in served) / len(served),
        sum(s.route.cost.pico for s in served if s.route and s.route.cost),
    )
    others = baselines(table)
    _comparison(out, ours, [mixed(others, ours.cost), *others])
    _forecasts(out, served)
    refused = sum(s.route is None for s in served)
    kept = sum(s.wanted_more for s in served)
    out.line(
        f"\nBudget: limit {budget.limit} USD, spent {spent:f}, left {left:f}.\nIt refused "
        f"{refused} prompts and kept a dearer candidate out of {kept} others."
    )
    with Client(candidates=PORTFOLIO, ledger=":memory:") as free:
        swept = frontier(table, [dict(_plan(free, p).forecasts) for p in prompts], now)
    png = draw(directory / "frontier.png", ours, swept, others, len(prompts))
    plans = _today(out, prompts)
    out.line(f"\n{len(prompts)} requests in {seconds:.1f} s, reserved and settled one by one.")
    out.line(f"CSV:    {csv} (total {report.total:f} USD, the ledger's to the last digit)")
    out.line(f"chart:  {png or 'needs matplotlib: pip install centroute[plots]'}")
    out.line(f"ledger: {directory / 'demo.sqlite3'}")
    told = _real(out) if given.local else None
    out.data(
        {
            "prompts": len(prompts),
            "refused": refused,
            "quality": ours.quality,
            "spent_usd": spent,
            "left_usd": left,
            "baselines": {
                p.name: {"quality": p.quality, "cost_usd": to_usd(p.cost)} for p in others
            },
            "planned_today": plans,
            "csv": str(csv),
            "chart": str(png),
            "local": told,
        }
    )
    return 0


def _real(out: Output) -> list[dict[str, Any]] | str:
    """A real answer from a model on this machine; where there is none, why."""
    out.line(
        "\nOne real answer, streamed from SmolLM2-135M on this machine (llama.cpp, one thread)"
    )
    told: list[Told] = []
    try:
        with local_server() as url:
            for one in converse(url, _piece(out)):
                told.append(one)
                usage = one.usage
                out.line(
                    f"\n  {usage.input_tokens} tokens in, {usage.cache_read_tokens} of them "
                    f"cached ({one.expected_cached:.0f} expected), {usage.output_tokens} out; "
                    f"first text after {one.first_seconds:.2f} s, all after {one.seconds:.2f} s"
                )
    except RouterError as error:  # the demo is whole without it
        out.line(f"left out: {error}")
        return str(error)
    priced = [one.elsewhere for one in told if one.elsewhere is not None]
    dear = f"; at {ELSEWHERE} {format_usd(sum(priced))}" if len(priced) == len(told) else ""
    out.line(f"cost: unknown, for what this machine costs is yours to say{dear}")
    return [
        {
            "question": one.question,
            "text": one.text,
            "input_tokens": one.usage.input_tokens,
            "cache_read_tokens": one.usage.cache_read_tokens,
            "output_tokens": one.usage.output_tokens,
            "first_seconds": round(one.first_seconds, 3),
            "seconds": round(one.seconds, 3),
        }
        for one in told
    ]


def _piece(out: Output) -> Callable[[str], Any]:
    """Shows text as it comes; nothing where only JSON is written."""
    return lambda text: None if out.as_json else print(text, end="", flush=True)


def _fresh(directory: Path) -> Path:
    """The directory, without the ledger of an earlier run: its spend would count."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for old in directory.glob("demo.sqlite3*"):
            old.unlink()
    except OSError as error:
        raise ConfigError(
            f"cannot use {directory}: {error.strerror}. Name another directory with --out."
        ) from error
    return directory


def _plan(client: Client, recorded: Recorded, **arguments: Any) -> Plan:
    return client.plan([{"role": "user", "content": recorded.prompt}], **arguments)


def _rates(out: Output, client: Client, now: datetime) -> None:
    rows = []
    for name in PORTFOLIO:
        rates = client.catalog.rates(name, now)
        assert rates is not None
        quoted = [f"{to_usd(pico).normalize():f}" for pico in (rates.input, rates.output)]
        rows.append((name, *quoted, rates.source))
    out.table("USD per million tokens", ("candidate", "input", "output", "source"), rows)
    out.line()


def _shares(out: Output, served: Sequence[Served]) -> None:
    rows = []
    for name in PORTFOLIO:
        mine = [s for s in served if s.route and s.route.candidate == name]
        cost = sum(s.route.cost.pico for s in mine if s.route and s.route.cost)
        right = sum(s.score for s in mine) / len(mine) if mine else 0.0
        rows.append(
            (
                name,
                len(mine),
                f"{len(mine) / len(served):.1%}",
                f"{right:.1%}" if mine else "-",
                format_usd(cost),
            )
        )
    refused = sum(s.route is None for s in served)
    rows.append(
        ("refused by the budget", refused, f"{refused / len(served):.1%}", "-", "$0.000000")
    )
    out.table("Who answered", ("candidate", "prompts", "share", "right", "cost"), rows)


def _comparison(out: Output, ours: Point, others: Sequence[Point]) -> None:
    rows = [
        (
            point.name,
            f"{point.quality:.1%}",
            format_usd(point.cost),
            f"{point.cost / ours.cost:.2f}x" if ours.cost else "-",
        )
        for point in (ours, *others)
    ]
    out.table(
        "Compared (a refused prompt counts as wrong)", ("", "right", "cost", "to ours"), rows
    )


def _forecasts(out: Output, served: Sequence[Served]) -> None:
    routes = [s.route for s in served if s.route]
    rows = []
    for name in (*PORTFOLIO, "all"):
        mine = [r for r in routes if name in ("all", r.candidate)]
        if not mine:
            continue
        expected = sum(r.forecast.cost or 0 for r in mine)
        actual = sum(r.cost.pico for r in mine if r.cost)
        under = sum(r.usage.output_tokens <= r.forecast.output_tokens.p90 for r in mine if r.usage)
        over = sum(r.cost.pico > (r.forecast.cost_ceiling or 0) for r in mine if r.cost)
        rows.append(
            (
                name,
                format_usd(expected),
                format_usd(actual),
                f"{expected / actual - 1:+.1%}",
                f"{under / len(mine):.1%}",
                over,
            )
        )
    columns = ("candidate", "forecast", "actual", "off by", "within p90", "over reserved")
    out.table("Forecast against actual", columns, rows)


def _today(out: Output, prompts: Sequence[Recorded]) -> dict[str, Any]:
    """Plan the prompts over today's candidates; nothing is sent and nothing is spent."""
    chosen: Counter[str] = Counter()
    forecast: Counter[str] = Counter()
    everywhere: Counter[str] = Counter()
    with Client(policy=utility(_VALUE_TODAY), ledger=":memory:") as client:
        for recorded in out.track(prompts, "planning at today's rates"):
            planned = _plan(client, recorded, model=TODAY)
            chosen[planned.decision.chosen] += 1
            forecast[planned.decision.chosen] += planned.forecast.cost or 0
            for name, one in planned.forecasts.items():
                everywhere[name] += one.cost or 0
    rows = [
        (
            name,
            f"{chosen[name] / len(prompts):.1%}",
            format_usd(forecast[name]),
            format_usd(everywhere[name]),
        )
        for name in TODAY
    ]
    rows.append(("together", "100.0%", format_usd(sum(forecast.values())), ""))
    title = f"The same prompts planned at today's rates, a right answer worth ${_VALUE_TODAY}"
    out.table(title, ("candidate", "share", "forecast", "if all went there"), rows)
    return {
        name: {"share": chosen[name] / len(prompts), "forecast_usd": to_usd(forecast[name])}
        for name in TODAY
    }
