"""An OpenTelemetry SDK in memory in the place of the global providers, and calls to observe."""

import json
from weakref import WeakSet

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from router import Client
from router.telemetry import names
from router.telemetry.guard import Guard
from router.testing import MockTransport

MODEL = "deepseek-v3.2@deepinfra"
PROMPT = "a very private question about zebras"
ANSWER = "a very private answer about zebras"
NEWEST = {names.OPT_IN: f"http,{names.LATEST}"}


class Observed:
    """Finished spans, and metrics by name."""

    def __init__(self, spans, reader):
        self._spans, self._reader = spans, reader

    @property
    def spans(self):
        return self._spans.get_finished_spans()

    def metrics(self):
        data = self._reader.get_metrics_data()
        return {
            metric.name: metric
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def points(self):
        return {name: list(metric.data.data_points) for name, metric in self.metrics().items()}

    def values(self, name, *labels):
        """The values (of a histogram, the sums) of a metric, by these labels."""
        found = {}
        for point in self.points().get(name, ()):
            key = tuple(point.attributes.get(label, "") for label in labels)
            assert key not in found, f"{name}: two points of {key}"
            found[key] = point.value if hasattr(point, "value") else point.sum
        return found

    def text(self):
        """All that was emitted, as one text."""
        spans = [json.loads(span.to_json()) for span in self.spans]
        return json.dumps(spans) + (
            data.to_json() if (data := self._reader.get_metrics_data()) else ""
        )


@pytest.fixture
def observed(monkeypatch):
    """What is emitted from here on; nothing of other tests' clients."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracing, metering = TracerProvider(), MeterProvider(metric_readers=[reader])
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr("opentelemetry.trace.get_tracer", tracing.get_tracer)
    monkeypatch.setattr("opentelemetry.metrics.get_meter", metering.get_meter)
    monkeypatch.setattr("router.telemetry.guard._guard", Guard())
    for gauges in ("pools", "budgets", "stores"):
        monkeypatch.setattr(f"router.telemetry.{gauges}.showing", WeakSet())
    yield Observed(spans, reader)
    tracing.shutdown()
    metering.shutdown()


def client_of(*answers, **settings):
    """A client that sends nothing, with a ledger in memory."""
    defaults = {"keys": {"deepinfra": "sk-secret"}, "ledger": ":memory:", "environ": {}}
    return Client(transport=MockTransport(*answers), **(defaults | settings))


def ask(client, **arguments):
    messages = [{"role": "user", "content": PROMPT}]
    return client.chat.completions.create(messages, **({"model": MODEL} | arguments))
