"""Keeps labels of metrics few and short: each set of values is a time series that is kept.

OpenTelemetry's SDK keeps 2,000 series of a metric, and takes all labels off what comes after them.
Here labels become "other" one by one before that.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Mapping, Sequence
from hashlib import blake2s
from typing import Final

from router._locks import forkable

_log = logging.getLogger("router")

OTHER: Final = "other"
"""What stands for all values beyond the most that a label, or a set of labels, may have."""
MOST: Final = 100
"""Distinct values of one label."""
LONGEST: Final = 64
"""Characters of a value."""


class Guard:
    """What values labels have had so far. Safe for threads, and across a fork.

    One of a process, for the clients in it share their metrics; see `shared`.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._seen: dict[str, set[str]] = {}
        self._sets: dict[tuple[str, int], set[tuple[str, ...]]] = {}
        self._warned: set[str] = set()
        self._lock = forkable(self)

    def value(self, label: str, value: str) -> str:
        """A value of a label, shortened; "other" where the label has too many."""
        short = shortened(value)
        if not short or short in self._seen.get(label, ()):
            return short
        with self._lock:
            seen = self._seen.setdefault(label, set())
            if len(seen) < self._most:
                seen.add(short)
            if short in seen:
                return short
        self._warn(label, f"{label} has had {self._most} values")
        return OTHER

    def fit(
        self,
        group: str,
        labels: Mapping[str, str],
        steps: Sequence[tuple[Iterable[str], int]],
        *,
        known: Container[str] = (),
    ) -> dict[str, str]:
        """These labels with their values, as exactly as there is room for.

        Each step says which of them become "other", and how many distinct sets may be shown so;
        the next one holds beyond, and after the last all of them are "other". `group` keeps
        apart what is counted apart; of the labels `known` the values are few already.
        """
        kept = {
            label: value if label in known else self.value(label, value)
            for label, value in labels.items()
        }
        for i, (blurred, room) in enumerate(steps):
            for label in blurred:
                kept[label] = OTHER
            found = tuple(kept.values())
            seen = self._sets.get((group, i), ())
            if found in seen or self._admitted((group, i), found, room):
                return kept
            self._warn(f"{group}/{i}", f"{', '.join(labels)} have had {room} sets of values")
        return dict.fromkeys(kept, OTHER)

    def _admitted(self, at: tuple[str, int], found: tuple[str, ...], room: int) -> bool:
        with self._lock:
            seen = self._sets.setdefault(at, set())
            if len(seen) < room:
                seen.add(found)
            return found in seen

    def _warn(self, label: str, what: str) -> None:
        if label in self._warned:
            return
        with self._lock:
            if label in self._warned:
                return
            self._warned.add(label)
        _log.warning("telemetry: %s; further ones are %r. Use fewer metric_tags", what, OTHER)


def shortened(value: str) -> str:
    """A value of at most `LONGEST` characters; a longer one ends in a digest of all of it."""
    if len(value) <= LONGEST:
        return value
    digest = blake2s(value.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{value[: LONGEST - 9]}~{digest}"


_guard = Guard()


def shared() -> Guard:
    """The guard of this process."""
    return _guard
