"""The catalogue: which candidates there are at an instant, under which names, at what rates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from router.catalog.candidate import Candidate, candidates_of
from router.catalog.names import nearest, readings, unknown_host
from router.catalog.picking import at_host, pick
from router.catalog.rates import Rates, aware, rates_at
from router.errors import RetiredModelError, UnknownHostError, UnknownModelError

if TYPE_CHECKING:
    from router.catalog.load import Entry, Source
    from router.catalog.schema import Endpoint, Host, Model

_DATA = Path(__file__).parent / "data"
_NEVER_LIVE = frozenset({"reference", "unsupported"})


@dataclass(frozen=True, slots=True)
class Line:
    """A row of `Catalog.describe()`. `rates` is None where the price is unknown."""

    candidate: Candidate
    rates: Rates | None
    source: str
    checked: date | None
    retires_at: datetime | None
    note: str


class Catalog:
    """Models x hosts x modes with dated rates. Immutable; `overlay` gives a new one."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        from router.catalog.book import merge

        self._entries = tuple(entries)
        self._book = book = merge(self._entries)
        self._candidates: dict[str, Candidate] = {}
        by_model: dict[str, list[Candidate]] = {}
        by_wire: dict[str, list[Candidate]] = {}
        by_alias: dict[str, list[Candidate]] = {}
        self._indexes = (by_model, by_wire, by_alias)  # in order of precedence
        for endpoint in book.endpoints.values():
            model, host = book.models[endpoint.model], book.hosts[endpoint.host]
            for candidate in candidates_of(endpoint, model, host):
                self._candidates[candidate.name] = candidate
                by_model.setdefault(model.name.lower(), []).append(candidate)
                by_wire.setdefault(candidate.model_id.lower(), []).append(candidate)
                for alias in {a.lower() for a in (*model.aliases, *endpoint.aliases)}:
                    by_alias.setdefault(alias, []).append(candidate)

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

        A rate given here goes before every rate below it, from its `valid_from` on.

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
                raise self._no_host(host)
        return tuple(
            candidate
            for candidate in self._candidates.values()
            if _live(candidate, now)
            and (candidate.kind != "replay" if wanted is None else candidate.host in wanted)
        )

    def find(self, name: str, *, at: datetime) -> tuple[Candidate, ...]:
        """The live candidates a name stands for: one per host where no host is named.

        Without a mode the model's default is meant: chat, or its only mode. Recordings answer to
        a bare name only where nothing else does.

        Raises:
            RetiredModelError: only retired ones match.
            UnknownHostError: "model@host" with an unknown host.
            UnknownModelError: no match, or only baselines and hosts that cannot be called yet.
        """
        now = aware(at)
        matches: list[Candidate] = []
        for reading in readings(name, self._book.hosts):
            for index in self._indexes:
                found = pick(index.get(reading.base, ()), reading)
                live = [candidate for candidate in found if _live(candidate, now)]
                called = [c for c in live if c.kind != "replay"]
                if live:
                    return tuple(called or live)
                matches.extend(found)
        raise self._not_found(name, matches, now)

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
        self, candidate: Candidate | str, at: datetime, *, known_at: datetime | None = None
    ) -> Rates | None:
        """What this candidate or endpoint charges at `at`; None where unknown, never zero for it.

        Retired endpoints answer for their time, baselines ("gpt-5@openai") always. `known_at`
        leaves out what was announced later.

        Raises:
            UnknownModelError: no such candidate or endpoint.
        """
        now = aware(at)
        endpoint = self._endpoint(candidate, now)
        if endpoint.retires_at is not None and now >= endpoint.retires_at:
            return None
        book = self._book
        rows = book.rates.get(endpoint.name, ())
        known = None if known_at is None else aware(known_at)
        return rates_at(rows, now, book.schedules, book.calendars, known)

    def served(self, name: str, at: datetime) -> str | None:
        """Which weights an endpoint's name meant at `at`, for names that changed their meaning."""
        now = aware(at)
        past = [step for step in self._endpoint(name, now).served if step.since <= now]
        return max(past, key=lambda step: step.since).model if past else None

    def describe(self, at: datetime) -> list[Line]:
        """Every candidate with its rates at `at`, retired ones and baselines too, by name."""
        now = aware(at)
        lines = []
        for candidate in sorted(self._candidates.values(), key=lambda c: c.name):
            endpoint = self._book.endpoints[candidate.endpoint]
            rates = self.rates(candidate, now)
            source, checked = endpoint.source, endpoint.checked
            note = "" if rates is not None else endpoint.unpriced or "price unknown"
            if _gone(candidate, now):
                note = "retired" + (f", use {endpoint.successor}" if endpoint.successor else "")
            elif candidate.kind in _NEVER_LIVE:
                note = "baseline only" if candidate.kind == "reference" else "cannot be called yet"
            if rates is not None:
                source, checked = rates.source, rates.checked
            lines.append(Line(candidate, rates, source, checked, endpoint.retires_at, note))
        return lines

    def _endpoint(self, candidate: Candidate | str, now: datetime) -> Endpoint:
        """The endpoint of a candidate or full name; a host's alias where the name has retired."""
        if isinstance(candidate, Candidate):
            return self._book.endpoints[candidate.endpoint]
        past: list[str] = []
        for reading in readings(candidate, self._book.hosts):
            for index in self._indexes:
                found = [c for c in index.get(reading.base, ()) if at_host(c, reading)]
                still = [c for c in found if not _gone(c, now)]
                names = list(dict.fromkeys(c.endpoint for c in still))
                if len(names) > 1:
                    raise UnknownModelError(
                        f"expected one endpoint, {candidate!r} fits {', '.join(names)}",
                        did_you_mean=tuple(names),
                    )
                if names:
                    return self._book.endpoints[names[0]]
                past.extend(c.endpoint for c in found)
        if past:
            return self._book.endpoints[past[0]]
        raise self._not_found(candidate, [], now)

    def _not_found(
        self, name: str, matches: list[Candidate], now: datetime
    ) -> UnknownModelError | UnknownHostError:
        retired = [c for c in matches if c.kind != "reference" and _gone(c, now)]
        if retired and len(retired) == sum(c.kind != "reference" for c in matches):
            last = max(retired, key=lambda c: c.retires_at or now)
            assert last.retires_at is not None
            successor = self._book.endpoints[last.endpoint].successor
            hint = f"; use {successor}" if successor else ""
            return RetiredModelError(
                f"{name!r} was retired at {last.retires_at:%Y-%m-%dT%H:%MZ}{hint}",
                retired_at=last.retires_at,
                successor=successor,
            )
        if any(c.kind == "reference" for c in matches):
            return UnknownModelError(
                f"{name!r} is only a baseline for savings reports: its price is known, no host of "
                "this catalogue serves it; add an [[endpoint]] in an overlay to route to it"
            )
        if matches:
            names = ", ".join(c.name for c in matches)
            return UnknownModelError(
                f"{name!r} is priced but its host's protocol is not supported yet ({names}); "
                "name another host",
                did_you_mean=tuple(
                    c.name for c in self.candidates(at=now) if c.model == matches[0].model
                ),
            )
        host = unknown_host(name, self._book.hosts)
        if host is not None:
            return self._no_host(host)
        near = nearest(name, (*self._candidates, *(name for i in self._indexes for name in i)))
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        return UnknownModelError(
            f"expected a model, alias or candidate of the catalogue, got {name!r}{hint} "
            "(add your own with Catalog.overlay)",
            did_you_mean=near,
        )

    def _no_host(self, host: str) -> UnknownHostError:
        hosts = self._book.hosts.values()
        known = ", ".join(sorted(host.name for host in hosts if host.kind not in _NEVER_LIVE))
        return UnknownHostError(f"expected one of the hosts {known}; got {host!r}")


def _gone(candidate: Candidate, now: datetime) -> bool:
    return candidate.retires_at is not None and now >= candidate.retires_at


def _live(candidate: Candidate, now: datetime) -> bool:
    return not _gone(candidate, now) and candidate.kind not in _NEVER_LIVE


@lru_cache(maxsize=1)
def _default() -> Catalog:
    return Catalog.load(*sorted(_DATA.glob("*.toml")))
