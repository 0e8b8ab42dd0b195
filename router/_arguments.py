"""The arguments of clients and calls: their types, and a checked request out of them."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from policies.types import Policy
from router.budgets import Budget, Window
from router.budgets.files import load_budgets
from router.budgets.warning import BudgetWarning
from router.catalog import Catalog
from router.constraints import PASSED_ON
from router.errors import InvalidRequestError
from router.horizon import Unpriced
from router.ledgers import Ledger
from router.ledgers.open import OnLedgerError
from router.prompts.prompt import PromptBuilder
from router.prompts.text import check_messages
from router.responses import ResponseCache
from router.scoring import Scorer
from router.types import Request

if TYPE_CHECKING:
    from router.completion import ChatCompletion

CatalogSource: TypeAlias = str | Path | Mapping[str, Any]
BudgetLike: TypeAlias = Budget | str | int | Decimal | Path
Verdict: TypeAlias = bool | float
Verifier: TypeAlias = Callable[["ChatCompletion"], Verdict | Awaitable[Verdict]]
"""Judges an answer: True or False, or from 0 (wrong) to 1 (right). `AsyncClient` awaits one that
is a coroutine function, and calls any other one in a thread."""
VerifierLike: TypeAlias = Verifier | Literal[False] | None
"""Of one call: a verifier, False for none, None for the client's."""


class ClientArguments(TypedDict, total=False):
    """Settings of a client; all are optional."""

    hosts: str | Sequence[str] | None
    """Hosts to choose from; by default those whose key or address is set, else `replay`."""
    candidates: str | Sequence[str] | None
    """Models or candidates that `model="auto"` chooses from, instead of all at the hosts."""
    catalog: Catalog | CatalogSource | Sequence[CatalogSource] | None
    """TOML files or mappings laid over the shipped catalogue, or a catalogue of your own."""
    policy: Policy | str | Path | None
    """A callable, a preset's name or a TOML file; "balanced" by default."""
    budgets: BudgetLike | Sequence[BudgetLike] | None
    """Budgets that every request must keep to; a plain amount is one without end, in USD, and a
    path that ends in ".toml" a file of them."""
    ledger: Ledger | str | Path | None
    """A path, ":memory:", a postgresql:// URL, or a ledger; by default that of CENTROUTE_LEDGER,
    else a file in the user's state directory."""
    keys: Mapping[str, str] | None
    """API keys by host, instead of the environment's."""
    base_urls: Mapping[str, str | Sequence[str]] | None
    """Base URLs by host, instead of the catalogue's or the environment's."""
    tags: Mapping[str, str] | None
    """Tags of every request: what budgets are scoped by and reports are grouped by."""
    timeout: float
    """Seconds for a whole request, retries and fallbacks included; 600 by default."""
    max_retries: int
    """Retries at one candidate before the next is tried; 2 by default."""
    metric_tags: Sequence[str]
    """Tags that become labels of metrics and attributes of spans; none by default."""
    span_tags: Sequence[str]
    """Tags that become attributes of spans alone; `conversation` is `gen_ai.conversation.id`."""
    baggage: Sequence[str]
    """Entries of OpenTelemetry's baggage that become tags, where neither request nor client sets
    them; none by default. They are what callers sent along."""
    scorer: Scorer | str | Path | None
    """The file of a saved scorer, or one of your own, instead of the shipped one."""
    verify: Verifier | None
    """Judges each answer that is not streamed; one found wrong goes on to the next stage, if the
    policy names one, and the scorer learns from it. See `policies.cascade`."""
    unpriced: Unpriced
    """Of candidates without a known price: None (refused under a hard budget, served at unknown
    cost else), "deny" (refused always), "ceiling" (at the dearest known price of each kind)."""
    strict_usage: bool
    """Raise `UsageError` where a host does not report what an answer took, or not soundly; the
    answer is settled by our count and is in the error. False by default."""
    on_warning: Callable[[BudgetWarning], Any] | None
    """Told once when a budget is spent up to one of its `warn` shares; see also `Webhook`."""
    on_ledger_error: OnLedgerError
    """While the ledger's store fails: "deny" (the default), "local-lease" or "allow"."""
    cache: ResponseCache | str | Path | None
    """A directory, or a `ResponseCache`: the same request is answered once and then for nothing.
    None by default."""
    log_decisions: bool
    """Keep each decision with all it rests on (no prompt) in the ledger, which `router.tuning`
    needs: about 4 kB a request in a file. False by default."""
    engine: Any
    """A `vllm.LLM` in this process: the host "engine", beside those over HTTP."""
    now: Callable[[], datetime]
    """The clock: an aware instant in UTC."""
    environ: Mapping[str, str] | None
    """Read instead of `os.environ`."""


