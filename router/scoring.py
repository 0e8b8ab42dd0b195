"""Scorers as the router needs them: asked once a request, checked, and their failures named."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeGuard

from classifiers.prompt import Prompt
from classifiers.scores import Quantiles, Score
from router.errors import ConfigError, RouterError, ScorerError

_OPTIONAL = frozenset({"base", "base_tokens", "visible_tokens"})
_IN_ORDER = "p10 <= p50 <= p90 <= p99 and a mean, finite and 0 or more"


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
    learning need, so that the text itself need not be kept. Clients call it from any thread, even
    those of an event loop, and several at once.
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
        # Its words may hold the prompt: they are in the cause only.
        raise ScorerError(f"the scorer failed: {type(error).__name__}") from error
    for profile in profiles:
        _check(found.get(profile) if isinstance(found, Mapping) else None, profile)
    return asked if learns(scorer) or observes(scorer) else None, found


def _check(score: object, profile: str) -> None:
    """Raise ScorerError where a part of the score is none, naming it; the request's hot path."""
    if not isinstance(score, Score):
        raise ScorerError(
            f"the scorer answered no Score for {profile!r} but {type(score).__name__}"
        )
    try:
        output, visible, tokens = score.output_tokens, score.visible_tokens, score.base_tokens
        if not (
            0.0 <= score.p_correct <= 1.0
            and 0.0 <= score.known <= 1.0
            and score.tokens_calls >= 0
            and (score.base is None or 0.0 <= score.base <= 1.0)
            and (tokens is None or 0.0 <= tokens < math.inf)
            and _sound(output)
            and _sound(score.reasoning_tokens)
            and (visible is None or _sound(visible))
        ):
            raise _wrong(score, profile)
        for p in score.draws:
            if not 0.0 <= p <= 1.0:
                raise _wrong(score, profile)
    except (AttributeError, TypeError, ValueError):
        raise _wrong(score, profile) from None


def _sound(q: Quantiles) -> bool:
    return 0.0 <= q.p10 <= q.p50 <= q.p90 <= q.p99 < math.inf and 0.0 <= q.mean < math.inf


def _wrong(score: Score, profile: str) -> ScorerError:
    """The error that names the first part which is wrong, and what it should be."""
    shares = {"p_correct": score.p_correct, "known": score.known, "base": score.base}
    lengths = ("output_tokens", "reasoning_tokens", "visible_tokens")
    checks: list[tuple[str, object, Callable[[Any], bool], str]] = [
        *((name, value, _is_share, "from 0 to 1") for name, value in shares.items()),
        ("tokens_calls", score.tokens_calls, lambda n: n >= 0, "0 or more"),
        ("base_tokens", score.base_tokens, lambda n: 0.0 <= n < math.inf, "finite, 0 or more"),
        *((name, getattr(score, name), _sound, _IN_ORDER) for name in lengths),
        ("draws", score.draws, lambda draws: all(map(_is_share, draws)), "each from 0 to 1"),
    ]
    for name, value, right, expected in checks:
        if value is None and name in _OPTIONAL:
            continue
        try:
            fine = right(value)
        except (AttributeError, TypeError, ValueError):
            fine = False
        if not fine:
            # Numbers are shown; what else a scorer puts there may hold the prompt.
            got = [value]
            if isinstance(value, Quantiles):
                got = [value.p10, value.p50, value.p90, value.p99, value.mean]
            elif isinstance(value, (tuple, list)):
                got = [p for p in value if not (isinstance(p, (int, float)) and _is_share(p))][:1]
            shown = ", ".join(
                repr(n) if isinstance(n, (int, float)) else type(n).__name__ for n in got
            )
            return ScorerError(
                f"the scorer answered {name} {shown} for {profile!r}; expected {expected}"
            )
    return ScorerError(f"the scorer answered no sound Score for {profile!r}")


def _is_share(p: float) -> bool:
    return 0.0 <= p <= 1.0


def _missing(scorer: Scorer) -> list[str]:
    return [name for name in ("read", "learn") if not callable(getattr(scorer, name, None))]
