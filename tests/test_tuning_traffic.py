"""Traffic: in memory, as tables, as evaluation sets."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import Client, ConfigError, recorded_prompts, tuning, utility
from router.testing import FakeClock
from router.tuning import Logged, Outcome, Traffic

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PAIR = ["mixtral-8x7b-instruct-v0.1@replay", "deepseek-v2.5@replay"]
LIVE = ["deepseek-v3.2@deepinfra", "deepseek-v3.2:thinking@deepinfra"]


def client(**settings):
    return Client(ledger=":memory:", candidates=PAIR, now=FakeClock(), **settings)


@pytest.fixture(scope="module")
def traffic():
    return tuning.recorded(client(), recorded_prompts(source="zeroeval")[:40])


def logged(i, **fields):
    fields = {"chosen": "a@x", "served": "a@x", **fields}
    return Logged(request_id=f"r{i}", at=NOON + timedelta(minutes=i), **fields)


@st.composite
def requests(draw):
    amount = st.integers(0, 10**15)
    share = st.floats(0, 1)
    outcome = st.builds(Outcome, score=share, cost=amount)
    word = st.text(min_size=1, max_size=9)
    return Logged(
        request_id=draw(word.filter(str.strip)),
        at=NOON + timedelta(microseconds=draw(st.integers(0, 10**12))),
        chosen=draw(word),
        propensity=draw(st.floats(1e-9, 1)),
        tags=draw(st.dictionaries(word, word, max_size=3)),
        served=draw(st.text(max_size=9)),
        policy=draw(st.text(max_size=9)),
        cost=draw(st.none() | amount),
        quality=draw(st.none() | share),
        quality_by=draw(st.text(max_size=9)),
        seconds=draw(st.floats(0, 1e6)),
        outcomes=draw(st.dictionaries(word, outcome, max_size=2)),
    )


@given(st.lists(requests(), max_size=6, unique_by=lambda r: r.request_id))
def test_a_table_gives_the_same_traffic_back(found):
    """Rows of traffic are read back equal: money to the pico-dollar, texts, times, grades."""
    first = Traffic(sorted(found, key=lambda r: r.at))
    if found:
        assert tuning.load([request.row() for request in first]) == first


def test_an_empty_frame_has_all_columns():
    """No requests are a table without rows, not an error."""
    frame = Traffic([]).to_frame("pyarrow")
    assert frame.column_names == list(tuning.traffic.COLUMNS)
    assert frame.num_rows == 0


def test_traffic_is_cut_by_time_tags_and_grade():
    """since, until, where and graded keep what they say; sums are exact; slices are traffic."""
    found = Traffic(
        logged(
            i,
            cost=None if i == 3 else 7,
            quality=1.0 if i % 2 else None,
            tags={"team": str(i % 3)},
        )
        for i in range(6)
    )
    assert [r.request_id for r in found.since(NOON + timedelta(minutes=4))] == ["r4", "r5"]
    assert len(found.until(NOON + timedelta(minutes=4))) == 4
    assert [r.request_id for r in found.where(team="1")] == ["r1", "r4"]
    assert [r.request_id for r in found.graded] == ["r1", "r3", "r5"]
    assert found.cost_usd == Decimal("0.000000000035")
    assert isinstance(found[1:3], Traffic)
    assert found[1] is found[1:3][0]
    assert not found.complete
    with pytest.raises(ConfigError, match="aware"):
        found.since(datetime(2026, 1, 1))


def test_a_split_keeps_every_request_on_its_side():
    """Both parts together are the traffic, and an id is on one side whoever else is there."""
    found = Traffic(logged(i) for i in range(2000))
    first, second = found.split(0.3)
    assert len(first) + len(second) == 2000
    assert 500 < len(first) < 700
    fewer, _ = found[:900].split(0.3)
    assert {r.request_id for r in fewer} == {r.request_id for r in first if r.at < found[900].at}
    with pytest.raises(ConfigError, match="share"):
        found.split(1.0)


def test_exploration_is_spread_over_both_parts():
    """The lot of a split is not that of exploration: neither side has all that was explored."""
    found = tuning.recorded(client(policy=utility("0.01")), recorded_prompts()[:400])
    first, second = found.split(0.5)
    for part in (first, second):
        draws = [r.record.context.draw for r in part]
        assert 0.35 < sum(draw < 0.5 for draw in draws) / len(draws) < 0.65


def test_recordings_are_complete_and_repeatable(traffic):
    """What every candidate made of each prompt is known, and planning again gives the same."""
    assert traffic.complete
    assert traffic.candidates == tuple(sorted(PAIR))
    again = tuning.recorded(client(), recorded_prompts(source="zeroeval")[:40])
    assert [r.record.context.draw for r in again] == [r.record.context.draw for r in traffic]
    assert [r.chosen for r in again] == [r.chosen for r in traffic]
    first = recorded_prompts(source="zeroeval")[0]
    score = first.outcomes["deepseek-v2.5"].score
    assert traffic[0].outcomes["deepseek-v2.5@replay"].score == score
    assert traffic[0].tags["dataset"] == first.dataset


def test_an_evaluation_set_is_planned_and_priced():
    """Costs follow from lengths and rates, or are given, or are the forecast's and noted."""
    rows = []
    for i in range(3):
        asked = {"prompt": f"What is {i} + {i}?", "tags": '{"team": "a"}'}
        rows += [
            {**asked, "candidate": LIVE[0], "score": 0, "output_tokens": 100},
            {**asked, "candidate": LIVE[1], "score": 1.0, "cost_usd": Decimal("0.002")},
        ]
    found = tuning.load(rows, client=client())
    assert len(found) == 3
    assert found.complete
    assert found[0].tags == {"team": "a"}
    assert found[0].outcomes[LIVE[1]] == Outcome(score=1.0, cost=2 * 10**9)
    rates = client().catalog.rates(LIVE[0], NOON)
    plan = client().plan([{"role": "user", "content": "What is 0 + 0?"}], model=LIVE[0])
    tokens = plan.forecasts[LIVE[0]].input_tokens
    exact = -(-(tokens * rates.input + 100 * rates.output) // 10**6)
    assert found[0].outcomes[LIVE[0]] == Outcome(score=0.0, cost=exact)
    assert not found.notes
    bare = [
        {k: v for k, v in row.items() if k not in {"cost_usd", "output_tokens"}} for row in rows
    ]
    again = tuning.load(bare, client=client())
    assert "6 answers is a forecast" in again.notes[0]
    assert again[0].outcomes[LIVE[0]].cost == again[0].record.quotes[0].cost


def test_a_model_in_a_set_stands_for_it_wherever_it_is_served():
    """A row of a model holds for each of its candidates; messages do as prompts do."""
    messages = json.dumps([{"role": "user", "content": "Hello"}])
    rows = [
        {"messages": messages, "model": "deepseek-v3.2", "score": 0.25, "output_tokens": 9},
        {"messages": messages, "candidate": LIVE[1], "score": 1, "output_tokens": 99},
    ]
    found = tuning.load(rows, client=client())
    assert LIVE[1] in found.candidates
    assert len(found.candidates) > 1
    for name, outcome in found[0].outcomes.items():
        assert outcome.score == (1.0 if name == LIVE[1] else 0.25)


def test_prompts_without_all_scores_are_left_out_and_noted():
    """A prompt whose grade of some candidate is missing is not taken for wrong."""
    rows = [
        {"prompt": "One?", "candidate": LIVE[0], "score": 1},
        {"prompt": "One?", "candidate": LIVE[1], "score": 1},
        {"prompt": "Two?", "candidate": LIVE[1], "score": 1},
    ]
    found = tuning.load(rows, client=client())
    assert len(found) == 1
    assert any(f"1 prompt was left out: no score of {LIVE[0]}" in n for n in found.notes)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "expected rows, got none"),
        ([{"foo": 1}], "got the columns foo"),
        ([{"prompt": "a", "model": "x", "score": 1}], "pass the client"),
        ([{"request_id": "", "at": NOON, "chosen": "a"}], "row 1: request_id"),
        ([{"request_id": "a", "at": "noon", "chosen": "a"}], "row 1: at: expected an instant"),
        (
            [{"request_id": "a", "at": NOON, "chosen": "a", "quality": 2}],
            "quality: .* from 0 to 1",
        ),
        ([{"request_id": "a", "at": NOON, "chosen": "a", "propensity": 0}], "above 0"),
        ([{"request_id": "a", "at": NOON, "chosen": "a", "cost_usd": -1}], "0 or more"),
        ([{"request_id": "a", "at": NOON, "chosen": "a", "cost": 1}], "got cost"),
        ([{"request_id": "a", "at": NOON, "chosen": "a", "record": "{}"}], "record: format"),
        ([{"request_id": "a", "at": NOON, "chosen": "a", "tags": "x"}], "tags: expected JSON"),
        ([{"request_id": "a", "at": NOON, "chosen": "a"}] * 2, "row 2: request_id 'a' is that"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(rows, words):
    """The error names the row and the column, and says what was expected."""
    with pytest.raises(ConfigError, match=words):
        tuning.load(rows)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"score": 1.5}, "row 2: score: expected a number from 0 to 1, got 1.5"),
        ({"score": None}, "row 2: score"),
        ({"candidate": None}, "row 2: model or candidate"),
        ({"prompt": ""}, "row 2: expected a text as prompt"),
        ({"output_tokens": -1}, "row 2: output_tokens: expected a number 0 or more"),
        ({"answer": "x"}, "row 2: expected .* got"),
        ({"prompt": "One?"}, "row 2: a second answer"),
        ({"output_tokens": 1e30}, "row 2: output_tokens: expected at most 1,000,000,000"),
        ({"prompt": None, "messages": "[1]"}, "row 2: messages: expected dicts"),
    ],
)
def test_a_row_of_a_set_that_cannot_be_used_is_named(row, words):
    """Nothing of a set is planned before all its rows are read."""
    good = {"prompt": "One?", "candidate": PAIR[1], "score": 1}
    with pytest.raises(ConfigError, match=words):
        tuning.load([good, {**good, "prompt": "Two?", **row}], client=client())


def test_files_that_cannot_be_read_say_why(tmp_path):
    """A missing file, broken JSON and broken Parquet are typed errors that name the place."""
    broken = tmp_path / "a.jsonl"
    broken.write_text('{"request_id": "a"}\n{', "utf-8")
    with pytest.raises(ConfigError, match=r"a\.jsonl:2: expected a JSON object"):
        tuning.load(broken)
    with pytest.raises(ConfigError, match="cannot be read"):
        tuning.load(tmp_path / "none.csv")
    (tmp_path / "b.parquet").write_bytes(b"no")
    with pytest.raises(ConfigError, match="not Parquet"):
        tuning.load(tmp_path / "b.parquet")
    with pytest.raises(ConfigError, match="no ledger at"):
        tuning.load(tmp_path / "none.sqlite3")


def test_an_unknown_outcome_is_not_taken_for_known(traffic):
    """Traffic that lacks one outcome is not complete."""
    outcomes = dict(traffic[0].outcomes)
    outcomes.pop(PAIR[0])
    assert not Traffic([replace(traffic[0], outcomes=outcomes), *traffic[1:]]).complete
