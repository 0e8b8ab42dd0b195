"""What one tries first: presets, files and paths are taken; what is no policy is told, typed."""

import warnings
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from router import (
    AsyncClient,
    Client,
    ConfigError,
    InvalidRequestError,
    RetiredModelError,
    UnknownModelError,
    cheapest,
    explore,
    recorded_prompts,
    tuning,
    utility,
)
from router.frames import rows_of
from router.testing import FakeClock
from router.tuning import Graded, Judgement, label_set
from router.tuning.save import save_policy

PAIR = ["mixtral-8x7b-instruct-v0.1@replay", "deepseek-v2.5@replay"]
LIVE = ["deepseek-v3.2@deepinfra", "deepseek-v3.2:thinking@deepinfra"]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def client(**settings):
    return Client(ledger=":memory:", candidates=PAIR, now=FakeClock(), **settings)


@pytest.fixture(scope="module")
def traffic():
    return tuning.recorded(client(), recorded_prompts(source="zeroeval")[:60])


@pytest.fixture(scope="module")
def table(traffic, tmp_path_factory):
    path = tmp_path_factory.mktemp("given") / "traffic.csv"
    traffic.to_frame().to_csv(path, index=False)
    return str(path)


def calls(traffic, policy):
    """Each entry of the package that takes a policy, with it."""
    return {
        "estimate": lambda: tuning.estimate(traffic, policy).value,
        "sweep": lambda: tuning.sweep(traffic, policy, progress=False)[0].quality,
        "frontier": lambda: tuning.frontier(traffic, point=policy, progress=False).point.quality,
        "gate": lambda: tuning.gate(traffic, policy, cheapest()).quality.candidate,
        "present": lambda: tuning.gate(traffic, cheapest(), policy).quality.present,
        "gate, several": lambda: tuning.gate(traffic, [policy])[0].quality.candidate,
        "choices": lambda: tuning.choices(traffic, policy),
        "choose": lambda: (
            tuning.choose(traffic, [policy, cheapest()], quality_floor=0.01, progress=False).met
        ),
    }


def test_presets_files_and_paths_do_as_what_they_stand_for(traffic, table, tmp_path):
    """A preset's name, a policy's file and a path to traffic give the same figures everywhere."""
    policy = utility("0.03")
    file = save_policy(policy, tmp_path / "mine.toml")
    expected = {name: call() for name, call in calls(traffic, policy).items()}
    for given in (file, str(file)):
        assert {name: call() for name, call in calls(table, given).items()} == expected
    assert tuning.estimate(list(traffic), policy).value == expected["estimate"]
    careful = tuning.sweep(traffic, "careful", progress=False)
    assert [point.name for point in careful] == ["cheapest_adequate(0.8)"]
    both = tuning.sweep(traffic, ["careful", policy], progress=False)
    assert [point.name for point in both] == ["cheapest_adequate(0.8)", "utility(0.03)"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (utility, r"expected a policy, got the class utility: call it, utility\(\.\.\.\)"),
        ("nosuch", r"expected a preset \(.*got 'nosuch'"),
        (3, r"expected a policy such as utility\('0.01'\)"),
        (lambda quotes: quotes, "<lambda> does not take two arguments"),
    ],
)
def test_what_is_no_policy_is_told_at_every_entry(traffic, given, words):
    """A typed error that says what to do, never one of the interpreter's."""
    for call in calls(traffic, given).values():
        with pytest.raises(ConfigError, match=words):
            call()


@pytest.mark.parametrize("given", [None, 5, [1, 2], object()])
def test_what_is_no_traffic_is_told_at_every_entry(given):
    """The error says what traffic may be."""
    for call in calls(given, utility("0.01")).values():
        with pytest.raises(ConfigError, match="expected a path, a postgresql:// URL, a ledger"):
            call()
    with pytest.raises(ConfigError, match=r"no ledger at 'none\.sqlite3'"):
        tuning.estimate("none.sqlite3", utility("0.01"))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (cheapest, "family: expected a policy's class, such as utility"),
        (utility("0.01"), "family: expected a policy's class, such as utility"),
        (3, "family: expected a policy's class or a function"),
        (lambda value: value, "family: expected a preset"),
    ],
)
def test_a_family_that_makes_no_policies_is_refused(make, words):
    """At once, not when the first request is decided."""
    with pytest.raises(ConfigError, match=words):
        tuning.family(make)


def test_policies_of_several_kinds_are_chosen_from_on_held_out_requests(traffic):
    """The best that meets the target, by name; what is held out has no say in it."""
    several = {"low": cheapest(), "mine": utility("0.03"), "lots": explore(cheapest(), 0.5)}
    found = tuning.choose(traffic, several, quality_floor=0.01, progress=False)
    assert (found.value, found.policy) == ("low", cheapest())
    assert found.held_out.name == "low"
    assert found.fitted.requests + found.held_out.requests == len(traffic)
    best = tuning.choose(traffic, several, budget_usd="1", held_out=0, progress=False)
    qualities = {name: tuning.estimate(traffic, policy).value for name, policy in several.items()}
    assert qualities[best.value] == max(qualities.values())
    for one in (utility("0.01"), "careful"):
        with pytest.raises(ConfigError, match="expected a family such as utility, or several"):
            tuning.choose(traffic, one, budget_usd="1")


