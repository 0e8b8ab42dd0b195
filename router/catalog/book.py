"""Entries of all layers merged into one consistent set of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from router.catalog.caches import Cache
from router.catalog.candidate import SELF_HOSTED
from router.catalog.fleet_rows import FleetRow, UtilisationRow
from router.catalog.load import Entry
from router.catalog.rates import ExchangeRow, RateRow
from router.catalog.schema import Calendar, Endpoint, Exchange, Host, Model, Rate, Schedule
from router.catalog.windows import NO_HOLIDAYS, holidays_installed


@dataclass(frozen=True, slots=True)
class Book:
    """Rows by name; a later layer's row has replaced an earlier one of the same name.

    Rate rows are all kept, by endpoint, and exchange rows by currency: which one counts is
    decided per instant.
    """

    hosts: dict[str, Host] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    calendars: dict[str, Calendar] = field(default_factory=dict)
    caches: dict[str, Cache] = field(default_factory=dict)
    rates: dict[str, list[RateRow]] = field(default_factory=dict)
    exchange: dict[str, list[ExchangeRow]] = field(default_factory=dict)


def merge(entries: Sequence[Entry]) -> Book:
    """One book of these entries, later ones over earlier ones.

    Raises:
        CatalogError: a row names a host, model, mode, schedule or calendar that is not there, or
            an endpoint claims what its model cannot do, or the holidays of a country are wanted
            and the package for them is not there. Points at the row.
    """
    book = Book()
    latest: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        row = entry.row
        if isinstance(row, FleetRow | UtilisationRow):
            continue
        if isinstance(row, Rate):
            book.rates.setdefault(row.endpoint, []).append(RateRow(row, entry.layer))
            continue
        if isinstance(row, Exchange):
            book.exchange.setdefault(row.currency, []).append(ExchangeRow(row, entry.layer))
            continue
        latest[entry.table, row.name] = entry
        if isinstance(row, Host):
            book.hosts[row.name] = row
        elif isinstance(row, Model):
            book.models[row.name] = row
        elif isinstance(row, Endpoint):
            book.endpoints[row.name] = row
        elif isinstance(row, Schedule):
            book.schedules[row.name] = row
        elif isinstance(row, Calendar):
            book.calendars[row.name] = row
        elif isinstance(row, Cache):
            book.caches[row.name] = row
    for entry in latest.values():
        if isinstance(entry.row, Endpoint):
            _check_endpoint(entry, entry.row, book)
        elif isinstance(entry.row, Host) and entry.row.cache is not None:
            _known(entry, "cache", entry.row.cache, book.caches)
        elif isinstance(entry.row, Schedule) and entry.row.calendar:
            _known(entry, "calendar", entry.row.calendar, book.calendars)
        elif isinstance(entry.row, Calendar) and entry.row.country and not holidays_installed():
            raise entry.error(NO_HOLIDAYS.format(country=entry.row.country), "country")
    for entry in entries:
        if isinstance(entry.row, Rate):
            _check_rated(entry, entry.row.endpoint, book)
            if entry.row.schedule:
                _known(entry, "schedule", entry.row.schedule, book.schedules)
    _add_fleets(entries, book)
    return book


def _add_fleets(entries: Sequence[Entry], book: Book) -> None:
    """The rate rows that fleets stand for; what was measured in a layer below is not theirs."""
    measured = [entry for entry in entries if isinstance(entry.row, UtilisationRow)]
    fleets = {entry.row.endpoint: entry for entry in entries if isinstance(entry.row, FleetRow)}
    for entry in entries:
        row = entry.row
        if isinstance(row, UtilisationRow):
            _known(entry, "fleet", row.endpoint, fleets)
        if not isinstance(row, FleetRow):
            continue
        _known(entry, "endpoint", row.endpoint, book.endpoints)
        endpoint = book.endpoints[row.endpoint]
        own = endpoint.self_hosted
        if not (book.hosts[endpoint.host].self_hosted if own is None else own):
            raise entry.error("expected an endpoint of your own, self_hosted = true", "endpoint")
        steps = row.steps(
            e.row for e in measured if e.row.endpoint == row.endpoint and e.layer >= entry.layer
        )
        rates = book.rates.setdefault(row.endpoint, [])
        rates.append(RateRow(row.rate(row.utilisation), entry.layer, row, steps))


def _check_endpoint(entry: Entry, row: Endpoint, book: Book) -> None:
    _known(entry, "host", row.host, book.hosts)
    _known(entry, "model", row.model, book.models)
    if row.cache is not None:
        _known(entry, "cache", row.cache, book.caches)
    model = book.models[row.model]
    for mode in (*(row.modes or ()), *row.options):
        if mode not in model.modes:
            raise entry.error(f"expected a mode of its model ({', '.join(model.modes)})", mode)
    for ability, offered, able in (
        ("tools", row.tools, model.tools),
        ("json_mode", row.json_mode, model.json_mode),
    ):
        if offered and not able:
            raise entry.error(f"expected false: the model {model.name} has no {ability}", ability)


def _check_rated(entry: Entry, endpoint: str, book: Book) -> None:
    """A price needs its endpoint, but at one's own server, which is asked later what it serves."""
    host = book.hosts.get(endpoint.rpartition("@")[2])
    if host is None or host.kind not in SELF_HOSTED:
        _known(entry, "endpoint", endpoint, book.endpoints)


def _known(entry: Entry, key: str, name: str, rows: Mapping[str, object]) -> None:
    if name not in rows:
        shown = ", ".join(sorted(rows)[:12]) or "none"
        raise entry.error(f"expected the name of a [[{key}]] row ({shown} ...), got {name!r}", key)
