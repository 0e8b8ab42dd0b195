"""`centroute tune`: graded answers, gates, conversations, and refusals before anything is read."""

import argparse
import csv
import json

import pytest

from router import Client, ConfigError, explore, load_policy, recorded_prompts, utility
from router.cli import tune
from router.testing import FakeClock

MODELS = ["mixtral-8x7b-instruct-v0.1@replay", "deepseek-v2.5@replay"]
LIVE = ["deepseek-v3.2@deepinfra", "deepseek-v3.2:thinking@deepinfra"]


def command(*words):
    parser = argparse.ArgumentParser()
    tune.add_to(parser.add_subparsers())
    given = parser.parse_args(["tune", *map(str, words)])
    return given.run(given)


def ledger_of(path, share):
    policy = explore(utility("0.01"), share) if share else utility("0.01")
    with Client(
        ledger=str(path),
        candidates=MODELS,
        log_decisions=True,
        policy=policy,
        verify=lambda answer: answer.model_extra["replay"]["score"],
        now=FakeClock(),
    ) as client:
        for i, each in enumerate(recorded_prompts(source="zeroeval")[:60]):
            client.chat.completions.create(
                [{"role": "user", "content": each.prompt}], tags={"chat": str(i // 3)}
            )
    return path


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    return ledger_of(tmp_path_factory.mktemp("tune") / "spend.sqlite3", 0.5)


@pytest.fixture
def graded(tmp_path):
    """An evaluation set of one's own, with a column that is a tag and one that is not needed."""
    path = tmp_path / "own.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(("prompt", "candidate", "score", "team", "annotator"))
        for i in range(24):
            for j, name in enumerate(LIVE):
                out.writerow((f"What is {i} + {i}?", name, (i + j) % 2, f"t{i}", "ann"))
    return path


def test_graded_answers_need_no_python(graded, tmp_path, capsys):
    """A set is planned by the command itself, extra columns are named, the choice is written."""
    with pytest.raises(ConfigError, match="got annotator, team; load"):
        command("--table", graded)
    path = tmp_path / "policy.toml"
    words = ("--table", graded, "--tags", "team", "--ignore", "annotator", "--floor", "0.2")
    assert command(*words, "--out", path, "--cluster", "team") == 0
    said = capsys.readouterr().out
    assert "24 requests" in said
    assert "all outcomes known" in said
    assert isinstance(load_policy(path), utility)


def test_a_gate_says_whether_to_change(ledger, graded, tmp_path, capsys):
    """The verdict is printed; the status is 0 for better alone; JSON has all its figures."""
    words = ("--ledger", ledger, "--gate", "frugal", "--worth", "1", "--cluster", "chat")
    assert command(*words) == 2
    said = capsys.readouterr().out
    assert ": cheapest against the policy that logged: " in said
    assert "Policies on this traffic" not in said
    assert command(*words, "--policy", "balanced", "--json") == 2
    found = json.loads(capsys.readouterr().out)["gate"]
    assert found["outcome"] in {"worse", "undecided"}
    assert found["cost"]["clusters"] == 20
    assert found["present_usd"] > 0
    dear = tmp_path / "dear.toml"
    dear.write_text('policy = "utility"\nvalue_usd = "1"\n')
    words = ("--table", graded, "--tags", "team,annotator", "--gate", "frugal", "--policy", dear)
    assert command(*words, "--margin", "0.9") == 0
    assert "better: cheapest against utility(1)" in capsys.readouterr().out


def test_policies_of_several_kinds_are_chosen_from(ledger, tmp_path, capsys):
    """Presets and files, without a parameter between them: the best that meets the target."""
    mine = tmp_path / "mine.toml"
    mine.write_text('policy = "utility"\nvalue_usd = "0.02"\n')
    command("--ledger", ledger, "--among", "frugal", "--among", mine, "--floor", "0.1")
    said = capsys.readouterr().out
    assert "Chosen by router.tuning: quality at least 0.1." in said
    assert "cheapest" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--budget", "abc"], "--budget: "),
        (["--budget", "0"], "--budget: expected above 0"),
        (["--floor", "70"], "--floor: expected above 0 and at most 1, got 70"),
        (["--budget", "1", "--floor", "0.5"], "expected one of --budget and --floor"),
        (["--gate", "frugal", "--budget", "1"], "--gate: expected no --budget"),
        (["--worth", "1"], "expected --gate"),
        (["--ledger", "a.sqlite3", "--tags", "team"], "expected --table"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_read(words, said, capsys):
    """No frontier is computed for a target that is none: nothing is printed."""
    with pytest.raises(ConfigError, match=said):
        command(*words)
    assert capsys.readouterr().out == ""


def test_no_traffic_is_said_once(ledger, capsys):
    """A time without requests is an error that names the options, and no table of nothing."""
    with pytest.raises(ConfigError, match="between --since and --until, got no request"):
        command("--ledger", ledger, "--since", "2027-01-01")
    assert capsys.readouterr().out == ""


def test_notes_that_differ_by_a_percentage_are_one(tmp_path, capsys):
    """A log without lots says once what it cannot tell, with the least and the most share."""
    command("--ledger", ledger_of(tmp_path / "sure.sqlite3", 0))
    said = capsys.readouterr().out
    assert said.count("of its choices the log never made") == 1
    assert tune._together(["1.5% a", "b", "20.0% a", "1.5% a", "b"]) == ["1.5% to 20.0% a", "b"]
