"""Plans as tables: text, HTML and the command line show the same columns."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from classifiers.scores import Quantiles
from policies.types import Decision
from router import Client
from router.cli import main
from router.outlook import Forecast
from router.shown import COLUMNS, cells, grid, plan_html, plan_text
from router.testing import FakeClock

ASK = [{"role": "user", "content": "Prove that there are infinitely many primes."}]
NAMES = ["deepseek-v3.2@deepinfra", "deepseek-flash@deepseek"]
TOKENS = Quantiles(50, 100, 1300, 1400, 120)
ONE = Forecast(
    candidate="a@h",
    quality=0.75,
    basis="trained",
    input_tokens=10,
    cache_read_tokens=0,
    output_tokens=TOKENS,
    reasoning_tokens=TOKENS,
    max_tokens=100,
    cost=10**9,
    cost_p50=10**9,
    cost_p90=2 * 10**9,
    cost_ceiling=3 * 10**9,
    rates_id="a@h/2026-01-01",
    quality_se=0.031,
)
TWO = replace(
    ONE,
    candidate="b<@h",
    cost=None,
    cost_p50=None,
    cost_p90=None,
    cost_ceiling=None,
    rates_id="",
    quality_se=0.0,
    tokens_basis="route",
    tokens_calls=40,
    seconds=12.34,
    first_token_seconds=0.5,
    notes=("may cross the price boundary at 06:00 UTC: $1 before, $2 after (expected cost)",),
)
DECISION = Decision(
    ranking=("b<@h",), reason="because", rejected={"a@h": "x" * 300}, policy="mine"
)
BOTH = {"a@h": ONE, "b<@h": TWO}


def test_cells():
    """Every figure with what it rests on; what is not known is never zero."""
    assert dict(zip(COLUMNS, cells(ONE), strict=True))["price"] == "a@h/2026-01-01"
    assert cells(ONE) == [
        "a@h", "0.75 +-0.03", "trained", "100", "1,300", "shipped",
        "$0.001000", "$0.002000", "$0.003000", "-", "-", "a@h/2026-01-01",
    ]  # fmt: skip
    assert cells(TWO)[1] == "0.75"
    assert cells(TWO)[5:] == ["40 calls, route", *["unknown"] * 3, "12.3", "0.5", "unknown"]
    assert cells(replace(ONE, tokens_basis="pooled", tokens_calls=1))[5] == "1 call"


def test_the_text_marks_the_choice_and_says_why_not_the_others():
    """The chosen one first and marked, with its notes; the others in short."""
    lines = plan_text(DECISION, BOTH, why=True).splitlines()
    assert lines[1].startswith("* b<@h")
    assert lines[2].startswith("  a@h")
    assert lines[3] == "b<@h: because  [mine]"
    assert lines[4].startswith("note: may cross the price boundary at 06:00 UTC")
    assert lines[5] == f"not a@h: {'x' * 97}..."
    bare = plan_text(DECISION, BOTH, why=False).splitlines()
    assert len(bare) == 3
    assert bare[0].startswith("candidate")


def test_html_is_escaped():
    """A name is text, whatever is in it."""
    html = plan_html(DECISION, BOTH)
    assert "b&lt;@h" in html
    assert "b<@h" not in html
    assert html.count("<tr>") == 3
    assert "<b>unknown</b>" in html


def test_a_grid_without_rows():
    """Only the head."""
    assert grid(("candidate", "cost"), []) == ["candidate  cost"]


def test_a_plan_is_its_table():
    """str() is the table with the choice marked; `table()` is it alone."""
    client = Client(ledger=":memory:", now=FakeClock())
    plan = client.plan(ASK, model=NAMES)
    assert plan.table().splitlines()[0].split("  ")[0] == "candidate"
    assert f"* {plan.decision.chosen}" in str(plan)
    assert plan.forecast.rates_id in plan.table()
    assert plan._repr_html_().startswith("<table>")


def test_a_plan_before_the_peak_shows_the_boundary():
    """The chosen one's note is part of the text."""
    now = FakeClock(datetime(2026, 11, 23, 5, 59, tzinfo=UTC))
    plan = Client(ledger=":memory:", now=now).plan(ASK, model=NAMES[1])
    assert "note: may cross the price boundary at 06:00 UTC: $0.000" in str(plan)


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_line_has_the_same(capsys, as_json):
    """The same columns as a table, and all fields as JSON."""
    arguments = ["plan", "Hi", "--model", NAMES[0]] + ["--json"] * as_json
    assert main(arguments) == 0
    out = capsys.readouterr().out
    if not as_json:
        assert all(column in out for column in COLUMNS)
        assert f"{NAMES[0]}/" in out
        return
    (found,) = json.loads(out)["forecasts"]
    assert found["tokens_calls"] == 0
    assert found["seconds"] is found["seconds_p90"] is found["first_token_seconds"] is None
    assert found["straddles"] is None
    assert datetime.fromisoformat(found["priced_at"]).tzinfo is not None
    assert found["output_tokens"].keys() == {"p10", "p50", "p90", "p99", "mean"}
