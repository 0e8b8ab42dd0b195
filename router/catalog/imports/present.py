"""What a catalogue has already: endpoints by host and id, and the prices in force."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from router.catalog.imports.offer import Offer

if TYPE_CHECKING:
    from router.catalog import Catalog
    from router.catalog.schema import Endpoint, Rate

_NO_CALLS = {"replay"}


class Present:
    """Lookups in a catalogue that an import is laid over."""

    def __init__(self, existing: Catalog) -> None:
        self._aliases = {name: model.aliases for name, model in existing.models.items()}
        self._by_host: dict[str, list[Endpoint]] = {}
        for endpoint in existing.endpoints:
            if existing.hosts[endpoint.host].kind not in _NO_CALLS:
                self._by_host.setdefault(endpoint.host, []).append(endpoint)
        self._rates: dict[str, list[tuple[tuple[Any, ...], Rate]]] = {}
        for entry in existing.entries:
            if entry.table == "rate":
                rank = (entry.layer, entry.row.valid_from, entry.row.known)
                self._rates.setdefault(entry.row.endpoint, []).append((rank, entry.row))

    def find(self, offer: Offer) -> list[Endpoint]:
        """The endpoints whose price this is: by host and id on the wire.

        A retired endpoint is found by its model's name, too: some lists keep a name, and a price
        from elsewhere, for what its host no longer serves.
        """
        wire = offer.model_id.lower()
        found, named = [], []
        for endpoint in self._of(offer.host):
            ids = {endpoint.model_id.lower()}
            ids |= {o.model_id.lower() for o in endpoint.options.values() if o.model_id}
            if wire in ids or (offer.accepts and offer.accepts(endpoint.model_id.lower())):
                found.append(endpoint)
            elif wire == endpoint.model.lower() and endpoint.retires_at is not None:
                named.append(endpoint)
        return found or named

    def region(self, offer: Offer, at: datetime) -> Endpoint | None:
        """The endpoint that stands for several of Bedrock's regions, where the price agrees."""
        if offer.host.startswith("bedrock-"):
            for endpoint in self._of("bedrock"):
                rate = self.rate(endpoint.name, at)
                fits = endpoint.model_id.lower() == offer.model_id.lower()
                if fits and rate and self.same(rate, offer.periods[0].prices):
                    return endpoint
        return None

    def alias(self, offer: Offer) -> str | None:
        """The endpoint that this host also serves under the offer's id, or whose model that is."""
        wire = offer.model_id.lower()
        for endpoint in self._of(offer.host):
            names = (*endpoint.aliases, *self._aliases.get(endpoint.model, ()))
            if wire in {alias.lower() for alias in names}:
                return endpoint.name
        return None

    def rate(self, endpoint: str, at: datetime) -> Rate | None:
        """The row in force at `at`; None where the price is unknown."""
        held = [
            (rank, rate)
            for rank, rate in self._rates.get(endpoint, ())
            if rate.valid_from <= at
            and (rate.valid_to is None or at < rate.valid_to)
            and rate.withdrawn is None
        ]
        return max(held, key=lambda item: item[0])[1] if held else None

    def same(self, rate: Rate, prices: Mapping[str, Any]) -> bool:
        """Whether a row states all of these prices. It may say more: dates, days, tiers."""
        given = stated(prices)
        return rate.currency == "USD" and all(
            _covers(getattr(rate, name), getattr(given, name)) for name in prices
        )

    def _of(self, host: str) -> list[Endpoint]:
        return self._by_host.get(host, [])


def stated(prices: Mapping[str, Any]) -> Rate:
    """A rate row of these prices.

    Raises:
        ValueError: they do not make one.
    """
    from router.catalog.schema import Rate as Row

    schedule = "any" if "peak" in prices else None
    row = {"endpoint": "any@any", "schedule": schedule, "source": "any", "checked": date.min}
    return Row.model_validate({**row, **prices})


def _covers(held: Any, stated: Any) -> bool:
    """Equal, or equal in each price that is stated (tables of prices)."""
    if isinstance(stated, tuple) and isinstance(held, tuple):
        return len(held) == len(stated) and all(map(_covers, held, stated))
    if held is None or not hasattr(stated, "model_fields_set"):
        return bool(held == stated)
    return all(_covers(getattr(held, n), getattr(stated, n)) for n in stated.model_fields_set)
