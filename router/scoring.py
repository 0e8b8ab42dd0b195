"""Scorers as the router needs them: asked once a request, checked, and their failures named."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeGuard

from classifiers.prompt import Prompt
from classifiers.scores import Score
from router.errors import ConfigError, RouterError, ScorerError


class Scorer(Protocol):
    """Anything that says how well and at what length each profile would answer a prompt."""

    def score(
        self, prompt: Any, profiles: Sequence[str], *, tenant: str = ""
    ) -> Mapping[str, Score]:
        """A score for each of `profiles`; unknown ones get a cautious prior.

        `prompt` is a `Prompt`, or of a `Learner` what its `read` made of one.
        """


class Learner(Scorer, Protocol):
    """A scorer that learns from graded answers.

    `version` changes with what was learned. `read` answers with all of a prompt that scoring and
    learning need, so that the text itself need not be kept.
    """

    @property
    def version(self) -> str:
        """Which weights these are, and what was learned on top."""

    def read(self, prompt: Prompt) -> Any:
        """A small stand-in for the prompt, without its text."""

    def learn(self, prompt: Any, profile: str, grade: float, *, tenant: str = "") -> None:
        """Take in that `profile` answered this prompt with this grade, from 0 to 1."""


class Observer(Scorer, Protocol):
    """A scorer that takes in how long answers really were; nobody need grade them for that."""

    def observe(
        self,
        prompt: Any,
        profile: str,
        output_tokens: int,
        *,
        reasoning_tokens: int | None = None,
        truncated: bool = False,
        tenant: str = "",
    ) -> None:
        """Take in that `profile` answered this prompt with so many tokens, reasoning included.

        `reasoning_tokens` is None where the host does not say. `truncated`: the answer was cut,
        so that it would have been longer. `prompt` is as in `Scorer.score`.
        """


def observes(scorer: Scorer) -> TypeGuard[Observer]:
    """Whether this scorer is an `Observer`."""
    return callable(getattr(scorer, "observe", None))


def learns(scorer: Scorer) -> TypeGuard[Learner]:
    """Whether this scorer is a `Learner`."""
    return not _missing(scorer)


def learner(scorer: Scorer) -> Learner:
    """The scorer as a learner.

    Raises:
        ConfigError: what it lacks.
    """
    if learns(scorer):
        return scorer
    raise ConfigError(
        f"this client's scorer, {type(scorer).__qualname__}, does not learn: it has no "
        f"{', no '.join(_missing(scorer))}. Use the shipped one, or one with read(prompt), "
        "learn(prompt, profile, grade, *, tenant) and version."
    )


def version_of(scorer: Scorer) -> str:
    """Its version; for one that says none, the name of its kind."""
    version = getattr(scorer, "version", None)
    kind = type(scorer)
    return version if isinstance(version, str) else f"{kind.__module__}.{kind.__qualname__}"


def scores_of(
    scorer: Scorer, prompt: Prompt, profiles: Sequence[str], tenant: str
) -> tuple[Any, Mapping[str, Score]]:
    """What learning and observing need of the prompt, and a score of each profile.

    Of a learner that is what it read; of a scorer that only observes, the prompt; else None.

    Raises:
        ScorerError: it failed, or what it answered is no score.
    """
    try:
        asked = scorer.read(prompt) if learns(scorer) else prompt
        found = scorer.score(asked, profiles, tenant=tenant)
    except RouterError:
        raise
    except Exception as error:  # a scorer is anybody's code
        raise ScorerError(f"the scorer failed: {type(error).__name__}: {error}") from error
    for profile in profiles:
        _check(found.get(profile) if isinstance(found, Mapping) else None, profile)
    return asked if learns(scorer) or observes(scorer) else None, found


def _check(score: object, profile: str) -> None:
    if not isinstance(score, Score):
        raise ScorerError(f"the scorer answered no Score for {profile!r} but {score!r}")
    for p in (score.p_correct, *score.draws, *(() if score.base is None else (score.base,))):
        if not 0.0 <= p <= 1.0:
            raise ScorerError(f"the scorer answered P(correct) {p!r} for {profile!r}, not 0 to 1")
    for tokens in (score.output_tokens, score.reasoning_tokens, score.visible_tokens):
        if tokens is None:
            continue
        for n in (tokens.p10, tokens.p50, tokens.p90, tokens.p99, tokens.mean):
            if not 0.0 <= n < math.inf:
                raise ScorerError(f"the scorer answered {n!r} output tokens for {profile!r}")


def _missing(scorer: Scorer) -> list[str]:
    return [name for name in ("read", "learn") if not callable(getattr(scorer, name, None))]
