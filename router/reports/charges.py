"""Charges of lines of the ledger: each kind of token at its price, and what no price explains.

Amounts are integers in 1e-18 USD (a token at a rate in pico-dollars per million), so that nothing
is rounded before all is added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from router.catalog import Rates
from router.ledgers import Entry
from router.ledgers.entries import LEASE
from router.reports.periods import month_of
from router.reports.prices import RatesOf
from router.types import Usage

MILLION = 10**6
FEE = "Requests"


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
    `other`, what the ledger charged that no price row explains, of so many `others` lines.
    """

    meters: dict[tuple[str, int], int]
    calls: int = 0
    cost: int = 0
    other: int = 0
    others: int = 0

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
    entries: Iterable[Entry], rates_of: RatesOf, zone: ZoneInfo, *, hourly: bool = False
) -> tuple[dict[Group, Charges], int]:
    """Charges by group, in order, and how many calls have no known price and are in none.

    Answers out of the response cache and calls that were not charged are no charges.
    """
    groups: dict[Group, Charges] = {}
    before: dict[str, datetime] = {}
    unpriced = 0
    for entry in entries:
        if entry.kind in {"expire", "release"}:
            before[entry.reservation_id] = entry.at
        lease = entry.record.policy == LEASE
        if not entry.cost and (lease or entry.kind == "release" or entry.outcome == "cached"):
            continue
        if not (entry.cost or entry.rates_id):
            unpriced += entry.kind != "correct"
            continue
        rates = None if lease or entry.kind == "expire" else rates_of(entry)
        group = _group(entry, zone, before.get(entry.reservation_id), rates, hourly=hourly)
        charges = groups.setdefault(group, Charges({}))
        _add(charges, entry, rates, lease=lease)
    return {group: groups[group] for group in sorted(groups, key=_order)}, unpriced


def _add(charges: Charges, entry: Entry, rates: Rates | None, *, lease: bool) -> None:
    charges.calls += not lease and entry.kind != "correct"
    explained = 0
    if rates is not None:
        parts = list(parts_of(entry.usage, rates))
        explained = -(-sum(part.amount for part in parts) // MILLION)
        for part in parts:
            at = part.meter, part.rate
            charges.meters[at] = charges.meters.get(at, 0) + part.quantity
        charges.cost += explained
    if entry.cost != explained:
        charges.other += entry.cost - explained
        charges.others += 1


def _group(
    entry: Entry, zone: ZoneInfo, before: datetime | None, rates: Rates | None, *, hourly: bool
) -> Group:
    record = entry.record
    local = entry.at.astimezone(zone)
    # A correction within the month it corrects is none in the sense of FOCUS.
    late = before is None or month_of(before, zone) != month_of(entry.at, zone)
    return Group(
        start=_hour(entry.at) if hourly else local.date(),
        candidate=record.candidate,
        model=record.model,
        mode=record.mode,
        host=record.host,
        tags=tuple(sorted(record.tags.items())),
        rates_id=entry.rates_id if rates is not None else "",
        correction=entry.kind == "correct" and late,
        estimated=entry.estimated or entry.kind == "expire",
    )


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _order(group: Group) -> tuple[object, ...]:
    return (group.start.isoformat(), *group[1:])
