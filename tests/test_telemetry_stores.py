"""A ledger whose store fails: how often, what was done about it, what waits to be written."""

import pytest
from leasing import Clock, Flaky, hold, reservation, settlement
from observing import ANSWER, ask, client_of

from router import Budget
from router.errors import LedgerError
from router.ledgers.lease import LeasedLedger
from router.ledgers.outage import Outage
from router.ledgers.sqlite import SQLiteLedger
from router.money import PICO_PER_USD
from router.testing import FakeClock, reply

TOLD = reply(ANSWER, input_tokens=1000, output_tokens=200)
ALL = (hold("all", 10**9),)
DAY = [Budget("5", "day", name="d")]


@pytest.fixture
def store():
    store = Flaky()
    yield store
    store.ledger.close()


def failures(observed):
    """How often, by operation and what was done, without those that never happened.

    Nor are balances that were remembered in it: gauges of budgets ask for them when they are read.
    """
    labels = "centroute.ledger.operation", "centroute.ledger.action"
    found = observed.values("centroute.ledger.failures", *labels)
    return {key: n for key, n in found.items() if n and key != ("balances", "remembered")}


def remembered(observed):
    labels = "centroute.ledger.operation", "centroute.ledger.action"
    return observed.values("centroute.ledger.failures", *labels)["balances", "remembered"]


def waiting(observed):
    """Calls and dollars that wait to be written."""
    (calls,) = observed.values("centroute.ledger.unposted.calls").values()
    (cost,) = observed.values("centroute.ledger.unposted.cost").values()
    return calls, cost


def test_a_store_that_answers(observed, store):
    """Zeros are shown from the first request on: what begins at 1 has no increase."""
    with client_of(TOLD, ledger=Outage(store), budgets=DAY) as client:
        ask(client)
        assert failures(observed) == {}
        assert len(observed.points()["centroute.ledger.failures"]) >= 10
        assert waiting(observed) == (0, 0)


def test_deny(observed, store):
    """Requests are refused; of a call that was under way the answer is kept, with its cost."""
    outage = Outage(store, "deny", monotonic=Clock().monotonic)
    with client_of(*[TOLD] * 2, ledger=outage, budgets=DAY) as client:
        ask(client)  # balances are known from here on

        def failing(call, send=client._transport.send):
            store.mode = "down"
            return send(call)

        send, client._transport.send = client._transport.send, failing
        cost = float(ask(client).route.cost.usd)
        assert failures(observed) == {("settle", "kept"): 1}
        assert waiting(observed) == (1, pytest.approx(cost))
        client._transport.send = send
        with pytest.raises(LedgerError):
            ask(client)
        assert failures(observed) == {("settle", "kept"): 1, ("reserve", "refused"): 1}
        assert remembered(observed) >= 1
        assert waiting(observed) == (1, pytest.approx(cost)), "what came to nothing is no call"
        store.mode = "up"
        outage._backlog._again = float("-inf")
        outage.balances(ALL)
        assert waiting(observed) == (0, 0)
        booked = sum(entry.cost for entry in store.ledger.entries()) / PICO_PER_USD
        assert sum(observed.values("centroute.spend").values()) == pytest.approx(booked)


def test_allow(observed, store):
    """Requests go on without a reservation: no limit holds, and somebody should know."""
    outage = Outage(store, "allow", monotonic=Clock().monotonic)
    with client_of(*[TOLD] * 3, ledger=outage, budgets=DAY) as client:
        store.mode = "down"
        cost = sum(float(ask(client).route.cost.usd) for _ in range(3))
        assert failures(observed) == {("reserve", "admitted"): 3}
        assert remembered(observed) >= 3
        assert waiting(observed) == (3, pytest.approx(cost))
        store.mode = "up"
        outage._backlog._again = float("-inf")
        outage.balances(ALL)
        assert waiting(observed) == (0, 0)
        booked = sum(entry.cost for entry in store.ledger.entries()) / PICO_PER_USD
        assert cost == pytest.approx(booked)


def test_local_lease(observed, store):
    """Slabs are spent meanwhile; what was paid from them waits, also in a turn that is stuck."""
    clock = Clock()
    leased = LeasedLedger(store, monotonic=clock.monotonic, background=False)
    with client_of(*[TOLD] * 3, ledger=Outage(leased, "local-lease"), budgets=DAY) as client:
        ask(client)
        leased.flush()
        assert waiting(observed) == (0, 0)
        store.mode = "down"
        cost = float(ask(client, max_tokens=5).route.cost.usd)
        assert waiting(observed) == (0, 0), "it comes with the next beat"
        for waits in (1, 1):
            with pytest.raises(LedgerError):
                leased.flush()
            assert waiting(observed) == (waits, pytest.approx(cost))
        assert failures(observed) == {("write", "kept"): 2}
        store.mode, clock.seconds = "up", 60
        leased.flush()
        assert waiting(observed) == (0, 0)


def test_a_ledger_of_your_own(observed, store):
    """Nothing stands before it: what it raises is counted all the same."""
    with client_of(*[TOLD] * 2, ledger=store, budgets=DAY) as client:

        def failing(call, send=client._transport.send):
            store.mode = "down"
            return send(call)

        client._transport.send = failing
        assert "could not settle" in ask(client).route.notes[-1]
        assert failures(observed) == {("settle", "unsettled"): 1}
        with pytest.raises(LedgerError):
            ask(client)
        assert failures(observed) == {("settle", "unsettled"): 1, ("balances", "refused"): 1}
        store.mode = "up"


