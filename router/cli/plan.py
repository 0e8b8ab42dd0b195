"""`centroute plan`: who would be chosen, why, and what it would cost. Spends nothing."""

from __future__ import annotations

import argparse
from typing import Any

from router.cli.common import (
    FORECAST_COLUMNS,
    add_client_options,
    call_from,
    client_from,
    forecast_row,
    prompt_from,
)
from router.cli.output import Output, add_json
from router.money import to_usd
from router.types import Forecast


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("plan", help="forecast a prompt's cost, without spending")
    parser.add_argument("prompt", help="the prompt, or - for standard input")
    add_client_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Show the plan."""
    out = Output(as_json=given.json)
    with client_from(given) as client:
        planned = client.plan(prompt_from(given), **call_from(given))
    decision = planned.decision
    out.line(f"{decision.chosen}: {decision.reason}  [{decision.policy}]")
    out.line(f"input: {planned.input_tokens:,} tokens")
    order = [*decision.ranking, *(n for n in planned.forecasts if n not in decision.ranking)]
    rows = [forecast_row(planned.forecasts[name]) for name in order]
    out.table("Forecast", FORECAST_COLUMNS, rows)
    out.table("Not chosen", ("candidate", "why"), sorted(decision.rejected.items()))
    for note in planned.notes:
        out.line(f"note: {note}")
    out.data(
        {
            "chosen": decision.chosen,
            "reason": decision.reason,
            "policy": decision.policy,
            "ranking": decision.ranking,
            "rejected": decision.rejected,
            "input_tokens": planned.input_tokens,
            "forecasts": [_forecast(planned.forecasts[name]) for name in order],
            "notes": planned.notes,
        }
    )
    return 0


def _forecast(forecast: Forecast) -> dict[str, Any]:
    amounts = ("cost", "cost_p50", "cost_p90", "cost_ceiling")
    return {
        "candidate": forecast.candidate,
        "quality": round(forecast.quality, 6),
        "basis": forecast.basis,
        "input_tokens": forecast.input_tokens,
        "cache_read_tokens": forecast.cache_read_tokens,
        "output_tokens": {
            q: round(getattr(forecast.output_tokens, q)) for q in ("p10", "p50", "p90", "p99")
        },
        "max_tokens": forecast.max_tokens,
        "rates": forecast.rates_id,
    } | {
        f"{name}_usd": None if (pico := getattr(forecast, name)) is None else to_usd(pico)
        for name in amounts
    }
