"""Warnings: each share of a budget once in a window, whoever listens, and at no answer's cost."""

import asyncio
import logging
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from calling import FixedScorer, in_order

from router import AsyncClient, Budget, Client
from router.errors import ConfigError, ConnectionFailedError, LedgerError
from router.ledgers.sqlite import SQLiteLedger
from router.testing import AsyncMockTransport, MockTransport, reply

SECRET = "the zebra of my grandmother"
MESSAGES = [{"role": "user", "content": f"Which colour has {SECRET}?"}]
MODEL = "deepseek-v3.2@deepinfra"
ANSWER = reply("x", input_tokens=10, output_tokens=90)


def settings(ledger, clock, listener, *budgets):
    return {
        "budgets": budgets,
        "ledger": ledger,
        "on_warning": listener,
        "keys": {"deepinfra": "k"},
        "scorer": FixedScorer(),
        "policy": in_order,
        "now": clock,
        "environ": {},
    }


@pytest.fixture
def made(clock):
    """Makes clients of one ledger, by default in memory; closes them."""
    clients = []

    def make(listener, *budgets, ledger=":memory:", answers=(ANSWER,)):
        host = MockTransport(*answers)
        clients.append(Client(transport=host, **settings(ledger, clock, listener, *budgets)))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def create(client, times=1, **arguments):
    for _ in range(times):
        done = client.chat.completions.create(MESSAGES, model=MODEL, **arguments)
    return done


def test_each_share_is_told_once(made):
    """As soon as it is reached, whatever the unit; the warning says what of how much is spent."""
    heard = []
    client = made(heard.append, Budget("1", tokens=2000, warn=(0.1, 0.05, 0.5), name="b"))
    create(client)
    (first,) = heard
    assert (first.budget, first.unit, first.share) == ("b", "tokens", 0.05)
    assert (first.spent, first.limit) == (100, 2000)
    assert str(first) == "the budget of b is spent to 5%: 100 of 2,000 tokens"
    create(client, 4)
    assert [w.share for w in heard] == [0.05, 0.1]
    create(client, 10)
    assert [(w.share, w.spent) for w in heard] == [(0.05, 100), (0.1, 200), (0.5, 1000)]


def test_one_call_may_reach_several_shares(made):
    """Each is told, the lowest first; of a soft budget, beyond its limit too."""
    heard = []
    budget = Budget("0.00001", hard=False, warn=[0.5, 1.0, 1.5, 9.0], name="soft")
    spent = create(made(heard.append, budget)).route.cost.usd
    assert [w.share for w in heard] == [0.5, 1.0, 1.5]
    assert {(w.spent, w.limit, w.unit) for w in heard} == {(spent, Decimal("0.00001"), "usd")}


def test_once_over_all_clients_of_a_ledger(made, tmp_path):
    """Two clients on one file: the first to reach the share tells, and nobody does again."""
    one, two = [], []
    budget = Budget(requests=4, warn=(0.5,), window="day")
    path = tmp_path / "ledger.sqlite3"
    first, second = made(one.append, budget, ledger=path), made(two.append, budget, ledger=path)
    create(first)
    create(second)
    create(first)
    assert (one, len(two)) == ([], 1)
    later = []
    create(made(later.append, budget, ledger=path))
    assert later == []


def test_again_in_the_next_window(made, clock):
    """A new day is warned of anew."""
    heard = []
    client = made(heard.append, Budget(requests=2, warn=(0.5,), window="day"))
    create(client, 2)
    clock.advance(24 * 3600)
    create(client, 2)
    starts = [datetime(2026, 11, day, tzinfo=UTC) for day in (22, 23)]
    assert [w.window_start for w in heard] == starts
    assert [w.resets_at.day for w in heard] == [23, 24]


def test_a_rolling_window_does_not_warn_in_each_bucket(made, clock):
    """Its start moves every few minutes: one warning in a span as long as the window."""
    heard = []
    client = made(heard.append, Budget(requests=100, warn=(0.01,), window="rolling 24h"))
    for _ in range(23):
        clock.advance(1800)
        create(client)
    assert len(heard) == 1
    assert heard[0].resets_at is None
    assert clock() - heard[0].window_start > clock() - clock().replace(hour=0)
    clock.advance(24 * 3600)
    create(client)
    assert len(heard) == 2


def test_each_account_of_a_star_is_told(made):
    """A budget for each team warns of each team."""
    heard = []
    client = made(heard.append, Budget(requests=2, scope={"team": "*"}, warn=(0.5,), name="team"))
    for team in ("search", "ads", "search"):
        create(client, tags={"team": team})
    assert [w.budget for w in heard] == ["team [team=search]", "team [team=ads]"]


def test_a_top_up_counts(made):
    """Shares are those of the limit as it is now."""
    heard = []
    client = made(heard.append, Budget(requests=2, warn=(0.5,), name="b"))
    client.budgets.top_up("b", 4, unit="requests", by="ann", why="launch")
    create(client, 2)
    assert heard == []
    create(client)
    assert heard[0].limit == 6


def test_a_cap_on_one_request_warns_of_nothing(made):
    """Nobody else spends from it."""
    heard = []
    create(made(heard.append, Budget("1", "request", warn=(0.00001,)), Budget("1")))
    assert heard == []


