"""What in a catalogue needs a look: stale rows, ending calendars, retirements, missing prices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from router.catalog.catalog import Catalog
from router.catalog.fleet_rows import FleetRow, UtilisationRow
from router.catalog.load import Entry
from router.catalog.missing import gone
from router.catalog.rates import aware, stamp
from router.catalog.schema import (
    Cache,
    Calendar,
    Endpoint,
    Exchange,
    Host,
    Model,
    Rate,
    Schedule,
    row_key,
)
from router.errors import RetiredModelError, UnknownHostError, UnknownModelError

Kind = Literal["stale", "calendar", "retiring", "retired", "unpriced", "alias", "withdrawn"]


_DAY = timedelta(days=1)
_DATED = Rate | Exchange | FleetRow | UtilisationRow


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at: the row or endpoint, what about it, and where it was written."""

    kind: Kind
    name: str
    says: str
    file: str | None = None
    line: int | None = None


def check(
    catalog: Catalog, at: datetime, *, days: int = 60, today: date | None = None
) -> tuple[Finding, ...]:
    """Everything to look at, as of `at`; `days` is how long a check lasts, and how far to look
    ahead. Rows that no longer count for anything are left alone. `at` may be another time than
    now: `today` says when that is.

    - stale: checked more than `days` ago, or after `today`, which cannot be
    - calendar: a list of holidays that ends within `days`, or has ended
    - retiring, retired: an endpoint that ends within `days`; one that ended without a successor
    - unpriced: a live candidate whose price is not known
    - alias: a successor that is not there, or that leads back
    - withdrawn: a price called off after it came into force; until then it was charged
    """
    now = aware(at)
    soon = now + timedelta(days=days)
    live = _Live(catalog, now)
    return (
        *_stale(live, now.date() - timedelta(days=days), today),
        *_calendars(live, now, soon),
        *_retirements(live, now, soon),
        *_unpriced(catalog, now),
        *_successors(live, catalog, now),
        *_withdrawn(live),
    )


class _Live:
    """The rows that count now or later, with where they were written."""

    def __init__(self, catalog: Catalog, now: datetime) -> None:
        latest = {(e.table, row_key(e.row)): e for e in catalog.entries}
        self.rates = [e for e in catalog.entries if isinstance(e.row, Rate)]
        fleets = {id(row.fleet) for row in catalog.fleets(now).values()}
        self.endpoints = [e for e in latest.values() if isinstance(e.row, Endpoint)]
        served = {
            e.row.name: e.row
            for e in self.endpoints
            if e.row.retires_at is None or e.row.retires_at > now
        }
        priced = [row for name in served for row in _ahead(catalog, name, now)]
        schedules = {row.schedule for row in priced}
        self._rows: set[int] = {id(row) for row in priced}
        names: dict[type, set[Any]] = {
            Host: {row.host for row in served.values()},
            Model: {row.model for row in served.values()},
            Endpoint: set(served),
            Cache: {row.cache or catalog.hosts[row.host].cache for row in served.values()},
            Schedule: schedules,
            Calendar: {
                e.row.calendar
                for e in latest.values()
                if isinstance(e.row, Schedule) and e.row.name in schedules
            },
        }
        exchange = _exchange_ahead(catalog, {row.currency for row in priced}, now)
        self.entries = [
            e
            for e in latest.values()
            if id(e.row) in self._rows
            or id(e.row) in fleets
            or e.row in exchange
            or (not isinstance(e.row, _DATED) and e.row.name in names[type(e.row)])
        ]


def _ahead(catalog: Catalog, endpoint: str, now: datetime) -> Iterator[Rate]:
    """The price row in force and those announced."""
    rows = [row.rate for row in catalog.rows(endpoint, now) if row.rate.withdrawn is None]
    in_force = [r for r in rows if r.valid_from <= now and not (r.valid_to and r.valid_to <= now)]
    yield from in_force[-1:]
    yield from (r for r in rows if r.valid_from > now)


def _exchange_ahead(catalog: Catalog, currencies: set[str], now: datetime) -> list[Exchange]:
    rows = [e.row for e in catalog.entries if isinstance(e.row, Exchange)]
    found = [r for r in rows if r.currency in currencies and r.valid_from > now]
    for currency in currencies:
        past = [r for r in rows if r.currency == currency and r.valid_from <= now]
        found += sorted(past, key=lambda r: r.valid_from)[-1:]
    return found


def _finding(kind: Kind, entry: Entry, says: str) -> Finding:
    row, name = entry.row, row_key(entry.row)
    if isinstance(row, _DATED):
        of = row.currency if isinstance(row, Exchange) else row.endpoint
        name = f"{of}/{stamp(row.valid_from)}"
    return Finding(kind, name, says, entry.file, entry.line)


def _stale(live: _Live, since: date, today: date | None) -> Iterator[Finding]:
    for entry in live.entries:
        checked, source = entry.row.checked, entry.row.source or "its source"
        if checked is not None and today is not None and checked > today + _DAY:  # of any zone
            says = f"[[{entry.table}]] last checked on {checked}, a day that is yet to come"
            yield _finding("stale", entry, f"{says}: compare with {source} and mend the date")
        elif checked is not None and checked < since:
            says = f"[[{entry.table}]] last checked on {checked}: compare with {source}"
            yield _finding("stale", entry, says)


def _calendars(live: _Live, now: datetime, soon: datetime) -> Iterator[Finding]:
    for entry in live.entries:
        if not isinstance(entry.row, Calendar):
            continue
        last = entry.row.until or max(entry.row.days, default=None)
        if last is not None and last < soon.date():
            verb = "ended" if last < now.date() else "ends"
            says = f"{verb} on {last}; later holidays count as ordinary days until it is extended"
            yield _finding("calendar", entry, says)


def _retirements(live: _Live, now: datetime, soon: datetime) -> Iterator[Finding]:
    for entry in live.endpoints:
        ends, successor = entry.row.retires_at, entry.row.successor
        if ends is None:
            continue
        if now < ends <= soon:
            use = f"use {successor} from then on" if successor else "name a successor"
            yield _finding("retiring", entry, f"retires at {stamp(ends)}; {use}")
        elif ends <= now and successor is None:
            yield _finding("retired", entry, f"retired at {stamp(ends)}: name a successor")


def _unpriced(catalog: Catalog, now: datetime) -> Iterator[Finding]:
    notes = {
        line.candidate.endpoint: line.note
        for line in catalog.describe(now)
        if line.rates is None and not gone(line.candidate, now)
    }
    yield from (Finding("unpriced", name, note) for name, note in notes.items())


def _successors(live: _Live, catalog: Catalog, now: datetime) -> Iterator[Finding]:
    for entry in live.endpoints:
        path: list[str] = [entry.row.name]
        name = entry.row.successor
        while name is not None:
            if name in path:
                yield _finding("alias", entry, f"successors go round: {' > '.join([*path, name])}")
                break
            path.append(name)
            try:
                catalog.find(name, at=now)
            except RetiredModelError as error:
                name = error.successor
            except (UnknownModelError, UnknownHostError) as error:
                yield _finding("alias", entry, f"successor: {error}")
                break
            else:
                break


def _withdrawn(live: _Live) -> Iterator[Finding]:
    for entry in live.rates:
        rate = entry.row
        if rate.withdrawn is not None and rate.withdrawn > rate.valid_from:
            yield _finding(
                "withdrawn",
                entry,
                f"in force from {stamp(rate.valid_from)} until it was withdrawn at "
                f"{stamp(rate.withdrawn)}, and never counted: write valid_to instead",
            )
