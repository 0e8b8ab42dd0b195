"""Lengths as the scorer tells them: the shipped forecast, corrected by the caller's own calls."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from classifiers.length.correction import Extra
from classifiers.length.histories import ENOUGH, Histories
from classifiers.length.shipped import Foretold, LengthPrior, LengthProfile
from classifiers.placement import THINKING_SUFFIX, Placements
from classifiers.prior import PRIOR, PRIOR_THINKING, Prior, Seen
from classifiers.reading import Reading
from classifiers.scores import Quantiles
from classifiers.spread import MAX_LOG_TOKENS, quantiles_of

if TYPE_CHECKING:
    from classifiers.store import Weights

_CHARS, _WORDS, _NUMBERS = 0, 1, 4
"""Where `features.DENSE_NAMES` has "chars", "words" and "numbers"."""
_NONE = Quantiles(0.0, 0.0, 0.0, 0.0, 0.0)
_LEAST_REASONING = 0.1
"""Of all output, where what is visible is forecast longer than the whole."""
_VISIBLE = "visible"
MAX_USUAL = 4096
"""Usual lengths kept ready, by name of the profile: names never heard of have one, too."""


class Forecast(NamedTuple):
    """Tokens of one profile: all output, what is visible of it, what is reasoning; the mean before
    the prompt was read; on what it rests, and on how many calls.
    """

    output: Quantiles
    visible: Quantiles
    reasoning: Quantiles
    usual: float
    basis: str
    calls: int


class Lengths:
    """Forecasts lengths and learns from calls; thread-safe."""

    def __init__(
        self, prior: LengthPrior, effort: Mapping[str, float], histories: Histories
    ) -> None:
        self._prior = prior
        self._effort = effort
        self._histories = histories
        self._usual: dict[str, float] = {}

    @classmethod
    def of(
        cls, weights: Weights, placements: Placements, state: Mapping[str, Any] | None = None
    ) -> Lengths:
        """As shipped, with what a saved scorer had seen."""
        prior = LengthPrior(weights.lengths, weights.profiles, weights.basis)
        histories = Histories.from_state(state) if state else Histories()
        return cls(prior, placements.effort, histories)

    def fresh(self) -> Lengths:
        """The same arrays, with no call seen."""
        new = copy(self)
        new._histories = Histories()
        return new

    @property
    def lock(self) -> threading.Lock:
        """Held while calls are taken in."""
        return self._histories.lock

    def place(self, profile: str, like: str | None, tokens: float | None, prior: Prior) -> None:
        """Forecast one more profile: like another, or `tokens` long on average."""
        near = like or _average(profile)
        base = self._prior.base_of(self._prior.profile(near, PRIOR))
        self._prior = self._prior.placed(profile, near, tokens, prior.usual_logit(base))
        self._usual = {}

    def forget(self, tenant: str | None, route: str | None, profile: str | None) -> int:
        """See `Histories.forget`."""
        return self._histories.forget(tenant, route, profile)

    def calls(self) -> list[tuple[str, str, str, int, int]]:
        """See `Histories.calls`."""
        return self._histories.calls()

    def state(self) -> dict[str, Any]:
        """What calls have taught, as arrays."""
        return self._histories.state()

    def forecast(
        self, reading: Reading, seen: Seen, prior: Prior, profiles: Sequence[str], tenant: str
    ) -> list[Forecast]:
        """The lengths of each profile's answer to a prompt that was read."""
        if not profiles:
            return []
        found = [self._profile(name) for name in profiles]
        foretold = self._foretell(reading, seen, prior, found)
        extra = _extra(reading, seen, prior) if self._histories else None
        return [
            self._forecast(name, profile, one, extra, (tenant, _route(reading)), prior)
            for name, profile, one in zip(profiles, found, foretold, strict=True)
        ]

    def _forecast(
        self,
        name: str,
        profile: LengthProfile,
        foretold: Foretold,
        extra: Extra | None,
        where: tuple[str, str],
        prior: Prior,
    ) -> Forecast:
        output, visible, mean = foretold
        basis, calls = "prior", 0
        if extra is not None:
            output, basis, calls = self._histories.correct(*where, name, output, extra)
            if visible is not None:
                visible = self._histories.correct(*where, name, visible, extra, _VISIBLE).knots
        usual = self._usual.get(name)
        if usual is None:
            logit = prior.usual_logit(self._prior.base_of(profile))
            if len(self._usual) >= MAX_USUAL:
                self._usual = {}
            usual = self._usual[name] = self._prior.usual(profile, logit)
        whole = quantiles_of(output)
        if calls < ENOUGH and mean != 1.0:
            mean = mean ** (1.0 - calls / ENOUGH)  # own calls take over step by step
            mean = min(max(mean * whole.mean, min(whole.mean, whole.p50)), whole.p99)
            whole = Quantiles(whole.p10, whole.p50, whole.p90, whole.p99, mean)
        if visible is None:
            return Forecast(whole, whole, _NONE, usual, basis, calls)
        shown = _within(quantiles_of(visible), whole)
        return Forecast(whole, shown, _reasoning(whole, shown), usual, basis, calls)

    def observe(
        self,
        reading: Reading,
        seen: Seen,
        prior: Prior,
        profile: str,
        counts: tuple[int, int | None],
        truncated: bool,
        tenant: str,
    ) -> None:
        """Take in one answer: all its output tokens, and the reasoning among them if known."""
        output_tokens, reasoning_tokens = counts
        (foretold,) = self._foretell(reading, seen, prior, [self._profile(profile)])
        extra, route = _extra(reading, seen, prior), _route(reading)
        keep = self._histories.observe
        log = min(math.log1p(min(output_tokens, 2**63)), MAX_LOG_TOKENS)
        keep(tenant, route, profile, foretold.output, extra, log, truncated=truncated)
        if foretold.visible is not None and reasoning_tokens is not None and not truncated:
            shown = min(math.log1p(min(output_tokens - reasoning_tokens, 2**63)), MAX_LOG_TOKENS)
            keep(tenant, route, profile, foretold.visible, extra, shown, what=_VISIBLE)

    def _profile(self, name: str) -> LengthProfile:
        return self._prior.profile(name, _average(name))

    def _foretell(
        self, reading: Reading, seen: Seen, prior: Prior, profiles: Sequence[LengthProfile]
    ) -> list[Foretold]:
        return self._prior.foretell(
            reading.x,
            seen.known,
            prior.weights.kinds.index(seen.kind),
            profiles,
            lambda name: prior.logit(seen, name),
            reading.asked,
            self._effort.get(reading.effort, 1.0),
        )


