"""Every name that telemetry emits: attributes, metrics, events, labels, buckets. Only here.

GenAI conventions come in two generations, both "Development". `WIDELY` is what backends and
dashboards know: open-telemetry/semantic-conventions v1.41.0, the last release with `gen_ai.*`
(opentelemetry-semantic-conventions 0.66b2 for Python has the same names). `NEWEST` is the main
branch of open-telemetry/semantic-conventions-genai: docs/gen-ai/client-inference.md @024a4f9,
gen-ai-token-metrics.md @27f82f0, non-normative/migration.md @32c328e (PR #374: token counters,
#440: cache_write, #521: inference.*; issue #530: no histogram of a failed operation's tokens).

Cost has no convention yet. Its names are those of the open PR #443 there, on inference spans only.
That knows the sources `provider` and `local`; `centroute.cost.source` says it more finely.
Everything else of ours begins with `centroute.`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from router.telemetry.described import Generation, Instrument
from router.telemetry.described import counter as _counter
from router.telemetry.described import gauge as _gauge
from router.telemetry.described import histogram as _histogram

__all__ = ["Generation", "Instrument"]  # besides all that is spelled here

OPT_IN: Final = "OTEL_SEMCONV_STABILITY_OPT_IN"
"""A comma list; the newest generation is emitted where it has `LATEST`."""
LATEST: Final = "gen_ai_latest_experimental"
CAPTURE: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""NO_CONTENT (default), SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT: as opentelemetry-util-genai."""
SCHEMAS: Final = "https://opentelemetry.io/schemas/"

# Conventional attributes, the same in both generations.
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
CONVERSATION: Final = "gen_ai.conversation.id"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_TYPE: Final = "error.type"
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105 - a label
TOKEN_MODALITY: Final = "gen_ai.token.modality"  # noqa: S105 - a label
USAGE_INPUT: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_REASONING: Final = "gen_ai.usage.reasoning.output_tokens"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
DETAILS: Final = "gen_ai.client.inference.operation.details"
"""The event that holds content, where it was opted in."""

# As proposed (PR #443).
COST_AMOUNT: Final = "gen_ai.usage.cost.amount"
COST_CURRENCY: Final = "gen_ai.usage.cost.currency"
COST_SOURCE: Final = "gen_ai.usage.cost.source"
"""`LOCAL` for what we priced, `PROVIDER_SAYS` for what the host itself says it charged."""
LOCAL: Final = "local"
PROVIDER_SAYS: Final = "provider"

# Our own attributes and labels.
CANDIDATE: Final = "centroute.candidate"
HOST: Final = "centroute.host"
POLICY: Final = "centroute.policy"
REQUEST_ID: Final = "centroute.request.id"
TAG: Final = "centroute.tag."
"""Before the name of a request tag; only of those in `metric_tags` and `span_tags`."""
RATES_ID: Final = "centroute.rates.id"
SOURCE: Final = "centroute.cost.source"
COMPUTED: Final = "computed"
"""The host's own count of tokens, at our price row."""
ESTIMATED: Final = "estimated"
"""Tokens that we counted or assumed, at our price row; or the whole reservation."""
ESTIMATED_USAGE: Final = "centroute.usage.estimated"
FORECAST: Final = "centroute.forecast."
RESERVED: Final = "centroute.reservation.cost"
SETTLED: Final = "centroute.settled"
"""The event of a charge: amount, source, price row."""
REPORTED: Final = "centroute.reported"
"""The event of what the host says it charged. Nothing is billed by it, no metric counts it."""
BUDGET: Final = "centroute.budget"
BUDGET_UNIT: Final = "centroute.budget.unit"
ONE_REQUEST: Final = "request"
"""The value of `BUDGET` for the cap of a single request, which no gauge shows."""
LEDGER_OPERATION: Final = "centroute.ledger.operation"
LEDGER_ACTION: Final = "centroute.ledger.action"
"""What was done about an operation that failed: see `router.ledgers.notices.Action`."""
REPLICA: Final = "centroute.replica"
REPLICA_STATE: Final = "centroute.pool.state"
ENDPOINT: Final = "centroute.endpoint"
BASIS: Final = "centroute.selfhost.basis"

COMMON: Final = (OPERATION, PROVIDER, REQUEST_MODEL, CANDIDATE, POLICY)
"""The labels of every metric of a call; those of `metric_tags` come on top."""

