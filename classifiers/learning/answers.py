"""Learns from the user's own graded answers where the prior is wrong.

For one tenant and one profile a Gaussian process follows grade - prior over the prompts
(`kernel`, `gaussian`); `guard` weighs it against the prior by how well each foretold the grades
so far, so that it is never much worse than the prior. An answer takes 4 (du + dz) bytes for its
point, shared by the profiles graded on that prompt, and about 600 more. What is fitted to n
answers of a profile takes 4 n^2 bytes and 512 n for what is pending, shared by the profiles
graded on just the same prompts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from itertools import count
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.checks import refusal
from classifiers.learning.guard import clipped, mixed, reweighed
from classifiers.learning.kernel import Kernel, Point, Table, checked
from classifiers.learning.tenants import Answer, Fit, Held, Learned, Status, Tenant, Track

__all__ = ["Answer", "Kernel", "Learned", "Learning", "Point", "Status"]

FORMAT = "learning/1"


class Learning:
    """Graded answers of any number of tenants, who never see each other's.

    Per tenant and profile the last `capacity` answers count; beyond that the oldest go, a
    sixteenth at a time. Of `max_matrices` profiles, those used last, the fit is kept ready; that
    of others is made again when asked for. Threads may share it: learning takes a lock,
    predictions read the last finished fit and do not wait.
    """

    def __init__(
        self, kernel: Kernel | None = None, capacity: int = 1024, max_matrices: int = 32
    ) -> None:
        if capacity < 1 or max_matrices < 1:
            raise ValueError("expected capacity and max_matrices of at least 1")
        self.kernel = kernel or Kernel()
        self.capacity, self.max_matrices = capacity, max_matrices
        self._tenants: dict[str, Tenant] = {}
        self._shape: tuple[int, int] | None = None
        self._seq = 0
        self._ticks = count(1)
        self._ready: dict[Track, tuple[Tenant, str]] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        arguments = self.state(), self.kernel, self.capacity, self.max_matrices
        return type(self).from_state, arguments

    @property
    def lock(self) -> Lock:
        """What learning takes: to hold while a process forks."""
        return self._lock

    @property
    def seq(self) -> int:
        """How many answers were ever learned, less those rolled back."""
        return self._seq

    def learn(self, tenant: str, profile: str, point: Point, prior: float, grade: float) -> int:
        """Learn one answer; returns its number.

        Raises:
            ValueError: a grade or a prior outside [0, 1], or a point that cannot be.
        """
        prior, grade = _unit("prior", prior), _unit("grade", grade)
        point = checked(point)
        with self._lock:
            home = self._home(tenant, point)
            row = home.table.add(point)
            query = self.kernel.query(point, home.table.codes)
            rows = home.table.view()
            k = self.kernel.row(query, rows)
            track = home.tracks.get(profile) or Track()
            old = self._fit(home, profile) if track.held else None
            shift = float(k[old.system.places] @ old.alpha) if old else 0.0
            losses = (grade - clipped(prior)) ** 2, (grade - clipped(prior + shift)) ** 2
            loss = (grade - mixed(prior, shift, track.weight)) ** 2
            weight = reweighed(track.weight, *losses)
            self._seq += 1
            track.held.append(Held(self._seq, row, prior, grade, weight, *losses, loss))
            home.tracks[profile] = track
            if len(track.held) > self.capacity:
                for _ in range(max(1, self.capacity // 16)):
                    track.held.popleft()
                self._fit(home, profile, home.fit(profile))
                home.compact()
            else:
                system = home.shared(profile)
                if system is None and old:
                    system = old.system.grown(self.kernel, rows, row, k, query.variance)
                self._fit(home, profile, home.fit(profile, system, old))
            return self._seq

    def predict(
        self, tenant: str, priors: Mapping[str, float], point: Point
    ) -> dict[str, Learned]:
        """What was learned of the profiles, by name; those without an answer are left out.

        `priors` are what the prior says of each profile, for this prompt.

        Raises:
            ValueError: a prior outside [0, 1], or a point that cannot be.
        """
        home, shape = self._tenants.get(tenant), self._shape
        if home is None or shape is None:
            return {}
        point = checked(point, *shape)
        view = home.view
        fits = {name: view.fits[name] for name in priors if name in view.fits}
        if len(fits) < len(priors) and any(n in home.tracks and n not in fits for n in priors):
            with self._lock:
                fits = {n: self._fit(home, n) for n in priors if n in home.tracks}
                view = home.view
        if not fits:
            return {}
        query = self.kernel.query(point, view.codes)
        k = self.kernel.row(query, view.rows)
        tick = next(self._ticks)
        found: dict[str, Learned] = {}
        seen: dict[int, tuple[Any, float]] = {}
        for name, fit in fits.items():
            prior, weight, system = _unit("prior", priors[name]), fit.weight, fit.system
            fit.track.used = tick
            if id(system) not in seen:
                mine = k[system.places]
                share = system.explained(mine) / query.variance
                seen[id(system)] = mine, min(1.0, max(0.0, share))
            mine, share = seen[id(system)]
            shift = float(mine @ fit.alpha)
            base = self.kernel.level**2 * fit.total
            if 0 < query.code < len(fit.routes):
                base += self.kernel.route**2 * float(fit.routes[query.code])
            found[name] = Learned(
                shift=mixed(prior, shift, weight) - prior,
                base_shift=weight * query.gain * base,
                spread=math.sqrt(max(1e-6, 1.0 - weight * share)),
                graded=len(system.places),
                weight=weight,
            )
        return found

    def rollback(self, seq: int) -> int:
        """Forget all answers after the `seq`-th; returns how many these were.

        Predictions are then what they were at that time, weights included, unless an answer held
        then has since gone beyond the capacity: such answers do not come back.

        Raises:
            ValueError: `seq` below 0 or beyond the last answer.
        """
        with self._lock:
            if not 0 <= seq <= self._seq:
                raise refusal(f"expected an answer from 0 to {self._seq}, got {seq}")
            forgotten = 0
            for tenant, home in list(self._tenants.items()):
                shorter = []
                for name, track in list(home.tracks.items()):
                    before = len(track.held)
                    while track.held and track.held[-1].seq > seq:
                        track.held.pop()
                    if len(track.held) < before:
                        forgotten += before - len(track.held)
                        shorter.append(name)
                        self._ready.pop(track, None)
                    if not track.held:
                        del home.tracks[name]
                home.unfit(shorter)
                home.compact()
                if not home.tracks:
                    del self._tenants[tenant]
            self._seq = seq
            return forgotten

    def counts(self) -> dict[tuple[str, str], int]:
        """Answers held, by tenant and profile."""
        with self._lock:
            return {name: len(track.held) for name, _, track in self._tracks()}

    def status(self) -> list[Status]:
        with self._lock:
            return [
                Status(*name, len(t.held), t.weight, *np.mean([a[5:] for a in t.held], 0).tolist())
                for name, _, t in self._tracks()
            ]

    def answers(self) -> list[Answer]:
        """Every answer held, in the order learned."""
        with self._lock:
            held = [
                Answer(a.seq, *name, home.table.point(a.row), a.prior, a.grade)
                for name, home, track in self._tracks()
                for a in track.held
            ]
        return sorted(held, key=lambda answer: answer.seq)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """All that is held as plain arrays, for an npz without pickles."""
        with self._lock:
            table = Table(self.kernel, *(self._shape or (0, 0)))
            tracks = list(self._tracks())
            held = [(at, home, a) for at, (_, home, t) in enumerate(tracks) for a in t.held]
            places = [(at, table.add(home.table.point(a.row)), a.seq) for at, home, a in held]
            names = [name for name, _, _ in tracks]
            about = {"format": FORMAT, "seq": self._seq, "routes": [*table.codes], "tracks": names}
        rows = table.view()
        return {
            "about": np.frombuffer(json.dumps(about).encode(), dtype=np.uint8),
            "near": rows.near,
            "line": rows.line,
            "known": rows.known,
            "code": rows.code,
            "places": np.array(places, dtype=np.int64).reshape(-1, 3),
            "values": np.array([a[2:] for _, _, a in held], dtype=np.float64).reshape(-1, 6),
        }

    @classmethod
    def from_state(
        cls,
        state: Mapping[str, npt.NDArray[Any]],
        kernel: Kernel | None = None,
        capacity: int = 1024,
        max_matrices: int = 32,
    ) -> Learning:
        """The answers of a `state`; with a smaller capacity, the last of them.

        Raises:
            ValueError: not a state of this format, or one that is broken.
        """
        new = cls(kernel, capacity, max_matrices)
        try:
            about = json.loads(state["about"].tobytes())
            if about["format"] != FORMAT:
                raise ValueError(f"expected the format {FORMAT}, got {about['format']}")
            routes = "", *map(str, about["routes"])
            tracks = [(str(tenant), str(profile)) for tenant, profile in about["tracks"]]
            known, codes = state["known"].tolist(), state["code"].tolist()
            columns = zip(state["near"], state["line"], codes, known, strict=True)
            points = [
                checked(Point(near, line[:-2], float(line[-2]), routes[code], share))
                for near, line, code, share in columns
            ]
            values = state["values"]
            if values.shape[1:] != (6,) or not ((values >= 0) & (values <= 1)).all():
                raise ValueError("expected six values from 0 to 1 for each answer")
            new._seq = int(about["seq"])
            kept = zip(state["places"].tolist(), values.tolist(), strict=True)
            for (at, row, seq), numbers in kept:
                new._restore(tracks[at], points[row], seq, numbers)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"not a state of learned answers: {error!r}") from error
        return new

    def _restore(self, name: tuple[str, str], point: Point, seq: int, values: list[float]) -> None:
        home = self._home(name[0], point)
        held = home.tracks.setdefault(name[1], Track()).held
        if not (held[-1].seq if held else 0) < seq <= self._seq:
            raise ValueError("expected the answers of a profile in the order learned")
        held.append(Held(seq, home.table.add(point), *values))
        if len(held) > self.capacity:
            held.popleft()

    def _home(self, tenant: str, point: Point) -> Tenant:
        if self._shape is None:
            self._shape = len(point.near), len(point.demand)
        checked(point, *self._shape)
        if tenant not in self._tenants:
            self._tenants[tenant] = Tenant(self.kernel, *self._shape)
        return self._tenants[tenant]

    def _fit(self, home: Tenant, name: str, fit: Fit | None = None) -> Fit:
        """The fit of a profile, made if need be; beyond `max_matrices` the most idle one goes."""
        fit = fit or home.view.fits.get(name) or home.fit(name)
        fit.track.used = next(self._ticks)
        self._ready[fit.track] = home, name
        if len(self._ready) > self.max_matrices:
            idle, at = self._ready.pop(min(self._ready, key=lambda track: track.used))
            idle.unfit([at])
        return fit

    def _tracks(self) -> Iterator[tuple[tuple[str, str], Tenant, Track]]:
        for tenant, home in self._tenants.items():
            for name, track in home.tracks.items():
                yield (tenant, name), home, track


def _unit(name: str, value: float) -> float:
    if not 0.0 <= float(value) <= 1.0:
        raise refusal(f"expected a {name} from 0 to 1, got {float(value)}")
    return float(value)
