"""Spans and metrics over the wire: OTLP/HTTP in protobuf, received and decoded, is the ledger."""

import gzip
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from weakref import WeakSet

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from router import Budget, Client
from router.errors import BudgetExceededError, ServerError
from router.ledgers.sqlite import SQLiteLedger
from router.money import to_usd
from router.telemetry.names import LATEST, NEWEST, OPT_IN, WIDELY
from router.testing import MockTransport, reply

V32, THINKING = "deepseek-v3.2@deepinfra", "deepseek-v3.2:thinking@deepinfra"
SECRET, KEY, USER = "the zebra of my grandmother", "sk-5ecre7", "ann-7f3a"
PAGES = {
    "/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse),
    "/v1/metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse),
}


class Receiver:
    """A collector on loopback that keeps what it was sent: as it came, and decoded."""

    def __enter__(self):
        self.received = {path: [] for path in PAGES}
        self.raw = b""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.receiver = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def spans(self):
        """All spans, with the scope and the resource that they came in."""
        return [
            SimpleNamespace(span=span, scope=scope, resource=resource.resource)
            for request in self.received["/v1/traces"]
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def points(self):
        """The points of each metric as they came last."""
        return {
            metric.name: list(getattr(metric, metric.WhichOneof("data")).data_points)
            for request in self.received["/v1/metrics"]
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        content = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        receiver, (request, response) = self.server.receiver, PAGES[self.path]
        receiver.raw += content
        receiver.received[self.path].append(request.FromString(content))
        answer = response().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Keep the test's output clean."""


def plain(attributes):
    """Attributes as a dict of plain values."""
    found = {}
    for each in attributes:
        kind = each.value.WhichOneof("value")
        value = getattr(each.value, kind)
        found[each.key] = [v.string_value for v in value.values] if "array" in kind else value
    return found


def summed(points, *labels):
    """The sum of counters' points by labels."""
    found = {}
    for point in points:
        attributes = plain(point.attributes)
        key = tuple(attributes.get(label, "") for label in labels)
        found[key] = found.get(key, 0) + (point.as_double or point.as_int)
    return {key: value for key, value in found.items() if value}


def by(entries, value, *keys):
    """The same of the ledger's entries."""
    found = {}
    for entry in entries:
        key = tuple(each(entry) for each in keys)
        found[key] = found.get(key, 0) + value(entry)
    return {key: value for key, value in found.items() if value}


@pytest.fixture(params=[WIDELY, NEWEST], ids=lambda generation: generation.name)
def told(request, monkeypatch):
    """What a collector has after some traffic: decoded, with the ledger beside it."""
    environ = {OPT_IN: LATEST} if request.param is NEWEST else {}
    with Receiver() as receiver, closing(SQLiteLedger(":memory:")) as ledger:
        resource = Resource.create({"service.name": "a service"})
        spans = OTLPSpanExporter(f"{receiver.url}/v1/traces", compression=Compression.Gzip)
        tracing = TracerProvider(resource=resource)
        tracing.add_span_processor(BatchSpanProcessor(spans))
        metrics = OTLPMetricExporter(f"{receiver.url}/v1/metrics")
        reader = PeriodicExportingMetricReader(metrics, export_interval_millis=3_600_000)
        metering = MeterProvider(metric_readers=[reader], resource=resource)
        monkeypatch.setattr("opentelemetry.trace.get_tracer", tracing.get_tracer)
        monkeypatch.setattr("opentelemetry.metrics.get_meter", metering.get_meter)
        for gauges in ("pools", "budgets"):  # other tests' clients are not ours
            monkeypatch.setattr(f"router.telemetry.{gauges}.showing", WeakSet())
        with Client(
            transport=(transport := MockTransport()),
            keys={"deepinfra": KEY},
            ledger=ledger,
            budgets=[Budget("1.00", "day", name="all of us")],
            metric_tags=["team"],
            environ=environ,
        ) as client:
            traffic(client, transport)
            metering.force_flush()
        tracing.shutdown()
        metering.shutdown()
        entries = list(ledger.entries())
        yield SimpleNamespace(receiver=receiver, entries=entries, generation=request.param)


def traffic(client, transport):
    """Whole answers, a retry, usage not told, streams to their end and closed, a refusal."""

    def ask(*answers, **arguments):
        transport.__init__(*answers)  # what is left of others is forgotten
        given = {"model": V32, "tags": {"team": "search", "user": USER}} | arguments
        return client.chat.completions.create([{"role": "user", "content": SECRET}], **given)

    answer = reply(
        SECRET, input_tokens=1000, cache_read_tokens=640, output_tokens=200, reasoning_tokens=50
    )
    for i in range(5):
        ask(answer, model=(V32, THINKING)[i % 2], tags={"team": ("search", "support")[i % 2]})
    ask(ServerError("busy", candidate=V32, status_code=503, retry_after=0.0), answer)
    ask(reply(SECRET, usage=False))
    with ask(answer, stream=True) as whole:
        list(whole)
    with ask(answer, stream=True) as left:
        next(iter(left))
    with pytest.raises(BudgetExceededError):
        ask(answer, budget="0")


def test_spans_are_the_attempts(told):
    """One span for each attempt, in one scope of one service, with what the ledger has of it."""
    spans, entries = told.receiver.spans, told.entries
    assert len(spans) == len(entries) == 10
    for each in spans:
        assert plain(each.resource.attributes)["service.name"] == "a service"
        assert each.scope.scope.name == "centroute"
        assert each.scope.schema_url == told.generation.schema
    found = [plain(each.span.attributes) for each in spans]
    amounts = sum(one.get("gen_ai.usage.cost.amount", 0.0) for one in found)
    assert amounts == pytest.approx(float(to_usd(sum(e.cost for e in entries))), rel=1e-9)
    for attribute, column in (
        ("input_tokens", "input_tokens"),
        ("output_tokens", "output_tokens"),
        ("cache_read.input_tokens", "cache_read_tokens"),
        ("reasoning.output_tokens", "reasoning_tokens"),
    ):
        told_of = sum(one.get(f"gen_ai.usage.{attribute}", 0) for one in found)
        assert told_of == sum(getattr(e.usage, column) for e in entries), attribute
    outcomes = sorted(one.get("error.type", "ok") for one in found)
    assert outcomes == sorted(entry.outcome for entry in entries)
    assert {one["centroute.request.id"] for one in found} == {
        entry.record.request_id for entry in entries
    }
    cache = {key for one in found for key in one if key.startswith("gen_ai.usage.cache_")}
    assert cache == {"gen_ai.usage.cache_read.input_tokens", told.generation.cache_write}


def test_the_settlements_are_events(told):
    """Each charge is an event of its span, with the price row that the ledger billed it by."""
    events = [
        plain(event.attributes)
        for each in told.receiver.spans
        for event in each.span.events
        if event.name == "centroute.settled"
    ]
    charged = [entry for entry in told.entries if entry.rates_id]
    assert len(events) == len(charged) == 9
    assert {event["centroute.rates.id"] for event in events} == {e.rates_id for e in charged}
    assert {event["gen_ai.usage.cost.currency"] for event in events} == {"USD"}


def test_our_metrics_are_the_ledgers(told):
    """Spend, tokens, attempts, refusals and budgets: the same names in both generations."""
    points, entries = told.receiver.points, told.entries
    usd = summed(points["centroute.spend"], "centroute.candidate", "centroute.tag.team")
    pico = by(
        entries, lambda e: e.cost, lambda e: e.record.candidate, lambda e: e.record.tags["team"]
    )
    assert usd == pytest.approx({k: float(to_usd(v)) for k, v in pico.items()}, rel=1e-9)
    source = summed(points["centroute.spend"], "centroute.cost.source")
    assert set(source) == {("computed",), ("estimated",)}
    tokens = summed(points["centroute.tokens"], "gen_ai.token.type")
    assert tokens == {
        (kind,): total
        for kind in ("input", "cache_read", "cache_write", "output", "reasoning")
        if (total := sum(getattr(e.usage, f"{kind}_tokens") for e in entries))
    }
    assert summed(points["centroute.attempts"], "error.type") == by(
        entries, lambda _: 1, lambda e: "" if e.outcome == "ok" else e.outcome
    )
    assert summed(points["centroute.refusals"], "error.type") == {("BudgetExceededError",): 1}
    spent = summed(points["centroute.budget.spent"], "centroute.budget", "centroute.budget.unit")
    whole = float(to_usd(sum(e.cost for e in entries)))
    assert spent == {("all of us", "usd"): pytest.approx(whole, rel=1e-9)}


def test_conventional_metrics_are_the_ledgers(told):
    """Durations, costs and tokens under the names of the generation, and under no others."""
    points, entries, generation = told.receiver.points, told.entries, told.generation
    conventional = {name for name in points if name.startswith("gen_ai.")}
    expected = {one.name for one in generation.instruments}
    assert conventional - expected == {"gen_ai.client.operation.cost"}
    cost = points["gen_ai.client.operation.cost"]
    whole = float(to_usd(sum(e.cost for e in entries)))
    assert sum(point.sum for point in cost) == pytest.approx(whole, rel=1e-9)
    assert sum(p.count for p in points[generation.duration.name]) == len(entries)
    totals = {
        k: sum(getattr(e.usage, f"{k}_tokens") for e in entries) for k in ("input", "output")
    }
    if generation.tokens is not None:
        for kind, total in totals.items():
            sums = [
                point.sum
                for point in points[generation.tokens.name]
                if plain(point.attributes)["gen_ai.token.type"] == kind
            ]
            assert sum(sums) == total
    for kind, total in totals.items() if generation.usage else ():
        found = summed(points[generation.usage[f"{kind}_tokens"].name], "gen_ai.token.modality")
        assert found == {("text",): total}


def test_nothing_else_is_on_the_wire(told):
    """Neither prompt, answer, key nor a tag that nobody asked for: in no byte of it."""
    raw = told.receiver.raw
    assert b"centroute.spend" in raw
    assert b"search" in raw
    for secret in (SECRET, "zebra", KEY, USER):
        assert secret.encode() not in raw, secret