SECONDS: Final = tuple(0.01 * 2**n for n in range(14))
"""Buckets of both generations, for durations and first chunks: 0.01 to 81.92."""
TOKENS: Final = tuple(4**n for n in range(14))
"""Buckets of both generations: 1 to 67,108,864."""
_DOLLARS = (1e-6, 1e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0)
_RATIOS = (0.1, 0.25, 0.5, 0.75, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0)
_SHARES = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.25)
_OVERHEAD = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)

SPEND: Final = _counter(
    "centroute.spend",
    "USD",
    "Spend of calls when they end; the ledger is the exact record",
    SOURCE,
)
"""The ledger's total is this + `SPEND_EXPIRED` - `SPEND_CORRECTED`, over all processes, when all
that ended is in the ledger. `LEDGERS["cost"]` waits for it meanwhile; of a call that was reserved
and that its store rejects, or that a killed process had not written, see `SPEND_EXPIRED`."""
SPEND_EXPIRED: Final = _counter(
    "centroute.spend.expired",
    "USD",
    "Charged in full when their lease ended: calls whose outcome was lost",
)
"""Those of processes that died, and answers that nobody waited for. Whoever books it counts it: a
process without an SDK counts nothing, and a line whose COMMIT no server answered in the end may
not be counted. A reserved call that `SPEND` has, and that its ledger did not take (its process was
killed, its row was rejected), is in both until another process posts it from the file that was
left, if any. One that nothing reserved is in `SPEND` only: of "local-lease" without a budget there
is nothing that could expire."""
SPEND_CORRECTED: Final = _counter(
    "centroute.spend.corrected",
    "USD",
    "Taken back of what had expired, for the truth came; that is in centroute.spend",
)
FORECAST_COST: Final = _counter(
    "centroute.forecast.cost", "USD", "What settled calls were forecast to cost"
)
FORECAST_ERROR: Final = _histogram(
    "centroute.forecast.error", "1", "Actual cost over the forecast's", _RATIOS
)
RESERVATION_COST: Final = _counter(
    "centroute.reservation.cost", "USD", "What budgets in dollars held for settled calls"
)
RESERVATION_USED: Final = _histogram(
    "centroute.reservation.used", "1", "Actual cost over what budgets held", _SHARES
)
TOKEN_COUNT: Final = _counter(
    "centroute.tokens",
    "{token}",
    "Tokens; cached ones are part of the input, reasoning is part of the output",
    TOKEN_TYPE,
)
ATTEMPTS: Final = _counter("centroute.attempts", "{attempt}", "Calls to hosts", ERROR_TYPE)
REFUSALS: Final = _counter(
    "centroute.refusals",
    "{request}",
    "Requests refused before sending, and by which budget",
    ERROR_TYPE,
    BUDGET,
    BUDGET_UNIT,
    common=False,
)
"""Not in it is what `client.plan` says no to: a question, not a request. `BUDGET` is as in
`BUDGETS`, so that they join; of what these do not show it is the setting's name, `ONE_REQUEST` or
"other", and empty where no budget refused. Of several it is the one that the error names."""
LEDGER_FAILURES: Final = _counter(
    "centroute.ledger.failures",
    "{operation}",
    "What the ledger's store did not take, and what was done about it",
    LEDGER_OPERATION,
    LEDGER_ACTION,
    common=False,
)
SAVED: Final = _counter(
    "centroute.saved", "USD", "What answers out of the response cache had cost"
)
OVERHEAD: Final = _histogram(
    "centroute.overhead", "s", "Our own part of an answered request's time", _OVERHEAD
)
COST: Final = _histogram(
    "gen_ai.client.operation.cost", "USD", "Cost of one attempt", _DOLLARS, SOURCE
)
OURS: Final = (
    SPEND,
    SPEND_EXPIRED,
    SPEND_CORRECTED,
    FORECAST_COST,
    FORECAST_ERROR,
    RESERVATION_COST,
    RESERVATION_USED,
    TOKEN_COUNT,
    ATTEMPTS,
    REFUSALS,
    LEDGER_FAILURES,
    SAVED,
    OVERHEAD,
    COST,
)
"""Metrics of both generations."""

UTILISATION: Final = _gauge(
    "centroute.selfhost.utilisation", "1", "Part of a fleet's capacity in use", ENDPOINT
)
TOKEN_COST: Final = _gauge(
    "centroute.selfhost.usd_per_million_tokens",
    "USD",
    "Cost of a million tokens on one's own GPUs at the present load",
    ENDPOINT,
    BASIS,
    TOKEN_TYPE,
)
FLEETS: Final = (UTILISATION, TOKEN_COST)

