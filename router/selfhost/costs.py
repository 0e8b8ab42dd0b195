"""What a fleet cost over a span of the ledger: rent, what the calls took of it, what was idle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from math import ceil

from router.catalog import Catalog
from router.catalog.fleet import Fleet, Flow
from router.errors import InvalidRequestError
from router.ledgers import Entry
from router.ledgers.entries import LEASE
from router.money import to_usd

_HOUR = timedelta(hours=1)
_MILLION = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetCosts:
    """A fleet from `since` to `until`: calls and tokens served, and USD in pico-dollars.

    `rent` is what was paid for all its GPUs, `idle` the part of that in which they served none of
    these tokens, `marginal` the GPU time that the calls added, at the load of their hour, and
    `charged` what the ledger billed for them. `utilisation` is a part of capacity; of a fleet that
    changed, the part of the rent that was used.
    """

    endpoint: str
    since: datetime
    until: datetime
    requests: int
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    utilisation: Fraction
    rent: int
    marginal: int
    idle: int
    charged: int

    @property
    def tokens(self) -> int:
        """All tokens served."""
        return self.input_tokens + self.output_tokens

    def per_million(self, pico: int) -> Decimal | None:
        """USD per million tokens, input and output alike, of an amount; None without tokens."""
        return to_usd(ceil(Fraction(pico * _MILLION, self.tokens))) if self.tokens else None


def fleets_costs(
    entries: Iterable[Entry],
    catalog: Catalog,
    since: datetime,
    until: datetime,
    now: datetime | None = None,
) -> tuple[FleetCosts, ...]:
    """What each fleet of the catalogue cost, by its rows as they were in force one after another.

    While none is in force for an endpoint nothing is rented, and its calls are not counted; after
    `now` nothing is paid yet.

    Raises:
        InvalidRequestError: `until` is not after `since`, where `now` is not before it.
    """
    if now is not None:
        if since >= now:
            return ()
        if until > now:
            entries, until = _by_now(entries, until, now), now
    _check(since, until)
    calls = list(entries)
    endpoints = dict.fromkeys(e.row.endpoint for e in catalog.entries if e.table == "fleet")
    found = []
    for endpoint in endpoints:
        spans = _spans(catalog, endpoint, since, until)
        costs = [fleet_costs(calls, *span, endpoint=endpoint) for span in spans]
        if costs:
            found.append(_sum(costs))
    return tuple(found)


def _by_now(entries: Iterable[Entry], until: datetime, now: datetime) -> Iterator[Entry]:
    """Calls, at the last instant before `now` where another machine's clock is ahead of ours."""
    last = now - timedelta.resolution
    return (e if e.at < now else replace(e, at=last) for e in entries if e.at < until)


def _spans(
    catalog: Catalog, endpoint: str, since: datetime, until: datetime
) -> list[tuple[Fleet, datetime, datetime]]:
    """The fleets of an endpoint, each from when to before when it was in force."""
    rows = catalog.rows(endpoint, until)
    changes = {at for row in rows for at in (row.rate.valid_from, row.rate.valid_to) if at}
    cuts = [since, *sorted(at for at in changes if since < at < until), until]
    found: list[tuple[Fleet, datetime, datetime]] = []
    for start, end in pairwise(cuts):
        row = catalog.counts(endpoint, start)
        if row is None or row.fleet is None:
            continue
        fleet = row.fleet.fleet
        same = found and found[-1][0] == fleet and found[-1][2] == start
        found.append((fleet, found.pop()[1] if same else start, end))
    return found


def _sum(costs: Sequence[FleetCosts]) -> FleetCosts:
    rent = sum(c.rent for c in costs)
    return FleetCosts(
        endpoint=costs[0].endpoint,
        since=costs[0].since,
        until=costs[-1].until,
        requests=sum(c.requests for c in costs),
        input_tokens=sum(c.input_tokens for c in costs),
        cache_read_tokens=sum(c.cache_read_tokens for c in costs),
        output_tokens=sum(c.output_tokens for c in costs),
        utilisation=sum((c.utilisation * c.rent for c in costs), Fraction(0)) / rent,
        rent=rent,
        marginal=sum(c.marginal for c in costs),
        idle=sum(c.idle for c in costs),
        charged=sum(c.charged for c in costs),
    )


def fleet_costs(
    entries: Iterable[Entry], fleet: Fleet, since: datetime, until: datetime, *, endpoint: str
) -> FleetCosts:
    """What the ledger's calls to this endpoint took of its fleet, from `since` to before `until`.

    Answers out of the response cache are not counted: no GPU served them. A call counts in the
    hour in which it ended; corrections count like calls.

    Raises:
        InvalidRequestError: `until` is not after `since`.
    """
    _check(since, until)
    hours: dict[int, list[int]] = {}
    requests = charged = 0
    for entry in entries:
        record = entry.record
        ours = f"{record.model}@{record.host}" == endpoint and since <= entry.at < until
        if not ours or record.policy == LEASE or entry.outcome == "cached":
            continue
        charged += entry.cost
        requests += entry.kind in {"settle", "expire"}
        served = hours.setdefault((entry.at - since) // _HOUR, [0, 0, 0])
        served[0] += entry.usage.input_tokens
        served[1] += entry.usage.cache_read_tokens
        served[2] += entry.usage.output_tokens
    read, cached, written = (sum(kind) for kind in zip([0, 0, 0], *hours.values(), strict=True))
    seconds = _seconds(until - since)
    whole = Flow(input_tokens=read, cache_read_tokens=cached, output_tokens=written)
    used = fleet.work(whole) / (fleet.capacity * fleet.replicas * seconds)
    rent = ceil(fleet.rent * seconds / 3600)
    return FleetCosts(
        endpoint=endpoint,
        since=since,
        until=until,
        requests=requests,
        input_tokens=read,
        cache_read_tokens=cached,
        output_tokens=written,
        utilisation=used,
        rent=rent,
        marginal=sum(
            _marginal(fleet, served, min(_HOUR, until - since - hour * _HOUR))
            for hour, served in hours.items()
        ),
        idle=int(rent * max(1 - used, Fraction(0))),
        charged=charged,
    )


def _marginal(fleet: Fleet, served: list[int], span: timedelta) -> int:
    """Pico-dollars for the GPU time that an hour's tokens added, at that hour's load."""
    read, cached, written = served
    seconds = _seconds(span)
    flow = Flow(
        input_tokens=read / seconds,
        cache_read_tokens=cached / seconds,
        output_tokens=written / seconds,
    )
    bare = replace(fleet, least_utilisation=1)  # the least is of what is charged
    price = bare.marginal(bare.step(bare.utilisation(flow)))
    total = (read - cached) * price.input + cached * price.cache_read + written * price.output
    return -(-total // _MILLION)


def _check(since: datetime, until: datetime) -> None:
    if until <= since:
        raise InvalidRequestError(
            f"expected until after since ({since.isoformat()}), got {until.isoformat()}",
            param="until",
        )


def _seconds(span: timedelta) -> Fraction:
    return Fraction(span // timedelta(microseconds=1), _MILLION)
