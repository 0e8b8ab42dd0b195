"""A ledger that is slow or fails stands in nobody's way: neither the loop's nor the error's."""

import asyncio
import threading
import time

import pytest
from calling import FixedScorer, in_order

from router import AsyncClient, AuthenticationError, Client, LedgerError
from router.ledgers.sqlite import SQLiteLedger
from router.testing import AsyncMockTransport, FakeClock, MockTransport, reply

MESSAGES = [{"role": "user", "content": "Hi"}]
MODEL = "deepseek-v3.2@deepinfra"


class Broken(SQLiteLedger):
    """Reserves, but cannot book how a call ended."""

    def __init__(self):
        super().__init__(":memory:")

    def settle(self, reservation_id, settlement):
        raise LedgerError("disk full")

    def release(self, reservation_id, *, at, outcome):
        raise LedgerError("disk full")


class Slow(SQLiteLedger):
    """Takes its time to reserve; `began` is set when it has begun."""

    def __init__(self):
        super().__init__(":memory:")
        self.began, self.go = threading.Event(), threading.Event()

    def reserve(self, reservation):
        self.began.set()
        self.go.wait(10)
        super().reserve(reservation)


def settings(ledger):
    return {
        "budgets": "1",
        "ledger": ledger,
        "keys": {"deepinfra": "k"},
        "scorer": FixedScorer(),
        "policy": in_order,
        "now": FakeClock(),
        "environ": {},
    }


@pytest.mark.parametrize("error", [KeyboardInterrupt(), AuthenticationError("bad key")])
def test_the_real_error_is_told_and_the_ledgers_is_a_note(error):
    """Ctrl-C stops a loop, and a bad key is not taken for a full disk."""

    class Failing(MockTransport):
        def send(self, call):
            raise error

    client = Client(transport=Failing(), **settings(Broken()))
    with pytest.raises(type(error)) as caught:
        client.chat.completions.create(MESSAGES, model=MODEL)
    assert any(
        "could not settle" in note and "disk full" in note for note in caught.value.__notes__
    )


async def test_a_cancelled_task_is_cancelled():
    """Also where the ledger cannot book it."""

    class Hanging(AsyncMockTransport):
        async def send(self, call):
            await asyncio.sleep(60)

    client = AsyncClient(transport=Hanging(), **settings(Broken()))
    task = asyncio.create_task(client.chat.completions.create(MESSAGES, model=MODEL))
    await asyncio.sleep(0.5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()


async def test_a_cancelled_task_leaves_the_loop_free():
    """While the ledger is still at work for it, others go on; what it reserved is returned."""
    ledger = Slow()
    client = AsyncClient(transport=AsyncMockTransport(reply("x")), **settings(ledger))
    task = asyncio.create_task(client.chat.completions.create(MESSAGES, model=MODEL))
    await asyncio.to_thread(ledger.began.wait, 10)
    task.cancel()
    turns = 0
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 20 and not task.done()
    ledger.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    (status,) = client.budgets.status()
    assert (status.spent, status.reserved) == (0, 0)
    await client.close()
