"""What to know beside the findings of a bill: what was left out, guessed, stale or is missing."""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from router.bills.calls import History, Paid, read_history
from router.bills.case import Case
from router.bills.lines import BillLine, Invoice
from router.bills.naming import Names
from router.catalog import Catalog
from router.catalog.check import check
from router.catalog.rates import aware

_DAY = timedelta(days=1)


def notes_of(
    bill: Invoice, cases: Sequence[Case], found: History, names: Names, unnamed: Sequence[BillLine]
) -> Iterator[str]:
    """Notes of the bill's own lines and of the ledger's; `unnamed` are lines without a model."""
    yield from bill.notes
    for word, name in sorted(names.guessed.items()):
        yield f"{word!r} on the bill is taken for {name}; if it is another, say so with models="
    for word in sorted(names.unused):
        yield f"models: the bill has no word {word!r}"
    if unnamed:
        yield (
            f"{len(unnamed)} lines name no model, not compared: {_usd_of(unnamed):.2f} USD; where "
            "they are of one, say so with models={'': ...}"
        )
    for nature in ("tax", "credit", "other"):
        amount = bill.amount(nature)
        if amount:
            yield f"{nature} on the bill, not compared: {amount:.2f} USD"
    if bill.repeated:
        yield f"{len(bill.repeated)} lines repeat others"
    if found.held:
        held = Decimal(found.held) / 10**12
        yield f"{held:.4f} USD of the ledger were held by processes: of no call"
    for case in cases:
        if case.edited:
            yield (
                f"{case.endpoint}: {case.edited:,} calls were charged by prices that the "
                "catalogue no longer has; ours is what was charged"
            )


def of_other_hosts(lines: Sequence[BillLine], host: str) -> Iterator[str]:
    """What a file of several hosts has of others."""
    others = [line for line in lines if line.host and line.host != host]
    if others:
        hosts = ", ".join(sorted({line.host for line in others}))
        yield f"{len(others)} lines of other hosts ({hosts}), left out: {_usd_of(others):.2f} USD"


def stale_prices(catalog: Catalog, cases: Sequence[Case], at: datetime | None) -> Iterator[str]:
    """Rows of the catalogue that were not checked for long, as of `at` or the last call."""
    used = {case.endpoint for case in cases}
    now = (
        aware(at)
        if at is not None
        else max((c.call.ended for case in cases for _, c in case.calls), default=None)
    )
    for finding in () if now is None else check(catalog, now):
        if finding.kind in {"stale", "withdrawn", "calendar"}:
            name = finding.name.partition("/")[0]
            if name in used or finding.kind == "calendar":
                yield f"catalogue: {finding.name}: {finding.says}"


def outside(
    history: Any, host: str, days: Sequence[date], zone: tzinfo, *, before: bool, after: bool
) -> Iterator[str]:
    """Calls of the bill's own months that lie before or after its days: a bill may be cut short.
    Of months that it does not touch nothing is said: they are on other bills.
    """
    first, last = days[0], days[-1]
    month_end = last.replace(day=calendar.monthrange(last.year, last.month)[1])
    spans = []
    if before and first.day > 1:
        spans.append((first.replace(day=1), first))
    if after and last < month_end:
        spans.append((last + _DAY, month_end + _DAY))
    calls: list[Paid] = []
    for start, end in spans:
        since, until = (datetime.combine(day, time(), zone) for day in (start, end))
        found = read_history(history, since=since, until=until).calls
        calls += [
            c
            for c in found
            if c.host == host and since <= c.ended < until and not c.late and c.state != "released"
        ]
    if calls:
        cost = Decimal(sum(c.cost for c in calls)) / 10**12
        unpriced = sum(c.unknown for c in calls)
        beside = f", and {unpriced:,} of them without a known price" if unpriced else ""
        yield (
            f"the bill's days are {first} to {last}: {len(calls):,} calls of the ledger in the "
            f"same months, {cost:.4f} USD{beside}, lie outside and were not compared"
        )


def _usd_of(lines: Iterable[BillLine]) -> Decimal:
    return Decimal(sum(line.amount or 0 for line in lines)) / 10**18
