"""What only the synchronous client can meet: streams left early, Ctrl-C, threads, one pool."""

import gc
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from calling import MESSAGES, SyncCaller
from wire import REPEAT, STALL, Answer
from wire_bodies import deepseek, deepseek_error, event, stream

from router import Budget, Client
from router.errors import BudgetExceededError, RouterError

MODEL = "deepseek-v3.2@deepinfra"


@pytest.fixture
def caller(wire, tmp_path, clock, short_backoff):
    return SyncCaller(wire, tmp_path / "ledger.sqlite3", clock)


@pytest.fixture
def client(caller):
    with Client(**caller.settings("deepinfra")) as made:
        yield made


def open_stream(client, **arguments):
    return client.chat.completions.create(MESSAGES, model=MODEL, stream=True, **arguments)


@pytest.mark.parametrize("hard", [False, True])
def test_a_stream_closed_early_is_charged_what_came(client, caller, wire, hard):
    """Closing lets the connection go, and settles the pieces that were read.

    Under a hard budget what may be on its way is charged besides: this host stops when it is left.
    """
    wire.script("deepinfra", stream(event({"content": "one"}), event({"content": " two"}), REPEAT))
    made = open_stream(client, budget=Budget("1", "request", hard=hard))
    read = [next(made).text for _ in range(3)]
    with pytest.raises(RouterError, match="has not ended"):
        _ = made.route
    made.close()
    made.close()
    assert wire.gone.wait(2)
    entry = caller.entry()
    assert (entry.outcome, entry.estimated) == ("closed", True)
    assert "".join(read) == "one two two"
    assert entry.usage.output_tokens == 3
    output_tokens = 3 + 128 * hard
    assert entry.cost == entry.usage.input_tokens * 260_000 + output_tokens * 380_000
    with pytest.raises(StopIteration):
        next(made)
    assert (made.route.cost.pico, made.route.usage) == (entry.cost, entry.usage)
    assert [a.outcome for a in made.route.attempts] == ["closed"]


def test_leaving_the_with_block_closes_the_stream(client, caller, wire):
    """An exception of the caller's own inside the block passes, and what came is settled."""
    wire.script("deepinfra", stream(event({"content": "one"}), STALL))
    with pytest.raises(ZeroDivisionError), open_stream(client) as made:
        next(made)
        _ = 1 / 0
    assert wire.gone.wait(2)
    assert caller.entry().outcome == "closed"


def test_a_stream_that_nobody_holds_is_settled(client, caller, wire):
    """Dropped without a close: the garbage collector's call settles it."""
    wire.script("deepinfra", stream(event({"content": "one"}), STALL))
    made = open_stream(client)
    next(made)
    del made
    gc.collect()
    assert caller.entry().outcome == "closed"


def test_a_stream_closed_before_its_first_piece_is_charged_in_full(client, caller, wire):
    """The host had accepted it and may be working unseen: nothing less is safe."""
    wire.script("deepinfra", stream(STALL))
    open_stream(client, budget="1").close()
    entry = caller.entry()
    assert entry.cost == entry.reserved > 0
    assert entry.usage.output_tokens == 0


def test_ctrl_c_in_a_call_charges_the_reservation(client, caller, wire):
    """Interrupted while waiting: the answer is lost, its reservation is spent, nothing is open."""
    wire.script("deepinfra", Answer((STALL,)))

    def interrupt():
        wire.arrived.acquire(timeout=5)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    helper = threading.Thread(target=interrupt)
    # A test run in the background of a shell has inherited to ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    helper.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            client.chat.completions.create(MESSAGES, model=MODEL, budget="1")
    finally:
        helper.join()
        signal.signal(signal.SIGINT, before)
    entry = caller.entry()
    assert (entry.outcome, entry.cost, entry.estimated) == ("cancelled", entry.reserved, True)


def test_many_calls_share_connections_and_learn_the_prefix(client, wire, clock):
    """One pool for all calls; what a host has seen is expected to be cached at the next call."""
    wire.script("deepinfra", *[deepseek()] * 3)
    long = [{"role": "system", "content": "Be brief. " * 400}, MESSAGES[1]]
    routes = []
    for _ in range(3):
        routes.append(client.chat.completions.create(long, model=MODEL).route)
        clock.advance(60)
    assert wire.connections == 1
    assert routes[0].forecast.cache_read_tokens == 0
    assert routes[2].forecast.cache_read_tokens > 500


def test_a_budget_refuses_before_anything_is_sent(client, wire, caller):
    """Too little for the dearest outcome: no request leaves, no entry is made."""
    with pytest.raises(BudgetExceededError) as caught:
        client.chat.completions.create(MESSAGES, model=MODEL, budget="0.000001")
    assert "Nothing was sent" in str(caught.value)
    assert wire.seen == []
    assert caller.entries() == []


def test_threads_never_pass_a_hard_budget(caller, wire):
    """Sixteen calls at once against money for some: the rest are refused, the sum holds."""
    usage = {"prompt_tokens": 19, "completion_tokens": 500}
    wire.script("deepinfra", *[deepseek(usage=usage)] * 16)
    budget = Budget("0.0006", "day")

    def one(_):
        try:
            return client.chat.completions.create(MESSAGES, model=MODEL).route.cost.pico
        except BudgetExceededError:
            return 0

    with Client(**caller.settings("deepinfra", budgets=budget)) as client:
        with ThreadPoolExecutor(16) as pool:
            costs = list(pool.map(one, range(16)))
        (status,) = client.budgets.status()
        assert (status.reserved, status.spent * 10**12) == (0, sum(costs))
    each = 19 * 260_000 + 500 * 380_000
    assert set(costs) == {each, 0}
    assert sum(costs) <= budget.limit_pico
    assert sum(costs) > budget.limit_pico - 2 * each
    assert sum(e.cost for e in caller.entries()) == sum(costs)


def test_no_retry_when_none_is_allowed(client, caller, wire):
    """max_retries=0 of one call means one request."""
    wire.script("deepinfra", deepseek_error(503, "busy"))
    with pytest.raises(RouterError):
        client.chat.completions.create(MESSAGES, model=MODEL, max_retries=0)
    assert len(wire.calls("deepinfra")) == 1
    assert caller.entry().cost == 0