def test_a_warning_that_fails_refuses_nothing(observed, store):
    """The call was served; its budget warns another time."""
    budgets = [Budget("5", "day", warn=[1e-9])]

    class Half(SQLiteLedger):
        down = False

        def balances(self, holds):
            if self.down:
                raise LedgerError("away")
            return super().balances(holds)

    ledger = Half(":memory:")
    with client_of(TOLD, ledger=ledger, budgets=budgets, on_warning=print) as client:

        def failing(call, send=client._transport.send):
            ledger.down = True
            return send(call)

        client._transport.send = failing
        ask(client)
        assert failures(observed) == {("balances", "skipped"): 1}


@pytest.mark.parametrize(("stem", "action"), [("", "lost"), ("left", "filed")])
def test_an_outage_that_outlives_the_process(observed, store, tmp_path, stem, action):
    """At the end what is left goes to a file, or is lost; the next process has it waiting."""
    at = tmp_path / stem if stem else None
    outage = Outage(store, "allow", unposted=at, monotonic=Clock().monotonic)
    with client_of(*[TOLD] * 2, ledger=outage, budgets=DAY) as client:
        store.mode = "down"
        for _ in range(2):
            ask(client)
        with pytest.raises(LedgerError, match="2 calls"):
            outage.close()
        assert failures(observed)["close", action] == 2
    if stem:
        assert waiting(observed) == (0, 0)
        again = Outage(store, "allow", unposted=at, monotonic=Clock().monotonic)
        with client_of(TOLD, ledger=again, budgets=DAY) as client:
            ask(client)
            assert waiting(observed)[0] == 3
            store.mode = "up"
            again._backlog._again = float("-inf")
            again.balances(ALL)
            assert waiting(observed) == (0, 0)
    store.mode = "up"
    outage.forget()


class Picky(SQLiteLedger):
    """A store that takes one call from nobody."""

    def post(self, made, ended):
        raise LedgerError("a row that no store can take")


def test_a_call_that_the_store_takes_from_nobody(observed, caplog):
    """It is told once, and goes on waiting: no outage ends it."""
    store = Picky(":memory:")
    outage = Outage(store, "allow", monotonic=Clock().monotonic)
    with client_of(TOLD, ledger=outage) as client:
        ask(client)
        outage._backlog.keep(reservation("bad", 5, ALL), settlement(10**9))
        for _ in range(3):
            outage.balances(ALL)
        assert failures(observed) == {("post", "rejected"): 1}
        assert waiting(observed) == (1, pytest.approx(0.001))
    assert "is not in the ledger" in caplog.text
    outage.forget()


def test_all_ledgers_of_a_process(observed):
    """Two are added up; one that two clients share counts once; zeros of others hide nothing."""
    flaky = [Flaky(), Flaky()]
    one, other = (Outage(each, "allow", monotonic=Clock().monotonic) for each in flaky)
    clients = [client_of(*[TOLD] * 2, ledger=each, budgets=DAY) for each in (one, one, other)]
    quiet = client_of(TOLD)
    ask(quiet)
    for each in flaky:
        each.mode = "down"
    for client in clients:
        ask(client)
    assert waiting(observed)[0] == 3
    assert failures(observed)["reserve", "admitted"] == 3
    for each, client in zip((one, one, other), clients, strict=True):
        each.forget()
        client.close()
    quiet.close()
    for each in flaky:
        each.ledger.close()


def test_the_default_ledger_is_watched(observed, tmp_path, monkeypatch):
    """A path is enough; the file's failure is seen."""
    with client_of(TOLD, ledger=tmp_path / "l.sqlite3", budgets=DAY, now=FakeClock()) as client:
        ask(client)
        store = client.ledger.ledger

        def full(*_, **__):
            raise LedgerError("disk full") from OSError(28, "No space left on device")

        monkeypatch.setattr(store, "reserve", full)
        with pytest.raises(LedgerError, match="disk full"):
            ask(client)
        assert failures(observed) == {("reserve", "refused"): 1}
        monkeypatch.undo()


class Elsewhere(SQLiteLedger):
    """A ledger of one's own: what ours call so means something else, or is not there yet."""

    def waiting(self):
        return 3

    @property
    def store(self):
        raise RuntimeError("not connected yet")


def test_a_ledger_with_names_of_its_own(observed, store, caplog):
    """It costs no answer, hides no other client's gauge, and what it raises is counted."""
    away = Outage(store, "allow", monotonic=Clock().monotonic)
    with (
        client_of(TOLD, ledger=Elsewhere(":memory:")) as own,
        client_of(TOLD, ledger=away, budgets=DAY) as other,
    ):
        assert ask(own).choices[0].message.content == ANSWER
        assert "could not watch" in caplog.text
        store.mode = "down"
        ask(other)
        assert waiting(observed)[0] == 1
        own.ledger.notices.failed("post", "lost")
        assert failures(observed)["post", "lost"] == 1
        away.forget()
    store.mode = "up"
