"""What past calls would have cost: at other prices, on another date, or at another host."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from router.bills.calls import History, Paid, read_history
from router.bills.rates import UNREAD, own_rates, tier_in
from router.bills.repriced import Group, Repriced, Row
from router.catalog import Catalog, Rates
from router.catalog.rates import aware
from router.errors import InvalidRequestError, RouterError
from router.pricing import cost
from router.reports.periods import When, check_year, span_of

__all__ = ["Group", "Repriced", "Row", "reprice"]

_FAR = timedelta(days=365_000)


def reprice(
    history: Any,
    catalog: Catalog | None = None,
    *,
    at: datetime | timedelta | None = None,
    known_at: datetime | None = None,
    candidate: str | None = None,
    host: str | None = None,
    since: When = None,
    until: When = None,
    tz: str = "UTC",
) -> Repriced:
    """What the calls of a ledger, client, path or entries would have cost otherwise.

    `at` an instant: all sent then; a span: each that much later, weekday and hour kept by whole
    weeks. `known_at` forgets what was announced later. `candidate`, or `host` for the same model
    there, takes tokens and cache hits as they were: another vocabulary or cache would differ.
    Without any of these the same prices are looked up again, which gives the ledger's own cost
    for every call whose usage was reported and whose price row this catalogue has, and for
    streams that were left: what was on its way and charged with them is priced too. A service
    tier is that of the ledger's price row. `since`, `until` and `tz` are those of reports.

    Raises:
        InvalidRequestError: an instant without an offset or out of the calendar, an empty span,
            both candidate and host, or an argument of another type.
        ConfigError, LedgerError: the ledger cannot be read.
    """
    catalog = Catalog.default() if catalog is None else catalog
    _check(catalog, candidate, host)
    where = _Elsewhere(catalog, _moment(at), _instant(known_at, "known_at"), candidate, host)
    start, end = span_of(since, until, tz)
    if isinstance(history, History) and (start, end) != (None, None):
        raise InvalidRequestError(
            "since, until: this history was read already; expected them in read_history(...), "
            "which can tell what of its held money is of the span",
            param="since",
        )
    found = read_history(history, since=start, until=end)
    rows = [_row(call, where) for call in found.calls if call.state != "released"]
    return Repriced(tuple(rows), found.cached, found.held, tz)


def _check(catalog: object, candidate: object, host: object) -> None:
    if not isinstance(catalog, Catalog):
        raise InvalidRequestError(
            f"catalog: expected a Catalog, such as Catalog.default().overlay(path); got "
            f"{type(catalog).__name__}",
            param="catalog",
        )
    if candidate is not None and host is not None:
        raise InvalidRequestError("expected a candidate or a host, got both", param="host")
    for name, word in (("candidate", candidate), ("host", host)):
        if word is not None and not (isinstance(word, str) and word):
            raise InvalidRequestError(f"{name}: expected a name, got {word!r}", param=name)


def _moment(at: object) -> datetime | timedelta | None:
    if not isinstance(at, timedelta):
        return _instant(at, "at", " or a timedelta")
    if abs(at) > _FAR:
        raise InvalidRequestError(
            f"at: expected a span of at most {_FAR.days:,} days, got {at}", param="at"
        )
    return at


def _instant(at: object, name: str, more: str = "") -> datetime | None:
    if at is None:
        return None
    if not isinstance(at, datetime):
        raise InvalidRequestError(
            f"{name}: expected a datetime with an offset{more}, got {type(at).__name__}",
            param=name,
        )
    check_year(at, name)
    return aware(at)


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """The other prices: `same` where they are the calls' own."""

    catalog: Catalog
    at: datetime | timedelta | None
    known_at: datetime | None
    candidate: str | None
    host: str | None

    @property
    def same(self) -> bool:
        """Whether the calls' own prices are looked up again."""
        return all(x is None for x in (self.at, self.known_at, self.candidate, self.host))

    def name(self, call: Paid) -> str:
        """The candidate or endpoint whose price is wanted."""
        return self.candidate or f"{call.model}@{self.host or call.host}"

    def rates(self, call: Paid) -> Rates | None:
        """The other price of a call.

        Raises:
            RouterError: the catalogue has no such endpoint.
        """
        if self.same:
            return own_rates(self.catalog, call)
        instant = self.at if isinstance(self.at, datetime) else call.ended
        if isinstance(self.at, timedelta):
            instant += self.at
        elsewhere = self.candidate is not None or self.host is not None
        return self.catalog.rates(
            self.name(call),
            instant,
            known_at=self.known_at,
            input_tokens=call.usage.input_tokens,
            service_tier="" if elsewhere else tier_in(call.rates_id),
        )


def _row(call: Paid, where: _Elsewhere) -> Row:
    old = None if call.unknown else call.cost
    untold = [] if old is not None else ["what it did cost is not known"]
    why = _unpriceable(call)
    if why:
        return Row(call=call, old=old, new=None, why="; ".join([why, *untold]))
    rates, why = _rates(call, where)
    if rates is None:
        return Row(call=call, old=old, new=None, why="; ".join([why, *untold]))
    usage, notes = call.usage, untold
    if call.state == "counted":
        own = own_rates(where.catalog, call)
        more = replace(usage, output_tokens=usage.output_tokens + UNREAD)
        if own is not None and cost(usage, own).pico != call.cost == cost(more, own).pico:
            usage = more
            notes = [f"with {UNREAD} output tokens that were on their way"]
    if where.same and old is not None and rates.id != call.rates_id:
        notes = [*notes, "the price row that billed it is not in this catalogue: another's price"]
    new = cost(usage, rates).pico
    return Row(call=call, old=old, new=new, rates_id=rates.id, why="; ".join(notes))


def _rates(call: Paid, where: _Elsewhere) -> tuple[Rates | None, str]:
    """The other price of a call; or why there is none."""
    try:
        return where.rates(call), "its price is not known there and then"
    except RouterError as error:
        if where.candidate is None:
            return None, f"{where.name(call)} is not in this catalogue"
        return None, str(error).split(";")[0]


def _unpriceable(call: Paid) -> str:
    """Why a call has no usage that could be priced; "" where it has."""
    if call.late:
        return "a correction of a line before this span"
    if call.state == "assumed":
        return "charged in full, without a usage"
    return ""
