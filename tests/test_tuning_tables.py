"""Traffic into frames and files and back: the same, or refused on either side."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from router import Client, ConfigError, constrained, recorded_prompts, tuning, utility
from router.testing import FakeClock
from router.tuning import Logged, Outcome, Traffic

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PAIR = ["mixtral-8x7b-instruct-v0.1@replay", "deepseek-v2.5@replay"]


@pytest.fixture(scope="module")
def traffic():
    client = Client(ledger=":memory:", candidates=PAIR, now=FakeClock())
    return tuning.recorded(client, recorded_prompts(source="zeroeval")[:40])


def logged(i, **fields):
    fields = {"chosen": "a@x", "served": "a@x", **fields}
    return Logged(request_id=f"r{i}", at=NOON + timedelta(minutes=i), **fields)


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_every_frame_gives_the_same_traffic_back(traffic, backend):
    """A frame of each library holds all of it, decision records included."""
    pytest.importorskip(backend)
    back = tuning.load(traffic.to_frame(backend))
    assert back == traffic
    assert back.complete
    assert back[0].record.replays()


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_every_file_gives_the_same_traffic_back(traffic, kind, tmp_path):
    """CSV, Parquet and JSON lines hold all of it."""
    path = tmp_path / f"traffic.{kind}"
    frame = traffic.to_frame()
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path)
    else:
        rows = [request.row() for request in traffic]
        path.write_text("\n".join(json.dumps(row, default=str) for row in rows), "utf-8")
    assert tuning.load(path) == traffic


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"quality": 2.0}, "quality: expected a number from 0 to 1"),
        ({"propensity": 0.0}, "propensity: expected above 0"),
        ({"cost": -1}, "cost_usd: expected USD, 0 or more"),
        ({"chosen": ""}, "chosen: expected a text"),
        ({"seconds": float("inf")}, "seconds: expected"),
        ({"outcomes": {"a@x": Outcome(score=2.0, cost=1)}}, "outcomes: a@x: score"),
    ],
)
def test_a_frame_holds_nothing_that_could_not_be_read_back(fields, words):
    """What `load` refuses `to_frame` refuses in the same words: no file is lost."""
    bad = Traffic([logged(0), logged(1, **fields)])
    with pytest.raises(ConfigError, match=f"row 2: {words}"):
        bad.to_frame("pyarrow")
    with pytest.raises(ConfigError, match=f"row 2: {words}"):
        tuning.load([request.row() for request in bad])
    with pytest.raises(ConfigError, match="row 2: request_id 'r0' is that of row 1"):
        Traffic([logged(0), logged(0)]).to_frame("pyarrow")


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_a_refusal_is_read_back(traffic, backend, tmp_path):
    """A decision that chose nobody is traffic like others, with its record or without."""
    pytest.importorskip(backend)
    never, was = constrained(utility("0.01"), deny=PAIR), traffic[0].record
    record = replace(was, decision=never(was.quotes, was.context))
    assert not record.decision.ranking
    nobody = {"chosen": "", "served": "", "cost": None, "quality": None}
    refused = replace(traffic[0], record=record, **nobody)
    found = Traffic([refused, replace(refused, request_id="other", record=None)])
    assert tuning.load(found.to_frame(backend)) == found
    found.to_frame().to_csv(tmp_path / "a.csv", index=False)
    assert tuning.load(tmp_path / "a.csv") == found


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_an_empty_frame_is_empty_traffic(backend, tmp_path):
    """A day without requests is read back as one; a list says nothing of what it holds."""
    pytest.importorskip(backend)
    assert tuning.load(Traffic([]).to_frame(backend)) == Traffic([])
    frame = Traffic([]).to_frame()
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    assert tuning.load(tmp_path / "a.csv") == tuning.load(tmp_path / "a.parquet") == Traffic([])
