"""The drivers: whatever interrupts an effect reaches the flow, and nothing stays open."""

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from calling import MESSAGES, FixedScorer, in_order

from router import AsyncClient, Client, flow
from router._drive import Drive
from router._drive_async import AsyncDrive
from router.errors import LedgerError, RateLimitError
from router.ledgers.sqlite import SQLiteLedger
from router.testing import AsyncMockTransport, MockTransport, reply

MODEL = "deepseek-v3.2@deepinfra"


class Interrupting(SQLiteLedger):
    """A ledger whose method `at` is interrupted, before or after its work is done."""

    def __init__(self, at, error, *, after=False):
        super().__init__(":memory:")
        self.at, self.error, self.after = at, error, after

    def _interrupt(self, method, work):
        if self.at != method:
            return work()
        self.at = None
        if self.after:
            work()
        raise self.error

    def reserve(self, reservation):
        return self._interrupt("reserve", lambda: super(Interrupting, self).reserve(reservation))

    def settle(self, reservation_id, settlement):
        return self._interrupt(
            "settle", lambda: super(Interrupting, self).settle(reservation_id, settlement)
        )

    def balances(self, holds):
        return self._interrupt("balances", lambda: super(Interrupting, self).balances(holds))


def settings(ledger, clock):
    return {
        "keys": {"deepinfra": "k"},
        "ledger": ledger,
        "scorer": FixedScorer(),
        "policy": in_order,
        "now": clock,
    }


def still_open(ledger):
    return ledger._db().execute("SELECT count(*) FROM open_reservations").fetchone()[0]


def ask(client, **arguments):
    return client.chat.completions.create(MESSAGES, model=MODEL, budget="1", **arguments)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
@pytest.mark.parametrize("after", [False, True])
def test_interrupted_in_reserve_nothing_is_set_aside(clock, error, after):
    """Before or after the row was written: it is returned, and nothing was sent."""
    ledger, transport = Interrupting("reserve", error(), after=after), MockTransport(reply("x"))
    client = Client(transport=transport, **settings(ledger, clock))
    with pytest.raises(error):
        ask(client)
    assert still_open(ledger) == 0
    assert transport.calls == []
    assert [(e.kind, e.cost) for e in ledger.entries()] == [("release", 0)] * after
    client.close()


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_interrupted_in_a_call_the_reservation_is_spent(clock, error):
    """Nobody will tell what became of the call: its ceiling is charged, as an estimate."""

    class Interrupted(MockTransport):
        def send(self, call):
            raise error

    ledger = SQLiteLedger(":memory:")
    client = Client(transport=Interrupted(), **settings(ledger, clock))
    with pytest.raises(error):
        ask(client)
    (entry,) = ledger.entries()
    assert (entry.outcome, entry.cost, entry.estimated) == ("cancelled", entry.reserved, True)
    assert entry.cost > 0
    assert still_open(ledger) == 0
    client.close()


def test_a_ledger_that_fails_to_settle_does_not_lose_the_answer(clock):
    """The answer was paid for: it is handed over with a note, the reservation stands."""
    ledger = Interrupting("settle", LedgerError("disk full"))
    client = Client(transport=MockTransport(reply("x")), **settings(ledger, clock))
    made = ask(client)
    assert made.text == "x"
    assert "could not settle" in made.route.notes[-1]
    assert still_open(ledger) == 1
    client.close()


def test_an_unreadable_ledger_refuses_before_sending(clock):
    """Without balances nothing is decided and nothing sent."""
    transport = MockTransport(reply("x"))
    client = Client(
        transport=transport,
        **settings(Interrupting("balances", LedgerError("gone")), clock),
        budgets="1",
    )
    with pytest.raises(LedgerError, match="gone"):
        ask(client)
    assert transport.calls == []
    client.close()


