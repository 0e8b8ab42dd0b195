"""Which budget refused a request: under the name that its gauges have, and no tag more."""

import pytest
from observing import ANSWER, ask, client_of

from router import Budget
from router.errors import (
    BudgetExceededError,
    BudgetFrozenError,
    NoCandidateError,
    RouterError,
)
from router.ledgers.lease import LeasedLedger
from router.ledgers.sqlite import SQLiteLedger
from router.telemetry import Telemetry, names
from router.testing import FakeClock, reply

TOLD = reply(ANSWER, input_tokens=1000, output_tokens=200)
BY = ("error.type", "centroute.budget", "centroute.budget.unit")
SPECIALE = "deepseek-v3.2-speciale@azure"
TOOL = {"type": "function", "function": {"name": "f"}}


def refused(observed):
    return observed.values("centroute.refusals", *BY)


def shown(observed):
    """What the gauges call the accounts, with their units."""
    return set(observed.values("centroute.budget.limit", *BY[1:]))


def no(client, error=BudgetExceededError, **arguments):
    with pytest.raises(error) as caught:
        ask(client, **arguments)
    return caught.value


def test_the_name_is_that_of_the_gauges(observed):
    """Each unit, window and scope: whoever refuses can be looked up on the same dashboard."""
    tight = [
        Budget("0", "day", {"team": "usd"}, name="money"),
        Budget(tokens=1, window="day", scope={"team": "tokens"}, name="words"),
        Budget(requests=0, window="rolling 24h", scope={"team": "requests"}, name="times"),
        Budget("0", "month", {"model": "deepseek-v3.2", "team": "model"}, name="the model"),
        Budget("0", "total", {"team": "unnamed"}),
        Budget("9", "day", name="all"),
    ]
    with client_of(budgets=tight, now=FakeClock()) as client:
        for team in ("usd", "tokens", "requests", "model", "unnamed"):
            no(client, tags={"team": team})
        found = refused(observed)
        assert found == {
            ("BudgetExceededError", "money", "usd"): 1,
            ("BudgetExceededError", "words", "tokens"): 1,
            ("BudgetExceededError", "times", "requests"): 1,
            ("BudgetExceededError", "the model", "usd"): 1,
            ("BudgetExceededError", "$0.000000 in all, team=unnamed", "usd"): 1,
        }
        assert {key[1:] for key in found} < shown(observed)


def test_budgets_of_one_name(observed):
    """Windows and numbers tell them apart, whether the gauges or a refusal came first."""
    budgets = [
        Budget("9", "day", {"team": "a"}, name="m"),
        Budget("0", "day", {"team": "b"}, name="m"),
        Budget("0", "month", {"team": "c"}, name="m"),
        Budget("9", "day", {"team": "d"}, name="n"),
        Budget("0", "day", {"team": "d"}, name="n"),
    ]
    with client_of(budgets=budgets, now=FakeClock()) as client:
        for team in "bcd":
            no(client, tags={"team": team})
        first = refused(observed)
        limits = observed.values("centroute.budget.limit", *BY[1:])
        for team in "bcd":
            no(client, tags={"team": team})
    assert refused(observed) == dict.fromkeys(first, 2), "names do not wander"
    assert all(limits[key[1:]] == 0 for key in first), "the one that is empty"
    assert len(limits) == 5
    assert ("BudgetExceededError", "m (month)", "usd") in first


def test_the_first_that_the_error_names(observed):
    """Of several budgets that are too small, one is told: that of the error."""
    budgets = [Budget("0", "day", name="one"), Budget("0", "month", name="two")]
    with client_of(budgets=budgets) as client:
        error = no(client)
        assert refused(observed) == {("BudgetExceededError", error.budget, "usd"): 1}


def test_accounts_of_a_star(observed):
    """With the tag among the metric tags its value is shown, as the gauges do; else it is not."""
    for metric_tags, expected in (
        (["user"], "each [user=alice]"),
        ([], "each"),
    ):
        settings = {"metric_tags": metric_tags, "now": FakeClock()}
        budget = Budget("0", "day", {"user": "*"}, name="each")
        with client_of(budgets=[budget], **settings) as client:
            no(client, tags={"user": "alice"})
            assert ("BudgetExceededError", expected, "usd") in refused(observed)
            if metric_tags:
                assert (expected, "usd") in shown(observed)
    text = [key for key in refused(observed) if "alice" in str(key)]
    assert len(text) == 1, "that of the client that shows users"


def test_a_star_for_who_is_called(observed):
    """Before the first call nobody knows the account: the budget's own name is told."""
    budget = Budget("0", "day", {"model": "*"}, name="per model")
    with client_of(budgets=[budget]) as client:
        no(client)
        assert refused(observed) == {("BudgetExceededError", "per model", "usd"): 1}