def test_only_a_client_that_is_not_awaited_plans_a_set():
    """An AsyncClient is refused by name, and no coroutine is left behind."""
    rows = [{"prompt": "One?", "candidate": PAIR[1], "score": 1}]
    awaited = AsyncClient(ledger=":memory:", candidates=PAIR)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given in (awaited, object()):
            words = f"client: expected a Client, got {type(given).__name__}: planning sends noth"
            with pytest.raises(ConfigError, match=words):
                tuning.load(rows, client=given)
            with pytest.raises(ConfigError, match=words):
                tuning.recorded(given, recorded_prompts(source="zeroeval")[:2])


def test_a_model_that_nobody_knows_is_named_with_its_row():
    """Of many rows the one to mend; what the error knows besides is kept."""
    good = {"prompt": "One?", "candidate": LIVE[0], "score": 1}
    for name, kind in (("nosuch", UnknownModelError), ("deepseek-chat", RetiredModelError)):
        with pytest.raises(kind, match=r"table: row 2: .*" + name) as found:
            tuning.load([good, {"prompt": "One?", "model": name, "score": 1}], client=client())
        assert isinstance(found.value, ConfigError)
    assert found.value.successor == "deepseek-flash"


def test_columns_of_ones_own_become_tags_or_are_left_out(traffic, tmp_path):
    """A team or a split beside the scores refuses no table: they are named, of either kind."""
    rows = [
        {
            "prompt": f"{i}?",
            "candidate": name,
            "score": 1,
            "team": "a",
            "n": 7,
            "tags": '{"x": "y"}',
        }
        for i in range(2)
        for name in LIVE
    ]
    with pytest.raises(ConfigError, match=r"got n, team; load\(\.\.\., tags=\[\.\.\.\]\) takes"):
        tuning.load(rows, client=client())
    found = tuning.load(rows, client=client(), tags=["team"], ignore="n")
    assert found[0].tags == {"x": "y", "team": "a"}
    with pytest.raises(ConfigError, match="ignore: table has no column 'm'; it has candidate, n"):
        tuning.load(rows, client=client(), tags=["team"], ignore=["n", "m"])
    frame = traffic.to_frame().assign(split="test", chat=range(len(traffic)))
    path = tmp_path / "own.csv"
    frame.to_csv(path, index=False)
    mine = tuning.load(path, tags="chat", ignore=["split"])
    assert [r.tags for r in mine] == [{**r.tags, "chat": str(i)} for i, r in enumerate(traffic)]
    with pytest.raises(ConfigError, match="columns of a table, and this is a ledger"):
        tuning.load(client(), tags="chat")


def test_planning_a_set_shows_how_far_it_is_unless_told_not_to(monkeypatch):
    """Thousands of prompts take a while: `progress` is there as in sweeps."""
    seen = []
    monkeypatch.setattr(label_set, "track", lambda items, what: seen.append(what) or items)
    rows = [{"prompt": "One?", "candidate": name, "score": 1} for name in LIVE]
    tuning.load(rows, client=client(), progress=False)
    tuning.recorded(client(), recorded_prompts(source="zeroeval")[:2], progress=False)
    assert seen == []
    tuning.load(rows, client=client())
    assert seen == ["prompts"]


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_what_a_judge_said_is_a_table(backend):
    """One row for each answer, in order: grades beside errors, money exact."""
    pytest.importorskip(backend)
    one = Judgement(
        score=0.5, cost_usd=Decimal("0.000001000001"), candidate="a@x", at=NOON, raw='{"score": 5}'
    )
    found = Graded((one, None), "", Decimal("0.000001000001"), {1: "TimeoutError: slow"})
    frame = found.to_frame(backend)
    rows = rows_of(frame)
    assert rows[0] == {
        "score": 0.5,
        "cost_usd": Decimal("0.000001000001"),
        "judge": "a@x",
        "at": NOON,
        "raw": '{"score": 5}',
        "failed": None,
    }
    assert {name for name, value in rows[1].items() if value is not None} == {"failed"}
    assert len(Graded((), "", Decimal(0), {}).to_frame(backend)) == 0


def test_labels_come_as_the_rows_that_evaluation_sets_have():
    """Dicts and frames of prompt, model and score teach as tuples do, and further columns wait."""
    pandas = pytest.importorskip("pandas")
    rows = [
        {"id": i, "prompt": f"What is {i}?", "model": "deepseek-v3.2", "score": i % 2}
        for i in range(6)
    ]
    tuples = [(row["prompt"], row["model"], row["score"]) for row in rows]
    versions = set()
    for examples in (tuples, rows, pandas.DataFrame(rows)):
        with client() as learning:
            assert learning.learn(examples) == 6
            versions.add(learning.scorer.version)
    assert len(versions) == 1
    with client() as learning:
        with pytest.raises(InvalidRequestError, match=r"examples\[0\]: expected one of score"):
            learning.learn([{"prompt": "a", "model": "deepseek-v3.2"}])
        with pytest.raises(InvalidRequestError, match="one of messages and prompt, got 2"):
            learning.learn([{**rows[0], "messages": "[]"}])
        with pytest.raises(InvalidRequestError, match="messages and tags as JSON"):
            learning.learn([{**rows[0], "tags": "{"}])
