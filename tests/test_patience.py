"""Requests that may wait: until a budget resets, or until the policy would send them."""

import asyncio
from datetime import timedelta

import pytest
from waiting import (
    ANSWER,
    HOUR,
    MESSAGES,
    MODEL,
    NOON,
    ONCE,
    Waiting,
    later,
    settings,
    soon_after_midnight,
)

from router import AsyncClient, Budget, DecisionRecord
from router.errors import (
    BudgetExceededError,
    BudgetFrozenError,
    DeferredError,
    InvalidRequestError,
    NoCandidateError,
)
from router.testing import AsyncMockTransport, FakeClock


@pytest.mark.parametrize("streamed", [False, True])
def test_it_waits_until_the_budget_resets(streamed):
    """With patience enough: in the next window it is served, from that one's money."""
    one = Waiting(ONCE)
    one.ask()
    done = one.ask(patience=12 * HOUR, stream=streamed)
    if streamed:
        list(done)
    assert one.waits == [12 * HOUR]
    assert done.route.started_at == NOON + timedelta(hours=12)
    assert [(s.spent, s.resets_at.day) for s in one.client.budgets.status()] == [(1, 24)]
    assert [e.at for e in one.client._core.ledger.entries()] == [NOON, done.route.started_at]


@pytest.mark.parametrize("patience", [0, 12 * HOUR - 1])
def test_without_patience_enough_it_is_refused_at_once(patience):
    """Not after a wait that would be in vain."""
    one = Waiting(ONCE)
    one.ask()
    with pytest.raises(BudgetExceededError) as caught:
        one.ask(patience=patience)
    assert one.waits == []
    assert caught.value.resets_at == NOON + timedelta(hours=12)


@pytest.mark.parametrize(
    ("budget", "freeze"),
    [
        (Budget("0.00000001", "day", name="b"), False),  # no window of it is enough
        (Budget(requests=0, window="day", name="b"), False),
        (Budget("0.00000001", "total", name="b"), False),
        (Budget("0.00000001", "request", name="b"), False),
        (Budget("1", "day", name="b"), True),
    ],
)
def test_what_waiting_would_not_help_is_refused_at_once(budget, freeze):
    """A limit below what the request takes, a budget without end or reset, a freeze."""
    one = Waiting(budget)
    if freeze:
        one.client.budgets.freeze("b", by="ann", why="loop")
    with pytest.raises(BudgetFrozenError if freeze else BudgetExceededError):
        one.ask(patience=30 * 24 * HOUR)
    assert one.waits == []


def test_it_waits_again_where_others_were_faster():
    """Each time a budget resets it is decided anew, as long as the patience lasts."""
    one = Waiting(ONCE)
    one.ask()
    one.during = lambda: one.ask() if len(one.waits) < 3 else None
    done = one.ask(patience=3 * 24 * HOUR)
    assert [at.day for at in one.woke] == [23, 24, 25]
    assert all(soon_after_midnight(at) for at in one.woke)
    assert done.route.started_at == one.woke[-1]
    one.during = one.ask
    with pytest.raises(BudgetExceededError):
        one.ask(patience=30 * HOUR)
    (again,) = one.woke[3:]
    assert again.day == 26 and soon_after_midnight(again)


def test_the_timeout_counts_from_when_it_is_sent():
    """The wait is not part of it: the call has its whole timeout, and so has its lease."""
    one = Waiting(ONCE)
    one.ask()
    one.ask(patience=12 * HOUR, timeout=30)
    assert one.waits
    assert 29 < one.host.calls[1].timeout <= 30


@pytest.mark.parametrize(
    "patience", [-1, True, "60", float("nan"), float("inf"), 31 * 86_400 + 1, [60]]
)
def test_values_that_make_no_sense(patience):
    """Refused before anything is read or sent."""
    one = Waiting(ONCE)
    with pytest.raises(InvalidRequestError, match="patience: expected seconds from 0") as caught:
        one.ask(patience=patience)
    assert caught.value.param == "patience"
    assert one.host.calls == []


def test_it_waits_until_the_policy_would_send_it():
    """Then the policy is asked again, and told how much patience is left."""
    policy = later(NOON + timedelta(hours=4))
    one = Waiting(policy=policy)
    done = one.ask(patience=5 * HOUR)
    (wait,) = one.waits
    assert 4 * HOUR <= wait <= 4 * HOUR + 30
    assert [left for _, left in policy.seen] == [5 * HOUR, pytest.approx(5 * HOUR - wait)]
    assert done.route.started_at == NOON + timedelta(seconds=wait)


@pytest.mark.parametrize("patience", [0, 4 * HOUR - 1])
def test_deferred(patience):
    """Without patience enough the error says when, and of which budget it speaks."""
    until = NOON + timedelta(hours=4)
    one = Waiting(Budget("1", "day", name="daily"), policy=later(until))
    with pytest.raises(DeferredError, match="2026-11-22 16:00 UTC") as caught:
        one.ask(patience=patience)
    assert caught.value.until == until
    assert (caught.value.budget, caught.value.limit) == ("daily", 1)
    assert (one.waits, one.host.calls) == ([], [])
    with pytest.raises(NoCandidateError, match="16:00 UTC"):
        Waiting(policy=later(until)).ask(patience=patience)


def test_what_is_past_defers_nothing():
    """An instant that has come is now."""
    one = Waiting(policy=later(NOON))
    assert one.ask().text == "x"
    assert one.waits == []


def test_a_plan_says_when():
    """It waits for nothing itself."""
    until = NOON + timedelta(hours=4)
    one = Waiting(policy=later(until))
    plan = one.client.plan(MESSAGES, model=MODEL, patience=5 * HOUR)
    assert plan.decision.defer_until == until
    assert one.waits == []
    kept = plan.record.to_json()
    assert DecisionRecord.from_json(kept).decision.defer_until == until


def test_an_interrupted_wait_leaves_nothing_behind():
    """Nothing is reserved while it waits."""
    one = Waiting(ONCE)
    one.ask()

    def interrupted():
        assert one.client.budgets.status()[0].reserved == 0
        raise KeyboardInterrupt

    one.during = interrupted
    with pytest.raises(KeyboardInterrupt):
        one.ask(patience=12 * HOUR)
    assert len(one.host.calls) == 1
    assert [e.kind for e in one.client._core.ledger.entries()] == ["settle"]


async def test_an_event_loop_is_free_meanwhile(monkeypatch):
    """`AsyncClient` waits without holding up the others."""
    clock, waits = FakeClock(NOON), []
    sleep = asyncio.sleep

    async def waited(seconds, *_):
        if seconds:
            waits.append(seconds)
            clock.advance(seconds)
        await sleep(0)

    monkeypatch.setattr("router._drive_async.asyncio.sleep", waited)
    host = AsyncMockTransport(ANSWER)
    async with AsyncClient(transport=host, **settings(clock, ONCE)) as client:
        ask = client.chat.completions.create
        await ask(MESSAGES, model=MODEL)
        done = await ask(MESSAGES, model=MODEL, patience=12 * HOUR)
    assert waits == [12 * HOUR]
    assert done.route.started_at.day == 23
