"""What only the asynchronous client can meet: tasks cancelled at any point, many at once."""

import asyncio

import pytest
from calling import MESSAGES, AsyncCaller
from wire import REPEAT, STALL, Answer
from wire_bodies import deepseek, deepseek_error, event, stream

from router import AsyncClient, Budget
from router.errors import BudgetExceededError, RouterError

MODEL = "deepseek-v3.2@deepinfra"


@pytest.fixture
def caller(wire, tmp_path, clock, short_backoff):
    return AsyncCaller(wire, tmp_path / "ledger.sqlite3", clock)


@pytest.fixture
async def client(caller):
    async with AsyncClient(**caller.settings("deepinfra")) as made:
        yield made


async def arrived(wire, calls=1):
    """Wait until so many calls are at the host."""
    for _ in range(calls):
        await asyncio.to_thread(wire.arrived.acquire, timeout=5)


async def test_a_cancelled_call_is_charged_what_was_reserved(client, caller, wire):
    """Under a hard budget a call cancelled in flight is settled at its ceiling."""
    wire.script("deepinfra", Answer((STALL,)))
    task = asyncio.create_task(
        client.chat.completions.create(MESSAGES, model=MODEL, budget="1.00")
    )
    await arrived(wire)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    entry = caller.entry()
    assert (entry.kind, entry.outcome, entry.estimated) == ("settle", "cancelled", True)
    assert (
        entry.cost == entry.reserved == (entry.usage.input_tokens + 32) * 260_000 + 500 * 380_000
    )
    assert await asyncio.to_thread(wire.gone.wait, 2)


async def test_a_second_cancellation_leaves_nothing_open_either(client, caller, wire):
    """Cancelled again while the first cancellation unwinds: the ledger was written already."""
    wire.script("deepinfra", Answer((STALL,)))
    task = asyncio.create_task(client.chat.completions.create(MESSAGES, model=MODEL, budget="1"))
    await arrived(wire)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caller.entry().outcome == "cancelled"


async def test_a_timeout_of_the_callers_own_settles(client, caller, wire):
    """asyncio.timeout around a call is a cancellation like any other."""
    wire.script("deepinfra", Answer((STALL,)))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await client.chat.completions.create(MESSAGES, model=MODEL, budget="1")
    assert caller.entry().outcome == "cancelled"


@pytest.mark.parametrize("steps", range(12))
async def test_cancelled_at_any_step_nothing_stays_open(caller, wire, steps):
    """However far a call has come when it is cancelled, its reservation is resolved."""
    wire.script("deepinfra", deepseek())
    async with AsyncClient(**caller.settings("deepinfra")) as client:
        await client.plan(MESSAGES, model=MODEL)  # reads what is read once
        task = asyncio.create_task(
            client.chat.completions.create(MESSAGES, model=MODEL, budget="1")
        )
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    for entry in caller.entries():
        assert entry.outcome == "cancelled"


@pytest.mark.parametrize("hard", [False, True])
async def test_a_cancelled_stream_is_charged_what_came(client, caller, wire, hard):
    """Cancelled while it waits for the next piece: the pieces before are settled.

    Under a hard budget what may be on its way is charged besides: this host stops when it is left.
    """
    wire.script("deepinfra", stream(event({"content": "one two"}), STALL))
    budget = Budget("1", "request", hard=hard)
    made = await client.chat.completions.create(MESSAGES, model=MODEL, stream=True, budget=budget)
    assert (await anext(made)).text == "one two"
    task = asyncio.create_task(anext(made))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    entry = caller.entry()
    assert (entry.outcome, entry.usage.output_tokens) == ("cancelled", 2)
    output_tokens = 2 + 128 * hard
    assert entry.cost == entry.usage.input_tokens * 260_000 + output_tokens * 380_000
    assert await asyncio.to_thread(wire.gone.wait, 2)
    await made.close()


async def test_a_stream_closed_early_is_charged_what_came(client, caller, wire):
    """Closing lets the connection go; closing twice is closing once."""
    wire.script("deepinfra", stream(event({"content": "one"}), REPEAT))
    async with await client.chat.completions.create(MESSAGES, model=MODEL, stream=True) as made:
        for _ in range(3):
            await anext(made)
        with pytest.raises(RouterError, match="has not ended"):
            _ = made.route
    await made.close()
    entry = caller.entry()
    assert (entry.outcome, entry.usage.output_tokens, entry.estimated) == ("closed", 3, True)
    assert await asyncio.to_thread(wire.gone.wait, 2)
    with pytest.raises(StopAsyncIteration):
        await anext(made)
    assert (made.route.cost.pico, made.route.usage) == (entry.cost, entry.usage)


async def test_cancelled_while_waiting_to_retry_nothing_is_open(client, caller, wire):
    """Between two attempts no money is set aside."""
    wire.script("deepinfra", deepseek_error(429, "slow", Retry_After="7"))
    task = asyncio.create_task(client.chat.completions.create(MESSAGES, model=MODEL, budget="1"))
    await arrived(wire)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caller.entry().outcome == "http_429"


async def test_many_tasks_never_pass_a_hard_budget(caller, wire):
    """Forty calls at once against money for some: the rest are refused, the sum holds."""
    usage = {"prompt_tokens": 19, "completion_tokens": 500}
    wire.script("deepinfra", *[deepseek(usage=usage)] * 40)
    budget = Budget("0.0006", "day")
    async with AsyncClient(**caller.settings("deepinfra", budgets=budget)) as client:
        made = [client.chat.completions.create(MESSAGES, model=MODEL) for _ in range(40)]
        results = await asyncio.gather(*made, return_exceptions=True)
    served = [r.route.cost.pico for r in results if not isinstance(r, BaseException)]
    assert all(type(r) is BudgetExceededError for r in results if isinstance(r, BaseException))
    each = 19 * 260_000 + 500 * 380_000
    assert set(served) == {each}
    assert budget.limit_pico - 2 * each < sum(served) <= budget.limit_pico
    assert sum(e.cost for e in caller.entries()) == sum(served)


async def test_one_failure_in_a_group_cancels_the_others_cleanly(client, caller, wire):
    """A TaskGroup that fails cancels its siblings in flight: every reservation is resolved."""
    wire.script("deepinfra", *[Answer((STALL,))] * 5)

    async def fail():
        await arrived(wire, calls=5)
        raise ValueError("enough")

    with pytest.raises(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(
                    client.chat.completions.create(MESSAGES, model=MODEL, budget="1")
                )
            group.create_task(fail())
    entries = caller.entries()
    assert [e.outcome for e in entries] == ["cancelled"] * 5
    assert all(e.cost == e.reserved for e in entries)
