"""What telemetry costs a call: begin and end of its span, its metrics, its overhead.

Each case is a process of its own, for providers are set once. The peer is
opentelemetry-util-genai, where it is installed: one `inference` with tokens, started and stopped.

    python benchmarks/telemetry.py
"""

from __future__ import annotations

import gc
import logging
import statistics
import subprocess
import sys
import time
import tracemalloc
from datetime import UTC, datetime

from opentelemetry import metrics, trace

from classifiers.scores import Quantiles
from policies.types import Decision
from router import Catalog
from router.outlook import Forecast
from router.telemetry import Telemetry, names
from router.telemetry.instruments import Instruments
from router.types import Call, Cost, Request, Route, Usage

N, WARM = 4000, 500
CASES = {
    "no SDK, as most programs": "none",
    "no SDK, without looking whether there is one": "blind",
    "SDK: metrics in memory, spans not sampled": "metrics",
    "SDK: spans and metrics, nothing exported": "sdk",
    "the same, the newest names": "newest",
    "the same, two metric tags": "tags",
    "SDK: batches of spans, to an exporter that does nothing": "batch",
    "SDK: each span to memory": "memory",
    "util-genai, no SDK": "peer-none",
    "util-genai, SDK: spans and metrics, nothing exported": "peer-sdk",
}


def main() -> None:
    if len(sys.argv) > 1:
        case(sys.argv[1])
        return
    print(f"{'per call, microseconds':58}{'p50':>8}{'p99':>8}{'KiB kept':>10}")
    for what, name in CASES.items():
        done = subprocess.run(
            [sys.executable, __file__, name], capture_output=True, text=True, check=False
        )
        told = done.stdout.split() if done.returncode == 0 else []
        if not told:
            reason = (done.stderr.strip().splitlines() or ["?"])[-1]
            print(f"{what:58}  {reason[:60]}")
            continue
        print(f"{what:58}{float(told[0]):8.1f}{float(told[1]):8.1f}{float(told[2]):10.0f}")


def case(name: str) -> None:
    logging.disable()
    configure(name)
    make, work = peer() if name.startswith("peer") else ours(name)
    for i in range(WARM):
        work(make(i))
    took = []
    gc.disable()
    for i in range(N):
        given = make(i)
        began = time.perf_counter_ns()
        work(given)
        took.append((time.perf_counter_ns() - began) / 1000)
    gc.enable()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for i in range(N):
        work(make(N + i))
    gc.collect()
    kept = (tracemalloc.get_traced_memory()[0] - before) / 1024
    p99 = statistics.quantiles(took, n=100)[98]
    print(statistics.median(took), p99, max(0.0, kept))


def configure(name: str) -> None:
    """Set the global providers, as an application does."""
    if name in {"none", "blind", "peer-none"}:
        return
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import (
        BatchSpanProcessor,
        SimpleSpanProcessor,
        SpanExporter,
        SpanExportResult,
    )
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

    class Nowhere(SpanExporter):
        def export(self, spans):  # noqa: ARG002
            return SpanExportResult.SUCCESS

    metrics.set_meter_provider(MeterProvider(metric_readers=[InMemoryMetricReader()]))
    spans = TracerProvider(sampler=ALWAYS_OFF if name == "metrics" else ALWAYS_ON)
    if name == "batch":
        spans.add_span_processor(BatchSpanProcessor(Nowhere(), max_queue_size=100_000))
    if name == "memory":
        spans.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
    trace.set_tracer_provider(spans)


def ours(name: str):
    """What a client does for a call: around its request, at its beginning and its end."""
    environ = {names.OPT_IN: names.LATEST} if name == "newest" else {}
    tags = ("team", "feature") if name == "tags" else ()
    found = Telemetry(tags, environ=environ, address=lambda _: "https://api.deepinfra.com/v1")
    if name == "blind":
        found._source.listening = lambda: True
        found._source.tracer = trace.get_tracer("centroute")
        meter = metrics.get_meter("centroute")
        found._source.instruments = Instruments(meter, names.WIDELY)

    def make(i: int) -> Call:
        asked = {"team": f"t{i % 20}", "feature": f"f{i % 5}"}
        request = Request(id=f"{i:032x}", messages=(), tags=asked)
        return Call(
            request=request, candidate=CANDIDATE, max_tokens=500, timeout=60.0, input_tokens=1000
        )

    def work(call: Call) -> None:
        line = found.request(flow(), call.request, time.monotonic, away=(str,), sent=(str,))
        next(line)
        observed = found.begin(call, FORECAST, "sparing(utility(0.01), 0.05)", 200_000_000)
        found.end(
            observed,
            seconds=1.0,
            usage=USAGE,
            cost=COST,
            response={"id": "chatcmpl-1", "model": "deepseek-ai/DeepSeek-V3.2"},
            finish_reason="stop",
        )
        next(line, None)

    return make, work


def flow():
    yield "an effect"
    return None, ROUTE


def peer():
    """The same of opentelemetry-util-genai: it has no cost, no forecast and no cached tokens."""
    from opentelemetry.util.genai.handler import TelemetryHandler

    handler = TelemetryHandler()

    def work(_: int) -> None:
        made = handler.inference("deepinfra", request_model="deepseek-ai/DeepSeek-V3.2")
        made.input_tokens, made.output_tokens = USAGE.input_tokens, USAGE.output_tokens
        made.finish_reasons = ["stop"]
        made.stop()

    return int, work


NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CANDIDATE = Catalog.default().candidate("deepseek-v3.2@deepinfra", at=NOW)
USAGE = Usage(input_tokens=1000, cache_read_tokens=640, output_tokens=200)
COST = Cost(pico=120_000_000, rates_id="deepseek-v3.2@deepinfra/2025-12-01")
TOKENS = Quantiles(20, 200, 400, 800, 220)
FORECAST = Forecast(
    candidate=CANDIDATE.name,
    quality=0.8,
    basis="placed",
    input_tokens=1000,
    cache_read_tokens=600,
    output_tokens=TOKENS,
    reasoning_tokens=TOKENS,
    max_tokens=500,
    cost=110_000_000,
    cost_p50=100_000_000,
    cost_p90=150_000_000,
    cost_ceiling=200_000_000,
)
ROUTE = Route(
    request_id="",
    decision=Decision(
        ranking=(CANDIDATE.name,), reason="", rejected={}, policy="sparing(utility(0.01), 0.05)"
    ),
    forecasts={},
    candidate=CANDIDATE.name,
    started_at=NOW,
)

if __name__ == "__main__":
    main()
