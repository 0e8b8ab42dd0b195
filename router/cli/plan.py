"""`centroute plan`: who would be chosen, why, and what it would cost. Spends nothing."""

from __future__ import annotations

import argparse
from typing import Any

from classifiers.scores import Quantiles
from router.cli.common import (
    add_client_options,
    call_from,
    client_from,
    prompt_from,
    write_record,
)
from router.cli.output import Output, add_json
from router.client import Client
from router.money import to_usd
from router.outlook import Forecast
from router.shown import COLUMNS, cells
from router.transports.recording import find

SHORTLIST = (
    "deepseek-v3.2",
    "deepseek-v3.2:thinking",
    "deepseek-v3.2-speciale",
    "deepseek-flash",
    "deepseek-v4-pro",
)
"""What a prompt is planned over when nobody says and nothing is configured."""


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
    messages, arguments = prompt_from(given), call_from(given)
    with client_from(given) as client:
        if not (given.model or given.host) and _only_recordings(client, messages):
            out.line(f"no host is configured: planned over {', '.join(SHORTLIST)}\n")
            arguments["model"] = SHORTLIST
        planned = client.plan(messages, **arguments)
    write_record(given.record, planned.record)
    decision = planned.decision
    out.line(f"{decision.chosen}: {decision.reason}  [{decision.policy}]")
    for name in decision.escalation:
        out.line(f"then, if the answer is found wrong: {name}")
    out.line(f"input: {planned.input_tokens:,} tokens")
    order = [*decision.ranking, *(n for n in planned.forecasts if n not in decision.ranking)]
    rows = [cells(planned.forecasts[name]) for name in order]
    out.table("Forecast", COLUMNS, rows)
    out.table("Not chosen", ("candidate", "why"), sorted(decision.rejected.items()))
    for note in (*planned.forecast.notes, *planned.notes):
        out.line(f"note: {note}")
    out.data(
        {
            "chosen": decision.chosen,
            "reason": decision.reason,
            "policy": decision.policy,
            "ranking": decision.ranking,
            "rejected": decision.rejected,
            "escalation": decision.escalation,
            "propensity": decision.propensity,
            "input_tokens": planned.input_tokens,
            "forecasts": [_forecast(planned.forecasts[name]) for name in order],
            "notes": planned.notes,
        }
    )
    return 0


def _only_recordings(client: Client, messages: list[dict[str, str]]) -> bool:
    """Whether nothing but recordings could answer, and they do not know this prompt."""
    replayed = all(candidate.kind == "replay" for candidate in client.candidates())
    return replayed and find(messages[-1]["content"]) is None


def _forecast(forecast: Forecast) -> dict[str, Any]:
    amounts = ("cost", "cost_p50", "cost_p90", "cost_ceiling")
    return {
        "candidate": forecast.candidate,
        "quality": round(forecast.quality, 6),
        "quality_se": round(forecast.quality_se, 6),
        "base_quality": forecast.base_quality and round(forecast.base_quality, 6),
        "basis": forecast.basis,
        "graded": forecast.graded,
        "known": round(forecast.known, 6),
        "task": forecast.task,
        "input_tokens": forecast.input_tokens,
        "cache_read_tokens": forecast.cache_read_tokens,
        "output_tokens": _tokens(forecast.output_tokens),
        "reasoning_tokens": _tokens(forecast.reasoning_tokens),
        "visible_tokens": _tokens(forecast.visible_tokens),
        "tokens_basis": forecast.tokens_basis,
        "tokens_calls": forecast.tokens_calls,
        "max_tokens": forecast.max_tokens,
        "seconds": forecast.seconds,
        "seconds_p90": forecast.seconds_p90,
        "first_token_seconds": forecast.first_token_seconds,
        "rates": forecast.rates_id,
        "priced_at": forecast.priced_at,
        "straddles": forecast.straddles,
        "notes": forecast.notes,
    } | {
        f"{name}_usd": None if (pico := getattr(forecast, name)) is None else to_usd(pico)
        for name in amounts
    }


def _tokens(found: Quantiles | None) -> dict[str, int] | None:
    if found is None:
        return None
    return {q: round(getattr(found, q)) for q in ("p10", "p50", "p90", "p99", "mean")}
