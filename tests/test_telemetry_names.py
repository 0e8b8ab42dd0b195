"""What each generation of names emits, against a golden file; and that names are in one place.

After a change that is meant, WRITE_GOLDEN=1 writes the files anew. Read the difference, for
dashboards are built on these names.
"""

import json
import os
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from observing import ANSWER, ask, client_of
from opentelemetry.sdk.metrics.export import Gauge, Histogram, Sum
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics

import router
from router import Budget, BudgetExceededError
from router.errors import ServerError
from router.ledgers import Reservation
from router.telemetry import names
from router.telemetry.names import LATEST, NEWEST, OPT_IN, WIDELY, generation_of
from router.testing import reply

ROUTER = Path(router.__file__).parent
GOLDEN = Path(__file__).parent / "data" / "telemetry"
KINDS = {Sum: "counter", Histogram: "histogram", Gauge: "gauge"}


def lose(client):
    """A call of a process that died is charged by the next request; then its truth comes."""
    (entry, *_) = client.ledger.entries()
    at = entry.at - timedelta(hours=1)
    lost = Reservation(
        id="lost", at=at, lease_until=at, amount=10**9, holds=(), record=entry.record
    )
    client.ledger.reserve(lost)
    ask(client, tags={"team": "a"}, cache=False)
    client.ledger.release("lost", at=entry.at, outcome="http_500")


def emitted(observed, directory, opt_in):
    """All names that calls bring about: answered, failed, streamed, kept, refused, lost."""
    told = reply(ANSWER)
    answers = (
        replace(told, usage=replace(told.usage, reported_cost=1)),
        ServerError("no", status_code=503, retry_after=0.0),
        told,
        told,
        told,
    )
    environ = {OPT_IN: opt_in, names.CAPTURE: "SPAN_AND_EVENT"}
    settings = {"environ": environ, "cache": directory, "metric_tags": ["team"]}
    with client_of(*answers, budgets=[Budget("1")], span_tags=["user"], **settings) as client:
        for _ in range(2):
            ask(client, tags={"team": "a", "user": "u"}, max_tokens=100)
        ask(client, tools=[{"type": "function", "function": {"name": "f"}}])
        with ask(client, stream=True, cache=False) as stream:
            list(stream)
        with pytest.raises(BudgetExceededError):
            ask(client, budget="0", cache=False)
        lose(client)
        client._core._telemetry.selfhosted("m@h", 0.5, {("marginal", "output"): 1.0})
        metrics = observed.metrics()
    events = {}
    for span in observed.spans:
        for event in span.events:
            events.setdefault(event.name, set()).update(event.attributes)
    return {
        "span": sorted({name for span in observed.spans for name in span.attributes}),
        "events": {name: sorted(found) for name, found in sorted(events.items())},
        "metrics": {
            name: {
                "kind": KINDS[type(metric.data)],
                "unit": metric.unit,
                "labels": sorted({a for p in metric.data.data_points for a in p.attributes}),
            }
            for name, metric in sorted(metrics.items())
        },
    }


@pytest.mark.parametrize(("file", "opt_in"), [("widely", ""), ("newest", LATEST)])
def test_what_is_emitted_is_what_the_golden_file_says(observed, tmp_path, file, opt_in):
    """Every attribute, event and metric, with kinds, units and labels."""
    found = emitted(observed, tmp_path, opt_in)
    if os.environ.get("WRITE_GOLDEN"):
        (GOLDEN / f"{file}.json").write_text(json.dumps(found, indent=2) + "\n")
    assert found == json.loads((GOLDEN / f"{file}.json").read_text())


@pytest.mark.parametrize(
    ("value", "generation"),
    [
        (None, WIDELY),
        ("", WIDELY),
        ("http", WIDELY),
        ("gen_ai", WIDELY),
        (LATEST, NEWEST),
        (f"http/dup, {LATEST} ,database", NEWEST),
    ],
)
def test_the_opt_in_is_a_list(value, generation):
    """Other libraries' words in it are not ours."""
    assert generation_of(value) is generation


def test_both_generations_have_what_is_ours():
    """What dashboards of ours read does not depend on the opt-in."""
    files = [json.loads((GOLDEN / f"{each}.json").read_text()) for each in ("widely", "newest")]
    ours = [
        {name: of for name, of in file["metrics"].items() if name.startswith("centroute.")}
        for file in files
    ]
    assert ours[0] == ours[1]
    assert set(ours[0]) >= {one.name for one in names.OURS if one.name.startswith("centroute.")}


def test_the_widely_known_names_are_those_of_the_published_package():
    """opentelemetry-semantic-conventions has all of ours that are conventional, but for cost."""
    known = {
        value
        for module in (gen_ai_attributes, gen_ai_metrics)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    }
    found = json.loads((GOLDEN / "widely.json").read_text())
    events = {name for attributes in found["events"].values() for name in attributes}
    used = {*found["span"], *events, *found["metrics"]}
    labels = {name for of in found["metrics"].values() for name in of["labels"]}
    conventional = {name for name in used | labels if name.startswith("gen_ai.")}
    assert {name for name in conventional - known if "cost" not in name} == set()


@pytest.mark.parametrize("generation", [WIDELY, NEWEST])
def test_descriptions_are_whole(generation):
    """Each metric is described once, and says what it is labelled by."""
    read = (*names.POOLS.values(), *names.BUDGETS.values(), *names.LEDGERS.values())
    gauges = (*read, *names.FLEETS)
    every = [*names.OURS, *generation.instruments, *gauges]
    assert len({one.name for one in every}) == len(every)
    for one in every:
        assert one.description
        assert (one.kind == "histogram") == bool(one.buckets)
        assert list(one.buckets) == sorted(one.buckets)


def test_names_are_in_one_file():
    """No other file of the package spells one."""
    spelled = re.compile(r"""["'](gen_ai|centroute)\.[a-z_]+""")
    found = [
        path.relative_to(ROUTER).as_posix()
        for path in ROUTER.rglob("*.py")
        if spelled.search(path.read_text(encoding="utf-8"))
    ]
    assert found == ["telemetry/names.py"]
