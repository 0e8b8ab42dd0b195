"""`centroute selfhost --spent`: what one's own GPUs did cost, and how much of it was idle."""

from __future__ import annotations

import argparse
import os
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from router.catalog import Catalog
from router.cli.common import require_ledger
from router.cli.output import Output
from router.errors import ConfigError
from router.ledgers.open import default_ledger, open_store
from router.money import to_usd

if TYPE_CHECKING:
    from router.selfhost import FleetCosts

_MONTH = timedelta(days=30)


def spent(out: Output, given: argparse.Namespace, catalog: Catalog, now: datetime) -> int:
    """The rent of each fleet over a span until now, and what the ledger's calls took of it.

    Raises:
        ConfigError: the catalogue has no such fleet, or the span is yet to come.
    """
    from router.selfhost import fleets_costs

    until = given.until or now
    since = given.since or until - _MONTH
    if since >= now:
        raise ConfigError(f"--since: expected a time before now, got {since:%Y-%m-%d %H:%M} UTC")
    require_ledger(given.ledger)
    with closing(open_store(given.ledger or default_ledger(os.environ))) as ledger:
        entries = ledger.entries(since=since, until=until)
        every = fleets_costs(entries, catalog, since, until, now)
    costs = [c for c in every if not given.model or given.model in c.endpoint]
    if not costs:
        known = ", ".join(c.endpoint for c in every) or "none"
        raise ConfigError(
            f"expected an endpoint with a [[fleet]] row ({known}), got {given.model!r}; give "
            "yours with --fleet FILE"
        )
    shown = [
        [
            c.endpoint,
            c.requests,
            c.tokens,
            percent_of(c.utilisation),
            *(dollars(to_usd(pico)) for pico in (c.rent, c.idle, c.marginal, c.charged)),
        ]
        for c in costs
    ]
    columns = ["endpoint", "requests", "tokens", "in use", "rent", "idle", "marginal", "charged"]
    span = f"{since:%Y-%m-%d %H:%M} to {min(until, now):%Y-%m-%d %H:%M} UTC"
    out.table(f"USD, {span}", columns, shown)
    out.data([_costs_data(c) for c in costs])
    return 0


def _costs_data(costs: FleetCosts) -> dict[str, Any]:
    amounts = {n: getattr(costs, n) for n in ("rent", "idle", "marginal", "charged")}
    return {
        "endpoint": costs.endpoint,
        "since": costs.since,
        "until": costs.until,
        "requests": costs.requests,
        "input_tokens": costs.input_tokens,
        "cache_read_tokens": costs.cache_read_tokens,
        "output_tokens": costs.output_tokens,
        "utilisation": round(float(costs.utilisation), 6),
        **{f"{name}_usd": to_usd(pico) for name, pico in amounts.items()},
        "amortised_usd_per_mtok": costs.per_million(costs.rent),
        "marginal_usd_per_mtok": costs.per_million(costs.marginal),
    }


def dollars(usd: Decimal) -> str:
    """Whole dollars from 100 on, four decimals below."""
    return f"{usd:,.0f}" if usd >= 100 else f"{usd:.4f}"


def percent_of(part: Fraction) -> str:
    """A part of one as a percentage."""
    return f"{float(part):.1%}"
