"""The catalogue: which candidates there are at an instant, under which names, at what rates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from router.catalog.candidate import Candidate
from router.catalog.lines import Line, line_of
from router.catalog.missing import live, no_host
from router.catalog.pricelist import Pricelist
from router.catalog.rates import RateRow, Rates, aware, dearest_of
from router.catalog.shelf import shelve
from router.errors import UnknownModelError

if TYPE_CHECKING:
    from router.catalog.load import Entry, Source
    from router.catalog.schema import Endpoint, Host, Model
    from router.catalog.windows import Clock

_DATA = Path(__file__).parent / "data"


class Catalog:
    """Models x hosts x modes with dated rates. Immutable; `overlay` gives a new one."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        from router.catalog.book import merge

        self._entries = tuple(entries)
        self._book = book = merge(self._entries)
        self._shelf = shelve(book)
        self._lists: dict[str, Pricelist] = {}  # by endpoint, made when first asked for
        self._ceiling: tuple[datetime, datetime, Rates | None] | None = None

    @classmethod
    def default(cls) -> Catalog:
        """The shipped catalogue, read once per process."""
        return _default()

    @classmethod
    def load(cls, *sources: Source) -> Catalog:
        """A catalogue of these TOML files or mappings only.

        Raises:
            CatalogError: which file, which line, what was expected.
        """
        from router.catalog.load import read

        return cls(read(sources, layer=0))

    def overlay(self, *sources: Source) -> Catalog:
        """A new catalogue in which these rows replace those of the same name and add others.

        A rate given here goes before every rate below it, from its `valid_from` on; so does an
        exchange row.

        Raises:
            CatalogError: which file, which line, what was expected.
        """
        from router.catalog.load import read

        layer = 1 + max((entry.layer for entry in self._entries), default=-1)
        return Catalog((*self._entries, *read(sources, layer)))

    @cached_property
    def version(self) -> str:
        """Twelve hex digits that are equal for equal rows; counted when first asked for."""
        from router.catalog.load import digest

        return digest(self._entries)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Every row, with its file, line and layer (overlay)."""
        return self._entries

    @property
    def models(self) -> Mapping[str, Model]:
        """Models by name, retired ones and baselines included."""
        return MappingProxyType(self._book.models)

    @property
    def hosts(self) -> Mapping[str, Host]:
        """Hosts by name."""
        return MappingProxyType(self._book.hosts)

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """All endpoints, retired ones and baselines included."""
        return tuple(self._book.endpoints.values())

    def candidates(
        self, *, at: datetime, hosts: Iterable[str] | None = None
    ) -> tuple[Candidate, ...]:
        """All candidates live at `at`, at these hosts; recordings only where `hosts` names theirs.

        Raises:
            UnknownHostError: a name in `hosts` is not a host.
        """
        now = aware(at)
        wanted = None if hosts is None else tuple(hosts)
        for host in wanted or ():
            if host not in self._book.hosts:
                raise no_host(host, self._book.hosts)
        return tuple(
            candidate
            for candidate in self._shelf.candidates.values()
            if live(candidate, now)
            and (candidate.kind != "replay" if wanted is None else candidate.host in wanted)
        )

    def find(self, name: str, *, at: datetime) -> tuple[Candidate, ...]:
        """The live candidates a name stands for, at every host where no host is named.

        At each host the name is taken as a model's, else as the host's own id, else as an alias.
        Without a mode the model's default is meant: chat, or its only mode. Recordings answer to
        a bare name only where nothing else does.

        Raises:
            RetiredModelError: only retired ones match.
            UnknownHostError: "model@host" with an unknown host.
            UnknownModelError: no match, or only baselines and hosts that cannot be called yet.
        """
        return self._shelf.find(name, aware(at))

    def candidate(self, name: str, *, at: datetime) -> Candidate:
        """The one candidate of a full name such as "deepseek-v3.2:thinking@deepinfra".

        Raises:
            UnknownModelError: see `find`; also where the name fits several candidates.
        """
        found = self.find(name, at=at)
        if len(found) > 1:
            names = tuple(candidate.name for candidate in found)
            raise UnknownModelError(
                f"expected the name of one candidate, {name!r} fits {', '.join(names)}; add @host",
                did_you_mean=names,
            )
        return found[0]

    def rates(
        self,
        candidate: Candidate | str,
        at: datetime,
        *,
        known_at: datetime | None = None,
        input_tokens: int = 0,
        service_tier: str = "standard",
    ) -> Rates | None:
        """What this candidate or endpoint charges at `at`; None where unknown, never zero for it.

        Retired endpoints answer for their time, baselines ("gpt-5@openai") always. `known_at`
        leaves out what was announced later; `input_tokens` chooses among prices by length of
        input. A service tier ("batch", "flex", "priority") without a price of its own is unknown.

        Raises:
            UnknownModelError: no such candidate or endpoint.
        """
        now = aware(at)
        known = None if known_at is None else aware(known_at)
        return self._prices(candidate, now).rates(now, known, input_tokens, service_tier)

    def boundary(
        self,
        candidate: Candidate | str,
        start: datetime,
        end: datetime,
        *,
        known_at: datetime | None = None,
        input_tokens: int = 0,
        service_tier: str = "standard",
    ) -> datetime | None:
        """The first instant in (start, end] at which the rates change; None if they do not.

        Raises:
            UnknownModelError: no such candidate or endpoint.
        """
        first, known = aware(start), None if known_at is None else aware(known_at)
        prices = self._prices(candidate, first)
        return prices.boundary(first, aware(end), known, input_tokens, service_tier)

    def dearest(
        self,
        candidate: Candidate | str,
        start: datetime,
        end: datetime,
        *,
        known_at: datetime | None = None,
        input_tokens: int = 0,
        service_tier: str = "standard",
    ) -> Rates | None:
        """The rates at `start`, with the highest of each price from then to `end`, and for every
        length of input up to `input_tokens`.

        None where the price at `start` is unknown; a later gap does not count, such as retirement.

        Raises:
            UnknownModelError: no such candidate or endpoint.
        """
        first, known = aware(start), None if known_at is None else aware(known_at)
        prices = self._prices(candidate, first)
        return prices.dearest(first, aware(end), known, input_tokens, service_tier)

    def ceiling_rates(self, at: datetime, until: datetime | None = None) -> Rates | None:
        """The dearest known price of each kind over all live candidates, from `at` to `until`
        (both counted; only at `at` by default), whatever the length and the service tier.

        For a candidate without a price whose user wants a bound all the same. `id` names the
        candidate with the dearest output. None where no price at all is known.
        """
        now = aware(at)
        end = now if until is None else max(now, aware(until))
        kept = self._ceiling
        if kept is not None and kept[:2] == (now, end):  # a request asks repeatedly
            return kept[2]
        found = {c.name: self._prices(c, now).quotes(now, end) for c in self.candidates(at=now)}
        known = {name: dearest_of(quotes) for name, quotes in found.items() if quotes}
        rates = None
        if known:
            name = max(known, key=lambda name: known[name].output)
            rates = dearest_of([known[name], *known.values()])
            rates = replace(rates, id=f"ceiling:{name}")
        self._ceiling = now, end, rates
        return rates

    def rows(self, candidate: Candidate | str, at: datetime) -> tuple[RateRow, ...]:
        """All price rows of an endpoint, past, future and withdrawn ones too; the last one of
        those in force counts. `at` is for names that changed their meaning.

        Raises:
            UnknownModelError: no such candidate or endpoint.
        """
        return self._prices(candidate, aware(at)).rows

    def fleets(self, at: datetime) -> Mapping[str, RateRow]:
        """The rows in force at `at` that price one's own GPUs (`RateRow.fleet`), by endpoint."""
        now, rates = aware(at), self._book.rates
        priced = [name for name, rows in rates.items() if any(row.fleet for row in rows)]
        found = {name: self._prices(name, now).row(now) for name in priced}
        return {name: row for name, row in found.items() if row is not None and row.fleet}

    def counts(self, candidate: Candidate | str, at: datetime) -> RateRow | None:
        """Which of `rows` counts at `at`; None where none does.

        Raises:
            UnknownModelError: no such candidate or endpoint.
        """
        now = aware(at)
        return self._prices(candidate, now).row(now)

    def served(self, name: str, at: datetime) -> str | None:
        """Which weights an endpoint's name meant at `at`, for names that changed their meaning."""
        now = aware(at)
        past = [step for step in self._shelf.endpoint(name, now).served if step.since <= now]
        return max(past, key=lambda step: step.since).model if past else None

    def describe(self, at: datetime) -> list[Line]:
        """Every candidate with its rates at `at`, retired ones and baselines too, by name."""
        now = aware(at)
        lines = []
        for candidate in sorted(self._shelf.candidates.values(), key=lambda c: c.name):
            prices = self._prices(candidate, now)
            endpoint = self._book.endpoints[candidate.endpoint]
            lines.append(line_of(candidate, endpoint, prices, now))
        return lines

    def _prices(self, candidate: Candidate | str, now: datetime) -> Pricelist:
        if isinstance(candidate, Candidate) and (known := self._lists.get(candidate.endpoint)):
            return known
        endpoint = (
            self._book.endpoints[candidate.endpoint]
            if isinstance(candidate, Candidate)
            else self._shelf.endpoint(candidate, now)
        )
        known = self._lists.get(endpoint.name)
        if known is None:
            book = self._book
            rows = book.rates.get(endpoint.name, ())
            known = Pricelist(rows, self._clocks, book.exchange, endpoint.retires_at)
            self._lists[endpoint.name] = known
        return known

    @cached_property
    def _clocks(self) -> dict[str, Clock]:
        from router.catalog.windows import Clock

        schedules, calendars = self._book.schedules, self._book.calendars
        return {s.name: Clock(s, calendars.get(s.calendar or "")) for s in schedules.values()}


@lru_cache(maxsize=1)
def _default() -> Catalog:
    return Catalog.load(*sorted(_DATA.glob("*.toml")))
