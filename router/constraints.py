"""Who cannot serve a request at all, and why: hard filters, before any policy is asked."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

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

_json = json.JSONEncoder(allow_nan=False).encode

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
        return Obstacle("capability", "takes no tools" + _own(candidate, "tools"))
    if request.wants_json and not candidate.json_mode:
        return Obstacle("capability", "has no JSON mode" + _own(candidate, "json_mode"))
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


def _own(candidate: Candidate, ability: str) -> str:
    """What to do where the catalogue may not know what one's own server is able to do."""
    if not candidate.self_hosted or candidate.kind == "replay" or "speciale" in candidate.name:
        return ""
    able = {"tools": candidate.tools, "json_mode": candidate.json_mode, ability: True}
    row = {"model": [{"name": candidate.model, **{k: v for k, v in able.items() if v}}]}
    return f" by the catalogue; if your server does, say so: Client(catalog={row})"


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
        model, _, host = next(iter(obstacles)).rpartition("@")
        endpoint = f"{model.removesuffix(':thinking')}@{host}"
        return UnpricedModelError(
            "no candidate has a known price, so a hard budget cannot hold. Add its rates in a "
            "catalogue overlay, in USD per million tokens: Client(catalog={"
            f'"rate": [{{"endpoint": "{endpoint}", "input": "0.10", "output": "0.40", '
            '"source": "our own", "checked": "2026-11-22"}]}), or make the budget soft '
            "(hard=False).",
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
    _check_tools(request)
    for name, value in request.extra.items():
        _check_passed_on(name, value)


def _check_tools(request: Request) -> None:
    names: dict[str, int] = {}
    for i, tool in enumerate(request.tools):
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or tool.get("type") != "function":
            raise InvalidRequestError(
                f'tools[{i}]: expected {{"type": "function", "function": {{...}}}}',
                param=f"tools[{i}]",
            )
        name = function.get("name")
        if not isinstance(name, str) or not name:
            raise InvalidRequestError(
                f"tools[{i}]: expected a function with a name, got {_short(name)}",
                param=f"tools[{i}]",
            )
        if (first := names.setdefault(name, i)) != i:
            raise InvalidRequestError(
                f"tools[{i}]: expected a name of its own, tools[{first}] is {_short(name)}, too",
                param=f"tools[{i}]",
            )
    choice, problem = request.tool_choice, ""
    if isinstance(choice, Mapping):
        function = choice.get("function")
        wanted = function.get("name") if isinstance(function, Mapping) else None
        if wanted is not None and wanted not in list(names):
            problem = f"one of the tools ({', '.join(names) or 'none'}), got {_short(wanted)}"
    elif choice == "required" and not names:
        problem = "tools to choose from, got none"
    elif choice not in (None, "none", "auto", "required"):
        form = '{"type": "function", "function": {"name": "..."}}'
        problem = f"'none', 'auto', 'required' or {form}, got {_short(choice)}"
    if problem:
        raise InvalidRequestError(f"tool_choice: expected {problem}", param="tool_choice")


def _check_passed_on(name: object, value: object) -> None:
    """Refuse a field for the host that can mean nothing anywhere; limits of hosts are theirs."""
    if not isinstance(name, str):
        raise InvalidRequestError(
            f"extra_body: expected names as texts, got {_short(name)}", param="extra_body"
        )
    expected, fits = PASSED_ON.get(name, ("JSON values", _is_json))
    if not fits(value):
        raise InvalidRequestError(
            f"{name}: expected {expected}, got {_short(value)}",
            param=name if name in PASSED_ON else "extra_body",
        )


def _is_json(value: object) -> bool:
    try:
        _json(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _number(least: float = -math.inf, most: float = math.inf) -> Callable[[Any], bool]:
    def fits(value: Any) -> bool:
        plain = isinstance(value, (int, float)) and not isinstance(value, bool)
        return plain and least <= value <= most and abs(value) != math.inf

    return fits


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _stops(value: Any) -> bool:
    texts = (value,) if isinstance(value, str) else value
    return isinstance(texts, (list, tuple)) and all(isinstance(t, str) and t for t in texts)


PASSED_ON: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "temperature": ("a number from 0", _number(0)),
    "top_p": ("a number from 0 to 1", _number(0, 1)),
    "presence_penalty": ("a number", _number()),
    "frequency_penalty": ("a number", _number()),
    "stop": ("a text or a list of texts, none of them empty", _stops),
    "seed": ("a whole number", _whole),
    "logprobs": ("True or False", _flag),
    "top_logprobs": ("a whole number from 0", lambda v: _whole(v) and v >= 0),
    "parallel_tool_calls": ("True or False", _flag),
    "reasoning_effort": ("a text such as 'low'", _text),
    "user": ("a text", _text),
}
"""Arguments that go to the host as they are, each with what it must be, whoever the host is."""
