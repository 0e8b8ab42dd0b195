"""Gauges of budgets: what the ledger says, read when collected, never slow and never failing."""

import os
import threading
import time
from datetime import timedelta

import pytest
from observing import ANSWER, ask, client_of

from router import Budget
from router.ledgers.sqlite import SQLiteLedger
from router.telemetry import budgets as gauges
from router.telemetry.budgets import MOST, BudgetGauges
from router.testing import FakeClock, reply

TOLD = reply(ANSWER, input_tokens=1000, output_tokens=200)


def shown(observed, short):
    name = f"centroute.budget.{short}"
    return observed.values(name, "centroute.budget", "centroute.budget.unit")


def test_what_is_left_of_each_budget(observed):
    """Limit, spent, reserved and remaining of each limit, as `client.budgets.status()` says."""
    budgets = [Budget("5", "day", name="daily"), Budget(requests=10, tokens=9000, name="all")]
    with client_of(TOLD, budgets=budgets) as client:
        assert shown(observed, "limit") == {}  # no ledger is opened by looking
        ask(client)
        for short in ("limit", "spent", "reserved", "remaining"):
            expected = {(s.name, s.unit): getattr(s, short) for s in client.budgets.status()}
            assert shown(observed, short) == {at: float(of) for at, of in expected.items()}
    assert shown(observed, "limit") == {}  # closed


@pytest.mark.parametrize("metric_tags", [[], ["team"]])
def test_accounts_of_tags_are_shown_where_the_tag_is(observed, metric_tags):
    """Each team's account has its value in its name: it is as private as the tag."""
    budgets = [Budget("5", "day", {"team": "acme/*"}, name="a team")]
    with client_of(TOLD, budgets=budgets, metric_tags=metric_tags) as client:
        for team in ("acme/search", "acme/search/ann", "acme/ads", "other"):
            ask(client, tags={"team": team})
        found = {name for name, _ in shown(observed, "spent")}
    named = {"a team [team=acme/search]", "a team [team=acme/ads]"}
    assert found == (named if metric_tags else set())


def test_a_budget_of_whoever_is_called(observed):
    """Model and host are no tags of the request: shown without being opted in."""
    with client_of(TOLD, budgets=[Budget("5", "day", {"host": "*"}, name="each")]) as client:
        ask(client)
        assert set(shown(observed, "spent")) == {("each [host=deepinfra]", "usd")}


def test_accounts_are_bounded(caplog):
    """However many teams there are; it is said once that not all are shown, and not which."""
    budget = Budget("5", "day", {"team": "*"})
    found = BudgetGauges([budget], {}, lambda: None, FakeClock(), metric_tags=["team"])
    for i in range(MOST):
        found.met({"team": f"t{i}"})
    assert caplog.records == []
    for i in range(MOST * 3):
        found.met({"team": f"t{i}"})
    assert len(found._met) == MOST
    (warning,) = caplog.records
    assert "100 are shown" in warning.getMessage()
    assert "t1" not in warning.getMessage()


class Slow(SQLiteLedger):
    """A ledger whose balances wait until they may be told, counted."""

    def __init__(self):
        super().__init__(":memory:")
        self.go, self.asked = threading.Event(), 0

    def balances(self, holds):
        self.asked += 1
        self.go.wait(30)
        return super().balances(holds)


@pytest.fixture
def slow():
    ledger = Slow()
    yield ledger
    ledger.go.set()
    ledger.close()


class Ticks:
    """A monotonic clock that is set by hand."""

    def __init__(self):
        self.at = 0.0

    def __call__(self):
        return self.at


def test_a_ledger_that_hangs_does_not_hold_up_a_collection(slow, monkeypatch):
    """One thread waits for it, however often it is asked; what it says is shown once it does."""
    monkeypatch.setattr(gauges, "WAIT", 0.05)
    found = BudgetGauges([Budget("5")], {}, lambda: slow, FakeClock(), clock=(ticks := Ticks()))
    for _ in range(5):
        assert found.read() == []
        ticks.at += 10
    assert [t.name for t in threading.enumerate()].count(gauges.THREAD) == 1
    slow.go.set()
    assert found._reading.done.wait(30)
    (line,) = found.read()
    assert line.state.limit == 5


def test_the_ledger_is_read_seldom_and_old_figures_end(slow):
    """Once in a few seconds; a figure that nobody can renew is not shown for ever."""
    slow.go.set()
    found = BudgetGauges([Budget("5")], {}, lambda: slow, FakeClock(), clock=(ticks := Ticks()))
    for _ in range(50):
        assert len(found.read()) == 1
    assert slow.asked == 1
    ticks.at += gauges.FRESH
    assert len(found.read()) == 1
    assert slow.asked == 2
    slow.balances = lambda holds: 1 / 0
    ticks.at += gauges.FRESH
    assert len(found.read()) == 1  # the last that is known
    ticks.at += gauges.STALE
    assert found.read() == []


def test_a_failing_ledger_costs_a_warning(observed, caplog):
    """Never an error in the reader's thread, nor in a call."""
    with client_of(TOLD, budgets="5") as client:
        ask(client)
        client._core.ledger.balances = lambda holds: 1 / 0
        assert shown(observed, "limit") == {}
        assert "could not read the budgets" in caplog.text


def test_several_clients_of_a_process(observed):
    """Each shows its own; of an account that two have, one figure."""
    shared, ledger = [Budget("5", name="shared")], SQLiteLedger(":memory:")
    with (
        client_of(TOLD, budgets=[*shared, Budget("1", name="one")], ledger=ledger) as one,
        client_of(TOLD, budgets=[*shared, Budget("2", name="two")], ledger=ledger) as two,
    ):
        ask(one)
        ask(two)
        limits = {name: value for (name, _), value in shown(observed, "limit").items()}
    assert limits == {"shared": 5, "one": 1, "two": 2}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_reads_anew(slow):
    """A reading that was under way in the parent is none in the child."""
    found = BudgetGauges([Budget("5")], {}, lambda: slow, FakeClock())
    found._reading = gauges._Reading(time.monotonic())
    slow.go.set()
    child = os.fork()
    if child == 0:
        os._exit(0 if len(found.read()) == 1 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_window_that_ends_is_a_new_account(observed):
    """The gauge is of the present window."""
    clock = FakeClock()
    with client_of(TOLD, TOLD, budgets=[Budget("5", "day", name="daily")], now=clock) as client:
        ask(client)
        spent = shown(observed, "spent")["daily", "usd"]
        clock.advance(timedelta(days=1).total_seconds())
        client._core._telemetry._accounts._last = (-gauges.STALE, [])
        assert spent > shown(observed, "spent")["daily", "usd"] == 0
