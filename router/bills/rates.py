"""Which price a call of the ledger was billed by, and what its usage costs at a price."""

from __future__ import annotations

from datetime import datetime, timedelta

from router.bills.calls import Paid
from router.catalog import Catalog, Rates
from router.catalog.fleet_past import past_rates
from router.errors import RouterError
from router.horizon import billed

TIERS = ("batch", "flex", "priority")
UNREAD = 128
"""Output tokens that a closed stream may have had on their way; see `router.loss`."""
_MARGIN = timedelta(seconds=2)
"""The ledger notes a call's end a moment after its price was looked up."""


def tier_in(rates_id: str) -> str:
    """The service tier that a price row's id names, "" for the standard one."""
    marks = rates_id.split("#")[1:]
    return next((tier for tier in TIERS if tier in marks), "")


def own_rates(catalog: Catalog, call: Paid) -> Rates | None:
    """The rates that billed a call: the row its line names where that is in force during the
    call, or a fleet's at the load that it names, else what the rule of `router.horizon.billed`
    gives; None where none is known.
    """
    tier, name, tokens = tier_in(call.rates_id), call.endpoint, call.usage.input_tokens
    try:
        fleet = past_rates(catalog, call.rates_id, call.ended)
        if fleet is not None:
            return fleet
        last = catalog.rates(name, call.ended, input_tokens=tokens, service_tier=tier)
        if last is not None and last.id == call.rates_id:
            return last
        at: datetime | None = call.began - _MARGIN
        while at is not None:
            found = catalog.rates(name, at, input_tokens=tokens, service_tier=tier)
            if found is not None and found.id == call.rates_id:
                return found
            at = catalog.boundary(name, at, call.ended, input_tokens=tokens, service_tier=tier)
        return billed(
            catalog,
            name,
            began=call.began,
            ended=call.ended,
            until=call.ended,
            input_tokens=tokens,
            service_tier=tier,
        )
    except RouterError:  # the catalogue knows no such endpoint
        return None


def parts(call: Paid) -> tuple[int, int, int, int, int]:
    """Tokens by kind: fresh input, read from the cache, written to it, for an hour, output."""
    usage = call.usage
    fresh = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    short = usage.cache_write_tokens - usage.cache_write_1h_tokens
    return (
        fresh,
        usage.cache_read_tokens,
        short,
        usage.cache_write_1h_tokens,
        usage.output_tokens,
    )


def prices_of(rates: Rates) -> tuple[int, int, int, int, int]:
    """Rates by the kinds of `parts`, in pico-dollars a million tokens."""
    return (rates.input, rates.cache_read, rates.cache_write, rates.cache_write_1h, rates.output)
