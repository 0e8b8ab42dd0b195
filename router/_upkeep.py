"""What a client keeps up to date: which prompts were sent, its replicas, how busy they are."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from router.catalog import Catalog
from router.errors import ConfigError
from router.places import Places
from router.prompts.prefix import PrefixIndex
from router.selfhost import Load, busy, refreshed
from router.telemetry import Telemetry
from router.transports.access import Access
from router.transports.discovery import Served
from router.transports.vllm import (
    Pool,
    Reading,
    State,
    Watcher,
    headers_of,
    look_once,
    place_of,
    pools_of,
)


class Upkeep:
    """The prefix index, the pools with the thread that watches them, and the load of fleets."""

    def __init__(self, access: Access, telemetry: Telemetry) -> None:
        self._access, self._telemetry = access, telemetry
        self._endpoints: tuple[str, ...] = ()
        self._watcher: Watcher | None = None
        self._clock = time.monotonic
        self._given: dict[tuple[str, str], float] = {}
        self.pools: dict[str, Pool] = {}
        self.index, self.load = PrefixIndex(), Load()

    def places(self, catalog: Catalog, served: Mapping[str, Served]) -> Places:
        """Where calls may go; each of one's own servers (`served`) is asked once how it is."""
        hosts, clock = catalog.hosts, self._clock
        self._endpoints = tuple(endpoint.name for endpoint in catalog.endpoints)
        self.pools = pools_of(hosts, self._access, served, clock=clock, forget=self._emptied)
        headers = headers_of(hosts, self._access, self.pools)
        look_once(self.pools.values(), headers, clock=clock)
        rented = {entry.row.endpoint for entry in catalog.entries if entry.table == "fleet"}
        watched = [
            pool
            for pool in self.pools.values()  # the counters of a fleet are read however small it is
            if len(pool.urls) > 1 or any(of for _, of in _served(pool, catalog, rented))
        ]
        self._watcher = Watcher(watched, clock=clock, headers=headers, always=True)
        if self.pools:
            self._telemetry.pools(self.states)
        return Places(self.index, self.pools, self._watcher.touch, self.load)

    def found(self, again: Mapping[str, Served]) -> None:
        """Servers that did not answer at first do now."""
        for name, served in again.items():
            pool = self.pools.get(name)
            for url, replica in served.replicas.items() if pool is not None else ():
                if not replica.problem and pool is not None:
                    pool.serving(url, frozenset(replica.models))
                    pool.polled(url, Reading())

    def refreshed(self, catalog: Catalog, now: datetime) -> Catalog | None:
        """A catalogue with the prices of one's own fleets at the present load; None: as it is."""
        if not self.load.due(now) or not catalog.fleets(now):
            return None
        for pool in self.pools.values():
            served = list(_served(pool, catalog, catalog.fleets(now)))
            # Counters are a server's: of several models they say nothing of each, and where one
            # replica tells none the others' are not all that the fleet serves.
            vague = {e for state, of in served if len(of) > 1 or not _counts(state) for e in of}
            for state, of in served:
                for endpoint in set(of) - vague:
                    self._tell(endpoint, state, now)
        for found in busy(catalog, self.load, now):
            self._telemetry.selfhosted(
                found.endpoint, float(found.utilisation), found.usd_per_million_tokens
            )
        return refreshed(catalog, self.load, now)

    def states(self) -> tuple[State, ...]:
        """How all replicas are."""
        return tuple(state for pool in self.pools.values() for state in pool.states())

    def drain(self, url: str, *, again: bool) -> None:
        """Give a replica no new calls; with `again` give it calls again.

        Raises:
            ConfigError: none of the replicas has this base URL.
        """
        found = [pool for pool in self.pools.values() if url.rstrip("/") in pool.urls]
        if not found:
            known = ", ".join(state.url for state in self.states()) or "none"
            raise ConfigError(f"expected the base URL of a replica ({known}), got another")
        for pool in found:
            (pool.undrain if again else pool.drain)(url.rstrip("/"))

    def close(self) -> None:
        """Stop watching, and showing."""
        if self.pools:
            self._telemetry.pools(tuple)
        if self._watcher is not None:
            self._watcher.close()

    def _tell(self, endpoint: str, state: State, now: datetime) -> None:
        """Give the load a replica's counters, if they were read again since the last time."""
        told, at = state.metrics, state.read_at
        if told is None or at is None or self._given.get((endpoint, state.url)) == at:
            return
        self._given[endpoint, state.url] = at
        self.load.totals(
            endpoint,
            state.url,
            now - timedelta(seconds=max(self._clock() - at, 0)),
            input_tokens=told.input_tokens or 0,
            cache_read_tokens=told.cached_tokens or 0,
            output_tokens=told.output_tokens or 0,
            started_at=told.started_at,
        )

    def _emptied(self, host: str, url: str) -> None:
        for endpoint in self._endpoints:
            if endpoint.rpartition("@")[2] == host:
                self.index.forget(place_of(endpoint, url))


def _served(
    pool: Pool, catalog: Catalog, fleets: Iterable[str]
) -> Iterator[tuple[State, tuple[str, ...]]]:
    """Each replica with those of the `fleets` (endpoints) that it may serve: it said so, or has
    not said what it serves.
    """
    here = {e.name: e.model_id for e in catalog.endpoints if e.host == pool.host}
    ids = {name: here[name] for name in fleets if name in here}
    for state in pool.states():
        models = state.models
        yield state, tuple(n for n, wire in ids.items() if models is None or wire in models)


def _counts(state: State) -> bool:
    """Whether a replica tells what it served; one that is down serves nothing."""
    told = state.metrics
    if told is None:
        return state.status == "down"
    return told.input_tokens is not None and told.output_tokens is not None
