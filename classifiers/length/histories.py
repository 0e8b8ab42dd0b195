"""The histories of all routes and models of a scorer: pooled over routes, then route by route."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from classifiers.length.correction import STATE_COLUMNS, Correction, Extra
from classifiers.length.history import History
from classifiers.spread import Knots

ENOUGH = 20
"""Calls from which on a forecast is said to rest on them."""
MAX_HISTORIES = 4096
"""Histories kept, 18 kB each when full; the one not used for longest goes first."""

Key = tuple[str, str | None, str, str]
"""Tenant, route (None: all of them), profile, and which tokens: "" all, "visible"."""


class Corrected(NamedTuple):
    """A forecast after correction, and what it rests on."""

    knots: Knots
    basis: str
    calls: int


class Histories:
    """Histories by tenant, route and profile; thread-safe, bounded."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._kept: OrderedDict[Key, History] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def correct(
        self, tenant: str, route: str, profile: str, knots: Knots, extra: Extra, what: str = ""
    ) -> Corrected:
        """The forecast, corrected by all calls of this profile, then by those of this route."""
        kept = self._kept
        if not kept:
            return Corrected(knots, "prior", 0)
        with self.lock:
            basis, calls = "prior", 0
            pooled = kept.get((tenant, None, profile, what))
            own = kept.get((tenant, route, profile, what)) if route else None
            if pooled is not None:
                calls = pooled.calls
                basis = "pooled" if calls >= ENOUGH else "prior"
            if own is not None and own.calls >= ENOUGH:
                basis, calls = "route", own.calls
            last = own or pooled
            if own is not None:
                kept.move_to_end((tenant, route, profile, what))
            if pooled is not None:
                kept.move_to_end((tenant, None, profile, what))
            return Corrected(knots if last is None else last.corrected(knots, extra), basis, calls)

    def observe(
        self,
        tenant: str,
        route: str,
        profile: str,
        knots: Knots,
        extra: Extra,
        log_tokens: float,
        *,
        truncated: bool = False,
        what: str = "",
    ) -> None:
        """Take in one answer's length; `knots` is the forecast before any correction."""
        with self.lock:
            pooled = self._history((tenant, None, profile, what))
            base = pooled.correction
            pooled.observe(knots, extra, log_tokens, truncated=truncated)
            if route:
                own = self._history((tenant, route, profile, what), base)
                own.observe(knots, extra, log_tokens, truncated=truncated)

    def calls(self) -> list[tuple[str, str, str, int, int]]:
        """Tenant, route ("" for all), profile, calls seen, and changes noticed, of each."""
        with self.lock:
            return [
                (tenant, route or "", profile, history.seen, history.changes)
                for (tenant, route, profile, what), history in self._kept.items()
                if not what
            ]

    def forget(self, tenant: str | None, route: str | None, profile: str | None) -> int:
        """Forget histories: of this tenant, route (what all routes taught goes, too, unless one is
        named) and profile; None is any. How many they were.
        """
        with self.lock:
            gone = [
                key
                for key in self._kept
                if tenant in {None, key[0]}
                and route in {None, key[1]}
                and profile in {None, key[2]}
            ]
            for key in gone:
                del self._kept[key]
        return len(gone)

    def state(self) -> dict[str, Any]:
        """All histories as arrays, to be saved."""
        with self.lock:
            kept = {key: history for key, history in self._kept.items() if history.calls}
            names = [list(key) for key in kept]
            rows = [history.state() for history in kept.values()]
        empty = np.zeros((0, STATE_COLUMNS))
        return {
            "names": np.array(json.dumps(names)),
            "counts": np.array([len(row) for row in rows], dtype=np.int64),
            "rows": np.vstack([empty, *rows]),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Histories:
        """What `state` told.

        Raises:
            ValueError: arrays that do not belong together.
        """
        new = cls()
        names, counts = json.loads(str(state["names"])), state["counts"].tolist()
        rows = np.asarray(state["rows"], dtype=np.float64)
        fits = rows.ndim == 2 and rows.shape[1] == STATE_COLUMNS
        if len(names) != len(counts) or not fits or sum(counts) != len(rows):
            raise ValueError("the scorer's file does not hold the lengths that it says")
        at = 0
        for (tenant, route, profile, what), count in zip(names, counts, strict=True):
            part = rows[at : at + count]
            new._kept[tenant, route, profile, what] = History.from_state(part)
            at += count
        return new

    def _history(self, key: Key, base: Correction | None = None) -> History:
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = History(base)
            while len(self._kept) > MAX_HISTORIES:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        return found
