"""Signals to scale replicas by: gauges that are read when they are collected."""

import gc
from weakref import WeakSet

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from router.telemetry import Telemetry
from router.transports.vllm import Pool
from router.transports.vllm.metrics import Metrics
from router.transports.vllm.replica import Reading

A, B = "http://u:s3cret@a:8000/v1", "http://b:8000/v1"


@pytest.fixture
def reader(monkeypatch):
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    monkeypatch.setattr("opentelemetry.metrics.get_meter", provider.get_meter)
    monkeypatch.setattr(
        "router.telemetry.pools.showing", WeakSet()
    )  # others' clients are not ours
    yield reader
    provider.shutdown()


def points(reader):
    data = reader.get_metrics_data()
    return {
        (metric.name, *point.attributes.values()): point.value
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if metric.name.startswith("centroute.pool.")
    }


def pool_of(host, *urls):
    seconds = iter(range(1000))
    return Pool(host, urls, clock=lambda: float(next(seconds)))


def told(output):
    return Metrics(running=3, waiting=2, kv_usage=0.5, output_tokens=output, started_at=1.0)


def test_what_is_shown_of_replicas(reader):
    """Running, waiting, cache in use and tokens per second by replica; how many are up by host."""
    pool = pool_of("vllm", A, B)
    for output in (0, 100):
        pool.polled(A, Reading(metrics=told(output)))
    pool.polled(B, Reading(refused=True))
    telemetry = Telemetry()
    telemetry.pools(pool.states)
    found = points(reader)
    a = "http://a:8000/v1"
    states = {key[2:]: found.pop(key) for key in list(found) if key[0].endswith("_state")}
    assert {at: state for (at, state), shown in states.items() if shown} == {a: "up", B: "down"}
    assert len(states) == 6
    assert found.pop(("centroute.pool.tokens_per_second", "vllm", a)) == pytest.approx(100.0)
    assert found == {
        ("centroute.pool.running", "vllm", a): 3,
        ("centroute.pool.waiting", "vllm", a): 2,
        ("centroute.pool.kv_usage", "vllm", a): 0.5,
        ("centroute.pool.replicas_up", "vllm"): 1,
    }
    pool.polled(B, Reading())
    assert points(reader)["centroute.pool.replicas_up", "vllm"] == 2


def test_two_clients_show_theirs_beside_each_other(reader):
    """A meter keeps one gauge of a name; all clients are read by it."""
    kept = []
    for host, url in (("vllm", B), ("sglang", "http://c/v1")):
        pool, telemetry = pool_of(host, url), Telemetry()
        pool.polled(url, Reading(metrics=told(0)))
        telemetry.pools(pool.states)
        kept.append(telemetry)
    found = points(reader)
    assert found["centroute.pool.replicas_up", "vllm"] == 1
    assert found["centroute.pool.running", "sglang", "http://c/v1"] == 3


def test_a_client_that_is_gone_shows_nothing(reader):
    """No stale figures for an autoscaler to act on: closed (it shows nothing), or collected."""
    pool, telemetry = pool_of("vllm", B), Telemetry()
    for gone in (lambda: telemetry.pools(tuple), gc.collect):
        telemetry.pools(pool.states)
        assert ("centroute.pool.replicas_up", "vllm") in points(reader)
        if gone is gc.collect:
            del telemetry
        gone()
        assert points(reader) == {}


def test_failing_states_cost_nothing(reader, caplog):
    """A warning, never an error in the reader's thread."""
    telemetry = Telemetry()
    telemetry.pools(lambda: 1 / 0)
    assert points(reader) == {}
    assert "could not read the replicas" in caplog.text
