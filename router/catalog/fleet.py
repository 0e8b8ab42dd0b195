"""What one's own GPUs cost a token: rent, a throughput curve, and how busy they are.

Amortised: all GPU-hours over all tokens served, so that the bills add up to the rent. Marginal:
the GPU time that one more request takes at the present load, and no share of what stands idle. On
the same H100s the first is from 0.21 to 15.25 USD per million output tokens, by load alone
(arXiv 2606.11690); saturated the two are equal. OpenCost calls them allocation and usage.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil
from typing import Literal, TypeAlias

Basis: TypeAlias = Literal["amortised", "marginal"]
BASES: tuple[Basis, Basis] = ("amortised", "marginal")
STEPS: tuple[int, ...] = (*range(1, 7), 8, 10, 12, *range(15, 101, 5))
"""Percent of capacity in use, as prices know it: few steps, so that rate ids repeat."""
_DIGITS = 4
_HOUR = 3600
_MILLION = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Tokens a second, or tokens of a request; `input_tokens` includes those read from a cache."""

    input_tokens: Fraction | int = 0
    cache_read_tokens: Fraction | int = 0
    output_tokens: Fraction | int = 0

    @property
    def tokens(self) -> Fraction | int:
        """All of them, input and output."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Point:
    """A measured point of one replica: so many requests in flight (a mean), such throughput.

    Of a measurement that gives an arrival rate, in flight is rate x seconds a request (Little).
    None where only the throughput at saturation is known.
    """

    in_flight: Fraction | None
    flow: Flow


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPrices:
    """Pico-dollars per million tokens: input that no cache held, input that one did, output."""

    input: int
    cache_read: int
    output: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Replicas of one model on GPUs that are paid by the hour, busy or not.

    `gpus` is of one replica, `usd_per_gpu_hour` in pico-dollars, `curve` of one replica, rising by
    requests in flight. `input_weight` is the GPU time of an input token in that of an output
    token, `cached_weight` (None: the same) that of one read from the cache. No price assumes
    less than `least_utilisation` percent.

    Raises:
        ValueError: a count, price, weight or curve that makes no sense; says which.
    """

    gpus: int
    usd_per_gpu_hour: int
    curve: tuple[Point, ...]
    replicas: int = 1
    input_weight: Fraction = Fraction(1)
    cached_weight: Fraction | None = None
    least_utilisation: int = 1
    source: str = ""

    def __post_init__(self) -> None:
        numbers: dict[str, Fraction | int] = {
            "gpus": self.gpus,
            "replicas": self.replicas,
            "usd_per_gpu_hour": self.usd_per_gpu_hour,
            "input_weight": self.input_weight,
            "cached_weight": self.cached,
        }
        for name, number in numbers.items():
            if number <= 0:
                raise ValueError(f"expected {name} above zero, got {number}")
        if not 1 <= self.least_utilisation <= 100:
            raise ValueError(
                f"expected least_utilisation from 1 to 100 percent, got {self.least_utilisation}"
            )
        _check_curve(self.curve)

    @property
    def cached(self) -> Fraction:
        """GPU time of an input token read from the cache, in that of an output token."""
        return self.input_weight if self.cached_weight is None else self.cached_weight

    @property
    def rent(self) -> int:
        """Pico-dollars an hour, of all replicas."""
        return self.replicas * self.gpus * self.usd_per_gpu_hour

    @property
    def capacity(self) -> Fraction:
        """The most work a second of one replica; see `work`."""
        return max(self.work(point.flow) for point in self.curve)

    def work(self, flow: Flow) -> Fraction:
        """The output tokens whose decoding would take as much GPU time."""
        fresh = flow.input_tokens - flow.cache_read_tokens
        work = fresh * self.input_weight + flow.cache_read_tokens * self.cached
        return Fraction(work + flow.output_tokens)

    def utilisation(self, flow: Flow) -> Fraction:
        """The part of all replicas' capacity that serving so many tokens a second takes."""
        return self.work(flow) / (self.capacity * self.replicas)

    def step(self, utilisation: Fraction) -> int:
        """Percent, down to the next of `STEPS`: a price is never too low for the rent."""
        percent = max(utilisation * 100, Fraction(self.least_utilisation))
        below: int = bisect_right(STEPS, percent)
        return max(STEPS[max(below, 1) - 1], self.least_utilisation)

    def prices(self, basis: Basis, percent: int) -> TokenPrices:
        """What a token costs at so many percent of capacity; four digits, rounded up."""
        return self.amortised(percent) if basis == "amortised" else self.marginal(percent)

    def amortised(self, percent: int) -> TokenPrices:
        """The rent over all tokens that are served at so many percent of capacity."""
        used = Fraction(max(percent, self.least_utilisation), 100)
        return self._priced(1 / (self.capacity * used))

    def marginal(self, percent: int) -> TokenPrices:
        """The GPU time that one more token takes at so many percent of capacity.

        One more request makes every step of the batch longer: by the slope of seconds per unit of
        work over requests in flight. Where the curve shows no slow-down the first stretch that
        does counts, and a single point counts as saturated: it is never zero.
        """
        return self._priced(self._slope(percent))

    def in_flight(self, percent: int) -> Fraction | None:
        """Requests in flight at one replica that make so many percent; None without a curve."""
        if self.curve[0].in_flight is None:
            return None
        wanted = self.capacity * percent / 100
        at, done = Fraction(0), Fraction(0)
        for in_flight, work in self._rising():
            if work >= wanted:
                return at + (in_flight - at) * (wanted - done) / (work - done)
            at, done = in_flight, work
        return at

    def explain(self, percent: int) -> tuple[str, ...]:
        """The prices at this load in words, a line each."""
        most = float(self.capacity * self.replicas)
        weights = (
            f"input counted at {float(self.input_weight):.3g}, cached at {float(self.cached):.3g}"
        )
        slow = float(self._slope(percent) * self.capacity)
        hour, rent = _usd(self.usd_per_gpu_hour), _usd(self.rent)
        gpus = f"{self.replicas} x {self.gpus} GPUs"
        lines = [
            f"{gpus} at {hour} an hour each: {rent} an hour, idle or not",
            f"at most {most:,.0f} output tokens a second, {weights}",
        ]
        why = {
            "amortised": f"the rent over what {percent}% of that serves",
            "marginal": f"one more token takes {slow:.0%} of what it takes when saturated"
            if self.curve[0].in_flight is not None
            else "without a curve as much as when saturated",
        }
        for basis in BASES:
            price = self.prices(basis, percent)
            shown = (_usd(price.input), _usd(price.cache_read), _usd(price.output))
            each = "{} in, {} cached, {} out".format(*shown)
            lines.append(f"{basis}: {each}, a million: {why[basis]}")
        return tuple(lines)

    def _priced(self, seconds: Fraction) -> TokenPrices:
        """Prices where a unit of work takes so many seconds of one replica."""
        unit = seconds * self.gpus * self.usd_per_gpu_hour * _MILLION / _HOUR
        return TokenPrices(
            input=_up(unit * self.input_weight),
            cache_read=_up(unit * self.cached),
            output=_up(unit),
        )

    def _rising(self) -> list[tuple[Fraction, Fraction]]:
        """Requests in flight and work a second, what was measured lower than before left out."""
        found: list[tuple[Fraction, Fraction]] = []
        for point in self.curve:
            work = self.work(point.flow)
            if point.in_flight is not None and (not found or work > found[-1][1]):
                found.append((point.in_flight, work))
        return found

    def _slope(self, percent: int) -> Fraction:
        """Seconds of one replica for one more unit of work, at so many percent of capacity."""
        saturated = 1 / self.capacity
        at = self.in_flight(percent)
        if at is None or percent >= 100:
            return saturated
        hull = _lower_hull([(c, c / work) for c, work in self._rising()])
        slopes = [(right[1] - left[1]) / (right[0] - left[0]) for left, right in pairwise(hull)]
        ahead = [slope for (end, _), slope in zip(hull[1:], slopes, strict=True) if at < end]
        found = next((slope for slope in ahead if slope > 0), saturated)
        return min(found, saturated)


