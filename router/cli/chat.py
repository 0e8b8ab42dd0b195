"""`centroute chat`: ask once, see the answer as it comes, and what it cost."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from router.cli.common import (
    add_client_options,
    call_from,
    client_from,
    prompt_from,
    tag,
    write_record,
)
from router.cli.output import Output, add_json
from router.money import format_usd
from router.types import Route


def add_to(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("chat", help="send a prompt and stream the answer")
    parser.add_argument("prompt", help="the prompt, or - for standard input")
    parser.add_argument("--tag", action="append", type=tag, default=[], metavar="NAME=VALUE")
    add_client_options(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(given: argparse.Namespace) -> int:
    """Ask."""
    out = Output(as_json=given.json)
    with client_from(given) as client:
        messages, arguments = prompt_from(given), call_from(given)
        stream = client.chat.completions.create(
            messages, stream=True, tags=dict(given.tag), **arguments
        )
        text = []
        with stream:
            for chunk in stream:
                text.append(chunk.text)
                if not given.json:
                    print(chunk.text, end="", flush=True)
        route = stream.route
    write_record(given.record, route.record)
    out.line()
    if not given.json:
        print(_summary(route), file=sys.stderr)
    usage, cost = route.usage, route.cost
    assert usage is not None
    out.data(
        {
            "text": "".join(text),
            "candidate": route.candidate,
            "reason": route.decision.reason,
            "request_id": route.request_id,
            "input_tokens": usage.input_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "output_tokens": usage.output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "estimated": usage.estimated,
            "forecast_cost_usd": route.forecast.cost_usd,
            "cost_usd": cost.usd if cost else None,
        }
    )
    return 0


def _summary(route: Route) -> str:
    forecast, cost = route.forecast.cost, route.cost
    was = "unknown" if cost is None else format_usd(cost.pico)
    expected = "unknown" if forecast is None else format_usd(forecast)
    return f"[{route.candidate}; cost {was}, forecast {expected}; {route.decision.reason}]"
