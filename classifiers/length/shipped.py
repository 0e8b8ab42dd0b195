"""What the shipped arrays say of an answer's length, before any call was made. Numpy only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from classifiers.length.arrays import HEAD, POOL, SCALED, THINKING, LengthArrays
from classifiers.length.asked import Asked
from classifiers.spread import Z90, Knots, ordered, quantiles_of

F64 = npt.NDArray[np.float64]
_STRAIGHT = 30.0
_NARROWEST, _WIDEST = 0.6, 3.0
_UNWISHED = 1.0
"""Spread of log tokens of a forecast that knows nothing of wishes, when there is one: forecasts
were off by as much on data sets left out, and prompts with wishes were hardly in the data."""
MAX_STACKS = 256
ANY = -1
"""The number of no kind of task in particular."""


class LengthProfile(NamedTuple):
    """How one profile's length follows; see `LengthArrays`. `tight`: its verbosity is known."""

    kind: int
    ref: int
    value: float
    tight: bool


class Foretold(NamedTuple):
    """Log tokens of all output, and of what is visible of it where the model thinks; a factor on
    the mean.
    """

    output: Knots
    visible: Knots | None
    mean: float = 1.0


class LengthPrior:
    """Lengths of any profile from arrays that do not change."""

    def __init__(
        self, arrays: LengthArrays, profiles: Sequence[str], basis: Sequence[str]
    ) -> None:
        self._w1 = np.ascontiguousarray(arrays.w1, dtype=np.float64)
        self._b1 = arrays.b1.astype(np.float64)
        self._coef = arrays.coef.astype(np.float64)
        self._intercept = arrays.intercept
        # The last of each is that of no kind in particular.
        usual = arrays.offsets.mean(axis=1, keepdims=True)
        self._offsets = np.concatenate((arrays.offsets, usual), axis=1).tolist()
        usual = arrays.means.mean(axis=1, keepdims=True)
        self._means = np.concatenate((arrays.means, usual), axis=1).tolist()
        self._pool = len(self._offsets) - 2
        self._thinking = (*arrays.thinking.tolist(), *arrays.thinking_offsets.tolist())
        self._visible = (*arrays.visible.tolist(), *arrays.visible_offsets.tolist())
        self._wider = float(arrays.unfamiliar[0])
        self._names = tuple(profiles)
        self._profiles = {
            name: LengthProfile(kind, ref, value, tight=rests == "placed")
            for name, kind, ref, value, rests in zip(
                profiles,
                arrays.kind.tolist(),
                arrays.ref.tolist(),
                arrays.value.tolist(),
                basis,
                strict=True,
            )
        }
        self._stacks: dict[tuple[int, ...], tuple[F64, F64]] = {}
        self._usual: dict[LengthProfile, float] = {}

    def profile(self, name: str, otherwise: str) -> LengthProfile:
        """How this profile's length follows, or that of `otherwise` for one never heard of."""
        return self._profiles.get(name) or self._profiles[otherwise]

    def thinks(self, profile: LengthProfile) -> bool:
        """Whether it reasons before it answers."""
        return profile.kind in {THINKING, SCALED}

    def placed(self, name: str, like: str, tokens: float | None, logit: float) -> LengthPrior:
        """The same with one more profile: as long as `like`, or `tokens` on average; it thinks if
        `like` does. `logit` as in `usual`.
        """
        found = self._profiles[like]
        if tokens is not None:
            if not self.thinks(found):
                found = LengthProfile(POOL, -1, 0.0, tight=True)
            by = tokens / self.usual(found, logit)
            moved = found.value * by if found.kind == SCALED else found.value + math.log(by)
            found = found._replace(value=moved)
        new = copy(self)
        new._profiles = self._profiles | {name: found}
        return new

    def usual(self, profile: LengthProfile, logit: float) -> float:
        """Mean output tokens before a prompt is read; `logit` of being right without thinking."""
        found = self._usual.get(profile)
        if found is None:
            x = np.zeros(len(self._w1), dtype=np.float32)
            (foretold,) = self.foretell(x, 1.0, ANY, [profile], lambda _: logit)
            mean = quantiles_of(foretold.output).mean
            found = self._usual[profile] = foretold.mean * mean
        return found

    def base_of(self, profile: LengthProfile) -> str:
        """The profile whose chance to be right, without thinking, says how much is thought."""
        while profile.kind == SCALED:
            profile = self._profiles[self._names[profile.ref]]
        return self._names[profile.ref] if profile.kind == THINKING else ""

    def foretell(
        self,
        x: npt.NDArray[np.float32],
        known: float,
        kind: int,
        profiles: Sequence[LengthProfile],
        logit: Callable[[str], float],
        asked: Asked | None = None,
        effort: float = 1.0,
    ) -> list[Foretold]:
        """The lengths of each profile for one prompt `x` (d,) of a kind of task (its number).

        `logit` answers how surely a profile is right; `effort` is a factor on what is thought.
        """
        centre, raw = self._run(x, profiles)
        wider = 1.0 + (1.0 - known) * (self._wider - 1.0)
        done: dict[str, Knots] = {}
        shown: Knots | None = None
        found = []
        for profile in profiles:
            if profile.kind in {POOL, HEAD}:
                at = profile.ref if profile.kind == HEAD else self._pool + profile.tight
                knots = _moved(raw[profile.ref], self._offsets[at][kind], profile.value, wider)
                knots = knots if asked is None else _wished(knots, asked)
                found.append(Foretold(knots, None, self._means[at][kind]))
                continue
            if shown is None:
                start, slope, *offsets = self._visible
                middle = start + slope * centre
                shown = ordered(*(middle + offset for offset in offsets))
                shown = shown if asked is None else _wished(shown, asked)
            output = self._thought(profile, centre, logit, done)
            if effort != 1.0:
                by = math.log(effort)
                output = ordered(*(knot + by for knot in output))
            found.append(Foretold(output, shown))
        return found

    def _thought(
        self,
        profile: LengthProfile,
        centre: float,
        logit: Callable[[str], float],
        done: dict[str, Knots],
    ) -> Knots:
        """Log tokens of thinking and answer together."""
        if profile.kind == SCALED:
            below = self._profiles[self._names[profile.ref]]
            by = math.log(profile.value)
            return ordered(*(k + by for k in self._thought(below, centre, logit, done)))
        base = self._names[profile.ref]
        if base not in done:
            over_centre, over_logit, *offsets = self._thinking
            middle = over_centre * centre + over_logit * logit(base)
            done[base] = (
                middle + offsets[0],
                middle + offsets[1],
                middle + offsets[2],
                middle + offsets[3],
            )
        return ordered(*(knot + profile.value for knot in done[base]))

    def _run(
        self, x: npt.NDArray[np.float32], profiles: Sequence[LengthProfile]
    ) -> tuple[float, Mapping[int, tuple[float, ...]]]:
        """The pool's centre, and knots before calibration by head; -1 is the pool."""
        heads = tuple(dict.fromkeys(p.ref for p in profiles if p.kind == HEAD))
        stack = self._stacks.get(heads)
        if stack is None:
            columns = [4 * h + k for h in (*heads, self._pool) for k in range(4)]
            stack = np.ascontiguousarray(self._coef[:, columns]), self._intercept[columns]
            if len(self._stacks) >= MAX_STACKS:
                self._stacks.clear()
            self._stacks[heads] = stack
        inputs = np.empty(len(self._coef))
        d = len(x)
        inputs[:d] = x
        hidden = inputs[:d] @ self._w1
        hidden += self._b1
        np.maximum(hidden, 0.0, out=inputs[d:])
        out = (inputs @ stack[0] + stack[1]).tolist()
        found = {head: _knots(out[4 * at : 4 * at + 4]) for at, head in enumerate((*heads, -1))}
        return out[-4], found