def test_more_accounts_than_are_shown(observed, monkeypatch):
    """Those beyond the gauges' bound are told under the budget's name."""
    monkeypatch.setattr("router.telemetry.budgets.MOST", 3)
    budget = Budget("0", "day", {"user": "*"}, name="each")
    with client_of(budgets=[budget], metric_tags=["user"]) as client:
        for i in range(6):
            no(client, tags={"user": f"u{i}"})
        by = observed.values("centroute.refusals", "centroute.budget", "centroute.tag.user")
        named = sorted(name for name, _ in by)
        assert named == sorted([*(f"each [user=u{i}]" for i in range(3)), *["each"] * 3])


def test_the_cap_of_one_request(observed):
    """It is no account: one word for all of them, and nothing of whoever asked."""
    with client_of() as client:
        no(client, budget="0", tags={"user": "alice"})
        no(client, budget=Budget(tokens=1, window="request", scope={"user": "alice"}),
           tags={"user": "alice"})  # fmt: skip
    assert refused(observed) == {
        ("BudgetExceededError", names.ONE_REQUEST, "usd"): 1,
        ("BudgetExceededError", names.ONE_REQUEST, "tokens"): 1,
    }
    assert "alice" not in observed.text()


def test_a_budget_that_comes_with_a_call(observed):
    """No gauge shows it, and its name may say whose it is."""
    mine = Budget("0", "day", {"user": "alice"}, name="alice's")
    with client_of(budgets=[Budget("9", name="all")]) as client:
        no(client, budget=mine, tags={"user": "alice"})
    assert refused(observed) == {("BudgetExceededError", "other", "usd"): 1}
    assert "alice" not in observed.text()


def test_frozen_put_off_and_not_for_money(observed):
    """A freeze names the budget; what no budget refused has none."""
    azure = {"keys": {"azure": "k"}, "base_urls": {"azure": "http://127.0.0.1:1/v1"}}
    with client_of(budgets=[Budget("5", "day", name="d")], now=FakeClock(), **azure) as client:
        client.budgets.freeze("d", by="me", why="test")
        no(client, BudgetFrozenError, model=SPECIALE)
        client.budgets.unfreeze("d", by="me", why="test")
        no(client, NoCandidateError, model=SPECIALE, tools=[TOOL])
        no(client, RouterError, max_tokens=-1)
    found = refused(observed)
    assert found.pop(("BudgetFrozenError", "d", "usd")) == 1
    assert {key[1:] for key in found} == {("", "")}
    assert sum(found.values()) == 2


def test_a_ledger_that_refuses(observed):
    """Others took the money between plan and reservation; or slabs have no more."""
    for ledger in (SQLiteLedger(":memory:"), LeasedLedger(SQLiteLedger(":memory:"))):
        budgets = [Budget("0.01", "day", name="d")]
        with client_of(TOLD, ledger=ledger, budgets=budgets, now=FakeClock()) as client:
            balances = ledger.balances
            ask(client, max_tokens=10)
            ledger.balances = lambda holds, b=balances: [type(x)() for x in b(holds)]
            error = no(client, max_tokens=50_000)
            assert error.account
            ledger.balances = balances
        ledger.close()
    assert set(refused(observed)) <= {
        ("BudgetExceededError", "d", "usd"),
        ("BudgetExceededError", "d #2", "usd"),
    }
    assert sum(refused(observed).values()) == 2


def test_hundreds_of_budgets(observed):
    """All keep their names, as their gauges do, whatever the number of tags; sums stay right."""
    budgets = [Budget("0", "day", {"team": f"t{i}"}, name=f"b{i}") for i in range(300)]
    with client_of(budgets=budgets, metric_tags=["team", "user"]) as client:
        for i in range(300):
            for user in range(8):
                no(client, tags={"team": f"t{i}", "user": f"u{user}"})
    by = {}
    for point in observed.points()["centroute.refusals"]:
        name = point.attributes["centroute.budget"]
        by[name] = by.get(name, 0) + point.value
    assert by == {f"b{i}": 8 for i in range(300)}
    assert len(observed.points()["centroute.refusals"]) < 2000


def test_an_error_of_old(observed):
    """Without an account, as another ledger may raise it: nothing breaks, and nothing is told."""
    figures = {"limit": 1, "spent": 0, "reserved": 0, "requested": 2}
    telemetry = Telemetry()
    telemetry.refused("BudgetExceededError", {}, BudgetExceededError("no", budget="x", **figures))
    assert refused(observed) == {("BudgetExceededError", "other", "usd"): 1}