_AT = (HOST, REPLICA)
POOLS: Final[Mapping[str, Instrument]] = {
    short: _gauge(f"centroute.pool.{short}", unit, text, *labels, kind="observed")
    for short, unit, text, labels in (
        ("running", "{request}", "Requests that a replica works on", _AT),
        ("waiting", "{request}", "Requests that wait at a replica", _AT),
        ("kv_usage", "1", "Part of a replica's key-value cache that requests in work hold", _AT),
        ("tokens_per_second", "{token}/s", "Output tokens of a replica", _AT),
        ("replicas_up", "{replica}", "Replicas of a host that take calls", (HOST,)),
        ("replica_state", "1", "1 for the state that a replica is in", (*_AT, REPLICA_STATE)),
    )
}
"""Gauges of one's own replicas, by which to scale them, and whether they are let work."""
STATES: Final = ("up", "draining", "down")
"""Values of `REPLICA_STATE`: "down" is the breaker that is open. Other hosts have none: each call
is retried and falls back by itself, and `centroute.attempts` says how they do."""

BUDGETS: Final[Mapping[str, Instrument]] = {
    short: _gauge(f"centroute.budget.{short}", unit, text, BUDGET, BUDGET_UNIT, kind="observed")
    for short, unit, text in (
        ("limit", "", "Limit of a budget's present window"),
        ("spent", "", "What was spent of it"),
        ("reserved", "", "What is set aside for calls under way"),
        ("remaining", "", "What is left of it; below 0 after a call beyond what was set aside"),
        ("window", "s", "How long the window lasts; not shown of a budget in total"),
    )
}
"""Gauges of budgets, in the unit that their label names (usd, tokens, requests), but for
`window`, in seconds."""
LEDGERS: Final[Mapping[str, Instrument]] = {
    short: _gauge(f"centroute.ledger.unposted.{short}", unit, text, kind="observed")
    for short, unit, text in (
        ("calls", "{call}", "Calls that are in no ledger yet, for its store does not take them"),
        ("cost", "USD", "What they cost; of those under way, what was to be set aside"),
    )
}
"""Gauges of a process, of all its ledgers together: 0 while their stores answer."""

_DURATION, _FIRST = "Duration of one attempt", "From sending to the first chunk of a stream"

WIDELY: Final = Generation(
    name="v1.41",
    schema=f"{SCHEMAS}1.41.0",
    cache_write="gen_ai.usage.cache_creation.input_tokens",
    duration=_histogram("gen_ai.client.operation.duration", "s", _DURATION, SECONDS, ERROR_TYPE),
    first_chunk=_histogram("gen_ai.client.operation.time_to_first_chunk", "s", _FIRST, SECONDS),
    tokens=_histogram(
        "gen_ai.client.token.usage", "{token}", "Tokens of one attempt", TOKENS, TOKEN_TYPE
    ),
)
NEWEST: Final = Generation(
    name=LATEST,
    schema="",  # nothing is released there, so no schema has an address
    cache_write="gen_ai.usage.cache_write.input_tokens",
    duration=_histogram("gen_ai.client.inference.duration", "s", _DURATION, SECONDS, ERROR_TYPE),
    first_chunk=_histogram("gen_ai.client.inference.time_to_first_chunk", "s", _FIRST, SECONDS),
    usage={
        kind: _counter(f"gen_ai.client.inference.usage.{kind}", "{token}", text, TOKEN_MODALITY)
        for kind, text in (
            ("input_tokens", "Input tokens, cached ones included"),
            ("output_tokens", "Output tokens, reasoning included"),
            ("cache_read.input_tokens", "Input tokens that a cache held"),
            ("cache_write.input_tokens", "Input tokens written to a cache"),
            ("reasoning.output_tokens", "Output tokens of reasoning"),
        )
    },
    sizes={
        kind: _histogram(f"gen_ai.client.inference.operation.{kind}", "{token}", text, TOKENS)
        for kind, text in (
            ("input_tokens", "Input tokens of one answered attempt"),
            ("output_tokens", "Output tokens of one answered attempt"),
        )
    },
)


def generation_of(opt_in: str | None) -> Generation:
    """The generation that a value of `OPT_IN` asks for."""
    wanted = {part.strip() for part in (opt_in or "").split(",")}
    return NEWEST if LATEST in wanted else WIDELY