@pytest.mark.parametrize("streamed", [False, True])
def test_what_failed_but_was_charged_is_told(made, streamed):
    """A lost call counts, so its warning goes out, and the error reaches the caller."""
    heard = []
    lost = ConnectionFailedError("lost", billable=True)
    budget = Budget(requests=1, warn=(1.0,))
    client = made(heard.append, budget, answers=[lost])
    with pytest.raises(ConnectionFailedError):
        create(client, stream=streamed)
    assert len(heard) == 1


def test_a_stream_warns_at_its_end(made):
    """And one that is closed early does so too, for what came."""
    heard = []
    client = made(heard.append, Budget(requests=2, warn=(0.5, 1.0)))
    with create(client, stream=True) as stream:
        list(stream)
    assert [w.share for w in heard] == [0.5]
    with create(client, stream=True) as stream:
        next(stream)
    assert [w.share for w in heard] == [0.5, 1.0]


class Failing(SQLiteLedger):
    """A ledger that cannot tell what was warned of, or what there is, once it has settled."""

    def __init__(self, method):
        super().__init__(":memory:")
        self.method, self.settled = method, False

    def settle(self, reservation_id, settlement):
        self.settled = True
        return super().settle(reservation_id, settlement)

    def _check(self, method):
        if self.settled and self.method == method:
            raise LedgerError("disk full")

    def warned(self, key, window_start, share):
        self._check("warned")
        return super().warned(key, window_start, share)

    def balances(self, holds):
        self._check("balances")
        return super().balances(holds)


@pytest.mark.parametrize("method", ["warned", "balances"])
def test_a_failing_ledger_costs_a_warning_and_no_answer(made, method):
    """It is told by the next call for which the ledger works."""
    heard, ledger = [], Failing(method)
    client = made(heard.append, Budget(requests=9, warn=(0.1,)), ledger=ledger)
    assert create(client).text == "x"
    assert heard == []
    ledger.method = None
    create(client)
    assert len(heard) == 1


def test_nobody_listening_asks_the_ledger_nothing(made):
    """Without `on_warning` a call has no more to do; nor has one once all shares are told."""
    ledger = Failing("balances")
    client = made(None, Budget(requests=9, warn=(0.1,)), ledger=ledger)
    assert create(client).text == "x"
    heard, asked = [], []
    client = made(heard.append, Budget(requests=9, scope={}, warn=(0.1,)))
    create(client)
    before = client._core.ledger.balances
    client._core.ledger.balances = lambda holds: asked.append(holds) or before(holds)
    create(client)
    assert len(heard) == 1
    assert len(asked) == 1, "the plan's"


def test_a_listener_that_fails_costs_nothing(made, caplog):
    """The answer comes, the log says that it failed, and no word of the prompt is in it."""

    def listener(warning):
        raise ValueError("no mail server")

    client = made(listener, Budget(requests=9, warn=(0.1, 0.2)))
    assert create(client, 2).text == "x"
    assert [r.getMessage() for r in caplog.records] == ["on_warning failed"] * 2
    assert "no mail server" in caplog.text
    assert SECRET not in caplog.text


def test_a_client_does_not_await(made, caplog):
    """A coroutine function is for `AsyncClient`: refused at once. One in disguise is logged, and
    nothing warns of one left behind."""

    async def listener(warning):
        raise AssertionError

    with pytest.raises(ConfigError, match="only AsyncClient awaits a listener"):
        made(listener, Budget(requests=9, warn=(0.1,)))

    class Disguised:
        def __call__(self, warning):
            return listener(warning)

    disguised = made(Disguised(), Budget(requests=9, warn=(0.1,)))
    assert create(disguised).text == "x"
    assert "only AsyncClient awaits a listener" in caplog.text
    with pytest.raises(ConfigError, match="on_warning: expected a function"):
        made("https://chat.example/hook", Budget("1"))


async def _asked(clock, listener, *, raising=None):
    host = AsyncMockTransport(ANSWER)
    given = settings(":memory:", clock, listener, Budget(requests=9, warn=(0.1, 0.2)))
    async with AsyncClient(transport=host, **given) as client:
        for _ in range(3):
            done = await client.chat.completions.create(MESSAGES, model=MODEL)
    return done.text


@pytest.mark.parametrize("failing", [False, True])
async def test_an_async_client_awaits_its_listener(clock, caplog, failing):
    """A coroutine runs on the loop before the answer is handed out; if it fails, the log tells."""
    caplog.set_level(logging.WARNING, logger="router")
    heard = []

    async def listener(warning):
        await asyncio.sleep(0)
        heard.append(warning.share)
        if failing:
            raise ValueError("no mail server")

    assert await _asked(clock, listener) == "x"
    assert heard == [0.1, 0.2]
    assert len(caplog.records) == 2 * failing
    assert SECRET not in caplog.text


async def test_an_async_client_calls_a_plain_listener_in_a_thread(clock):
    """So that one that blocks does not hold up the loop."""
    import threading

    heard = []
    assert await _asked(clock, lambda w: heard.append(threading.current_thread())) == "x"
    assert len(heard) == 2
    assert threading.main_thread() not in heard
