"""Names of models and endpoints for what a catalogue does not have yet."""

from __future__ import annotations

import re
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.catalog import Catalog


class Names:
    """Gives each (host, id) a model name; the same weights keep the name they have."""

    def __init__(self, existing: Catalog) -> None:
        self._same = {name.lower(): name for name in existing.models}
        wires: dict[str, set[str]] = {}
        for endpoint in existing.endpoints:
            wires.setdefault(endpoint.model_id.lower(), set()).add(endpoint.model)
        for wire, models in wires.items():
            if len(models) == 1:
                self._same.setdefault(wire, *models)
        for model in existing.models.values():
            for alias in model.aliases:
                self._same.setdefault(alias.lower(), model.name)
        # A name by which a host's endpoint goes already would come to mean another one there.
        self._taken = {
            f"{name}@{endpoint.host}"
            for endpoint in existing.endpoints
            for name in (endpoint.model, *map(_slug, (endpoint.model_id, *endpoint.aliases)))
        }

    def model(self, host: str, model_id: str) -> str:
        """The last part of an id, or all of it where that says little; with more where taken."""
        whole = _slug(model_id)
        short = _slug(model_id.rpartition("/")[2])
        first = short if re.search(r"\d", short) or short == whole else whole
        numbered = (f"{host}-{whole}-{i}" for i in count(2))
        for name in (first, whole, f"{host}-{whole}"):
            known = self._same.get(name, name)
            if self._take(known, host):
                return known
        return next(name for name in numbered if self._take(name, host))

    def _take(self, model: str, host: str) -> bool:
        name = f"{model}@{host}"
        if name in self._taken:
            return False
        self._taken.add(name)
        return True


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._") or "unnamed"
