"""A call that is interrupted while it is settled, or told of, is in metrics as in the ledger."""

import asyncio
import threading

import pytest
from observing import ANSWER, MODEL, client_of

from router import AsyncClient, Budget
from router.errors import ServerError
from router.ledgers.failing import store_failure
from router.ledgers.sqlite import SQLiteLedger
from router.money import to_usd
from router.testing import AsyncMockTransport, FakeClock, reply

ASK = [{"role": "user", "content": "Hi"}]
TOLD = reply(ANSWER, input_tokens=1000, output_tokens=200)
LOST = ServerError("busy", candidate=MODEL, status_code=500, billable=True)


def told_of(observed, ledger, outcome):
    """The ledger's only line is the only span, the only attempt, and all of the spend."""
    (entry,) = ledger.entries()
    (span,) = observed.spans
    assert entry.cost > 0
    assert entry.outcome == outcome
    assert observed.values("centroute.attempts", "error.type") == {
        ("" if outcome == "ok" else outcome,): 1
    }
    assert observed.values("centroute.spend") == {(): pytest.approx(float(to_usd(entry.cost)))}
    assert span.attributes["gen_ai.usage.cost.amount"] == float(to_usd(entry.cost))
    assert span.attributes["centroute.request.id"] == entry.record.request_id


async def cancelled(ledger, answer, reached, go, **settings):
    """Make a call and cancel it when `reached` is set; `go` lets it end."""
    client = AsyncClient(
        transport=AsyncMockTransport(answer),
        keys={"deepinfra": "k"},
        environ={},
        ledger=ledger,
        max_retries=0,
        **settings,
    )
    made = asyncio.create_task(client.chat.completions.create(ASK, model=MODEL))
    assert await asyncio.to_thread(reached.wait, 30)
    made.cancel()
    await asyncio.sleep(0.05)
    go.set()
    with pytest.raises((asyncio.CancelledError, ServerError)):
        await made
    await client.close()


@pytest.mark.parametrize(("answer", "outcome"), [(TOLD, "ok"), (LOST, "http_500")])
async def test_cancelled_while_it_is_settled(observed, answer, outcome):
    """The ledger goes on to the end, so it is spend."""
    reached, go = threading.Event(), threading.Event()

    class Slow(SQLiteLedger):
        def settle(self, reservation_id, settlement):
            reached.set()
            go.wait(30)
            return super().settle(reservation_id, settlement)

    ledger = Slow(":memory:")
    await cancelled(ledger, answer, reached, go)
    told_of(observed, ledger, outcome)


@pytest.mark.parametrize(("answer", "outcome"), [(TOLD, "ok"), (LOST, "http_500")])
async def test_cancelled_while_it_is_warned_of(observed, answer, outcome):
    """A listener that takes its time has nothing to do with what was paid."""
    reached, go = threading.Event(), threading.Event()

    async def listener(warning):
        reached.set()
        await asyncio.sleep(30)

    ledger = SQLiteLedger(":memory:")
    budgets = [Budget("0.1", "day", warn=[0.0001])]
    await cancelled(ledger, answer, reached, go, budgets=budgets, on_warning=listener)
    told_of(observed, ledger, outcome)


def test_interrupted_by_a_key(observed):
    """Ctrl-C while the ledger settles, or right after it."""

    class Stopped(SQLiteLedger):
        def settle(self, reservation_id, settlement):
            super().settle(reservation_id, settlement)
            raise KeyboardInterrupt

    ledger = Stopped(":memory:")
    with client_of(TOLD, ledger=ledger) as client, pytest.raises(KeyboardInterrupt):
        client.chat.completions.create(ASK, model=MODEL)
    told_of(observed, ledger, "ok")


@pytest.mark.parametrize("answer", [TOLD, LOST])
async def test_cancelled_while_the_ledger_fails_to_settle(observed, answer):
    """It is no spend: the reservation stands, and is charged in full when its lease ends."""
    reached, go, clock = threading.Event(), threading.Event(), FakeClock()

    class Failing(SQLiteLedger):
        def settle(self, reservation_id, settlement):
            reached.set()
            go.wait(30)
            raise store_failure("disk full")

    ledger = Failing(":memory:")
    await cancelled(ledger, answer, reached, go, budgets="5", now=clock)
    assert "centroute.spend" not in observed.points()
    labels = "centroute.ledger.operation", "centroute.ledger.action"
    failures = observed.values("centroute.ledger.failures", *labels)
    assert {key: n for key, n in failures.items() if n} == {("settle", "unsettled"): 1}
    client = client_of(TOLD, ledger=ledger, now=clock)
    clock.advance(10_000)
    ledger.sweep(clock())
    (entry,) = ledger.entries()
    expired = sum(observed.values("centroute.spend.expired").values())
    assert expired == pytest.approx(float(to_usd(entry.cost)))
    client.close()