class CallArguments(TypedDict, total=False):
    """Arguments of a call besides messages, budget and stream; OpenAI's names and meanings."""

    model: str | Sequence[str]
    """ "auto", a model ("deepseek-v3.2:thinking"), a candidate ("deepseek-v3.2@novita"), or
    several of them to choose from."""
    tags: Mapping[str, str] | None
    timeout: float | None
    max_retries: int | None
    patience: float | None
    """Seconds that the request may wait before it is sent, until it is cheaper or a budget
    resets; 0 by default. The timeout counts from then."""
    cache: bool | None
    """False for an answer of its own, neither taken from the response cache nor kept in it."""
    max_tokens: int | None
    max_completion_tokens: int | None
    tools: Sequence[Mapping[str, Any]] | None
    tool_choice: Any
    parallel_tool_calls: bool | None
    response_format: Mapping[str, Any] | None
    temperature: float | None
    top_p: float | None
    stop: str | Sequence[str] | None
    seed: int | None
    presence_penalty: float | None
    frequency_penalty: float | None
    logprobs: bool | None
    top_logprobs: int | None
    reasoning_effort: str | None
    service_tier: str | None
    """Of the host ("flex", "priority"): forecast and billed at a price of its own."""
    user: str | None
    n: int | None
    """1, as there is one answer to a request."""
    stream_options: Mapping[str, Any] | None
    """Taken for compatibility: usage is always asked for."""
    extra_body: Mapping[str, Any] | None
    """Fields of a host's own; those that decide what is spent are refused here, and under a hard
    budget all that are not known to be harmless."""


_PASSED_ON = frozenset((*PASSED_ON, "service_tier"))
_OURS = frozenset((*CallArguments.__annotations__, "stream")) - _PASSED_ON

# What decides how much is spent, or where, goes through arguments, never through `extra_body`.
_PROTECTED = _OURS | {
    "messages",
    "max_new_tokens",
    "max_output_tokens",
    "num_predict",
    "best_of",
    "use_beam_search",
    "thinking",
    "reasoning",
    "chat_template_kwargs",
}

# Fields of hosts that change neither what is sent besides them nor what is billed.
_HARMLESS = frozenset(
    (
        "cache_salt",
        "guided_choice",
        "guided_grammar",
        "guided_json",
        "guided_regex",
        "ignore_eos",
        "logit_bias",
        "metadata",
        "min_p",
        "min_tokens",
        "prompt_cache_key",
        "repetition_penalty",
        "return_token_ids",
        "safety_identifier",
        "skip_special_tokens",
        "stop_token_ids",
        "store",
        "structured_outputs",
        "top_a",
        "top_k",
        "user_id",
        "verbosity",
    )
)

# A tier is priced, but only as the argument: hosts differ in what they read out of a body.
_VETTED = (_PASSED_ON | _HARMLESS) - {"service_tier"}

_SHAPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "model": (Sequence, "a name, several, or 'auto'"),
    "tags": (Mapping, "a dict such as {'team': 'search'}"),
    "tools": (Sequence, "a list of tools"),
    "response_format": (Mapping, 'a dict such as {"type": "json_object"}'),
    "extra_body": (Mapping, "a dict of a host's own fields"),
    "stream": (bool, "True or False"),
    "cache": (bool, "True or False"),
}


