"""Spans and metrics through opentelemetry-api alone; every name we emit is in this file.

GenAI names follow the semantic conventions v1.41, cost names the open proposal #443 of
open-telemetry/semantic-conventions-genai. No prompt and no answer is ever recorded, and nothing
here configures a provider or exporter: that is the application's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from router.money import to_usd
from router.outlook import Forecast
from router.types import Call, Cost, Usage

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions
    from opentelemetry.metrics import Observation as Value
    from opentelemetry.trace import Span

_log = logging.getLogger("router")
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576)
_POOL = (
    ("running", "{request}", "Requests that a replica works on"),
    ("waiting", "{request}", "Requests that wait at a replica"),
    ("kv_usage", "1", "Part of a replica's key-value cache that requests in work hold"),
    ("tokens_per_second", "{token}/s", "Output tokens of a replica"),
    ("replicas_up", "{replica}", "Replicas of a host that take calls"),
)
"""Gauges of one's own replicas, to scale them by: `centroute.pool.` and the name."""


@dataclass(frozen=True, slots=True)
class Observation:
    """An attempt that is being observed: its span and the labels its metrics will carry."""

    span: Span
    labels: dict[str, str]


class Telemetry:
    """Emits one span per attempt, with forecast and actual cost side by side, and metrics.

    `metric_tags` are the request tags that become metric labels: keep them few, for each
    combination of values is a time series. Spans carry all tags.
    """

    def __init__(self, metric_tags: Sequence[str] = ()) -> None:
        self._metric_tags = tuple(metric_tags)
        self._instruments: _Instruments | None = None
        self._replicas: Callable[[], Iterable[Any]] = tuple

    def begin(self, call: Call, forecast: Forecast, policy: str) -> Observation | None:
        """Start the span of an attempt; None when telemetry fails, which never costs an answer."""
        try:
            return self._begin(call, forecast, policy)
        except Exception:
            _log.warning("telemetry could not start a span", exc_info=True)
            return None

    def end(
        self,
        observed: Observation | None,
        *,
        seconds: float,
        usage: Usage | None = None,
        cost: Cost | None = None,
        response: Mapping[str, Any] | None = None,
        finish_reason: str | None = None,
        outcome: str = "ok",
    ) -> None:
        """End the span and record the metrics of an attempt that took `seconds`."""
        if observed is None:
            return
        try:
            self._end(observed, seconds, usage, cost, response, finish_reason, outcome)
        except Exception:
            _log.warning("telemetry could not end a span", exc_info=True)

    def refused(self, error: str) -> None:
        """Count a request that was refused before anything was sent; `error` is the type."""
        try:
            self._get().refusals.add(1, {"error.type": error})
        except Exception:
            _log.warning("telemetry could not count a refusal", exc_info=True)

    def pools(self, replicas: Callable[[], Iterable[Any]]) -> None:
        """Show one's own replicas from now on: their states (`router.transports.vllm.State`)."""
        try:
            self._replicas = replicas
            _showing.add(self)
            self._get().pools()
        except Exception:
            _log.warning("telemetry could not show replicas", exc_info=True)

    def selfhosted(
        self,
        endpoint: str,
        utilisation: float,
        usd_per_million_tokens: Mapping[tuple[str, str], float],
    ) -> None:
        """Show how busy one's own fleet is (a part of its capacity), and what a token costs now,
        by basis ("amortised", "marginal") and kind ("input", "cache_read", "output").
        """
        try:
            labels = {"centroute.endpoint": endpoint}
            get = self._get()
            get.utilisation.set(utilisation, labels)
            for (basis, kind), usd in usd_per_million_tokens.items():
                more = {"centroute.selfhost.basis": basis, "gen_ai.token.type": kind}
                get.token_cost.set(usd, labels | more)
        except Exception:
            _log.warning("telemetry could not show a fleet's cost", exc_info=True)

    def _begin(self, call: Call, forecast: Forecast, policy: str) -> Observation:
        from opentelemetry.trace import SpanKind

        candidate, request = call.candidate, call.request
        labels = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": candidate.provider,
            "gen_ai.request.model": candidate.model_id,
            "centroute.candidate": candidate.name,
            "centroute.policy": policy,
        }
        attributes: dict[str, Any] = {
            **labels,
            "gen_ai.request.stream": request.stream,
            "centroute.request.id": request.id,
            "centroute.host": candidate.host,
            "centroute.forecast.basis": forecast.basis,
            "centroute.forecast.quality": forecast.quality,
            "centroute.forecast.input_tokens": forecast.input_tokens,
            "centroute.forecast.output_tokens.p50": forecast.output_tokens.p50,
            "centroute.forecast.output_tokens.p90": forecast.output_tokens.p90,
        }
        if call.max_tokens is not None:
            attributes["gen_ai.request.max_tokens"] = call.max_tokens
        if forecast.cost is not None and forecast.cost_p90 is not None:
            attributes["centroute.forecast.cost"] = float(to_usd(forecast.cost))
            attributes["centroute.forecast.cost.p90"] = float(to_usd(forecast.cost_p90))
        attributes |= {f"centroute.tag.{k}": v for k, v in request.tags.items()}
        span = self._get().tracer.start_span(
            f"chat {candidate.model_id}", kind=SpanKind.CLIENT, attributes=attributes
        )
        wanted = {f"centroute.tag.{k}": request.tags.get(k, "") for k in self._metric_tags}
        return Observation(span, labels | wanted)

    def _end(
        self,
        observed: Observation,
        seconds: float,
        usage: Usage | None,
        cost: Cost | None,
        response: Mapping[str, Any] | None,
        finish_reason: str | None,
        outcome: str,
    ) -> None:
        from opentelemetry.trace import Status, StatusCode

        span, get = observed.span, self._get()
        labels = observed.labels
        if outcome != "ok":
            labels = labels | {"error.type": outcome}
            span.set_attribute("error.type", outcome)
            span.set_status(Status(StatusCode.ERROR, outcome))
        if response:
            span.set_attributes(
                {
                    f"gen_ai.response.{k}": str(response[k])
                    for k in ("id", "model")
                    if response.get(k)
                }
            )
        if finish_reason:
            span.set_attribute("gen_ai.response.finish_reasons", [finish_reason])
        if usage is not None:
            self._usage(span, labels, usage)
        if cost is not None and cost.rates_id:
            dollars = float(cost.usd)
            source = "local" if usage is None or usage.estimated else "provider"
            span.add_event(
                "centroute.settled",
                {
                    "gen_ai.usage.cost.amount": dollars,
                    "gen_ai.usage.cost.currency": "USD",
                    "gen_ai.usage.cost.source": source,
                    "centroute.rates.id": cost.rates_id,
                },
            )
            span.set_attributes(
                {"gen_ai.usage.cost.amount": dollars, "gen_ai.usage.cost.currency": "USD"}
            )
            get.spend.add(dollars, labels)
        get.duration.record(seconds, labels)
        span.end()

    def _usage(self, span: Span, labels: dict[str, str], usage: Usage) -> None:
        span.set_attributes(
            {
                "gen_ai.usage.input_tokens": usage.input_tokens,
                "gen_ai.usage.output_tokens": usage.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
                "gen_ai.usage.cache_write.input_tokens": usage.cache_write_tokens,
                "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens,
                "centroute.usage.estimated": usage.estimated,
            }
        )
        tokens = self._get().tokens
        tokens.record(usage.input_tokens, labels | {"gen_ai.token.type": "input"})
        tokens.record(usage.output_tokens, labels | {"gen_ai.token.type": "output"})

    def _get(self) -> _Instruments:
        if self._instruments is None:
            self._instruments = _Instruments()
        return self._instruments


