"""The flow driven by hand: no transport, no ledger, no clock but the ones written here."""

from __future__ import annotations

from dataclasses import replace

import pytest
from by_hand import LARGE, NOW, SMALL, ask, finish, to_reserve

from router import flow
from router.budgets import Balance
from router.effects import Balances, Release, Reserve, Send, Settle, Sleep
from router.errors import (
    BudgetExceededError,
    InsufficientBalanceError,
    LedgerError,
    ProviderTimeoutError,
    ServerError,
)
from router.money import to_pico
from router.services import Services
from router.testing import reply


def test_a_request_reserves_sends_and_settles(services: Services) -> None:
    """The straight line: what is reserved is the worst case, what is settled the truth."""
    line = flow.complete(ask(), services)
    reservation = to_reserve(line).reservation
    assert reservation.record.candidate == SMALL
    # no max_tokens was given: room for a long answer, but for what the model can give
    assert reservation.amount == 42 * to_pico("1") // 10**6 + 500 * to_pico("2") // 10**6
    send = line.send(None)
    assert isinstance(send, Send)
    assert send.call.max_tokens == 500
    settle = line.send(reply("Hello", input_tokens=10, output_tokens=7))
    assert isinstance(settle, Settle)
    assert settle.settlement.cost.pico == (10 * to_pico("1") + 7 * to_pico("2")) // 10**6
    got, route = finish(line, None)
    assert got.body["choices"][0]["message"]["content"] == "Hello"
    assert (route.candidate, route.usage.output_tokens) == (SMALL, 7)
    assert route.decision.rejected[LARGE].startswith("dearer")
    assert [a.outcome for a in route.attempts] == ["ok"]


def test_max_tokens_sent_is_what_was_reserved(services: Services) -> None:
    """The caller's own max_tokens is reserved and sent, no more and no less."""
    line = flow.complete(ask(max_tokens=33), services)
    reservation = to_reserve(line).reservation
    assert reservation.amount == (42 * to_pico("1") + 33 * to_pico("2")) // 10**6
    assert line.send(None).call.max_tokens == 33


def test_without_budgets_nothing_limits_the_answer(services: Services) -> None:
    """No budget: no balance is read, no max_tokens is sent."""
    line = flow.complete(ask(), replace(services, budgets=()))
    assert isinstance(next(line), Reserve)
    assert line.send(None).call.max_tokens is None


def test_a_refusal_before_anything_is_sent(services: Services) -> None:
    """When the budget holds too little for anyone, the first effect is the last."""
    line = flow.complete(ask(), services)
    next(line)
    with pytest.raises(BudgetExceededError) as caught:
        line.send([Balance(spent=to_pico("1.00") - 1)])
    assert caught.value.remaining == caught.value.limit - caught.value.spent


def test_a_failed_host_is_released_and_the_next_one_tried(services: Services) -> None:
    """402 costs nothing: the reservation returns and the fallback gets one of its own."""
    line = flow.complete(ask(), services)
    to_reserve(line)
    line.send(None)
    release = line.throw(InsufficientBalanceError("empty", candidate=SMALL, status_code=402))
    assert isinstance(release, Release)
    assert (release.reservation_id, release.outcome) == ("r/0", "http_402")
    second = line.send(None)
    assert isinstance(second, Reserve)
    assert (second.reservation.id, second.reservation.record.candidate) == ("r/1", LARGE)
    line.send(None)
    line.send(reply("Hello"))
    _, route = finish(line, None)
    assert [(a.candidate, a.outcome) for a in route.attempts] == [
        (SMALL, "http_402"),
        (LARGE, "ok"),
    ]


def test_overload_is_retried_with_backoff(services: Services) -> None:
    """503 waits and tries the same candidate again, at most `max_retries` times."""
    line = flow.complete(ask(max_retries=1), services)
    to_reserve(line)
    line.send(None)
    assert isinstance(line.throw(ServerError("busy", status_code=503)), Release)
    assert line.send(None) == Sleep(0.25)
    again = line.send(None)
    assert again.reservation.record.candidate == SMALL
    line.send(None)
    line.throw(ServerError("busy", status_code=503))
    assert line.send(None).reservation.record.candidate == LARGE


