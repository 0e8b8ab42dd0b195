"""One group of a spend report, and how lines of the ledger add to it."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from router.catalog import Rates
from router.ledgers import Entry
from router.ledgers.entries import LEASE
from router.money import to_usd
from router.reports.keys import told, unknown, unpriced
from router.reports.prices import cache_saving

_MILLION = 10**6
_PLACES = Decimal("0.000001")

FIGURES: dict[str, type] = {
    "requests": int,
    "failed": int,
    "estimated": int,
    "unpriced": int,
    "input_tokens": int,
    "cache_read_tokens": int,
    "output_tokens": int,
    "reasoning_tokens": int,
    "cost_usd": Decimal,
    "forecast_cost_usd": Decimal,
    "cached": int,
    "saved_usd": Decimal,
    "cache_write_tokens": int,
    "cache_saved_usd": Decimal,
    "within_p90": Decimal,
    "reserved_usd": Decimal,
}
"""Columns behind those that are grouped by, in their order; new ones come last."""


@dataclass(slots=True)
class Row:
    """One group: how often, how many tokens, what it cost (pico-dollars) against the forecast.

    `requests` counts calls that were answered or lost, `cached` those of them that the response
    cache answered, at no cost but `saved`; `unpriced` those whose price is unknown
    and that are therefore missing from `cost`; `estimated` those with counted or assumed usage;
    `forecast` those whose cost was forecast, the others are missing from `forecast_cost`;
    `within` those of the `intervals`, answered calls with a price, that cost no more than their
    forecast's 90% quantile. `charges` counts corrections too, `known` those of them with a price,
    less the lost calls of which it came out that there is none. `cache_saved` (1e-18
    USD) is what prefix caches saved, writes paid, as far as the price is known: of
    `cache_known` of the `cache_used` charges that a cache had part in. `reserved` is what was set
    aside for the calls.
    """

    group: tuple[str, ...]
    requests: int = 0
    failed: int = 0
    estimated: int = 0
    unpriced: int = 0
    forecast: int = 0
    charges: int = 0
    known: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost: int = 0
    forecast_cost: int = 0
    cached: int = 0
    saved: int = 0
    cache_write_tokens: int = 0
    cache_saved: int = 0
    cache_used: int = 0
    cache_known: int = 0
    within: int = 0
    intervals: int = 0
    reserved: int = 0

    def add(self, entry: Entry, rates: Rates | None) -> None:
        """Count an entry, billed at `rates` as far as they are known; corrections change tokens
        and cost, not the number of requests.
        """
        self.cost += entry.cost
        self.saved += entry.saved
        if entry.record.policy == LEASE:
            self._add_lease(entry)
            return
        priced = not unknown(entry)
        charge = entry.kind != "release"
        self.charges += charge
        self.known += charge and priced
        self.unpriced += unpriced(entry)
        self._add_tokens(entry, rates)
        if entry.kind == "correct":
            self.known -= bool(entry.cost) and not priced
            return
        self.cached += entry.outcome == "cached"
        answered = entry.kind == "settle" and entry.outcome in {"ok", "cached"}
        self.failed += not answered
        self.requests += charge
        self.estimated += entry.estimated
        self.reserved += entry.reserved
        expected = entry.record.forecast_cost
        if charge and expected is not None:
            self.forecast += 1
            self.forecast_cost += expected
            p90 = entry.record.forecast_cost_p90
            if p90 is not None and told(entry):
                self.intervals += 1
                self.within += entry.cost <= p90

    def _add_tokens(self, entry: Entry, rates: Rates | None) -> None:
        usage = entry.usage
        self.input_tokens += usage.input_tokens
        self.cache_read_tokens += usage.cache_read_tokens
        self.cache_write_tokens += usage.cache_write_tokens
        self.output_tokens += usage.output_tokens
        self.reasoning_tokens += usage.reasoning_tokens
        if entry.outcome != "cached" and usage.cache_read_tokens + usage.cache_write_tokens:
            self.cache_used += 1
            if rates is not None:
                self.cache_known += 1
                self.cache_saved += cache_saving(usage, rates)

    def _add_lease(self, entry: Entry) -> None:
        """Money that a process held and did not account for: no request, but a cost, estimated."""
        self.charges += bool(entry.cost)
        self.known += bool(entry.cost)
        self.estimated += entry.kind == "expire"

    @property
    def cost_usd(self) -> Decimal | None:
        """The known cost in USD; None where none of it is known."""
        nothing = self.charges and self.known <= 0 and not self.cost
        return None if nothing else to_usd(self.cost)

    @property
    def forecast_cost_usd(self) -> Decimal | None:
        """The forecasts' sum in USD, as far as there were any; None where there was none."""
        return None if self.requests and not self.forecast else to_usd(self.forecast_cost)

    @property
    def cache_saved_usd(self) -> Decimal | None:
        """What prefix caches saved in USD, as far as known; None where none of it is."""
        nothing = self.cache_used and not self.cache_known
        return None if nothing else to_usd(self.cache_saved // _MILLION)

    @property
    def within_p90(self) -> Decimal | None:
        """The part of answered calls that cost no more than their forecast's 90% quantile."""
        return part(self.within, self.intervals)

    @property
    def saved_usd(self) -> Decimal:
        """What the response cache saved in USD."""
        return to_usd(self.saved)

    @property
    def reserved_usd(self) -> Decimal:
        """What was set aside for the calls in USD."""
        return to_usd(self.reserved)

    def figures(self) -> dict[str, Any]:
        """The values of `FIGURES`, in their order."""
        return {name: getattr(self, name) for name in FIGURES}


def part(of: int, whole: int) -> Decimal | None:
    """A part as a decimal of six places; None of nothing."""
    return None if not whole else (Decimal(of) / Decimal(whole)).quantize(_PLACES)
