"""Waiting among others: those who wait come back spread, and may find the money gone again."""

from datetime import timedelta

import pytest
from waiting import (
    HOUR,
    MODEL,
    NOON,
    ONCE,
    Waiting,
    later,
    overtaken,
    soon_after_midnight,
)

from router import Budget
from router.budgets import holds_for
from router.errors import BudgetExceededError, BudgetFrozenError, ServerError
from router.ledgers import Record, Reservation
from router.testing import MockTransport


@pytest.mark.parametrize(
    ("patience", "draw", "late"),
    [
        (24 * HOUR, 0.5, 15),  # half of 30 s
        (24 * HOUR, 0.0, 0),
        (12 * HOUR + 8, 0.5, 4),  # not beyond the patience
        (12 * HOUR, 0.9, 0),
    ],
)
def test_those_who_wait_come_back_spread(monkeypatch, patience, draw, late):
    """Over 30 s at most, and never later than the patience lasts."""
    monkeypatch.setattr("router._core.random.random", lambda: draw)
    one = Waiting(ONCE)
    one.ask()
    one.ask(patience=patience)
    assert one.waits == [12 * HOUR + late]


def test_a_short_wait_is_spread_over_a_hundredth_of_it(monkeypatch):
    """Nobody waits 30 s longer for what comes in a minute."""
    monkeypatch.setattr("router._core.random.random", lambda: 0.5)
    one = Waiting(policy=later(NOON + timedelta(seconds=60)))
    one.ask(patience=HOUR)
    assert one.waits == [60.3]


@pytest.mark.parametrize("streamed", [False, True])
def test_who_is_overtaken_between_plan_and_reservation_waits_too(streamed):
    """The plan saw the money, the ledger has it no more: plan anew, and wait as that says."""
    one = overtaken()
    done = one.ask(patience=24 * HOUR, stream=streamed)
    if streamed:
        list(done)
    assert 0.1 <= one.waits[0] <= 1.1
    assert soon_after_midnight(one.woke[1]) and len(one.woke) == 2
    assert done.route.started_at == one.woke[1]
    assert [e.at.day for e in one.client._core.ledger.entries()] == [22, 23]


def test_who_is_overtaken_and_cannot_wait_is_refused():
    """Without patience there is nothing to try again; with too little, one more look."""
    one = overtaken()
    with pytest.raises(BudgetExceededError):
        one.ask()
    assert one.waits == []
    one = overtaken()
    with pytest.raises(BudgetExceededError):
        one.ask(patience=60)
    assert len(one.waits) == 1
    assert len(one.host.calls) == 1


def test_a_failed_call_is_not_begun_anew():
    """It was charged: where money for another try is gone, the failure is told, not waited."""
    one = Waiting(ONCE, keys={"deepinfra": "k", "novita": "k"})
    one.client._transport = MockTransport(ServerError("no", billable=True, status_code=503))
    with pytest.raises(ServerError) as caught:
        one.ask(model=[MODEL, "deepseek-v3.2@novita"], patience=24 * HOUR)
    assert caught.value.__notes__[0].startswith("no fallback: ")
    assert one.waits == []


def test_who_is_kept_out_by_calls_under_way_asks_again_soon():
    """The budget holds enough but for what is reserved: seconds, not until its reset."""
    one = Waiting(Budget(requests=1, window="day"))
    hold = holds_for(list(one.client.budgets), {}, one.clock(), "")[0]
    ledger = one.client._core.ledger
    record = Record(request_id="r", candidate="m@h", model="m", mode="chat", host="h", policy="p")
    lease = one.clock() + timedelta(hours=1)
    under_way = Reservation(
        id="r/0", at=one.clock(), lease_until=lease, amount=0, holds=(hold,), record=record
    )
    ledger.reserve(under_way)

    def ends():
        if len(one.waits) == 3:
            ledger.release("r/0", at=one.clock(), outcome="RateLimitError")

    one.during = ends
    done = one.ask(patience=24 * HOUR)
    assert len(one.waits) == 3 and sum(one.waits) < 10
    assert done.route.started_at == one.woke[-1]


def test_a_frozen_budget_is_not_waited_for():
    """Nobody knows when it ends."""
    one = Waiting(Budget("1", "day", name="daily"))
    one.client.budgets.freeze("daily", by="ann", why="test")
    with pytest.raises(BudgetFrozenError):
        one.ask(patience=24 * HOUR)
    assert one.waits == []
