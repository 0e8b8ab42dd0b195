"""What differs between two catalogues, or one catalogue at two instants: rows and prices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal, TypeAlias

from router.catalog.catalog import Catalog
from router.catalog.fleet_rows import FleetRow
from router.catalog.load import Entry
from router.catalog.rates import Rates, stamp
from router.catalog.schema import Prices, Rate, row_key

_KINDS = ("input", "cache_read", "cache_write", "cache_write_1h", "output")
_TERMS = ("valid_to", "withdrawn", "schedule", "currency")
_Amounts: TypeAlias = Mapping[str, int]
_Found: TypeAlias = tuple[str, _Amounts | None, _Amounts | None, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Change:
    """A price row, or an endpoint's price, that is new, gone or different.

    `before` and `after` map a kind of price ("input", "peak.output") to 1e-12 units of its
    currency per million tokens; `terms` says what else differs.
    """

    what: Literal["added", "removed", "changed"]
    name: str
    before: _Amounts = field(default_factory=dict)
    after: _Amounts = field(default_factory=dict)
    terms: tuple[str, ...] = ()

    def percent(self, kind: str) -> Decimal | None:
        """How much dearer `after` is, in percent; None where there is nothing to compare with."""
        old, new = self.before.get(kind), self.after.get(kind)
        if not old or new is None:
            return None
        return (Decimal(new) / Decimal(old) - 1) * 100


def diff_prices(
    before: Catalog, at: datetime, after: Catalog, then: datetime, name: str = ""
) -> tuple[Change, ...]:
    """Endpoints whose price in `before` at `at` is another one in `after` at `then`.

    An endpoint counts as added or removed where its price becomes known or unknown; `terms` say
    which hours a price is for where they differ, and whether the endpoint has retired.
    """
    old, new = ({e.name: e for e in catalog.endpoints} for catalog in (before, after))

    def found(endpoint: str) -> _Found:
        was = before.rates(endpoint, at) if endpoint in old else None
        is_ = after.rates(endpoint, then) if endpoint in new else None
        ends = new[endpoint].retires_at if endpoint in new else None
        terms = tuple(_hours(was, is_))
        if is_ is None and ends is not None and ends <= then:
            terms = (f"retired at {stamp(ends)}",)
        quoted = [None if rates is None else _quoted(rates) for rates in (was, is_)]
        return endpoint, quoted[0], quoted[1], terms

    return tuple(_changes(found(e) for e in sorted({*old, *new}) if name in e))


def diff_rows(
    before: Iterable[Entry], after: Iterable[Entry], name: str = ""
) -> tuple[Change, ...]:
    """Price rows of endpoints with `name` in their name that were added, removed or changed."""
    old, new = _rates(before, name), _rates(after, name)
    return tuple(
        _changes(
            (
                key,
                _flat(old[key]) if key in old else None,
                _flat(new[key]) if key in new else None,
                tuple(_terms(old[key], new[key])) if key in old and key in new else (),
            )
            for key in sorted({*old, *new})
        )
    )


def _changes(found: Iterable[_Found]) -> Iterator[Change]:
    for name, before, after, terms in found:
        if before is None and after is not None:
            yield Change("added", name, {}, after, terms)
        elif before is not None and after is None:
            yield Change("removed", name, before, {}, terms)
        elif before is not None and after is not None and (before != after or terms):
            yield Change("changed", name, before, after, terms)


def _hours(before: Rates | None, after: Rates | None) -> Iterator[str]:
    if after is not None and after.window != (before.window if before else ""):
        was = f"{before.window or 'any hour'} -> " if before else ""
        yield f"hours: {was}{after.window or 'any hour'}"


def _quoted(rates: Rates) -> _Amounts:
    found = _kinds(rates, rates.per_request)
    # Writing costs what the fresh input costs, nearly everywhere: said only where it differs.
    return {
        kind: amount
        for kind, amount in found.items()
        if not (kind == "cache_write_1h" and amount == rates.cache_write)
        and not (kind == "cache_write" and amount == rates.input)
    }


def _kinds(prices: Rates | Prices | Rate, per_request: int, prefix: str = "") -> dict[str, int]:
    amounts = {kind: getattr(prices, kind) for kind in _KINDS}
    found = {prefix + kind: amount for kind, amount in amounts.items() if amount is not None}
    return found | ({"per_request": per_request} if per_request else {})


def _flat(rate: Rate) -> dict[str, int]:
    found = _kinds(rate, rate.per_request)
    for name in ("batch", "flex", "priority", "peak", "off_peak"):
        prices = getattr(rate, name)
        if prices is not None:
            found |= _kinds(prices, 0, f"{name}.")
            for tier in getattr(prices, "tiers", ()):
                found |= _kinds(tier, 0, f"{name}.>{tier.above_input_tokens}.")
    for tier in rate.tiers:
        found |= _kinds(tier, 0, f">{tier.above_input_tokens}.")
    return found


def _rates(entries: Iterable[Entry], name: str) -> dict[str, Rate]:
    found: dict[str, Rate] = {}
    for entry in entries:
        row = entry.row
        if isinstance(row, FleetRow):  # its price as long as nothing is measured
            row = row.rate(row.utilisation)
        if isinstance(row, Rate) and name in row.endpoint:
            found[row_key(row)] = row
    return found


def _terms(before: Rate, after: Rate) -> Iterator[str]:
    for term in _TERMS:
        old, new = getattr(before, term), getattr(after, term)
        if old != new:
            yield f"{term}: {old or 'none'} -> {new or 'none'}"
