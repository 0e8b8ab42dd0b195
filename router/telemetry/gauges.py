"""Gauges that are read when they are collected: of all clients in the process, by one callback.

Of several gauges of one name a meter keeps the first, so each reads every client that shows
something. A client that is closed or collected shows nothing any more.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from typing import TYPE_CHECKING, TypeAlias

from router.telemetry.names import Instrument

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter
    from opentelemetry.metrics import Observation as Value

_log = logging.getLogger("router")
_made = count()

Point: TypeAlias = tuple[Mapping[str, str], float]


class Shower(ABC):
    """What shows gauges: by their short names, each point with its labels."""

    def __init__(self) -> None:
        self.made = next(_made)

    def ask(self) -> None:  # noqa: B027 - most have nothing to ask
        """Begin to find out what there is to show, where that takes a while."""

    @abstractmethod
    def points(self, short: str) -> Iterable[Point]:
        """What there is to show now."""


def present(showing: Iterable[Shower]) -> list[Shower]:
    """All of them, in the order in which they were made; clients come and go meanwhile."""
    while True:
        try:
            found = list(showing)
        except RuntimeError:  # it changed in another thread: a look is short, so the next succeeds
            continue
        return sorted(found, key=lambda shower: shower.made)


def register(meter: Meter, found: Mapping[str, Instrument], showing: Iterable[Shower]) -> None:
    """Make these gauges, which read whoever is in `showing` at the time."""
    for short, one in found.items():
        meter.create_observable_gauge(
            one.name, [_reader(short, showing)], unit=one.unit, description=one.description
        )


def _reader(short: str, showing: Iterable[Shower]) -> Callable[[CallbackOptions], Iterable[Value]]:
    def read(_: CallbackOptions) -> Iterator[Value]:
        from opentelemetry.metrics import Observation as Value

        told: set[tuple[tuple[str, str], ...]] = set()
        showers = present(showing)  # names are given in this order
        # All are asked before the first is waited for: a collection has few seconds.
        for step in (_asked, lambda shower: list(shower.points(short))):
            for shower in list(showers):
                try:
                    points = step(shower)
                except Exception:
                    _log.warning("telemetry could not read the %s", shower, exc_info=True)
                    showers.remove(shower)
                    continue
                for labels, value in points:
                    key = tuple(sorted(labels.items()))
                    if key not in told:  # of two clients with one account or replica, the first's
                        told.add(key)
                        yield Value(value, labels)

    return read


def _asked(shower: Shower) -> list[Point]:
    shower.ask()
    return []
