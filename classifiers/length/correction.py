"""How past calls move a forecast, as values: what a history has learned, ready to be used."""

from __future__ import annotations

from typing import NamedTuple

from classifiers.spread import Knots, ordered

N_FEATURES = 4
"""Features of the prompt beside the forecast: see `Extra`."""
STATE_COLUMNS = N_FEATURES + 4
"""Numbers in each row of a saved history."""
OWN_SCALE = 0.35
"""How much of a prompt's own spread counts, beside the route's usual one."""


class Extra(NamedTuple):
    """Of a prompt: standardised log length in characters and in words, how easy models in general
    find it (a logit), and how many numbers it holds.
    """

    chars: float
    words: float
    lean: float
    numbers: float


class Correction(NamedTuple):
    """What calls have taught, as of now: a line, the usual spread, quantiles of misses."""

    line: tuple[float, ...]
    usual: float
    offsets: tuple[float, ...]

    def apply(self, knots: Knots, extra: Extra) -> Knots:
        """A forecast, corrected."""
        start, slope, chars, words, lean, numbers = self.line
        centre = knots[1] * (1.0 + slope) + start
        centre += chars * extra[0] + words * extra[1] + lean * extra[2] + numbers * extra[3]
        scale = scale_of(knots) ** OWN_SCALE * self.usual
        p10, p50, p90, p99 = self.offsets
        return ordered(
            centre + scale * p10, centre + scale * p50, centre + scale * p90, centre + scale * p99
        )


def rows_of(base: Correction | None) -> list[list[float]]:
    """A correction as two rows of a state; zeros for none."""
    flat = [0.0] if base is None else [1.0, *base.line, base.usual, *base.offsets]
    flat += [0.0] * (2 * STATE_COLUMNS - len(flat))
    return [flat[:STATE_COLUMNS], flat[STATE_COLUMNS:]]


def correction_from(flat: list[float]) -> Correction | None:
    """The correction that `rows_of` told."""
    end = 1 + N_FEATURES + 2
    if not flat[0]:
        return None
    return Correction(tuple(flat[1:end]), flat[end], tuple(flat[end + 1 : end + 5]))


def scale_of(knots: Knots) -> float:
    """The forecast's spread: half the distance from p10 to p90."""
    return max(0.05, 0.5 * (knots[2] - knots[0]))
