"""Whose ledgers telemetry watches: those of all clients of a process, which come and go."""

import threading

from observing import ANSWER, ask, client_of

from router.ledgers.notices import layers
from router.ledgers.sqlite import SQLiteLedger
from router.telemetry import stores
from router.telemetry.labels import Labels
from router.telemetry.stores import Stores
from router.testing import reply

TOLD = reply(ANSWER, input_tokens=1000, output_tokens=200)


def test_a_ledger_that_counts_as_empty_is_watched():
    """What stands before it is asked by whether it is there, not by its length."""

    class Empty(SQLiteLedger):
        def __len__(self):
            return 0

    class Before:
        ledger = Empty(":memory:")

    before = Before()
    found = layers(before)
    assert [next(found), next(found)] == [before, before.ledger]


def test_losses_begin_at_zero(observed):
    """Else the first of them is no increase, and alerts nobody."""
    with client_of(TOLD) as client:
        ask(client)
    labels = "centroute.ledger.operation", "centroute.ledger.action"
    begun = observed.values("centroute.ledger.failures", *labels)
    lost = {(operation, "lost") for operation in ("write", "post", "grade", "close")}
    assert lost <= begun.keys()


def test_clients_that_come_and_go_while_gauges_are_read(observed):
    """A collection reads the gauges all the same."""
    stop = threading.Event()

    def come_and_go():
        while not stop.is_set():
            kept = [Stores(lambda: None, Labels()) for _ in range(50)]
            stores.showing.update(kept)

    first = Stores(lambda: None, Labels())
    stores.showing.add(first)
    others = [threading.Thread(target=come_and_go) for _ in range(3)]
    for each in others:
        each.start()
    try:
        seen = [list(stores._together.points("calls")) for _ in range(300)]
    finally:
        stop.set()
        for each in others:
            each.join()
    assert seen == [[({}, 0)]] * 300


def test_each_ledger_is_asked_once_a_collection(observed):
    """However many clients there are: what waits is summed for all of them together."""
    asked = []

    class Counting:
        def waiting(self):
            asked.append(1)
            return 1, 10**12

    shared = Counting()
    clients = [Stores(lambda: None, Labels()) for _ in range(20)]
    for client in clients:
        client.watch(shared, dict, dict)
    assert list(stores._together.points("calls")) == [({}, 1)]
    assert len(asked) == 1
    assert [list(client.points("calls")) for client in clients] == [[]] * 20
