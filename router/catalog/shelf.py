"""Candidates by everything they may be called: model names, ids on the wire, aliases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, TypeAlias

from router.catalog.candidate import Candidate, candidates_of
from router.catalog.missing import gone, live, not_found
from router.catalog.names import Reading, readings
from router.catalog.picking import pick, surest
from router.errors import UnknownModelError
from router.prompts.rule import CAUTIOUS

if TYPE_CHECKING:
    from router.catalog.book import Book
    from router.catalog.schema import Endpoint, Host

_Index: TypeAlias = Mapping[str, list[Candidate]]
_Meaning: TypeAlias = tuple[Reading, list[Candidate]]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Candidates and endpoints by name; `indexes` by all they are called, the surest first."""

    candidates: Mapping[str, Candidate]
    endpoints: Mapping[str, Endpoint]
    hosts: Mapping[str, Host]
    indexes: tuple[_Index, ...]

    def find(self, name: str, now: datetime) -> tuple[Candidate, ...]:
        """See `Catalog.find`."""
        meant = [pick(found, reading) for reading, found in self._meanings(name, self.indexes)]
        here, others = surest(meant, lambda candidate: live(candidate, now))
        if not here:
            raise not_found(name, others, now, self)
        return tuple([c for c in here if c.kind != "replay"] or here)

    def endpoint(self, name: str, now: datetime) -> Endpoint:
        """The endpoint of a full name; a host's alias where the name has retired.

        Raises:
            UnknownModelError: there is none, or more than one.
        """
        past: list[Candidate] = []
        for indexes in (self.indexes[:1], self.indexes[1:]):  # a model's name, else any other
            meant = [found for _, found in self._meanings(name, indexes)]
            still, ended = surest(meant, lambda candidate: not gone(candidate, now))
            names = list(dict.fromkeys(candidate.endpoint for candidate in still))
            if len(names) > 1:
                raise UnknownModelError(
                    f"expected one endpoint, {name!r} fits {', '.join(names)}",
                    did_you_mean=tuple(names),
                )
            if names:
                return self.endpoints[names[0]]
            past += ended
        if not past:
            raise not_found(name, [], now, self, priced=True)
        return self.endpoints[past[0].endpoint]

    def _meanings(self, name: str, indexes: Sequence[_Index]) -> Iterator[_Meaning]:
        """What a name may mean at the hosts that it allows, the surest first."""
        for reading in readings(name, self.hosts):
            for index in indexes:
                found = index.get(reading.base, ())
                yield reading, [c for c in found if reading.host in {None, c.host}]


def shelve(book: Book) -> Shelf:
    """All candidates of a book, by all their names."""
    candidates: dict[str, Candidate] = {}
    by_model: dict[str, list[Candidate]] = {}
    by_wire: dict[str, list[Candidate]] = {}
    by_alias: dict[str, list[Candidate]] = {}
    for endpoint in book.endpoints.values():
        model, host = book.models[endpoint.model], book.hosts[endpoint.host]
        cache = book.caches.get(endpoint.cache or host.cache or "")
        rule = CAUTIOUS if cache is None else cache.rule
        for candidate in candidates_of(endpoint, model, host, rule):
            candidates[candidate.name] = candidate
            by_model.setdefault(model.name.lower(), []).append(candidate)
            by_wire.setdefault(candidate.model_id.lower(), []).append(candidate)
            for alias in {a.lower() for a in (*model.aliases, *endpoint.aliases)}:
                by_alias.setdefault(alias, []).append(candidate)
    return Shelf(candidates, book.endpoints, book.hosts, (by_model, by_wire, by_alias))
