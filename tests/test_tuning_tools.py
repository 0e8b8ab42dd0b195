"""What surrounds tuning: progress bars, the command, tables in notebooks, levelled estimates."""

import argparse
import itertools
import json
import sys
import types
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import Client, ConfigError, explore, load_policy, recorded_prompts, tuning, utility
from router.cli import tune
from router.testing import FakeClock
from router.tuning import Measured
from router.tuning.progress import track
from router.tuning.targets import levelled

MODELS = ["mixtral-8x7b-instruct-v0.1@replay", "deepseek-v2.5@replay"]


def right(answer):
    return answer.model_extra["replay"]["score"]


@pytest.fixture(scope="module")
def ledger(tmp_path_factory):
    path = tmp_path_factory.mktemp("tune") / "spend.sqlite3"
    with Client(
        ledger=str(path),
        candidates=MODELS,
        log_decisions=True,
        policy=explore(utility("0.01"), 0.5),
        verify=right,
        now=FakeClock(),
    ) as client:
        for each in recorded_prompts(source="zeroeval")[:60]:
            client.chat.completions.create([{"role": "user", "content": each.prompt}])
    return path


def command(*words):
    parser = argparse.ArgumentParser()
    tune.add_to(parser.add_subparsers())
    given = parser.parse_args(["tune", *map(str, words)])
    return given.run(given)


def test_the_command_shows_the_frontier_and_writes_the_choice(ledger, tmp_path, capsys):
    """A ledger in, a policy out that a client takes; the figures are printed and in the file."""
    path, chart = tmp_path / "policy.toml", tmp_path / "frontier.png"
    assert command("--ledger", ledger, "--budget", "0.01", "--out", path, "--plot", chart) == 0
    said = capsys.readouterr().out
    assert "60 requests" in said
    assert "as logged" in said
    assert "Chosen by router.tuning: at most $0.010000 a request." in said
    assert isinstance(load_policy(path), utility)
    assert "On held-out traffic" in path.read_text("utf-8")
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_the_command_speaks_json(ledger, tmp_path, capsys):
    """One JSON document with all figures; a table of traffic does as a ledger does."""
    path = tmp_path / "traffic.parquet"
    tuning.load(ledger).to_frame().to_parquet(path)
    assert command("--table", path, "--floor", "0.1", "--family", "threshold", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["requests"] == 60
    assert said["choice"]["policy"]["policy"] == "threshold"
    assert Decimal(said["in_use"]["cost_usd"]) > 0
    assert len(said["singles"]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "x.toml"], "--out: expected a target"),
        (["--ledger", "a", "--table", "b.csv"], "got both"),
        (["--ledger", "none.sqlite3"], "expected the file of a ledger"),
        (["--table", "none.csv", "--budget", "1"], "cannot be read"),
        (["--plot", "x.xyz"], r"--plot: expected a name that ends in \.png"),
        (["--plot", ""], "path: expected the name of a file"),
    ],
)
def test_a_command_that_cannot_be_run_says_why(words, said):
    """Typed errors, before anything is written."""
    with pytest.raises(ConfigError, match=said):
        command(*words)


@pytest.mark.parametrize(
    ("name", "written", "begins"),
    [("frontier", "frontier.png", b"\x89PNG"), ("a.b.SVG", "a.b.SVG", b"<?xml")],
)
def test_a_chart_is_where_it_is_said_to_be(ledger, tmp_path, capsys, name, written, begins):
    """A name without an ending gets one, and what is printed is the file that there is."""
    command("--ledger", ledger, "--plot", tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [written]
    assert (tmp_path / written).read_bytes().startswith(begins)
    assert f"chart: {tmp_path / written}" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="cannot write"):
        command("--ledger", ledger, "--plot", tmp_path / "none" / name)


def test_a_policy_in_use_that_is_none_is_refused(ledger):
    """The name of the file or preset is in the error."""
    with pytest.raises(ConfigError, match="nosuch"):
        command("--ledger", ledger, "--policy", "nosuch")


def test_progress_is_silent_where_nobody_looks(capsys):
    """No terminal and no notebook: nothing but the items."""
    assert list(track(range(5), "things")) == [0, 1, 2, 3, 4]
    assert list(track(iter("ab"), "things")) == ["a", "b"]
    said = capsys.readouterr()
    assert said.out == said.err == ""


def test_progress_shows_a_bar_in_a_terminal(monkeypatch):
    """With rich there is a bar on standard error; items are the same."""
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(track(range(3), "things")) == [0, 1, 2]


def test_progress_shows_a_bar_in_a_notebook_and_takes_it_away(monkeypatch):
    """One output that is updated, and empty in the end: nothing stays in the notebook."""
    shown = []

    class Handle:
        def update(self, what):
            shown.append(what)

    def display(what, *, display_id):
        shown.append(what)
        return Handle()

    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    fake = types.ModuleType("IPython")
    fake.get_ipython = lambda: shell
    part = types.ModuleType("IPython.display")
    part.display, part.HTML = display, str
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", part)
    left = track(range(200), "policies")
    assert [next(left), next(left)] == [0, 1]
    left.close()
    assert shown[-1] == ""  # also where it ends early
    shown.clear()
    assert list(track(range(200), "policies")) == list(range(200))
    assert "<progress" in shown[0]
    assert "200 of 200" in shown[-2]
    assert shown[-1] == ""
    assert len(shown) < 60


def test_sweeps_and_frontiers_are_tables_in_a_notebook(ledger):
    """Names are escaped, and those on the frontier stand out."""
    traffic = tuning.load(ledger)
    swept = tuning.sweep(traffic, {"<b>mine": utility("0.01")}, progress=False)
    assert "&lt;b&gt;mine" in swept._repr_html_()
    found = tuning.frontier(traffic, progress=False)
    assert f"<b>{found.hull[0].name}</b>" in found._repr_html_()


def estimated(cost, quality, method="dr"):
    usd = Decimal(cost)
    return Measured(
        name="",
        method=method,
        requests=1,
        quality=quality,
        quality_low=0.0,
        quality_high=1.0,
        cost_usd=usd,
        cost_low_usd=usd,
        cost_high_usd=usd,
        total_usd=usd,
    )


@given(st.lists(st.tuples(st.integers(0, 99), st.floats(0, 1)), min_size=1, max_size=20))
def test_levelled_estimates_never_fall_with_cost(places):
    """Their mean stays, no dearer one is worse, and what is known exactly is left alone."""
    found = [(i, estimated(cost, quality)) for i, (cost, quality) in enumerate(places)]
    levels = [level for *_, level in levelled(found)]
    assert all(b >= a - 1e-12 for a, b in itertools.pairwise(levels))
    assert sum(levels) == pytest.approx(sum(quality for _, quality in places))
    known = [(i, replace(p, method="exact")) for i, p in found]
    assert all(level == point.quality for _, point, level in levelled(known))
