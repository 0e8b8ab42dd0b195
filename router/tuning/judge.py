"""A model as judge of answers: routed, budgeted and recorded like any other request."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from inspect import iscoroutinefunction
from typing import Any

from router.errors import BadResponseError, ConfigError, NoCandidateError
from router.prompts.prompt import PromptBuilder
from router.tuning.judge_prompt import RUBRIC, Asked, layout, verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A judge's grade from 0 to 1; None where its words (`raw`) were no verdict.

    `cost_usd` is what judging cost (None: unknown), `candidate` who judged, `at` when.
    """

    score: float | None
    cost_usd: Decimal | None
    candidate: str
    at: datetime
    raw: str = field(repr=False)


class Judge:
    """Grades answers through a client: its policy picks the judge, its budgets pay.

    Judging is requests like others, under the tag `task=judge` (or `tags`): budgets can be scoped
    to it and reports show it. Answers are graded one by one, so their order is no bias. A model
    does not judge its own answers where `answered_by` says whose they are, unless `own=True`.
    Garbage and refusals of a judge are no grade. How well its grades agree with people's on your
    traffic, `agreement` tells: check before you trust it. Further arguments go to `create`:
    `max_tokens` ends one that babbles, `response_format=VERDICT` (of `router.tuning`) holds small
    models to the form where their server takes a schema.

    >>> from router import Client
    >>> from router.testing import MockTransport, reply
    >>> client = Client(
    ...     transport=MockTransport(reply('{"score": 9}')),
    ...     keys={"deepinfra": "k"},
    ...     ledger=":memory:",
    ... )
    >>> Judge(client, model="deepseek-v3.2@deepinfra")("What is 2 + 2?", "4").score
    0.9
    """

    def __init__(
        self,
        client: Any,
        *,
        model: str = "auto",
        rubric: str = RUBRIC,
        tags: Mapping[str, str] | None = None,
        own: bool = False,
        **arguments: Any,
    ) -> None:
        self._client = client
        self._model = model
        self._rubric = rubric
        self._own = own
        self._tags = {"task": "judge", **(tags or {})}
        self._arguments = {"temperature": 0, **arguments}

    @property
    def client(self) -> Any:
        """The client that judging goes through."""
        return self._client

    def __call__(
        self,
        question: Asked,
        answer: str,
        *,
        reference: str | None = None,
        answered_by: str = "",
        budget: Any = None,
        tags: Mapping[str, str] | None = None,
    ) -> Judgement:
        """Grade one answer; `budget` caps what this costs, as in `create`, `tags` are added.

        Raises:
            ConfigError: question or answer is no text, or the client is an `AsyncClient`.
            NoCandidateError: only the model that answered could judge.
            RouterError: as `create`.
        """
        self.check_client(awaited=False)
        prompt, arguments = self._asked(question, answer, reference, answered_by, budget, tags)
        return _read(self._client.chat.completions.create(prompt, **arguments))

    async def ajudge(
        self,
        question: Asked,
        answer: str,
        *,
        reference: str | None = None,
        answered_by: str = "",
        budget: Any = None,
        tags: Mapping[str, str] | None = None,
    ) -> Judgement:
        """As calling it, with an `AsyncClient`.

        Raises:
            RouterError: as calling it.
        """
        self.check_client(awaited=True)
        prompt, arguments = self._asked(question, answer, reference, answered_by, budget, tags)
        return _read(await self._client.chat.completions.create(prompt, **arguments))

    def check_client(self, *, awaited: bool) -> None:
        """Refuse to await a client that is not awaited, and the other way round.

        Raises:
            ConfigError: it is the other kind; says what to call.
        """
        if iscoroutinefunction(self._client.chat.completions.create) is awaited:
            return
        raise ConfigError(
            "judge: a Client is not awaited: call judge(...), grade, judge.verifier"
            if awaited
            else "judge: an AsyncClient is awaited: judge.ajudge(...), agrade, judge.averifier"
        )

    def verifier(self, question: Asked, *, reference: str | None = None) -> Callable[[Any], float]:
        """A verifier of answers: `create(messages, verify=judge.verifier(messages))`.

        Without a verdict it raises, and the answer counts as not verified.

        Raises:
            ConfigError: the client is an `AsyncClient`.
        """
        self.check_client(awaited=False)

        def verify(completion: Any) -> float:
            by = completion.route.candidate
            return _sure(self(question, completion.text, reference=reference, answered_by=by))

        return verify

    def averifier(
        self, question: Asked, *, reference: str | None = None
    ) -> Callable[[Any], Awaitable[float]]:
        """As `verifier`, for an `AsyncClient`.

        Raises:
            ConfigError: the client is none.
        """
        self.check_client(awaited=True)

        async def verify(completion: Any) -> float:
            by = completion.route.candidate
            return _sure(
                await self.ajudge(question, completion.text, reference=reference, answered_by=by)
            )

        return verify

    def _asked(
        self,
        question: Asked,
        answer: str,
        reference: str | None,
        answered_by: str,
        budget: Any,
        tags: Mapping[str, str] | None,
    ) -> tuple[PromptBuilder, dict[str, Any]]:
        prompt = layout(self._rubric, question, answer, reference)
        caps = [*_caps(self._arguments.get("budget")), *_caps(budget)]
        return prompt, {
            **self._arguments,
            "model": self._models(answered_by),
            "tags": {**self._tags, **(tags or {})},
            "verify": False,  # a client that judges all its answers would judge its judge
            "budget": caps or None,
        }

    def _models(self, answered_by: str) -> str | list[str]:
        """Who may judge: anybody but the model that answered."""
        if self._own or not answered_by:
            return self._model
        family = _model_of(answered_by)
        able = [c.name for c in self._client.candidates(self._model)]
        others = [name for name in able if _model_of(name) != family]
        if not others:
            raise NoCandidateError(
                f"nobody else can judge the answer of {answered_by}: name a judge, "
                "Judge(client, model=...), or allow it, own=True",
                reasons=dict.fromkeys(able, "it would judge its own answer"),
            )
        return others


def _caps(budget: Any) -> list[Any]:
    if budget is None:
        return []
    return list(budget) if isinstance(budget, list | tuple) else [budget]


def _model_of(candidate: str) -> str:
    """A candidate's model, whatever its mode and host."""
    return candidate.partition("@")[0].partition(":")[0]


def _read(completion: Any) -> Judgement:
    route = completion.route
    return Judgement(
        score=verdict(completion.text),
        cost_usd=route.total_cost_usd,
        candidate=route.candidate,
        at=route.finished_at or route.started_at,
        raw=completion.text,
    )


def _sure(found: Judgement) -> float:
    if found.score is None:
        raise BadResponseError("the judge gave no verdict", candidate=found.candidate)
    return found.score
