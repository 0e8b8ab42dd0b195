"""What a flow is given: the parts a client is made of, each of them replaceable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from policies.types import Policy
from router.budgets import Budget
from router.budgets.warning import BudgetWarning
from router.catalog import Candidate, Catalog
from router.feedback import Memory
from router.horizon import Unpriced
from router.pace import Pace
from router.places import Places
from router.prompts.blocks import Chain, chain_of
from router.responses import ResponseCache, tags_read
from router.scoring import Learner, Scorer
from router.telemetry import Telemetry
from router.types import Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from router.prompts.drift import Drift

__all__ = ["Learner", "Scorer", "Services", "TokenReader"]


@dataclass(frozen=True, slots=True)
class CacheRules:
    """What makes requests the same besides themselves: the policy's fingerprint, the tags that it
    reads (None: any), and the fingerprint of the hosts' addresses.
    """

    policy: str
    tags: tuple[str, ...] | None = ()
    streams_with_tools: bool = False
    addresses: str = ""


def cache_rules(policy: Policy, cache: ResponseCache, addresses: str) -> CacheRules:
    """The rules of a cache under this policy, with hosts at these addresses (a fingerprint)."""
    from policies import fingerprint

    return CacheRules(
        policy=fingerprint(policy),
        tags=tags_read(policy),
        streams_with_tools=cache.streams_with_tools,
        addresses=addresses,
    )


class TokenReader(Protocol):
    """Reads a conversation as token ids, chat template included."""

    def __call__(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        response_format: Mapping[str, Any] | None = None,
        thinking: bool = False,
    ) -> Sequence[int] | NDArray[np.uint32]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts that decide. None of them does I/O; time and chance come in as functions.

    `candidates` answers which are configured for model names at an instant; `unfit` says why a
    candidate should not get this request now (a recording without the prompt, a broken host).
    `verify` is the caller's judge of answers: called by the drivers, with a `ChatCompletion`.
    `unpriced` says what becomes of candidates without a known price; `strict_usage`, that an
    answer whose usage the host did not report is an error, once it is settled. `on_warning` is
    the caller's listener, `told` what it was told of. `cache` says which requests are the
    same, None without a response cache. `drift` notices what keeps prompt caches from hitting.
    `log_decisions` keeps each decision with all it rests on in the ledger.
    """

    catalog: Catalog
    candidates: Callable[[Sequence[str], datetime], Sequence[Candidate]]
    scorer: Scorer
    read_input: TokenReader
    count_text: Callable[[str], int]
    policy: Policy
    budgets: Sequence[Budget]
    places: Places
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
    on_warning: Callable[[BudgetWarning], Any] | None = None
    told: set[tuple[str, datetime, float]] = field(default_factory=set)
    cache: CacheRules | None = None
    drift: Drift | None = None
    log_decisions: bool = False

    def chain(self, request: Request) -> Chain:
        """The prompt of an arranged request, as prefix caches see it.

        Raises:
            InvalidRequestError: what no chat template can express.
        """
        return chain_of(
            self.read_input(
                request.messages,
                tools=request.tools or None,
                response_format=request.response_format,
            )
        )
