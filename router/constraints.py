"""Who cannot serve a request at all, and why: hard filters, before any policy is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from policies.types import Decision
from router.budgets.scopes import LONGEST_TAG, is_tag
from router.catalog import Candidate, Rates
from router.errors import (
    ContextLengthError,
    InvalidRequestError,
    NoCandidateError,
    RouterError,
    UnpricedModelError,
)
from router.types import Request

LONGEST_PATIENCE = 31 * 86_400
LONGEST_TIMEOUT = 86_400
"""Seconds. A reservation whose process died is held about as long as its request's timeout."""

Kind = Literal["capability", "context", "price", "budget", "unfit"]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a candidate is out: the kind of reason, and the reason in one line."""

    kind: Kind
    reason: str


def obstacle(
    candidate: Candidate, request: Request, input_tokens: int, rates: Rates | None, *, hard: bool
) -> Obstacle | None:
    """The first thing that keeps `candidate` from serving, or None.

    `hard` says whether a hard budget applies: it cannot hold for a call without a price.
    """
    if request.tools and not candidate.tools:
        return Obstacle("capability", "takes no tools")
    if request.wants_json and not candidate.json_mode:
        return Obstacle("capability", "has no JSON mode")
    if request.stream and not candidate.streaming:
        return Obstacle("capability", "does not stream")
    refused = sorted(candidate.refused_fields & request.extra.keys())
    if refused:
        return Obstacle("capability", f"refuses {', '.join(refused)} in this mode")
    if input_tokens >= candidate.context_tokens:
        return Obstacle(
            "context",
            f"the prompt has {input_tokens:,} tokens, its context {candidate.context_tokens:,}",
        )
    if rates is None and hard:
        return Obstacle("price", "its price is not known, and a hard budget applies")
    return None


def nobody_left(obstacles: Mapping[str, Obstacle], input_tokens: int) -> RouterError:
    """The error that says best why every candidate is out."""
    if not obstacles:
        return NoCandidateError(
            "no candidate is configured. Set a host's API key (DEEPINFRA_API_KEY, ...) or "
            "VLLM_BASE_URL, or pass hosts=['replay'] for recorded outcomes."
        )
    reasons = {name: o.reason for name, o in obstacles.items()}
    kinds = {o.kind for o in obstacles.values()}
    if kinds == {"context"}:
        return ContextLengthError(
            f"the prompt has {input_tokens:,} tokens, more than any candidate's context holds. "
            "Shorten it, or add a model with a longer context.",
            reasons=reasons,
        )
    if kinds == {"price"}:
        return UnpricedModelError(
            "no candidate has a known price, so a hard budget cannot hold. Add its rates in a "
            "catalogue overlay (Client(catalog=...)), or make the budget soft (hard=False).",
            reasons=reasons,
        )
    if kinds == {"unfit"}:
        return NoCandidateError(
            "no candidate is fit to serve this request now. Recordings answer the prompts of "
            "router.recorded_prompts() only; to go live set a host's key, such as "
            "DEEPINFRA_API_KEY, or VLLM_BASE_URL.",
            reasons=reasons,
        )
    return NoCandidateError("no candidate can serve this request:", reasons=reasons)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def check_decision(decision: object, names: Sequence[str]) -> None:
    """Refuse what a policy cannot mean; `names` are those that it was shown.

    Raises:
        RouterError: what it answered, what was expected.
    """
    if not isinstance(decision, Decision):
        raise RouterError(f"the policy answered {decision!r}, expected a Decision")
    said = f"policy {decision.policy!r}"
    for what, chosen in (("chose", decision.ranking), ("escalates to", decision.escalation)):
        if not set(chosen) <= set(names) or len(set(chosen)) < len(chosen):
            raise RouterError(f"{said} {what} {chosen!r}, expected some of {names!r}, each once")
    cap, wait = decision.max_tokens, decision.defer_until
    if cap is not None and (isinstance(cap, bool) or not isinstance(cap, int) or cap < 1):
        raise RouterError(f"{said} set max_tokens {cap!r}, expected a whole number from 1")
    if wait is not None and not (isinstance(wait, datetime) and wait.tzinfo):
        raise RouterError(f"{said} set defer_until {wait!r}, expected an aware datetime")


def check_parameters(request: Request) -> None:
    """Refuse parameters that no host could serve.

    Raises:
        InvalidRequestError: which one, what was expected.
    """
    limit = request.max_tokens
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise InvalidRequestError(
            f"max_tokens: expected a whole number from 1, got {limit!r}", param="max_tokens"
        )
    timeout, retries = request.timeout, request.max_retries
    if (
        isinstance(timeout, bool)
        or not isinstance(timeout, (int, float))
        or not 0 < timeout <= LONGEST_TIMEOUT
    ):
        raise InvalidRequestError(
            f"timeout: expected seconds above 0, at most {LONGEST_TIMEOUT:,} (a day), "
            f"got {timeout!r}",
            param="timeout",
        )
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise InvalidRequestError(
            f"max_retries: expected a whole number from 0, got {retries!r}", param="max_retries"
        )
    patience = request.patience
    if (
        isinstance(patience, bool)
        or not isinstance(patience, (int, float))
        or not 0 <= patience <= LONGEST_PATIENCE
    ):
        raise InvalidRequestError(
            f"patience: expected seconds from 0 to {LONGEST_PATIENCE:,} (31 days), "
            f"got {patience!r}",
            param="patience",
        )
    for name, value in request.tags.items():
        if not (is_tag(name) and is_tag(value) and name):
            raise InvalidRequestError(
                f"tags: expected text names and values of at most {LONGEST_TAG} characters, no "
                f"control characters; got {_short(name)}: {_short(value)}",
                param="tags",
            )
    for i, tool in enumerate(request.tools):
        if not isinstance(tool, Mapping) or tool.get("type") != "function":
            raise InvalidRequestError(
                f'tools[{i}]: expected {{"type": "function", "function": {{...}}}}',
                param=f"tools[{i}]",
            )