def _lower_hull(points: Sequence[tuple[Fraction, Fraction]]) -> list[tuple[Fraction, Fraction]]:
    """The points below which no other lies: slopes between them rise, as noise does not."""
    hull: list[tuple[Fraction, Fraction]] = []
    for x, y in points:
        while len(hull) > 1:
            (x1, y1), (x2, y2) = hull[-2:]
            if (y2 - y1) * (x - x1) < (y - y1) * (x2 - x1):
                break
            hull.pop()
        hull.append((x, y))
    return hull


def _check_curve(curve: Sequence[Point]) -> None:
    if not curve:
        raise ValueError(
            "expected a curve of at least one point: what a replica serves, saturated"
        )
    for point in curve:
        flow = point.flow
        if flow.output_tokens <= 0 or not 0 <= flow.cache_read_tokens <= flow.input_tokens:
            raise ValueError(
                "expected output tokens a second above zero and cached ones within the input, got "
                f"{float(flow.input_tokens):g} in ({float(flow.cache_read_tokens):g} cached) and "
                f"{float(flow.output_tokens):g} out"
            )
    loads = [point.in_flight for point in curve]
    if len(loads) > 1 or loads[0] is not None:
        known = [load for load in loads if load is not None]
        if len(known) < len(loads) or any(b <= a for a, b in pairwise([Fraction(0), *known])):
            raise ValueError("expected points that rise by in_flight, from above zero")


def _up(pico: Fraction) -> int:
    """Whole pico-dollars of four digits, rounded up: as prices are quoted, and never zero."""
    whole = ceil(pico)
    unit: int = 10 ** max(0, len(str(whole)) - _DIGITS)
    return -(-whole // unit) * unit


def _usd(pico: int) -> str:
    return f"${pico / 10**12:.4g}"