def test_a_flow_that_is_garbage_collected_is_swept_after_its_lease(clock):
    """Nobody obeys effects then: the lease ends, and the next sweep charges the reservation."""
    ledger, transport = SQLiteLedger(":memory:"), MockTransport(reply("one two"))
    client = Client(transport=transport, **settings(ledger, clock))
    request = client._core.request(MESSAGES, {"model": MODEL, "stream": True, "timeout": 30.0})
    services = client._core.services_for("1", spending=True)
    drive = Drive(flow.complete(request, services), ledger, transport)
    drive.next()
    del drive
    gc.collect()
    assert still_open(ledger) == 1
    assert ledger.sweep(clock() + timedelta(seconds=80)) == 0
    assert ledger.sweep(clock() + timedelta(seconds=100)) == 1
    (entry,) = ledger.entries()
    assert (entry.kind, entry.outcome, entry.cost) == ("expire", "lost", entry.reserved)
    client.close()


def test_waits_go_through_the_sleep_that_was_given(clock):
    """A retry waits between the attempts, with nothing set aside."""
    slept, ledger = [], SQLiteLedger(":memory:")
    transport = MockTransport(RateLimitError("x", retry_after=3.0), reply("x"))
    client = Client(transport=transport, **settings(ledger, clock))
    request = client._core.request(MESSAGES, {"model": MODEL})
    services = client._core.services_for("1", spending=True)
    drive = Drive(
        flow.complete(request, services),
        ledger,
        transport,
        sleep=lambda seconds: slept.append((seconds, still_open(ledger))),
    )
    made, route = drive.run()
    assert slept == [(3.0, 0)]
    assert made.finish_reason == "stop"
    assert [a.outcome for a in route.attempts] == ["error", "ok"]
    client.close()


class Slow(SQLiteLedger):
    """A ledger that waits in `reserve` until it is told to go on."""

    def __init__(self):
        super().__init__(":memory:")
        self.entered, self.go_on = threading.Event(), threading.Event()

    def reserve(self, reservation):
        self.entered.set()
        self.go_on.wait(5)
        super().reserve(reservation)


@pytest.mark.parametrize("cancellations", [1, 2])
async def test_cancelled_during_reserve_the_reservation_is_returned(clock, cancellations):
    """The thread finishes its work meanwhile; the flow knows, returns it, and nothing is sent."""
    ledger, transport = Slow(), AsyncMockTransport(reply("x"))
    async with AsyncClient(transport=transport, **settings(ledger, clock)) as client:
        task = asyncio.create_task(ask(client))
        await asyncio.to_thread(ledger.entered.wait, 5)
        for _ in range(cancellations):
            task.cancel()
        threading.Timer(0.02, ledger.go_on.set).start()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert [(e.kind, e.outcome) for e in ledger.entries()] == [("release", "cancelled")]
        assert still_open(ledger) == 0
        assert transport.calls == []


async def test_cancelled_while_it_unwinds_the_ledger_is_written_to_its_end(clock):
    """A second cancellation that falls into closing the stream comes after the settlement."""
    ledger = SQLiteLedger(":memory:")
    closing = asyncio.Event()

    class Source:
        async def read(self):
            await asyncio.Event().wait()

        async def close(self):
            closing.set()
            await asyncio.Event().wait()

    class Transport(AsyncMockTransport):
        async def open(self, call):
            return Source()

    async with AsyncClient(transport=Transport(), **settings(ledger, clock)) as client:
        made = await ask(client, stream=True)
        task = asyncio.create_task(anext(made))
        await asyncio.sleep(0)
        task.cancel()
        await closing.wait()
        assert [e.outcome for e in ledger.entries()] == ["cancelled"]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert still_open(ledger) == 0
        await made.close()


async def test_an_effect_of_no_kind_is_a_type_error():
    """Both drivers refuse what they do not know."""

    def odd():
        yield "effect"

    with pytest.raises(TypeError, match="not a ledger effect"):
        Drive(odd(), SQLiteLedger(":memory:"), MockTransport()).run()
    with ThreadPoolExecutor(1) as executor, pytest.raises(TypeError, match="not a ledger effect"):
        await AsyncDrive(odd(), SQLiteLedger(":memory:"), AsyncMockTransport(), executor).run()
