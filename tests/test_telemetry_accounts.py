"""Each account of a budget has its own name in labels, in one process and over its collections."""

import threading

from observing import ANSWER, ask, client_of

from router import Budget
from router.ledgers.outage import Outage
from router.ledgers.sqlite import SQLiteLedger
from router.telemetry import budgets as gauges
from router.telemetry.accounts import place_of
from router.telemetry.budgets import BudgetGauges
from router.telemetry.gauges import register
from router.testing import FakeClock, reply

TOLD = reply(ANSWER, input_tokens=1000, output_tokens=200)
KINDS = ("limit", "spent", "reserved", "remaining")


class Ticks:
    """A monotonic clock that is set by hand."""

    def __init__(self):
        self.at = 0.0

    def __call__(self):
        return self.at


def shown(observed, kind):
    name = f"centroute.budget.{kind}"
    return observed.values(name, "centroute.budget", "centroute.budget.unit")


def figures(observed):
    """All four figures of each account, by name: none has a limit of one and spend of another."""
    found = [{name: v for (name, _), v in shown(observed, kind).items()} for kind in KINDS]
    assert all(set(each) == set(found[0]) for each in found)
    return {name: tuple(each[name] for each in found) for name in found[0]}


def status(client):
    return [tuple(float(getattr(s, kind)) for kind in KINDS) for s in client.budgets.status()]


def test_one_name_for_two_windows(observed):
    """Both are shown, each with its own limit and the length of its own window."""
    budgets = [Budget("5", "day", name="m"), Budget("50", "month", name="m"), Budget("7")]
    with client_of(TOLD, budgets=budgets, now=FakeClock()) as client:
        ask(client)
        day, month, total = status(client)
        assert figures(observed) == {"m (day)": day, "m (month)": month, budgets[2].name: total}
        lengths = {name: v / 86400 for (name, _), v in shown(observed, "window").items()}
    assert lengths == {"m (day)": 1, "m (month)": 30}


def test_one_name_for_two_scopes_and_limits(observed, caplog):
    """What the window does not tell apart has a number, in the order of the settings."""
    scopes = [{"team": "a"}, {"team": "b"}, {}]
    budgets = [Budget(str(i + 1), "day", scope, name="m") for i, scope in enumerate(scopes)]
    budgets.append(Budget("9", "day", name="m"))
    with client_of(TOLD, budgets=budgets, now=FakeClock()) as client:
        ask(client, tags={"team": "b"})
        found = {name: at[:2] for name, at in figures(observed).items()}
        spent = float(client.budgets.status()[0].spent)
    assert found == {"m": (1, 0), "m #2": (2, spent), "m #3": (3, spent), "m #4": (9, spent)}
    warnings = [r.getMessage() for r in caplog.records if "of one name" in r.getMessage()]
    assert len(warnings) <= 1, "one in a process"
    assert spent > 0


def test_equal_budgets_on_two_ledgers(observed):
    """What one client spent is not shown as what the other did."""
    with client_of(TOLD, budgets="5") as one, client_of(*[TOLD] * 3, budgets="5") as two:
        ask(one)
        for _ in range(3):
            ask(two)
        name = one.budgets.status()[0].name
        assert figures(observed) == {name: status(one)[0], f"{name} #2": status(two)[0]}
        assert status(one) != status(two)


def test_a_name_is_free_again_when_its_client_is_closed(observed):
    """A client for each request does not make names without end, and names do not wander."""
    with client_of(TOLD, budgets=[Budget("5", name="m")]) as lasting:
        ask(lasting)
        for _ in range(3):
            with client_of(TOLD, TOLD, budgets=[Budget("6", name="m")]) as passing:
                ask(passing)
                assert figures(observed) == {"m": status(lasting)[0], "m #2": status(passing)[0]}
    with client_of(TOLD, budgets=[Budget("7", name="m")]) as later:
        ask(later)
        assert figures(observed) == {"m": status(later)[0]}


def test_one_file_that_is_opened_twice(observed, tmp_path, monkeypatch):
    """Two clients of one ledger have one figure, however they say where it is."""
    monkeypatch.chdir(tmp_path)
    settings = {"budgets": [Budget("5", name="m")]}
    with (
        client_of(TOLD, ledger="l.sqlite3", **settings) as one,
        client_of(TOLD, ledger=tmp_path / "l.sqlite3", on_ledger_error="allow", **settings) as two,
    ):
        ask(one)
        ask(two)
        assert figures(observed) == {"m": status(one)[0]}
        assert status(one) == status(two)


