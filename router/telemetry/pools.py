"""Gauges of one's own replicas: load, speed, and whether they are given work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any
from weakref import WeakSet

from router.telemetry import names
from router.telemetry.gauges import Point, Shower

showing: WeakSet[Shower] = WeakSet()


class Pools(Shower):
    """The replicas of one client: `replicas` answers their states."""

    def __init__(self) -> None:
        super().__init__()
        self.replicas: Callable[[], Iterable[Any]] = tuple

    def points(self, short: str) -> Iterator[Point]:
        """The points of one of `names.POOLS`."""
        states = list(self.replicas())
        if short == "replicas_up":
            for host in {state.host for state in states}:
                up = {s.url for s in states if s.host == host and s.status == "up"}
                yield {names.HOST: host}, len(up)
            return
        for state in states:
            at = {names.HOST: state.host, names.REPLICA: state.url}
            if short == "replica_state":
                for word in names.STATES:
                    yield {**at, names.REPLICA_STATE: word}, int(state.status == word)
            elif (value := getattr(state, short)) is not None:
                yield at, value

    def __str__(self) -> str:
        return "replicas"
