"""One tenant's graded answers and what is fitted to them; predictions read it without a lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakValueDictionary

import numpy as np

from classifiers.learning.gaussian import Start, System, by_route, places_of
from classifiers.learning.guard import FIRST
from classifiers.learning.kernel import Doubles, Kernel, Point, Rows, Table


class Answer(NamedTuple):
    """One graded answer: the `seq`-th that was learned, where the prior said `prior`."""

    seq: int
    tenant: str
    profile: str
    point: Point
    prior: float
    grade: float


class Learned(NamedTuple):
    """What a profile's own answers say of a prompt.

    `shift` is to be added to the prior and leaves it within [0.01, 0.99], `base_shift` is the part
    that is known before the prompt is read; the guard has weighed both. `spread` in (0, 1] is the
    deviation that is left of the prior's, `graded` the answers that it stands on, `weight` what
    the guard gives to them.
    """

    shift: float
    base_shift: float
    spread: float
    graded: int
    weight: float


class Status(NamedTuple):
    """How well the answers held of a profile were foretold, each before it was learned.

    Mean squared errors: of the prior, of the learned prediction alone, and of what was predicted.
    """

    tenant: str
    profile: str
    graded: int
    weight: float
    brier_prior: float
    brier_learned: float
    brier: float


class Held(NamedTuple):
    """An answer as it is kept: the guard's weight is the one after it, the losses are squared."""

    seq: int
    row: int
    prior: float
    grade: float
    weight: float
    loss_prior: float
    loss_learned: float
    loss: float


@dataclass(eq=False, slots=True)
class Track:
    """The answers of one profile, oldest first; `used` tells when its fit was last asked for."""

    held: deque[Held] = field(default_factory=deque)
    used: int = 0

    @property
    def weight(self) -> float:
        return self.held[-1].weight if self.held else FIRST


class Fit(NamedTuple):
    """All that a prediction takes; never changed.

    `total` and `routes` are the sums of gain times alpha: of all rows, and by code of the route.
    """

    track: Track
    system: System
    alpha: Doubles
    start: Start
    total: float
    routes: Doubles
    weight: float


class View(NamedTuple):
    """Points and fits that belong together."""

    rows: Rows
    codes: dict[str, int]
    fits: dict[str, Fit]


class Tenant:
    """Points, each once; answers by profile; and the last finished `view` of them.

    All but reading `view` is for one thread at a time.
    """

    __slots__ = ("_systems", "kernel", "table", "tracks", "view")

    def __init__(self, kernel: Kernel, du: int, dz: int) -> None:
        self.kernel = kernel
        self.table = Table(kernel, du, dz)
        self.tracks: dict[str, Track] = {}
        # profiles graded on the same prompts share one system: this finds it
        self._systems: WeakValueDictionary[bytes, System] = WeakValueDictionary()
        self.view = View(self.table.view(), self.table.codes, {})

    def shared(self, name: str) -> System | None:
        """A system over just the points of this profile, if another profile has it."""
        return self._systems.get(places_of(a.row for a in self.tracks[name].held).tobytes())

    def fit(self, name: str, system: System | None = None, old: Fit | None = None) -> Fit:
        """Fit a profile to all that it holds, and let predictions see it.

        Without a `system` over its points one is found or made. `old` is the fit that this one
        goes on from, if any.
        """
        track, rows = self.tracks[name], self.table.view()
        if system is None:
            places = places_of(answer.row for answer in track.held)
            system = self.shared(name) or System.of(self.kernel, rows, places)
        self._systems[system.places.tobytes()] = system
        residuals = np.array([answer.grade - answer.prior for answer in track.held])
        goes_on = old is not None and old.system.factor is system.factor and len(system.factor)
        alpha, start = system.weights(residuals, old.start if old and goes_on else None)
        sums = by_route(rows, system.places, alpha)
        fit = Fit(track, system, alpha, start, *sums, track.weight)
        self.view = View(rows, self.table.codes, {**self.view.fits, name: fit})
        return fit

    def unfit(self, names: Iterable[str]) -> None:
        """Let go of some fits."""
        gone = set(names)
        left = {name: fit for name, fit in self.view.fits.items() if name not in gone}
        self.view = self.view._replace(fits=left)

    def compact(self) -> None:
        """Let go of the points that no answer needs, once they are more than half."""
        live = places_of(sorted({a.row for track in self.tracks.values() for a in track.held}))
        size = self.table.size
        if size <= 2 * len(live) + 64:
            return
        self.table = self.table.kept(live)
        place = np.zeros(size, dtype=np.int32)
        place[live] = np.arange(len(live), dtype=np.int32)
        for track in self.tracks.values():
            track.held = deque(a._replace(row=int(place[a.row])) for a in track.held)
        moved: dict[int, System] = {}
        fits: dict[str, Fit] = {}
        for name, fit in self.view.fits.items():
            old = fit.system
            system = moved.setdefault(id(old), old.moved(place[old.places]))
            fits[name] = fit._replace(system=system)
        self._systems = WeakValueDictionary({s.places.tobytes(): s for s in moved.values()})
        self.view = View(self.table.view(), self.table.codes, fits)
