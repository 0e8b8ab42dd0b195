"""What past calls would have cost: at other prices, on another date, or at another host."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from router.bills.calls import Paid, read_history
from router.bills.rates import UNREAD, own_rates, tier_in
from router.catalog import Catalog, Rates
from router.catalog.rates import aware
from router.errors import InvalidRequestError, RouterError
from router.money import to_usd
from router.pricing import cost
from router.reports.table import Table

_GROUPS = ("model", "host", "candidate", "endpoint", "outcome", "day", "month", "rates_id", "why")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One call: what it cost and what it would have, in pico-dollars.

    `new` is None where it cannot be priced, and `why` says so, or what was charged beside its
    usage; `rates_id` is the new price row.
    """

    call: Paid
    old: int
    new: int | None
    rates_id: str = ""
    why: str = ""

    @property
    def difference(self) -> int | None:
        """New less old, in pico-dollars; None where the new cost is not known."""
        return None if self.new is None else self.new - self.old

    def key(self, by: str) -> str:
        """The value of a column to group by."""
        if by in {"day", "month"}:
            return f"{self.call.ended:%Y-%m-%d}" if by == "day" else f"{self.call.ended:%Y-%m}"
        if by in {"rates_id", "why"}:
            return str(getattr(self, by))
        return str(getattr(self.call, by))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Calls with the same values of the columns grouped by; sums in pico-dollars, exact.

    `old` and `new` are of the calls that have a new price; `left_out` is what the other
    `unpriced` calls did cost.
    """

    group: tuple[str, ...]
    requests: int
    old: int
    new: int
    unpriced: int
    left_out: int

    @property
    def difference(self) -> int:
        """New less old."""
        return self.new - self.old


@dataclass(frozen=True, slots=True, repr=False)
class Repriced(Table):
    """The calls of a history with their old and new costs. Iterates as mappings in USD.

    Released attempts and answers out of the response cache cost nothing anywhere and are left
    out; `held` is money (pico-dollars) of the ledger that belongs to no call.
    """

    rows: tuple[Row, ...]
    cached: int = 0
    held: int = 0

    @property
    def total(self) -> Group:
        """All of it."""
        return _sum((), self.rows)

    def by(self, *columns: str) -> list[Group]:
        """Sums by model, host, candidate, endpoint, outcome, day or month (UTC), rates_id, why.

        Raises:
            InvalidRequestError: an unknown column.
        """
        for column in columns:
            if column not in _GROUPS:
                raise InvalidRequestError(
                    f"by: expected {', '.join(_GROUPS)}; got {column!r}", param="by"
                )
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in self.rows:
            groups.setdefault(tuple(row.key(column) for column in columns), []).append(row)
        return [_sum(group, groups[group]) for group in sorted(groups)]

    @property
    def brief(self) -> tuple[str, ...]:
        """The columns that are shown where there is little room."""
        return "at", "candidate", "old_usd", "new_usd", "difference_usd", "why"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in their order."""
        return (
            *("at", "request_id", "attempt", "candidate", "old_rates_id", "new_rates_id"),
            *("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens"),
            *("estimated", "old_usd", "new_usd", "difference_usd", "why"),
        )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (_as_dict(row) for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def reprice(
    history: Any,
    catalog: Catalog | None = None,
    *,
    at: datetime | timedelta | None = None,
    known_at: datetime | None = None,
    candidate: str | None = None,
    host: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Repriced:
    """What the calls of a ledger, client, path or entries would have cost otherwise.

    `at` an instant: all sent then; a span: each that much later, weekday and hour kept by whole
    weeks. `known_at` forgets what was announced later. `candidate`, or `host` for the same model
    there, takes tokens and cache hits as they were: another vocabulary or cache would differ.
    Without any of these the same prices are looked up again, which gives the ledger's own cost
    for every call whose usage was reported, and for streams that were left: what was on its way
    and charged with them is priced too. A service tier is that of the ledger's price row.

    Raises:
        InvalidRequestError: `at` or `known_at` without an offset, or both candidate and host.
        ConfigError, LedgerError: the ledger cannot be read.
    """
    if candidate is not None and host is not None:
        raise InvalidRequestError("expected a candidate or a host, got both", param="host")
    for name, word in (("candidate", candidate), ("host", host)):
        if word is not None and not word:
            raise InvalidRequestError(f"{name}: expected a name, got ''", param=name)
    for name, given in (("at", at), ("known_at", known_at), ("since", since), ("until", until)):
        span = name == "at" and isinstance(given, timedelta)
        if given is not None and not span and not isinstance(given, datetime):
            more = " or a timedelta" if name == "at" else ""
            raise InvalidRequestError(
                f"{name}: expected a datetime with an offset{more}, got {type(given).__name__}",
                param=name,
            )
    if isinstance(at, datetime):
        at = aware(at)
    known = None if known_at is None else aware(known_at)
    catalog = catalog or Catalog.default()
    found = read_history(history, since=since, until=until)
    where = _Elsewhere(catalog, at, known, candidate, host)
    rows = [_row(call, where) for call in found.calls if call.state != "released"]
    return Repriced(tuple(rows), found.cached, found.held)


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    catalog: Catalog
    at: datetime | timedelta | None
    known_at: datetime | None
    candidate: str | None
    host: str | None

    def rates(self, call: Paid) -> Rates | None:
        """The other price of a call.

        Raises:
            RouterError: the catalogue has no such endpoint.
        """
        name = self.candidate or f"{call.model}@{self.host or call.host}"
        same = self.candidate is None and self.host is None
        if same and self.at is None and self.known_at is None:
            return own_rates(self.catalog, call)
        instant = self.at if isinstance(self.at, datetime) else call.ended
        if isinstance(self.at, timedelta):
            instant += self.at
        return self.catalog.rates(
            name,
            instant,
            known_at=self.known_at,
            input_tokens=call.usage.input_tokens,
            service_tier=tier_in(call.rates_id) if same else "",
        )


def _row(call: Paid, where: _Elsewhere) -> Row:
    why = _unpriceable(call)
    if why:
        return Row(call=call, old=call.cost, new=None, why=why)
    try:
        rates = where.rates(call)
    except RouterError as error:
        return Row(call=call, old=call.cost, new=None, why=str(error).split(";")[0])
    if rates is None:
        return Row(call=call, old=call.cost, new=None, why="its price is not known there and then")
    own, usage, why = own_rates(where.catalog, call), call.usage, ""
    if call.state == "counted" and own is not None:
        more = replace(usage, output_tokens=usage.output_tokens + UNREAD)
        if cost(usage, own).pico != call.cost == cost(more, own).pico:
            usage, why = more, f"with {UNREAD} output tokens that were on their way"
    return Row(call=call, old=call.cost, new=cost(usage, rates).pico, rates_id=rates.id, why=why)


def _unpriceable(call: Paid) -> str:
    """Why a call has no usage that could be priced; "" where it has."""
    if call.late:
        return "a correction of a line before this span"
    if call.state == "assumed":
        return "charged in full, without a usage"
    return ""


def _sum(group: tuple[str, ...], rows: Sequence[Row]) -> Group:
    priced = [row for row in rows if row.new is not None]
    return Group(
        group=group,
        requests=len(rows),
        old=sum(row.old for row in priced),
        new=sum(row.new or 0 for row in priced),
        unpriced=len(rows) - len(priced),
        left_out=sum(row.old for row in rows if row.new is None),
    )


def _as_dict(row: Row) -> dict[str, Any]:
    call, usage = row.call, row.call.usage
    difference = row.difference
    attempt = call.id.removeprefix(call.request_id).strip("/")
    return {
        "at": call.ended,
        "request_id": call.request_id,
        "attempt": attempt,
        "candidate": call.candidate,
        "old_rates_id": call.rates_id,
        "new_rates_id": row.rates_id,
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "estimated": usage.estimated,
        "old_usd": to_usd(row.old),
        "new_usd": _usd(row.new),
        "difference_usd": _usd(difference),
        "why": row.why,
    }


def _usd(pico: int | None) -> Decimal | None:
    return None if pico is None else to_usd(pico)