def test_the_last_failure_names_what_was_tried(services: Services) -> None:
    """When everyone fails, the last error is raised, with a note of all attempts."""
    line = flow.complete(ask(max_retries=0), services)
    to_reserve(line)
    line.send(None)
    line.throw(ServerError("one", status_code=500))
    line.send(None)
    line.send(None)
    line.throw(ServerError("two", status_code=503))
    with pytest.raises(ServerError, match="two") as caught:
        line.send(None)
    assert caught.value.__notes__ == [f"tried: {SMALL}: http_500; {LARGE}: http_503"]


def test_a_lost_answer_is_charged_in_full(services: Services) -> None:
    """A time-out after sending may have been billed: all that was reserved is assumed."""
    line = flow.complete(ask(), services)
    reservation = to_reserve(line).reservation
    line.send(None)
    settle = line.throw(ProviderTimeoutError("late", candidate=SMALL, billable=True))
    assert isinstance(settle, Settle)
    assert settle.settlement.cost.pico == reservation.amount
    assert settle.settlement.estimated
    # and it is not repeated where it may have been charged already
    assert line.send(None).reservation.record.candidate == LARGE


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), SystemExit()])
def test_an_interrupted_call_is_settled_on_the_way_out(
    services: Services, interruption: BaseException
) -> None:
    """Ctrl-C settles what is open and then passes."""
    line = flow.complete(ask(), services)
    to_reserve(line)
    line.send(None)
    assert isinstance(line.throw(interruption), Settle)
    with pytest.raises(type(interruption)):
        line.send(None)


def test_an_interrupted_reservation_is_returned(services: Services) -> None:
    """Interrupted while reserving, it may have been made: it is released."""
    line = flow.complete(ask(), services)
    to_reserve(line)
    assert isinstance(line.throw(KeyboardInterrupt()), Release)
    with pytest.raises(KeyboardInterrupt):
        line.send(None)


def test_a_budget_taken_meanwhile_falls_to_a_cheaper_candidate(services: Services) -> None:
    """Refused when reserving (others were faster), the next candidate is tried."""
    refused = BudgetExceededError("x", budget="b", limit=0, spent=0, reserved=0, requested=0)  # type: ignore[arg-type]
    line = flow.complete(ask(), services)
    to_reserve(line)
    second = line.throw(refused)
    assert isinstance(second, Reserve)
    assert second.reservation.record.candidate == LARGE
    with pytest.raises(BudgetExceededError):
        line.throw(refused)


def test_an_answer_is_handed_over_though_the_ledger_fails(services: Services) -> None:
    """The answer is paid for; the reservation stands and a note says so."""
    line = flow.complete(ask(), services)
    to_reserve(line)
    line.send(None)
    line.send(reply("Hello"))
    with pytest.raises(StopIteration) as stop:
        line.throw(LedgerError("disk full"))
    got, route = stop.value.value
    assert got is not None
    assert "the reservation stands" in route.notes[0]


def test_an_answer_without_usage_is_counted(services: Services) -> None:
    """A host that reports no tokens gets them counted, marked as estimated."""
    line = flow.complete(ask(), services)
    to_reserve(line)
    line.send(None)
    settle = line.send(reply("one two three", usage=False))
    assert settle.settlement.usage.output_tokens == 3
    assert settle.settlement.estimated


def test_a_plan_neither_reserves_nor_sends(services: Services) -> None:
    """`plan` reads balances and decides; it has no other effect."""
    line = flow.plan(ask(), services)
    assert isinstance(next(line), Balances)
    with pytest.raises(StopIteration) as stop:
        line.send([Balance()])
    assert stop.value.value.decision.chosen == SMALL
    assert set(stop.value.value.forecasts) == {SMALL, LARGE}


def test_a_followed_up_conversation_expects_a_warm_cache(services: Services) -> None:
    """What was sent before is expected in the host's cache the next time, after seconds."""
    first = tuple({"role": "user", "content": f"{i}"} for i in range(20))
    line = flow.complete(ask(messages=first), services)
    to_reserve(line)
    line.send(None)
    line.send(reply("Hello", input_tokens=200))
    finish(line, None)
    later = replace(services, now=lambda: NOW.replace(minute=5))
    longer = (*first, {"role": "assistant", "content": "a"}, {"role": "user", "content": "b"})
    line2 = flow.plan(ask(messages=longer), later)
    next(line2)
    with pytest.raises(StopIteration) as stop:
        line2.send([Balance()])
    planned = stop.value.value
    assert planned.forecasts[SMALL].cache_read_tokens == 192  # whole units of 64
    assert planned.forecasts[LARGE].cache_read_tokens == 0
