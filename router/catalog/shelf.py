"""Candidates by everything they may be called: model names, ids on the wire, aliases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from router.catalog.candidate import Candidate, candidates_of
from router.catalog.missing import gone, live, not_found
from router.catalog.names import readings
from router.catalog.picking import at_host, pick
from router.errors import UnknownModelError

if TYPE_CHECKING:
    from router.catalog.book import Book
    from router.catalog.schema import Endpoint, Host


@dataclass(frozen=True, slots=True)
class Shelf:
    """Candidates and endpoints by name; `indexes` by all they are called, the surest first."""

    candidates: Mapping[str, Candidate]
    endpoints: Mapping[str, Endpoint]
    hosts: Mapping[str, Host]
    indexes: tuple[Mapping[str, list[Candidate]], ...]

    def find(self, name: str, now: datetime) -> tuple[Candidate, ...]:
        """See `Catalog.find`."""
        matches: list[Candidate] = []
        for reading in readings(name, self.hosts):
            for index in self.indexes:
                found = pick(index.get(reading.base, ()), reading)
                here = [candidate for candidate in found if live(candidate, now)]
                called = [candidate for candidate in here if candidate.kind != "replay"]
                if here:
                    return tuple(called or here)
                matches.extend(found)
        raise not_found(name, matches, now, self)

    def endpoint(self, name: str, now: datetime) -> Endpoint:
        """The endpoint of a full name; a host's alias where the name has retired.

        Raises:
            UnknownModelError: there is none, or more than one.
        """
        past: list[str] = []
        for reading in readings(name, self.hosts):
            for index in self.indexes:
                found = [c for c in index.get(reading.base, ()) if at_host(c, reading)]
                still = [c for c in found if not gone(c, now)]
                names = list(dict.fromkeys(c.endpoint for c in still))
                if len(names) > 1:
                    raise UnknownModelError(
                        f"expected one endpoint, {name!r} fits {', '.join(names)}",
                        did_you_mean=tuple(names),
                    )
                if names:
                    return self.endpoints[names[0]]
                past.extend(c.endpoint for c in found)
        if past:
            return self.endpoints[past[0]]
        raise not_found(name, [], now, self)


def shelve(book: Book) -> Shelf:
    """All candidates of a book, by all their names."""
    candidates: dict[str, Candidate] = {}
    by_model: dict[str, list[Candidate]] = {}
    by_wire: dict[str, list[Candidate]] = {}
    by_alias: dict[str, list[Candidate]] = {}
    for endpoint in book.endpoints.values():
        model, host = book.models[endpoint.model], book.hosts[endpoint.host]
        for candidate in candidates_of(endpoint, model, host):
            candidates[candidate.name] = candidate
            by_model.setdefault(model.name.lower(), []).append(candidate)
            by_wire.setdefault(candidate.model_id.lower(), []).append(candidate)
            for alias in {a.lower() for a in (*model.aliases, *endpoint.aliases)}:
                by_alias.setdefault(alias, []).append(candidate)
    return Shelf(candidates, book.endpoints, book.hosts, (by_model, by_wire, by_alias))
