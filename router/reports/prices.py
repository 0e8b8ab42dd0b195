"""The price row that a line of the ledger was billed by, out of the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

from router.catalog import Catalog, Rates
from router.catalog.fleet_past import past_rates
from router.errors import UnknownHostError, UnknownModelError
from router.ledgers import Entry
from router.types import Usage

RatesOf: TypeAlias = Callable[[Entry], "Rates | None"]
"""The price of a call, None where it is not known."""
_TIERS = ("batch", "flex", "priority")
_ANY = datetime(2026, 1, 1, tzinfo=UTC)
_YEAR = timedelta(days=366)


def billed_by(catalog: Catalog) -> RatesOf:
    """Looks up `Entry.rates_id`: exactly that row, or None where this catalogue has it no more.

    A row is never replaced by a newer one: a report says what was billed, not what would be now.
    A fleet's price follows from its id, for its load is forgotten.
    """
    known: dict[str, Rates] = {}

    def rates_of(entry: Entry) -> Rates | None:
        wanted = entry.rates_id
        if wanted in known:
            return known[wanted]
        found = _found(catalog, entry) if "/" in wanted else None
        if found is not None:
            known[wanted] = found
        return found

    return rates_of


def billed(entry: Entry) -> bool:
    """Whether a line is a call that some price row was billed for."""
    return entry.kind == "settle" and bool(entry.rates_id) and entry.outcome != "cached"


class Quoted:
    """The rates of one endpoint at many instants: looked up once for as long as they hold.

    Raises:
        UnknownModelError, UnknownHostError: no such endpoint.
    """

    def __init__(self, catalog: Catalog, name: str) -> None:
        self._catalog, self._name = catalog, name
        rows = catalog.rows(name, _ANY)
        self._by_length = any(row.rate.tiers for row in rows)
        self._start = self._end = _ANY
        self._rates: Rates | None = None

    def rates(self, at: datetime, input_tokens: int) -> Rates | None:
        """What the endpoint charges at `at` for so much input; None where it is not known."""
        if self._by_length:
            return self._catalog.rates(self._name, at, input_tokens=input_tokens)
        if not self._start <= at < self._end:
            self._rates = self._catalog.rates(self._name, at)
            far = at + _YEAR
            self._start, self._end = at, self._catalog.boundary(self._name, at, far) or far
        return self._rates


def _found(catalog: Catalog, entry: Entry) -> Rates | None:
    marks = entry.rates_id.split("#")[1:]
    if any(mark.endswith("%") for mark in marks):
        try:
            return past_rates(catalog, entry.rates_id, entry.at)
        except (UnknownModelError, UnknownHostError):
            return None
    tier = next((mark for mark in marks if mark in _TIERS), "standard")
    began = entry.at - timedelta(seconds=max(0.0, entry.seconds))
    for at in (began, entry.at):  # which of them decides is the host's rule
        try:
            rates = catalog.rates(
                entry.record.candidate,
                at,
                input_tokens=entry.usage.input_tokens,
                service_tier=tier,
            )
        except (UnknownModelError, UnknownHostError):
            return None
        if rates is not None and rates.id == entry.rates_id:
            return rates
    return None


def cache_saving(usage: Usage, rates: Rates) -> int:
    """What caches made a call cheaper by, in 1e-18 USD: all input at the plain price, less what
    was billed for it. Negative where writing to the cache cost more than reading from it saved.
    """
    hour = usage.cache_write_1h_tokens
    return (
        usage.cache_read_tokens * (rates.input - rates.cache_read)
        - (usage.cache_write_tokens - hour) * (rates.cache_write - rates.input)
        - hour * (rates.cache_write_1h - rates.input)
    )
