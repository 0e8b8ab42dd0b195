"""No SDK, one that comes later, only half of one, or one that fails: calls go on."""

import subprocess
import sys
from pathlib import Path

import pytest
from observing import ANSWER, ask, client_of
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

import router
from router.telemetry import Telemetry
from router.testing import reply

SCRIPT = """
import sys
{before}
from router import Client
from router.testing import MockTransport, reply
client = Client(transport=MockTransport(reply('Hello'), reply('again')), ledger=':memory:',
                keys={{'deepinfra': 'k'}}, environ={{}}, budgets='1')
def ask():
    return client.chat.completions.create([{{'role': 'user', 'content': 'Hi'}}],
                                          model='deepseek-v3.2@deepinfra')
print(ask().text)
{after}
"""
LATER = """
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
reader, spans = InMemoryMetricReader(), InMemorySpanExporter()
metrics.set_meter_provider(MeterProvider(metric_readers=[reader]))
trace.set_tracer_provider(TracerProvider())
trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(spans))
ask()
(resource,) = reader.get_metrics_data().resource_metrics
found = {m.name: m for s in resource.scope_metrics for m in s.metrics}
(attempts,) = found['centroute.attempts'].data.data_points
print(attempts.value, len(spans.get_finished_spans()), 'centroute.budget.limit' in found)
"""


def run(before="", after=""):
    script = SCRIPT.format(before=before, after=after)
    root = Path(router.__file__).parent.parent
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=root,
        check=False,
        capture_output=True,
        text=True,
    )


def test_it_works_without_the_sdk():
    """With opentelemetry-api alone, as most programs have it, calls work and emit nothing."""
    done = run("sys.modules['opentelemetry.sdk'] = None")
    assert (done.stdout, done.stderr) == ("Hello\n", "")


def test_an_sdk_that_is_configured_later_is_noticed():
    """At the next call: its span and metrics, and the gauges of the client that was there."""
    done = run(after=LATER)
    assert (done.stdout, done.stderr) == ("Hello\n1 1 True\n", "")


def test_the_sdk_can_be_disabled():
    """By OpenTelemetry's own variable: as if there were none."""
    done = run("import os; os.environ['OTEL_SDK_DISABLED'] = 'true'", LATER.partition("(res")[0])
    assert (done.stdout, done.stderr) == ("Hello\n", "")


def test_nobody_listens_to_nothing():
    """Without providers nothing is begun, so that nothing is measured or kept."""
    telemetry = Telemetry(["team"])
    assert telemetry.begin(None, None, "") is None  # looked at by nobody
    line = iter(())
    assert telemetry.request(line, None, None, away=(), sent=()) is line


def test_metrics_without_spans(monkeypatch):
    """Either may be there alone."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    monkeypatch.setattr("opentelemetry.metrics.get_meter", provider.get_meter)
    with client_of(reply(ANSWER)) as client:
        ask(client)
    names = [
        m.name
        for r in reader.get_metrics_data().resource_metrics
        for s in r.scope_metrics
        for m in s.metrics
    ]
    assert "centroute.spend" in names
    provider.shutdown()


@pytest.mark.parametrize("sampled", [True, False])
def test_spans_without_metrics(monkeypatch, sampled):
    """A span that is not sampled is not filled, and is ended."""
    spans = InMemorySpanExporter()
    provider = TracerProvider() if sampled else TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr("opentelemetry.trace.get_tracer", provider.get_tracer)
    with client_of(reply(ANSWER)) as client:
        made = ask(client)
    assert made.text == ANSWER
    assert len(spans.get_finished_spans()) == sampled
    provider.shutdown()


def broken(*args, **kwargs):
    raise RuntimeError("telemetry is down")


@pytest.mark.parametrize(
    "where",
    [
        "opentelemetry.trace.get_tracer",
        "opentelemetry.metrics.get_meter",
        "router.telemetry.begun",
        "router.telemetry.measure",
        "router.telemetry.ended",
        "router.telemetry.guard.Guard.value",
        "router.telemetry.budgets.BudgetGauges.met",
        "opentelemetry.sdk.metrics.Counter.add",
        "opentelemetry.sdk.metrics.Histogram.record",
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_whatever_fails_costs_no_answer(observed, monkeypatch, caplog, where, streamed):
    """A warning; the answer comes, and is settled."""
    monkeypatch.setattr(where, broken)
    with client_of(reply(ANSWER), metric_tags=["team"], budgets="1") as client:
        made = ask(client, stream=streamed)
        if streamed:
            with made:
                assert "".join(chunk.text for chunk in made) == ANSWER
        else:
            assert made.text == ANSWER
        (entry,) = client._core.ledger.entries()
    assert entry.cost > 0
    assert "telemetry could not" in caplog.text


def test_a_span_that_cannot_be_filled_is_ended(observed, monkeypatch, caplog):
    """It is exported without what failed."""
    monkeypatch.setattr("router.telemetry.spans._tell", broken)
    with client_of(reply(ANSWER)) as client:
        ask(client)
    assert len(observed.spans) == 1
    assert "telemetry could not end a span" in caplog.text