def request_from(
    messages: Any,
    arguments: Mapping[str, Any],
    *,
    tags: Mapping[str, str],
    timeout: float,
    max_retries: int,
) -> Request:
    """A checked request; `tags`, `timeout` and `max_retries` are the client's defaults.

    Raises:
        InvalidRequestError: which argument, what was expected.
        TypeError: an argument of no such name.
    """
    given = {k: v for k, v in arguments.items() if v is not None}
    for name, (kinds, expected) in _SHAPES.items():
        value = given.get(name)
        if value is not None and (isinstance(value, bytes) or not isinstance(value, kinds)):
            raise InvalidRequestError(
                f"{name}: expected {expected}, got {type(value).__name__}", param=name
            )
    if unknown := sorted(map(str, given.keys() - _OURS - _PASSED_ON)):
        raise TypeError(
            f"create() got an unexpected keyword argument {unknown[0]!r}; {_meant(unknown[0])}"
        )
    extra_body = given.get("extra_body", {})
    if taken := sorted(_PROTECTED & extra_body.keys()):
        raise InvalidRequestError(
            f"extra_body: {', '.join(taken)} would change what was reserved or decided; use the "
            "argument of that name, or name a candidate such as 'deepseek-v3.2:thinking'",
            param="extra_body",
        )
    if (n := given.get("n", 1)) != 1:
        raise InvalidRequestError(f"n: one answer to a request, got {n!r}; ask again", param="n")
    model = given.get("model", "auto")
    names = (model,) if isinstance(model, str) else tuple(model)
    if not names or not all(isinstance(name, str) and name for name in names):
        raise InvalidRequestError(
            f"model: expected a name, several, or 'auto'; got {model!r}", param="model"
        )
    limits = [given[k] for k in ("max_tokens", "max_completion_tokens") if k in given]
    if len(limits) > 1 and limits[0] != limits[1]:
        raise InvalidRequestError(
            "max_tokens: expected it or max_completion_tokens, one meaning; got two values",
            param="max_tokens",
        )
    tools = given.get("tools", ())
    if isinstance(messages, PromptBuilder) and messages.tools:
        if "tools" in given:
            raise InvalidRequestError(
                "tools: the prompt has tools of its own; leave the argument out", param="tools"
            )
        tools = messages.tools
    return Request(
        id=uuid.uuid4().hex,
        messages=check_messages(messages),
        models=names,
        stream=bool(given.get("stream", False)),
        tools=tuple(tools),
        tool_choice=given.get("tool_choice"),
        response_format=given.get("response_format"),
        max_tokens=given.get("max_tokens", given.get("max_completion_tokens")),
        extra={k: v for k, v in given.items() if k in _PASSED_ON} | dict(extra_body),
        unvetted=tuple(sorted(str(k) for k in extra_body.keys() - _VETTED)),
        tags={**tags, **given.get("tags", {})},
        timeout=given.get("timeout", timeout),
        max_retries=given.get("max_retries", max_retries),
        patience=given.get("patience", 0.0),
        cached=bool(given.get("cache", True)),
    )


def _meant(name: str) -> str:
    if name in {"budget", "verify"}:
        return f"it holds for a whole batch: batch(..., {name}=...)"
    from difflib import get_close_matches

    near = get_close_matches(name, ("messages", *sorted(_OURS | _PASSED_ON)), n=1, cutoff=0.75)
    meant = f"did you mean {near[0]!r}? If not, " if near else ""
    return meant + "a host's own fields go into extra_body={...}"


def budgets_from(
    given: BudgetLike | Sequence[BudgetLike] | None, window: Window = "total"
) -> tuple[Budget, ...]:
    """Budgets out of budgets, TOML files and plain amounts in USD; an amount is over `window`."""
    if given is None:
        return ()
    many: list[Any] = [given]
    if isinstance(given, (list, tuple, set, frozenset)):
        many = list(given)
    found: list[Budget] = []
    for one in many:
        if isinstance(one, Path) or (isinstance(one, str) and one.endswith(".toml")):
            found += load_budgets(one)
        else:
            found.append(one if isinstance(one, Budget) else Budget(one, window))
    return tuple(found)
