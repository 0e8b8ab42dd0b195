import json
import sqlite3
from contextlib import contextmanager
from decimal import Decimal

import pytest

from router import recorded_prompts
from router.catalog import Catalog
from router.cli import main
from router.demo.answer import Told
from router.demo.compare import Point, baselines, mixed, table_of
from router.demo.routing import PORTFOLIO
from router.errors import ConfigError, ServerError
from router.ledgers.sqlite import SQLiteLedger
from router.testing import FakeClock
from router.types import Usage


@pytest.fixture
def few(monkeypatch):
    """The demo over its first prompts only."""

    def first(**selection):
        return recorded_prompts(**selection)[:60]

    monkeypatch.setattr("router.cli.demo.recorded_prompts", first)


@pytest.fixture(autouse=True)
def without_local(monkeypatch):
    """No local model, whether it is installed here or not."""

    @contextmanager
    def missing():
        raise ConfigError("llama.cpp is not installed here: pip install 'centroute[local]'")
        yield

    monkeypatch.setattr("router.cli.demo.local_server", missing)


def test_the_whole_demo(tmp_path, capsys):
    """Every prompt is routed, the budget holds, the ledger adds up, and the files are there."""
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    assert main(["demo", "--out", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    prompts = recorded_prompts(source="zeroeval")
    spent, left = Decimal(found["spent_usd"]), Decimal(found["left_usd"])
    assert found["prompts"] == len(prompts)
    assert 0 < spent <= Decimal("0.50")
    assert spent + left == Decimal("0.50")
    assert 0.5 < found["quality"] < 1
    assert len(found["baselines"]) == len(PORTFOLIO) + 1
    best = max(b["quality"] for b in found["baselines"].values())
    assert found["baselines"]["oracle"]["quality"] == best
    ledger = SQLiteLedger(out / "demo.sqlite3")
    ledger.check()
    entries = list(ledger.entries())
    ledger.close()
    assert sum(e.cost for e in entries) == spent * 10**12
    assert len(entries) == len(prompts) - found["refused"]
    assert {e.record.host for e in entries} == {"replay"}
    assert max(e.overage for e in entries) == 0
    assert (out / "spend.csv").read_text().startswith("day,model,tag:dataset,requests,")
    assert (out / "frontier.png").read_bytes().startswith(b"\x89PNG")
    assert found["local"].startswith("llama.cpp is not installed here")


def test_a_budget_that_runs_out(tmp_path, capsys, few):
    """With too little money prompts are refused, and not a pico-dollar more is spent."""
    assert main(["demo", "--out", str(tmp_path), "--budget", "0.0005"]) == 0
    out = capsys.readouterr().out
    db = sqlite3.connect(tmp_path / "demo.sqlite3")
    (spent,) = db.execute("SELECT sum(cost) FROM entries").fetchone()
    db.close()
    assert 0 < spent <= 500_000_000
    assert "refused by the budget" in out
    assert f"spent {Decimal(spent).scaleb(-12):f}" in out


def test_a_budget_of_nothing(tmp_path, capsys, few):
    """With no money everything is refused; the report says so instead of dividing by zero."""
    assert main(["demo", "--out", str(tmp_path), "--budget", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["refused"], Decimal(found["spent_usd"]), found["quality"]) == (60, 0, 0)
    assert main(["demo", "--out", str(tmp_path), "--budget", "0"]) == 0


def test_a_second_run_begins_anew(tmp_path, capsys, few):
    """The ledger of an earlier run is replaced: its spend would count against the budget."""
    for _ in range(2):
        assert main(["demo", "--out", str(tmp_path), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert Decimal(found["spent_usd"]) + Decimal(found["left_usd"]) == Decimal("0.50")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--budget", "NaN"], "InvalidBudgetError: Budget limit: expected a finite amount"),
        (["--budget", "-1"], "InvalidBudgetError: Budget limit: expected 0 USD or more"),
        (["--out", "FILE/below"], "ConfigError: cannot use FILE/below"),
    ],
)
def test_bad_arguments(tmp_path, capsys, arguments, says):
    """A budget or a directory that cannot be used is one clear line."""
    file = tmp_path / "file"
    file.write_text("x")
    arguments = [a.replace("FILE", str(file)) for a in arguments]
    assert main(["demo", "--out", str(tmp_path / "out"), *arguments]) == 1
    assert capsys.readouterr().err.startswith(says.replace("FILE", str(file)))


def test_the_baselines_are_what_was_recorded():
    """Each model alone costs and scores what its recording says; the oracle beats them all."""
    prompts = recorded_prompts(source="zeroeval")[:40]
    points = baselines(table_of(prompts, Catalog.default(), FakeClock()()))
    singles, oracle = points[:-1], points[-1]
    assert [p.cost for p in singles] == sorted(p.cost for p in singles)
    for point in singles:
        model = point.name.removeprefix("all ").removesuffix("@replay")
        right = sum(p.outcomes[model].score for p in prompts) / len(prompts)
        assert point.quality == pytest.approx(right)
        assert oracle.quality >= point.quality


@pytest.mark.parametrize(
    ("spend", "quality"),
    [(0, 0.0), (100, 0.5), (150, 0.6), (200, 0.7), (350, 0.75), (500, 0.8), (900, 0.8)],
)
def test_a_random_mix(spend, quality):
    """Between two models money buys quality along a line; the oracle is no model to mix."""
    points = [Point("a", 0.5, 100), Point("b", 0.7, 200), Point("c", 0.8, 500)]
    found = mixed([*points, Point("oracle", 1.0, 50)], spend)
    assert (found.cost, found.quality) == (spend, pytest.approx(quality))


def told(question, text, cached, elsewhere):
    usage = Usage(input_tokens=100, cache_read_tokens=cached, output_tokens=7)
    return Told(question, text, usage, 90.0, 0.25, 0.5, elsewhere)


@pytest.fixture
def conversation(monkeypatch):
    """A local model that gives these answers; an error in their place is raised."""

    def has(*answers):
        def converse(url, show):
            assert url == "http://here/v1"
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
                show(answer.text)
                yield answer

        @contextmanager
        def server():
            yield "http://here/v1"

        monkeypatch.setattr("router.cli.demo.local_server", server)
        monkeypatch.setattr("router.cli.demo.converse", converse)

    return has


def test_it_ends_with_a_real_answer(tmp_path, capsys, few, conversation):
    """Text as it comes, then tokens, cached tokens, seconds and what they cost elsewhere."""
    conversation(told("Where?", "In Paris.", 0, 20_000_000), told("Why?", "So.", 90, 5_000_000))
    assert main(["demo", "--out", str(tmp_path)]) == 0
    end = capsys.readouterr().out.partition("One real answer")[2]
    assert "In Paris." in end
    assert "100 tokens in, 90 of them cached (90 expected), 7 out" in end
    assert "first text after 0.25 s, all after 0.50 s" in end
    assert end.endswith("yours to say; at deepseek-v3.2@deepinfra $0.000025\n")
    assert main(["demo", "--out", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["local"]
    assert [one["cache_read_tokens"] for one in found] == [0, 90]


def test_it_ends_well_without_one(tmp_path, capsys, few, conversation):
    """Not installed, failing under way, or not wanted: the demo is whole all the same."""
    assert main(["demo", "--out", str(tmp_path)]) == 0
    assert "left out: llama.cpp is not installed" in capsys.readouterr().out
    conversation(told("Where?", "In Paris.", 0, None), ServerError("it broke"))
    assert main(["demo", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith("left out: it broke\n")
    assert main(["demo", "--out", str(tmp_path), "--no-local"]) == 0
    assert "One real answer" not in capsys.readouterr().out


def test_no_price_elsewhere_is_none(tmp_path, capsys, few, conversation):
    """What has no price there is not called free."""
    conversation(told("Where?", "In Paris.", 0, None))
    assert main(["demo", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.endswith("what this machine costs is yours to say\n")
