"""What a fleet's price was, by its id in a bill alone: the load behind it is long forgotten."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from router.catalog.fleet import TokenPrices
from router.catalog.rates import RateRow, Rates, names_of

if TYPE_CHECKING:
    from router.catalog.catalog import Catalog

_ID = re.compile(r"((.+)/[^#]+)#(amortised|marginal)@(\d+)%")


def priced(catalog: Catalog, rates_id: str, now: datetime) -> TokenPrices | None:
    """What a price of a fleet was, by its id in the ledger alone; None where there is no such.

    So a bill can be worked out again long after the load is forgotten. `now` is for names that
    changed their meaning.

    Raises:
        UnknownModelError: no such endpoint.
    """
    found = _found(catalog, rates_id, now)
    return None if found is None else found[1]


def past_rates(catalog: Catalog, rates_id: str, now: datetime) -> Rates | None:
    """The same as rates, for what prices a call.

    Raises:
        UnknownModelError: no such endpoint.
    """
    found = _found(catalog, rates_id, now)
    if found is None:
        return None
    row, prices = found
    return Rates(
        id=rates_id,
        input=prices.input,
        cache_read=prices.cache_read,
        cache_write=prices.input,
        cache_write_1h=prices.input,
        output=prices.output,
        window="",
        decided_by="start",
        source=row.rate.source,
        checked=row.rate.checked,
        valid_from=row.rate.valid_from,
        known_since=row.rate.known,
    )


def _found(catalog: Catalog, rates_id: str, now: datetime) -> tuple[RateRow, TokenPrices] | None:
    found = _ID.fullmatch(rates_id)
    if found is None:
        return None
    name, endpoint, basis, percent = found.groups()
    rows = catalog.rows(endpoint, now)
    names = names_of(rows)
    for row in rows:
        if names[id(row)] == name and row.fleet is not None:
            fleet = replace(row.fleet.fleet, least_utilisation=1)  # the id says it already
            return row, (fleet.marginal if basis == "marginal" else fleet.amortised)(int(percent))
    return None
