"""Keeps labels of metrics few and short: each set of values is a time series that is kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from hashlib import blake2s
from typing import Final

from router._locks import forkable

_log = logging.getLogger("router")

OTHER: Final = "other"
"""What stands for all values beyond the most that a label may have."""
MOST: Final = 100
"""Distinct values of one label."""
TOGETHER: Final = 1000
"""Distinct sets of the values of request tags: OpenTelemetry's own limit for a metric is 2,000."""
LONGEST: Final = 64
"""Characters of a value."""


class Guard:
    """What values labels have had so far. Safe for threads, and across a fork.

    One of a process, for the clients in it share their metrics; see `shared`.
    """

    def __init__(self, most: int = MOST, together: int = TOGETHER) -> None:
        self._most, self._together = most, together
        self._seen: dict[str, set[str]] = {}
        self._sets: set[tuple[str, ...]] = set()
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

    def values(self, labels: Mapping[str, str]) -> dict[str, str]:
        """Each of these labels with its value, all "other" where they have too many together."""
        kept = {label: self.value(label, value) for label, value in labels.items()}
        found = tuple(kept.values())
        if len(found) < 2 or found in self._sets:
            return kept
        with self._lock:
            if len(self._sets) < self._together:
                self._sets.add(found)
            if found in self._sets:
                return kept
        self._warn("", f"{', '.join(labels)} have had {self._together} sets of values")
        return dict.fromkeys(labels, OTHER)

    def _warn(self, label: str, what: str) -> None:
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
