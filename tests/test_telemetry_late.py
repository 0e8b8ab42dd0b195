"""Lines that the ledger adds when no call ends: what is counted is what it has, each line once."""

import gc
from dataclasses import replace
from datetime import timedelta

import pytest
from leasing import START, hold, reservation, settlement
from observing import ANSWER, NEWEST, ask, client_of

from router import Catalog, SQLiteLedger
from router.errors import LedgerError
from router.ledgers import Reservation
from router.money import PICO_PER_USD
from router.testing import FakeClock, reply

TOLD = reply(ANSWER, input_tokens=1000, output_tokens=200)
LABELS = ("centroute.candidate", "centroute.policy", "centroute.tag.team")
EXPIRED, CORRECTED, SPEND = (
    "centroute.spend.expired",
    "centroute.spend.corrected",
    "centroute.spend",
)
ALL = (hold("all", 10**9),)


def booked(ledger):
    return sum(entry.cost for entry in ledger.entries())


def lose(client, amount=10**9, rid="lost", **record):
    """A call of a process that is gone, which has told nobody."""
    (entry, *_) = client.ledger.entries()
    at = entry.at - timedelta(hours=1)
    made = replace(entry.record, **record)
    lost = Reservation(id=rid, at=at, lease_until=at, amount=amount, holds=(), record=made)
    client.ledger.reserve(lost)


def usd(observed, name):
    return sum(observed.values(name, *LABELS).values())


def total(client):
    return pytest.approx(sum(e.cost for e in client.ledger.entries()) / PICO_PER_USD, rel=1e-9)


@pytest.mark.parametrize("environ", [{}, NEWEST])
def test_a_lost_call_is_counted_as_its_own(observed, environ):
    """Under candidate, policy and team of the call, and the names of its host and model."""
    settings = {"metric_tags": ["team"], "now": FakeClock(), "environ": environ}
    with client_of(*[TOLD] * 2, **settings) as client:
        ask(client, tags={"team": "a"})
        other = "deepseek-v3.2:thinking@deepinfra"
        lose(client, candidate=other, policy="p", tags={"team": "b", "user": "u"})
        ask(client, tags={"team": "a"})
        assert observed.values(EXPIRED, *LABELS) == {(other, "p", "b"): 0.001}
        (point,) = observed.points()[EXPIRED]
        model = Catalog.default().candidate(other, at=client._core.now())
        assert point.attributes["gen_ai.provider.name"] == model.provider
        assert point.attributes["gen_ai.request.model"] == model.model_id
        assert "u" not in point.attributes.values()
        assert CORRECTED not in observed.points()
        assert usd(observed, SPEND) + 0.001 == total(client)
        client.ledger.settle("lost", replace(settlement(0), at=client._core.now()))
        assert observed.values(CORRECTED, *LABELS) == {(other, "p", "b"): 0.001}
        assert usd(observed, SPEND) + 0.001 - 0.001 == total(client)


def test_a_candidate_that_is_not_in_the_catalogue(observed):
    """Another process has one of its own: the record says who was called."""
    with client_of(*[TOLD] * 2, now=FakeClock()) as client:
        ask(client)
        lose(client, candidate="mine@there", model="mine", host="there")
        ask(client)
    (point,) = observed.points()[EXPIRED]
    assert point.attributes["centroute.candidate"] == "mine@there"
    assert point.attributes["gen_ai.provider.name"] == "there"
    assert point.attributes["gen_ai.request.model"] == "mine"


def test_an_answer_that_comes_after_its_lease(observed):
    """Another process charged it in full meanwhile; its own end is spend, as ever."""
    clock, ledger = FakeClock(), SQLiteLedger(":memory:")
    with client_of(TOLD, ledger=ledger, budgets="5", now=clock) as client:

        def late(call, send=client._transport.send):
            clock.advance(10_000)
            ledger.sweep(clock())
            return send(call)

        client._transport.send = late
        cost = float(ask(client).route.cost.usd)
        (held, corrected) = ledger.entries()
        assert (held.kind, corrected.kind) == ("expire", "correct")
        assert usd(observed, SPEND) == pytest.approx(cost)
        assert usd(observed, EXPIRED) == usd(observed, CORRECTED) == held.cost / PICO_PER_USD
        assert usd(observed, SPEND) == total(client)


def test_two_clients_of_one_ledger_count_a_line_once(observed):
    """Also where the first of them is gone, or closed."""
    ledger = SQLiteLedger(":memory:")
    one, two = (client_of(*[TOLD] * 3, ledger=ledger, now=FakeClock()) for _ in range(2))
    for client in (one, two):
        ask(client)
    lose(two)
    ask(two)
    assert usd(observed, EXPIRED) == 0.001
    one.close()
    lose(two, rid="again")
    ask(two)
    assert usd(observed, EXPIRED) == 0.002
    del one, client
    gc.collect()
    lose(two, rid="more")
    two.ledger.sweep(two._core.now())
    assert usd(observed, EXPIRED) == 0.003
    assert usd(observed, SPEND) + 0.003 == total(two)
    two.close()


class Broken(SQLiteLedger):
    """Takes reservations, and not how calls end."""

    broken = True

    def settle(self, reservation_id, ended):
        if self.broken:
            raise LedgerError("disk full")
        return super().settle(reservation_id, ended)


def test_what_the_ledger_did_not_take_is_no_spend_yet(observed):
    """It is charged in full when its lease ends, and must not count twice then."""
    clock = FakeClock()
    with client_of(*[TOLD] * 2, ledger=Broken(":memory:"), budgets="5", now=clock) as client:
        assert ask(client).route.cost is not None
        assert SPEND not in observed.points()
        assert sum(observed.values("centroute.attempts").values()) == 1
        (span,) = observed.spans
        assert span.attributes["gen_ai.usage.cost.amount"] > 0, "the answer did cost that"
        client.ledger.broken = False
        clock.advance(10_000)
        ask(client)
        assert usd(observed, EXPIRED) > 0
        assert usd(observed, SPEND) + usd(observed, EXPIRED) == total(client)


def test_nobody_watches(monkeypatch):
    """Without a client, and where telemetry fails, lines are booked as ever."""
    ledger = SQLiteLedger(":memory:")
    ledger.reserve(reservation("a", 5, ALL, lease=1))
    assert ledger.sweep(START + timedelta(hours=1)) == 1
    with client_of(TOLD, ledger=ledger) as client:
        monkeypatch.setattr(client._core._telemetry, "_listens", lambda: 1 / 0)
        ledger.reserve(reservation("b", 5, ALL, lease=1))
        assert ledger.sweep(START + timedelta(hours=1)) == 1
        assert ask(client).choices[0].message.content == ANSWER
    assert booked(ledger) >= 10


@pytest.mark.parametrize("bare_first", [True, False])
def test_of_clients_with_other_labels_the_one_that_says_more_tells(observed, bare_first):
    """The team of a late line is not lost where a client without that label came first."""
    ledger, tags = SQLiteLedger(":memory:"), ([], ["team"])
    settings = [{"metric_tags": each} for each in (tags if bare_first else tags[::-1])]
    clients = [client_of(TOLD, ledger=ledger, now=FakeClock(), **each) for each in settings]
    for client in clients:
        ask(client, tags={"team": "a"})
    lose(clients[0], tags={"team": "b"})
    ledger.sweep(clients[0]._core.now())
    assert observed.values(EXPIRED, "centroute.tag.team") == {("b",): 0.001}
    for client in clients:
        client.close()
