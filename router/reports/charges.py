"""Charges of lines of the ledger: each kind of token at its price, and what no price explains.

Amounts are integers in 1e-18 USD (a token at a rate in pico-dollars per million), so that nothing
is rounded before all is added up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from router.catalog import Rates
from router.ledgers import Entry
from router.ledgers.entries import LEASE
from router.reports.keys import unpriced
from router.reports.periods import hour_of, month_of
from router.reports.prices import RatesOf, billed
from router.types import Usage

MILLION = 10**6
FEE = "Requests"
_ENDS = frozenset({"expire", "release"})


class Part(NamedTuple):
    """One meter of a call: so many tokens, or one request, at so many pico-dollars a million.

    A fee of a request is scaled alike: a millionth of what a million of them cost.
    """

    meter: str
    quantity: int
    rate: int

    @property
    def amount(self) -> int:
        """Its product, in 1e-18 USD."""
        return self.quantity * self.rate


class Group(NamedTuple):
    """What charges are summed by: a day or hour, who served, whose call, how it was priced."""

    start: date | datetime
    candidate: str
    model: str
    mode: str
    host: str
    tags: tuple[tuple[str, str], ...]
    rates_id: str
    correction: bool
    estimated: bool


@dataclass(slots=True)
class Charges:
    """The charges of one group: quantities and rates by meter, their cost (pico-dollars), and
    `others`, what the ledger charged that no price row explains, by why that is so.
    """

    meters: dict[tuple[str, int], int]
    cost: int = 0
    others: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All that was charged, in pico-dollars."""
        return self.cost + self.others.total()

    def billed(self) -> list[tuple[Part, int]]:
        """Each meter with its part of the cost in pico-dollars; they add up to `cost` exactly.

        A request is rounded up once, so its cost is a little more than its parts: what is over
        goes to the dearest meter, and of equals to the first.
        """
        parts = [Part(m, n, r) for (m, r), n in sorted(self.meters.items()) if n]
        if not parts:
            return []
        shares = [part.amount // MILLION for part in parts]
        dearest = max(range(len(parts)), key=lambda i: (parts[i].amount, -i))
        shares[dearest] += self.cost - sum(shares)
        return list(zip(parts, shares, strict=True))


def parts_of(usage: Usage, rates: Rates) -> Iterator[Part]:
    """What a call is billed for at these rates."""
    hour = usage.cache_write_1h_tokens
    plain = usage.input_tokens - usage.cache_read_tokens - usage.cache_write_tokens
    yield Part("Input", plain, rates.input)
    yield Part("Cached Input", usage.cache_read_tokens, rates.cache_read)
    yield Part("Cache Write", usage.cache_write_tokens - hour, rates.cache_write)
    yield Part("Cache Write 1h", hour, rates.cache_write_1h)
    yield Part("Output", usage.output_tokens, rates.output)
    if rates.per_request:
        yield Part(FEE, 1, rates.per_request * MILLION)


def charges_of(
    entries: Iterable[Entry],
    rates_of: RatesOf,
    zone: ZoneInfo,
    *,
    hourly: bool = False,
    earlier: Iterable[Entry] = (),
) -> tuple[dict[Group, Charges], int, int]:
    """Charges by group, in order; how many calls have no known price and are in none; and how
    many were billed by a price row that is not known.

    Answers out of the response cache and calls that were not charged are no charges. `earlier`
    are lines before these, which corrections among these may be of.
    """
    groups: dict[Group, Charges] = {}
    before = {e.reservation_id: e.at for e in earlier if e.kind in _ENDS}
    without_price = unlisted = 0
    for entry in entries:
        if entry.kind in _ENDS:
            before[entry.reservation_id] = entry.at
        without_price += unpriced(entry)
        lease = entry.record.policy == LEASE
        if not entry.cost and (
            lease or entry.kind == "release" or entry.outcome == "cached" or not entry.rates_id
        ):
            continue
        assumed = lease or entry.kind == "expire" or not entry.rates_id
        rates = None if assumed else rates_of(entry)
        group = _group(
            entry,
            zone,
            before.get(entry.reservation_id),
            "" if assumed else entry.rates_id,
            hourly=hourly,
        )
        unlisted += rates is None and billed(entry)
        _add(groups.setdefault(group, Charges({})), entry, rates)
    return {group: groups[group] for group in sorted(groups, key=_order)}, without_price, unlisted


def _add(charges: Charges, entry: Entry, rates: Rates | None) -> None:
    explained = 0
    if rates is not None:
        parts = list(parts_of(entry.usage, rates))
        explained = -(-sum(part.amount for part in parts) // MILLION)
        for part in parts:
            at = part.meter, part.rate
            charges.meters[at] = charges.meters.get(at, 0) + part.quantity
        charges.cost += explained
    if entry.cost != explained:
        charges.others[_why(entry, rates)] += entry.cost - explained


def _why(entry: Entry, rates: Rates | None) -> str:
    """Why no price row explains what a line charges."""
    if entry.record.policy == LEASE:
        return "held by a process that never accounted for it"
    if entry.kind == "expire":
        return "a lost call, charged as reserved"
    if entry.kind == "correct" and (rates is not None or not entry.rates_id):
        return "what was charged for a lost call, returned"
    if rates is None and entry.rates_id:
        return f"billed by price row {entry.rates_id}, which is not in this catalogue"
    return "charged without a price row that explains it"


def _group(
    entry: Entry, zone: ZoneInfo, before: datetime | None, rates_id: str, *, hourly: bool
) -> Group:
    record = entry.record
    # A correction within the month it corrects is none in the sense of FOCUS.
    late = before is None or month_of(before, zone) != month_of(entry.at, zone)
    return Group(
        # An hour of the zone's clock: UTC's would be in two months where the zone's begin at :30.
        start=hour_of(entry.at, zone)[0] if hourly else entry.at.astimezone(zone).date(),
        candidate=record.candidate,
        model=record.model,
        mode=record.mode,
        host=record.host,
        tags=tuple(sorted(record.tags.items())),
        rates_id=rates_id,
        correction=entry.kind == "correct" and late,
        estimated=entry.estimated or entry.kind == "expire",
    )


def _order(group: Group) -> tuple[object, ...]:
    return (group.start.isoformat(), *group[1:])