class _Instruments:
    """The tracer and the instruments, made when they are first needed."""

    def __init__(self) -> None:
        from importlib.metadata import PackageNotFoundError, version

        from opentelemetry import metrics, trace

        try:
            ours = version("centroute")
        except PackageNotFoundError:  # run from a source tree
            ours = ""
        self.tracer = trace.get_tracer("centroute", ours)
        self._meter = meter = metrics.get_meter("centroute", ours)
        self.duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="Duration of one attempt",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self.tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens of one attempt",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )
        self.spend = meter.create_counter(
            "centroute.spend", unit="USD", description="Spend; the ledger is the exact record"
        )
        self.utilisation = meter.create_gauge(
            "centroute.selfhost.utilisation",
            unit="1",
            description="Part of a fleet's capacity in use",
        )
        self.token_cost = meter.create_gauge(
            "centroute.selfhost.usd_per_million_tokens",
            unit="USD",
            description="Cost of a million tokens on one's own GPUs at the present load",
        )
        self.refusals = meter.create_counter(
            "centroute.refusals", unit="{request}", description="Requests refused before sending"
        )

    def pools(self) -> None:
        """Register the gauges; of one name a meter keeps the first, so each reads all clients."""
        for name, unit, description in _POOL:
            self._meter.create_observable_gauge(
                f"centroute.pool.{name}", [_reader(name)], unit=unit, description=description
            )


_showing: WeakSet[Telemetry] = WeakSet()


def _reader(name: str) -> Callable[[CallbackOptions], Iterable[Value]]:
    def read(_: CallbackOptions) -> Iterator[Value]:
        from opentelemetry.metrics import Observation as Value

        try:
            states = [state for shown in list(_showing) for state in shown._replicas()]
            for labels, value in _values(name, states):
                yield Value(value, labels)
        except Exception:
            _log.warning("telemetry could not read the replicas", exc_info=True)

    return read


def _values(name: str, states: Sequence[Any]) -> Iterator[tuple[dict[str, str], float]]:
    if name == "replicas_up":
        for host in {state.host for state in states}:
            up = {s.url for s in states if s.host == host and s.status == "up"}
            yield {"centroute.host": host}, len(up)
        return
    for state in states:
        if (value := getattr(state, name)) is not None:
            yield {"centroute.host": state.host, "centroute.replica": state.url}, value
