"""What a flow is given: the parts a client is made of, each of them replaceable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from policies.types import Policy
from router.budgets import Budget
from router.catalog import Candidate, Catalog
from router.feedback import Memory
from router.horizon import Unpriced
from router.pace import Pace
from router.prompts.prefix import PrefixIndex
from router.scoring import Learner, Scorer
from router.telemetry import Telemetry
from router.types import Request

__all__ = ["Learner", "Scorer", "Services", "TokenCounter"]


class TokenCounter(Protocol):
    """Counts the input tokens of a conversation, chat template included."""

    def __call__(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        response_format: Mapping[str, Any] | None = None,
        thinking: bool = False,
    ) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts that decide. None of them does I/O; time and chance come in as functions.

    `candidates` answers which are configured for model names at an instant; `unfit` says why a
    candidate should not get this request now (a recording without the prompt, a broken host).
    `verify` is the caller's judge of answers: called by the drivers, with a `ChatCompletion`.
    `unpriced` says what becomes of candidates without a known price; `strict_usage`, that an
    answer whose usage the host did not report is an error, once it is settled.
    """

    catalog: Catalog
    candidates: Callable[[Sequence[str], datetime], Sequence[Candidate]]
    scorer: Scorer
    count_input: TokenCounter
    count_text: Callable[[str], int]
    policy: Policy
    budgets: Sequence[Budget]
    prefixes: PrefixIndex
    telemetry: Telemetry
    unfit: Callable[[Candidate, Request], str | None]
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    random: Callable[[], float]
    verify: Callable[[Any], Any] | None = None
    memory: Memory = field(default_factory=Memory)
    pace: Pace = field(default_factory=Pace)
    unpriced: Unpriced = None
    strict_usage: bool = False