def test_what_makes_two_ledgers_one(tmp_path):
    """Their file, also behind what stands before it; each in memory is its own."""
    one, other = SQLiteLedger(":memory:"), SQLiteLedger(":memory:")
    assert place_of(one) == place_of(one) != place_of(other)
    assert place_of(Outage(one, unposted=tmp_path / "u")) == place_of(one)
    here, again = SQLiteLedger(tmp_path / "a"), SQLiteLedger(str(tmp_path / "x" / ".." / "a"))
    assert place_of(here) == place_of(again) != place_of(SQLiteLedger(tmp_path / "b"))
    assert place_of(object()) is not None


class Together(SQLiteLedger):
    """A ledger that answers when all of them are asked, and no earlier."""

    def __init__(self, meeting):
        super().__init__(":memory:")
        self._meeting = meeting

    def balances(self, holds):
        self._meeting.wait(60)
        return super().balances(holds)


def collected(clients):
    """What a collection of the limits gathers of these clients."""
    callbacks = []

    class Meter:
        def create_observable_gauge(self, name, found, **_):
            callbacks.extend(found)

    showing = gauges.WeakSet(clients)
    register(Meter(), {"limit": gauges.names.BUDGETS["limit"]}, showing)
    return [(dict(p.attributes)["centroute.budget"], p.value) for p in callbacks[0](None)]


def test_all_ledgers_are_asked_before_the_first_is_waited_for(monkeypatch):
    """Their waits are one: a collection of many clients does not add them up."""
    monkeypatch.setattr(gauges, "WAIT", 60.0)
    meeting = threading.Barrier(5)
    clients = [
        BudgetGauges([Budget(str(i + 1), name=f"b{i}")], {}, lambda each=each: each, FakeClock())
        for i, each in enumerate(Together(meeting) for _ in range(5))
    ]
    assert collected(clients) == [(f"b{i}", i + 1) for i in range(5)]


def test_ledgers_that_hang_cost_one_wait(monkeypatch):
    """However many they are, and however many gauges there are of each."""
    ticks, go = Ticks(), threading.Event()

    class Hung(threading.Event):
        def wait(self, timeout):
            ticks.at += timeout

    made = gauges._Reading
    monkeypatch.setattr(gauges, "_Reading", lambda at: made(at, done=Hung()))

    class Slow(SQLiteLedger):
        def balances(self, holds):
            go.wait(60)
            return super().balances(holds)

    clients = [
        BudgetGauges([Budget("5")], {}, lambda each=each: each, FakeClock(), clock=ticks)
        for each in [Slow(":memory:") for _ in range(12)]
    ]
    try:
        for _ in range(5):
            assert collected(clients) == []
        assert ticks.at == gauges.WAIT
    finally:
        go.set()


def test_what_takes_long_to_read_is_fresh_when_it_is_there():
    """Else it would be read anew at each look, and never be shown as it is."""
    ticks, asked = Ticks(), []

    class Slow(SQLiteLedger):
        def balances(self, holds):
            asked.append(ticks.at)
            ticks.at += 3 * gauges.FRESH
            return super().balances(holds)

    ledger = Slow(":memory:")
    found = BudgetGauges([Budget("5")], {}, lambda: ledger, FakeClock(), clock=ticks)
    found.read()
    assert found._reading.done.wait(60)
    for _ in range(3):
        assert len(found.read()) == 1
    assert len(asked) == 1


def test_names_stay_when_many_collect_at_once(observed):
    """Two readers at a time do not name one account twice, nor two accounts alike."""
    made = [client_of(TOLD, budgets="5") for _ in range(3)]
    for client in made:
        ask(client)
        client._core._telemetry._accounts.read()
    found, start = [], threading.Barrier(4)

    def collect():
        start.wait()
        every = [client._core._telemetry._accounts for client in made]
        found.append([dict(at)["centroute.budget"] for x in every for at, _ in x.points("limit")])

    threads = [threading.Thread(target=collect) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in made:
        client.close()
    assert all(each == found[0] for each in found)
    assert len(set(found[0])) == 3