def _knots(out: Sequence[float]) -> tuple[float, float, float, float]:
    centre, down, up, tail = out
    high = centre + _softplus(up)
    return centre - _softplus(down), centre, high, high + _softplus(tail)


def _softplus(x: float) -> float:
    return x if x > _STRAIGHT else math.log1p(math.exp(x))


def _moved(knots: Sequence[float], offsets: Sequence[float], shift: float, wider: float) -> Knots:
    """Knots with conformal offsets, moved, and widened around their middle."""
    p10, p50, p90, p99 = knots
    down, up = p50 - p10, p90 - p50
    p10 += offsets[0] * down
    middle = p50 + offsets[1] * 0.5 * (down + up)
    p90 += offsets[2] * up
    p99 += offsets[3]
    centre = middle + shift
    return ordered(
        centre + wider * (p10 - middle),
        centre,
        centre + wider * (p90 - middle),
        centre + wider * (p99 - middle),
    )


def _wished(knots: Knots, asked: Asked) -> Knots:
    """A forecast and a wish, weighed by how sure each is."""
    own = max(0.05, (knots[2] - knots[0]) / (2.0 * Z90))
    spread = max(_UNWISHED, own)
    weight = spread**2 / (spread**2 + asked.spread**2)
    centre = knots[1] + weight * (asked.log_tokens - knots[1])
    scale = min(max(math.sqrt(1.0 - weight) * spread / own, _NARROWEST), _WIDEST)
    return ordered(*(centre + scale * (knot - knots[1]) for knot in knots))
