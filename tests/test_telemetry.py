"""What is emitted, read back from the OpenTelemetry SDK; and that all works without it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import router
from router import Client
from router.errors import BudgetExceededError, ServerError
from router.testing import MockTransport, reply

MODEL = "deepseek-v3.2@deepinfra"
PROMPT = "a very private question about zebras"
ANSWER = "a very private answer about zebras"


@pytest.fixture
def observed(monkeypatch):
    """An SDK in memory in the place of the global providers."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracing, metering = TracerProvider(), MeterProvider(metric_readers=[reader])
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr("opentelemetry.trace.get_tracer", tracing.get_tracer)
    monkeypatch.setattr("opentelemetry.metrics.get_meter", metering.get_meter)
    yield Observed(spans, reader)
    tracing.shutdown()
    metering.shutdown()


class Observed:
    """Finished spans, and metric points by name."""

    def __init__(self, spans, reader):
        self._spans, self._reader = spans, reader

    @property
    def spans(self):
        return self._spans.get_finished_spans()

    def points(self):
        data = self._reader.get_metrics_data()
        return {
            metric.name: list(metric.data.data_points)
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def text(self):
        """All that was emitted, as one text."""
        spans = [json.loads(span.to_json()) for span in self.spans]
        points = {name: [dict(p.attributes) for p in ps] for name, ps in self.points().items()}
        return json.dumps([spans, points])


def client_of(*answers, **settings):
    defaults = {"keys": {"deepinfra": "sk-secret"}, "ledger": ":memory:", "environ": {}}
    return Client(transport=MockTransport(*answers), **(defaults | settings))


def ask(client, **arguments):
    messages = [{"role": "user", "content": PROMPT}]
    return client.chat.completions.create(messages, **({"model": MODEL} | arguments))


def test_one_span_has_forecast_and_actual(observed):
    """A call is one client span with the forecast and the actual cost side by side."""
    answer = reply(ANSWER, input_tokens=1000, cache_read_tokens=640, output_tokens=200)
    with client_of(answer, tags={"team": "search"}) as client:
        made = ask(client, max_tokens=500)
    (span,) = observed.spans
    assert span.name == "chat deepseek-ai/DeepSeek-V3.2"
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    found, route = span.attributes, made.route
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.provider.name"] == "deepinfra"
    assert found["gen_ai.request.model"] == "deepseek-ai/DeepSeek-V3.2"
    assert found["gen_ai.request.max_tokens"] == 500
    assert found["gen_ai.request.stream"] is False
    assert found["gen_ai.response.id"] == "mock"
    assert found["gen_ai.response.finish_reasons"] == ("stop",)
    assert found["gen_ai.usage.input_tokens"] == 1000
    assert found["gen_ai.usage.output_tokens"] == 200
    assert found["gen_ai.usage.cache_read.input_tokens"] == 640
    assert found["centroute.candidate"] == MODEL
    assert found["centroute.host"] == "deepinfra"
    assert found["centroute.request.id"] == route.request_id
    assert found["centroute.tag.team"] == "search"
    assert found["centroute.usage.estimated"] is False
    assert found["centroute.forecast.cost"] == float(route.forecast.cost_usd)
    assert found["centroute.forecast.cost.p90"] == float(route.forecast.cost_p90_usd)
    assert found["centroute.forecast.quality"] == route.forecast.quality
    assert found["gen_ai.usage.cost.amount"] == float(route.cost.usd) > 0
    assert found["gen_ai.usage.cost.currency"] == "USD"


def test_the_settlement_is_an_event(observed):
    """The event says what was charged, under which price row, and on whose count."""
    with client_of(reply(ANSWER), reply(ANSWER, usage=False)) as client:
        told, counted = ask(client), ask(client)
    for span, made, source in zip(
        observed.spans, (told, counted), ("provider", "local"), strict=True
    ):
        (event,) = span.events
        assert event.name == "centroute.settled"
        assert dict(event.attributes) == {
            "gen_ai.usage.cost.amount": float(made.route.cost.usd),
            "gen_ai.usage.cost.currency": "USD",
            "gen_ai.usage.cost.source": source,
            "centroute.rates.id": made.route.cost.rates_id,
        }


def test_metrics(observed):
    """Spend, tokens and duration are measured; only tags that were asked for are labels."""
    answer = reply(ANSWER, input_tokens=1000, output_tokens=200)
    settings = {"tags": {"team": "search", "user": "ann"}, "metric_tags": ["team", "absent"]}
    with client_of(answer, **settings) as client:
        cost = sum(ask(client).route.cost.usd for _ in range(3))
    points = observed.points()
    (spend,) = points["centroute.spend"]
    assert spend.value == pytest.approx(float(cost))
    labels = dict(spend.attributes)
    assert labels["centroute.tag.team"] == "search"
    assert labels["centroute.tag.absent"] == ""
    assert "centroute.tag.user" not in labels
    assert "centroute.request.id" not in labels
    sums = {p.attributes["gen_ai.token.type"]: p.sum for p in points["gen_ai.client.token.usage"]}
    assert sums == {"input": 3000, "output": 600}
    (duration,) = points["gen_ai.client.operation.duration"]
    assert duration.count == 3


def test_a_failed_attempt_has_its_own_span(observed):
    """An attempt that failed ends its span as an error; the retry has the next."""
    error = ServerError("overloaded", candidate=MODEL, status_code=503, retry_after=0.0)
    with client_of(error, reply(ANSWER)) as client:
        ask(client)
    failed, answered = observed.spans
    assert failed.attributes["error.type"] == "http_503"
    assert failed.status.status_code is StatusCode.ERROR
    assert "gen_ai.usage.cost.amount" not in failed.attributes
    assert "error.type" not in answered.attributes
    outcomes = {
        p.attributes.get("error.type")
        for p in observed.points()["gen_ai.client.operation.duration"]
    }
    assert outcomes == {"http_503", None}


def test_a_stream_is_one_span(observed):
    """A stream's span ends with its usage; one that is closed early says so."""
    with client_of(reply(ANSWER)) as client:
        with ask(client, stream=True) as stream:
            list(stream)
        with ask(client, stream=True) as stream:
            next(iter(stream))
    whole, part = observed.spans
    assert whole.attributes["gen_ai.request.stream"] is True
    assert whole.attributes["gen_ai.usage.output_tokens"] == 5
    assert part.attributes["error.type"] == "closed"
    assert part.attributes["centroute.usage.estimated"] is True
    assert part.attributes["gen_ai.usage.cost.amount"] > 0


def test_a_refusal_is_counted(observed):
    """A request that a budget refused has no span, and is counted by the error's type."""
    with client_of(reply(ANSWER), budgets="0") as client, pytest.raises(BudgetExceededError):
        ask(client)
    assert observed.spans == ()
    (refused,) = observed.points()["centroute.refusals"]
    assert (refused.value, dict(refused.attributes)) == (1, {"error.type": "BudgetExceededError"})


def test_no_text_is_ever_recorded(observed):
    """Neither prompt nor answer nor key is in any span, event or metric, on any way out."""
    error = ServerError("overloaded", candidate=MODEL, retry_after=0.0)
    answers = (reply(ANSWER), error, reply(ANSWER), reply(ANSWER, usage=False))
    with client_of(*answers, budgets="1", metric_tags=["team"]) as client:
        ask(client, tags={"team": "search"})
        ask(client)
        with ask(client, stream=True) as stream:
            list(stream)
        with pytest.raises(BudgetExceededError):
            ask(client, budget="0")
    emitted = observed.text()
    assert "centroute.candidate" in emitted
    assert "zebras" not in emitted
    assert "private" not in emitted
    assert "sk-secret" not in emitted


def test_it_works_without_the_sdk():
    """With opentelemetry-api alone, as most programs have it, calls work and emit nothing."""
    script = (
        "import sys\n"
        "sys.modules['opentelemetry.sdk'] = None\n"
        "from router import Client\n"
        "from router.testing import MockTransport, reply\n"
        "client = Client(transport=MockTransport(reply('Hello')), keys={'deepinfra': 'k'},\n"
        "                ledger=':memory:', environ={})\n"
        "made = client.chat.completions.create([{'role': 'user', 'content': 'Hi'}],\n"
        f"                                      model={MODEL!r})\n"
        "print(made.text)\n"
    )
    root = Path(router.__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, check=False, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("Hello\n", "")