def _average(name: str) -> str:
    """The profile that stands for one never heard of."""
    return PRIOR_THINKING if name.endswith(THINKING_SUFFIX) else PRIOR


def _extra(reading: Reading, seen: Seen, prior: Prior) -> Extra:
    chars, words, numbers = reading.x[[_CHARS, _WORDS, _NUMBERS]].tolist()
    return Extra(chars, words, prior.lean(seen), numbers)


def _route(reading: Reading) -> str:
    """An effort makes a route of its own: it changes the length of the same prompts."""
    return f"{reading.route}/{reading.effort}" if reading.effort else reading.route


def _within(part: Quantiles, whole: Quantiles) -> Quantiles:
    return Quantiles(
        min(part.p10, whole.p10),
        min(part.p50, whole.p50),
        min(part.p90, whole.p90),
        min(part.p99, whole.p99),
        min(part.mean, whole.mean),
    )


def _reasoning(whole: Quantiles, shown: Quantiles) -> Quantiles:
    """What is left when a usual answer is taken out: most of the spread is in the reasoning."""
    usual, least = shown.p50, _LEAST_REASONING
    return Quantiles(
        max(whole.p10 - usual, least * whole.p10),
        max(whole.p50 - usual, least * whole.p50),
        max(whole.p90 - usual, least * whole.p90),
        max(whole.p99 - usual, least * whole.p99),
        max(whole.mean - shown.mean, least * whole.mean),
    )
