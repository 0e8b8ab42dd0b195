"""`centroute budgets`: what is left, and changes by people, each with who and why."""

import json
import re
from datetime import datetime
from decimal import Decimal

import pytest

from router import Budget, Client, recorded_prompts
from router.budgets.files import dump_budgets
from router.cli import main

QUESTION = recorded_prompts(source="zeroeval")[0].prompt
WHO = ["--by", "ann", "--why", "launch"]
BUDGETS = (
    Budget("5", "month", name="monthly", tokens=1000),
    Budget("1", "month", {"team": "*"}, name="team"),
    Budget("2", "week", name="soft", hard=False),
)


@pytest.fixture
def cli(tmp_path, monkeypatch, capsys):
    """Runs a subcommand beside a budgets.toml; its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CENTROUTE_LEDGER", str(tmp_path / "ledger.sqlite3"))
    (tmp_path / "budgets.toml").write_text(dump_budgets(BUDGETS))

    def run(*arguments):
        try:
            code = main(["budgets", *arguments])
        except SystemExit as stopped:
            code = stopped.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def js(cli):
    """Runs a subcommand that must work with --json; what it printed, parsed."""

    def run(*arguments):
        code, out, err = cli(*arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return run


def left(js, name, unit="usd", *arguments):
    rows = js("status", *arguments)
    (found,) = (row for row in rows if (row["budget"], row["unit"]) == (name, unit))
    return found


def test_status(cli, js):
    """What a client sees: spend of the ledger, each limit, those of a tag if it is named."""
    with Client(hosts="replay", budgets=BUDGETS) as client:
        spent = client.chat.completions.create([{"role": "user", "content": QUESTION}]).route
        states = client.budgets.status()
    found = js("status")
    assert [row["budget"] for row in found] == [s.name for s in states]
    assert [row["unit"] for row in found] == [s.unit for s in states]
    row = left(js, "monthly")
    assert Decimal(row["spent"]) == spent.total_cost_usd
    assert Decimal(row["remaining"]) == 5 - spent.total_cost_usd
    assert datetime.fromisoformat(row["resets_at"]) == states[0].resets_at
    assert left(js, "monthly", "tokens")["limit"] == 1000
    assert left(js, "team [team=a]", "usd", "--tag", "team=a")["limit"] == "1.000000000000"
    code, out, _ = cli("status")
    assert code == 0
    for part in ("monthly", "tokens", "remaining", "00:00 UTC"):
        assert part in out


def test_a_status_without_a_budget_says_so(cli, tmp_path):
    """A scope with a wildcard needs a tag."""
    (tmp_path / "mine.toml").write_text(dump_budgets(BUDGETS[1:2]))
    code, out, _ = cli("status", "--file", "mine.toml")
    assert (code, "say whose with --tag" in out) == (0, True)


def test_top_ups(cli, js):
    """Up and down, in USD and in tokens, of all and of one team."""
    assert js("top-up", "monthly", "2.50", *WHO)[0]["limit"] == "7.500000000000"
    assert js("top-up", "monthly", "-0.5", *WHO)[0]["remaining"] == "7.000000000000"
    assert js("top-up", "monthly", "500", "--unit", "tokens", *WHO)[0]["limit"] == 1500
    assert js("top-up", "team", "1", "--tag", "team=a", *WHO)[0]["limit"] == "2.000000000000"
    assert left(js, "team [team=b]", "usd", "--tag", "team=b")["limit"] == "1.000000000000"
    code, out, _ = cli("top-up", "monthly", "1", *WHO)
    assert (code, "8.000000000000" in out) == (0, True)


def test_freezes(cli, js):
    """A frozen budget has it in its status, and refuses until it is unfrozen."""
    assert js("freeze", "monthly", *WHO) == {"name": "monthly", "frozen": True}
    assert left(js, "monthly")["frozen"] is True
    assert "frozen" in cli("status")[1]
    with Client(hosts="replay", budgets=BUDGETS) as client:
        assert client.budgets.status()[0].frozen
    assert "monthly is open" in cli("unfreeze", "monthly", *WHO)[1]
    assert left(js, "monthly")["frozen"] is False


def test_transfers(cli, js):
    """What one has less, the other has more; whose the target is can be said apart."""
    code, out, _ = cli("transfer", "monthly", "team", "0.25", "--to-tag", "team=a", *WHO)
    assert (code, out) == (0, "moved 0.25 usd from monthly to team\n")
    assert left(js, "monthly")["limit"] == "4.750000000000"
    assert left(js, "team [team=a]", "usd", "--tag", "team=a")["limit"] == "1.250000000000"
    assert js("transfer", "team", "team", "1", "--tag", "team=a", "--to-tag", "team=b", *WHO)
    assert left(js, "team [team=b]", "usd", "--tag", "team=b")["limit"] == "2.000000000000"


def test_the_history(cli, js):
    """Every change with who and why, oldest first; no file of budgets is needed."""
    js("top-up", "monthly", "2.50", *WHO)
    js("top-up", "monthly", "7", "--unit", "tokens", *WHO)
    js("freeze", "monthly", "--by", "bob", "--why", "bill shock")
    rows = js("history")
    assert [(r["change"], r["unit"], r["by"], r["why"]) for r in rows[:3]] == [
        ("top_up", "usd", "ann", "launch"),
        ("top_up", "tokens", "ann", "launch"),
        ("freeze", "usd", "bob", "bill shock"),
    ]
    assert [r["amount"] for r in rows[:2]] == ["2.500000000000", 7]
    assert js("history", "--since", "2100-01-01") == []
    assert js("history", "--until", "2100-01-01") == rows
    code, out, _ = cli("history")
    assert (code, "bill shock" in out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["top-up", "nobody", "1", *WHO], "InvalidBudgetError: no such budget"),
        (["top-up", "team", "1", *WHO], "InvalidBudgetError: tags: "),
        (["top-up", "monthly", "much", *WHO], "InvalidBudgetError: amount: expected an amount"),
        (["top-up", "monthly", "1.5", "--unit", "tokens", *WHO], "ConfigError: amount: expected"),
        (["top-up", "monthly", "1", "--unit", "requests", *WHO], "InvalidBudgetError: unit: "),
        (["top-up", "monthly", "1", "--by", " ", "--why", "x"], "InvalidBudgetError: by: "),
        (["top-up", "monthly", "-6", *WHO], "BudgetExceededError: "),
        (["freeze", "soft", *WHO], "InvalidBudgetError: freeze: .* soft"),
        (["transfer", "monthly", "monthly", "1", *WHO], "InvalidBudgetError: transfer: both"),
        (["transfer", "monthly", "soft", "-1", *WHO], "InvalidBudgetError: transfer: expected"),
        (["transfer", "monthly", "soft", "6", *WHO], "BudgetExceededError: "),
        (["status", "--file", "no.toml"], "InvalidBudgetError: no.toml: "),
        (["status", "--ledger", "no.sqlite3"], "ConfigError: expected the file of a ledger"),
        (["top-up", "monthly", "1", "--ledger", "no.sqlite3", *WHO], "ConfigError: expected the"),
    ],
)
def test_errors(cli, js, arguments, says):
    """What is wrong is said in a line, and nothing is booked."""
    code, _, err = cli(*arguments)
    assert code == 1
    assert re.match(says, err), err
    assert js("history") == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["empty"],
        ["top-up", "monthly", "1"],
        ["top-up", "monthly", *WHO],
        ["freeze", "monthly", "--by", "ann"],
        ["status", "--tag", "team"],
        ["top-up", "monthly", "1", "--unit", "eur", *WHO],
    ],
)
def test_a_wrong_command_line(cli, arguments):
    """The usage, and exit code 2: who and why are not optional."""
    code, _, err = cli(*arguments)
    assert code == 2
    assert "usage: centroute budgets" in err
