"""Which of our models a bill's word means, at the bill's host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from router.catalog import Catalog

_DATED = re.compile(r"-20\d{2}-?\d{2}-?\d{2}$")
_METER = re.compile(
    r"(-(inp|inpt|input|outp|outpt|opt|out|output|cchd|cached|glbl|global|dzone|dz|data|zone|regnl"
    r"|regional|tokens?|1k|1m))+$"
)
"""What meters of clouds say behind a model's name: kind, region, unit."""


class Names:
    """The endpoints of one host by the words that bills use for them."""

    def __init__(
        self, catalog: Catalog, host: str, called: Iterable[str], models: Mapping[str, str] | None
    ) -> None:
        self.whole = f"*@{host}"
        """The endpoint of lines that name no model."""
        self._host = host
        self.guessed: dict[str, str] = {}
        """Words that name no model to the letter, with the endpoint that they were taken for."""
        self._given = {word: _endpoint(name, host) for word, name in (models or {}).items()}
        self.unused = {*self._given}
        """Words that were given a meaning and that no line had."""
        self._called = {name for name in called if name.endswith(f"@{host}")}
        self._known: dict[str, list[str]] = {}
        for endpoint in catalog.endpoints:
            if endpoint.host != host:
                continue
            words = [endpoint.model_id, endpoint.model]
            words += [o.model_id for o in endpoint.options.values() if o.model_id]
            for word in words:
                for form in _forms(word):
                    self._known.setdefault(form, []).append(endpoint.name)
        for name in self._called:
            for form in _forms(name.rpartition("@")[0]):
                self._known.setdefault(form, []).append(name)

    def endpoint(self, word: str) -> str:
        """The endpoint of a bill's word; the word at this host where it is none of ours.

        Of several the one that was called: a host's word may have meant other models before.
        """
        if word in self._given:
            self.unused.discard(word)
            return self._given[word]
        if not word:
            return self.whole
        for form in _forms(word):
            found = list(dict.fromkeys(self._known.get(form, ())))
            if found:
                called = [name for name in found if name in self._called]
                name = (called or found)[0]
                if form != _plain(word) or len(called or found) > 1:
                    self.guessed[word] = name
                return name
        return f"{word}@{self._host}"


def _endpoint(name: str, host: str) -> str:
    return name if "@" in name else f"{name}@{host}"


def _forms(word: str) -> list[str]:
    whole = _plain(word)
    last = _plain(word.rpartition("/")[2])
    forms = [whole, last, _DATED.sub("", whole), _DATED.sub("", last), _METER.sub("", whole)]
    return list(dict.fromkeys(form for form in forms if form))


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", word.lower()).strip("-")
