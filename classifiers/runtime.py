"""Scores a prompt with the shipped arrays: numpy only, no scikit-learn, no disk after loading."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from classifiers.features import CLIP, N_DENSE, featurize
from classifiers.placement import THINKING_SUFFIX, ZERO, Placements, logistic, scaled
from classifiers.scores import Quantiles, Score
from classifiers.spread import spread_of, token_quantiles
from classifiers.store import Weights, shipped_placements, shipped_weights

MAX_PROFILES = 1000
Array = npt.NDArray[np.float64]


class _Pass(NamedTuple):
    """One prompt through all heads: `logits` (H + 1,), `tokens` (H + 1, 5); last is the pool."""

    logits: list[float]
    tokens: Array
    spread: float
    centre: float


class Scorer:
    """P(correct) and token quantiles of any profile. Immutable: share it between threads."""

    def __init__(self, weights: Weights, placements: Placements) -> None:
        missing = set(placements.profiles) - set(weights.placed)
        if missing:
            raise ValueError(f"placements unknown to these weights: {sorted(missing)}; train anew")
        self._weights = weights
        self._placements = placements
        self._heads = len(weights.profiles) + 1
        self._column = {name: i for i, name in enumerate(weights.profiles)}
        coef = weights.coef.astype(np.float64)
        self._dense = np.ascontiguousarray(coef[:N_DENSE])
        self._hashed = np.ascontiguousarray(coef[N_DENSE:] * weights.hashed_scale)
        self._dense_mean = weights.dense_mean.astype(np.float64)
        self._dense_scale = weights.dense_scale.astype(np.float64)
        self._shift = {
            name: (float(logit), float(token))
            for name, logit, token in zip(
                weights.placed,
                weights.placed_logit_shift,
                weights.placed_token_shift,
                strict=True,
            )
        }

    @property
    def trained(self) -> tuple[str, ...]:
        """Profiles with a head trained on their own outcomes."""
        return self._weights.profiles

    @property
    def placed(self) -> tuple[str, ...]:
        """Profiles placed by published scores."""
        return tuple(self._placements.profiles)

    def score(self, text: str, profiles: Sequence[str]) -> dict[str, Score]:
        """The score of each profile for one prompt; the prompt is read once.

        A profile never heard of is scored as a middling model, basis "prior".

        Raises:
            ValueError: `text` is not a str, or `profiles` is not a list of names.
        """
        if not isinstance(text, str):
            raise ValueError(f"expected the prompt as str, got {type(text).__name__}")
        if isinstance(profiles, str):
            raise ValueError(f"expected a list of profiles, got {profiles!r}: wrap it in a list")
        if len(profiles) > MAX_PROFILES:
            raise ValueError(f"expected at most {MAX_PROFILES} profiles, got {len(profiles)}")
        seen = self._read(text)
        return {name: self._score(name, seen) for name in profiles}

    def raw(self, text: str) -> Array:
        """(2H + 3,): all linear outputs, in the order of `Weights.coef`; for parity checks."""
        found = featurize(text)
        dense = (found.dense - self._dense_mean) / self._dense_scale
        np.clip(dense, -CLIP, CLIP, out=dense)
        total = dense @ self._dense + self._weights.intercept
        if found.buckets.size:
            total += found.values.astype(np.float64) @ self._hashed[found.buckets]
        return np.asarray(total, dtype=np.float64)

    def _read(self, text: str) -> _Pass:
        raw, heads = self.raw(text), self._heads
        centres = raw[heads : 2 * heads]
        spread = spread_of(raw[-1:])
        tokens = token_quantiles(
            centres,
            np.broadcast_to(spread, centres.shape),
            self._weights.offsets[:-1],
            self._weights.residuals[:-1],
        )
        return _Pass(raw[:heads].tolist(), tokens, float(spread[0]), float(centres[-1]))

    def _score(self, name: str, seen: _Pass) -> Score:
        column = self._column.get(name)
        if column is not None:
            return Score(
                logistic(seen.logits[column]), _quantiles(seen.tokens[column]), ZERO, "trained"
            )
        if name in self._placements.profiles:
            logit, output, reasoning = self._place(name, seen)
            return Score(logistic(logit), output, reasoning, "placed")
        pooled = seen.logits[-1]
        if name.endswith(THINKING_SUFFIX):
            output = self._placements.thinking_tokens(pooled)
            reasoning = scaled(output, self._placements.reasoning_share)
            logit = self._placements.thinking_logit(pooled, 0.0)
            return Score(logistic(logit), output, reasoning, "prior")
        return Score(logistic(pooled), _quantiles(seen.tokens[-1]), ZERO, "prior")

    def _place(self, name: str, seen: _Pass) -> tuple[float, Quantiles, Quantiles]:
        """Logit, output and reasoning tokens of a placed profile, through its base."""
        placement = self._placements.profiles[name]
        logit_shift, token_shift = self._shift[name]
        if placement.kind == "direct":
            tokens = token_quantiles(
                np.array([seen.centre + token_shift]),
                np.array([seen.spread]),
                self._weights.offsets[-1:],
                self._weights.residuals[-1:],
            )
            return seen.logits[-1] + logit_shift, _quantiles(tokens[0]), ZERO
        assert placement.base is not None
        base_logit, base_output, base_reasoning = self._place(placement.base, seen)
        if placement.kind == "thinking":
            output = self._placements.thinking_tokens(base_logit)
            reasoning = scaled(output, self._placements.reasoning_share)
            return self._placements.thinking_logit(base_logit, logit_shift), output, reasoning
        ratio = placement.token_ratio
        return (
            base_logit + placement.logit_gain,
            scaled(base_output, ratio),
            scaled(base_reasoning, ratio),
        )


def _quantiles(row: Array) -> Quantiles:
    p10, p50, p90, p99, mean = row.tolist()
    return Quantiles(p10, p50, p90, p99, mean)


_default: Scorer | None = None
_lock = threading.Lock()


def load_default() -> Scorer:
    """The scorer of the shipped weights, loaded once per process; safe from any thread."""
    global _default  # noqa: PLW0603  one scorer per process is the point
    if _default is None:
        with _lock:
            if _default is None:
                _default = Scorer(shipped_weights(), shipped_placements())
    return _default
