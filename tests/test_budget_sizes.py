"""How much is set aside for a call: the worst case, or a quantile of it, and what follows."""

import math
from collections import deque
from contextlib import suppress
from dataclasses import replace

import pytest
from by_hand import CATALOG, LARGE, NOW, SMALL, ask, services  # noqa: F401 - a fixture
from calling import FixedScorer, in_order
from hypothesis import given, settings
from hypothesis import strategies as st

from router import Budget, Client, flow
from router.budgets import Balance, holds_for
from router.errors import BudgetExceededError
from router.forecast import input_bound
from router.ledgers.sqlite import SQLiteLedger
from router.money import to_pico, to_usd
from router.pricing import ceiling
from router.testing import FakeClock, MockTransport, reply
from router.types import Reply, Usage

MESSAGES = [{"role": "user", "content": "Which colour has a zebra?"}]


class Host(MockTransport):
    """Answers with the usage that `takes` says of a call, and notes what is reserved meanwhile."""

    def __init__(self, takes, peek=lambda: None):
        super().__init__()
        self.takes, self.peek, self.seen = takes, peek, []

    def send(self, call):
        self.calls.append(call)
        self.seen.append(self.peek())
        inputs, output = self.takes(call)
        usage = Usage(input_tokens=inputs, output_tokens=output)
        return Reply(body=reply("x").body, usage=usage, finish_reason="stop")


def worst(call):
    """All that may be billed."""
    return input_bound(call.candidate, call.input_tokens, 0), call.max_tokens


def made(takes=worst, **changes):
    """A client of both models in the order they were asked for; its ledger is in memory."""
    host = Host(takes)
    client = Client(
        **{
            "transport": host,
            "catalog": CATALOG,
            "hosts": ["h"],
            "ledger": SQLiteLedger(":memory:"),
            "scorer": FixedScorer(),
            "policy": in_order,
            "now": FakeClock(),
            "environ": {},
        }
        | changes
    )
    host.peek = lambda: {(s.name, s.unit): s.reserved for s in client.budgets.status()}
    return client, host


def create(client, model=SMALL, **arguments):
    return client.chat.completions.create(MESSAGES, model=model, **arguments)


def rates(name):
    return CATALOG.rates(CATALOG.candidate(name, at=NOW), NOW)


@pytest.mark.parametrize(
    ("limit", "asked", "told"),
    [
        ("1", None, 500),  # 1.25 x the p99 of 400
        ("1", 7, 7),
        ("1", 10_000, 500),  # the candidate's own cap
        ("0.001", None, None),  # what the budget can pay
    ],
)
def test_a_strict_budget_reserves_what_the_host_is_told(limit, asked, told):
    """The row in the ledger is the worst case of exactly the `max_tokens` that are sent."""
    client, host = made(budgets=Budget(limit, name="b"))
    route = create(client, max_tokens=asked).route
    (call,), forecast = host.calls, route.forecasts[SMALL]
    bound = worst(call)[0]
    most = ceiling(bound, call.max_tokens, rates(SMALL))
    assert call.max_tokens == forecast.max_tokens
    assert told in {call.max_tokens, None}
    assert most == forecast.cost_ceiling
    assert host.seen == [{("b", "usd"): to_usd(most)}]
    (entry,) = client._core.ledger.entries()
    assert (entry.reserved, entry.cost, entry.overage) == (most, most, 0)
    if told is None:
        assert 300 <= call.max_tokens < 500, "no shorter than the forecast's p90"
        assert ceiling(bound, call.max_tokens + 1, rates(SMALL)) > to_pico(limit) >= most
        assert any("what the budget can pay" in note for note in forecast.notes)


def test_too_little_for_a_short_answer():
    """What cannot pay for the forecast's p90 refuses, and says what it would take."""
    client, host = made(budgets="0.0005")
    with pytest.raises(BudgetExceededError) as caught:
        create(client)
    assert host.calls == []
    rich, _ = made(budgets=Budget("1", quantile=0.9))
    likely = rich.plan(MESSAGES, model=SMALL).forecasts[SMALL].cost_likely
    assert caught.value.requested == to_usd(likely), "the worst case of an answer at the p90"


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_an_expected_budget_reserves_its_quantile(quantile):
    """As much as the forecast says is exceeded by one call in 1/(1-q); the host may take more."""
    client, host = made(lambda call: (5, 20), budgets=Budget("1", name="b", quantile=quantile))
    forecast = create(client).route.forecasts[SMALL]
    likely = {0.5: 100, 0.9: 300, 0.99: 400}[quantile]
    bound = worst(host.calls[0])[0]
    # Between the knots that a forecast names lengths are interpolated: a token either way.
    near = [ceiling(bound, likely + more, rates(SMALL)) for more in (-1, 0, 1)]
    assert forecast.cost_likely in near
    assert host.calls[0].max_tokens == forecast.max_tokens == 500
    assert host.seen == [{("b", "usd"): to_usd(forecast.cost_likely)}]
    (entry,) = client._core.ledger.entries()
    assert (entry.reserved, entry.overage) == (forecast.cost_likely, 0)


def test_an_overage_is_recorded_and_blocks_the_next():
    """A call that takes more than its quantile is charged in full; then nothing fits any more."""
    client, _ = made(budgets=Budget("0.0007", name="b", quantile=0.9))
    forecast = create(client).route.forecasts[SMALL]
    (entry,) = client._core.ledger.entries()
    assert entry.cost == forecast.cost_ceiling
    assert entry.overage == forecast.cost_ceiling - forecast.cost_likely > 0
    (status,) = client.budgets.status()
    assert status.remaining < 0
    with pytest.raises(BudgetExceededError) as caught:
        create(client)
    assert caught.value.budget == "b"
    assert caught.value.remaining == 0


def test_each_budget_has_its_own_size():
    """One request, several budgets: each sets aside what is its own, in its own unit."""
    client, host = made(
        budgets=[
            Budget("1", name="strict", tokens=10_000, requests=5),
            Budget("1", "month", name="likely", quantile=0.5, tokens=10_000),
            Budget("1", "day", name="soft", hard=False, tokens=10_000),
        ]
    )
    forecast = create(client).route.forecasts[SMALL]
    assert host.seen == [
        {
            ("strict", "usd"): to_usd(forecast.cost_ceiling),
            ("strict", "tokens"): forecast.tokens_ceiling,
            ("strict", "requests"): 1,
            ("likely", "usd"): to_usd(forecast.cost_likely),
            ("likely", "tokens"): forecast.tokens_likely,
            ("soft", "usd"): to_usd(forecast.cost_p90),
            ("soft", "tokens"): forecast.input_tokens + 300,
        }
    ]
    assert forecast.cost_likely < forecast.cost_ceiling
    assert forecast.tokens_likely < forecast.tokens_ceiling


@pytest.mark.parametrize("quantile", [None, 0.5])
def test_a_lost_call_is_charged_what_was_set_aside(services, quantile):  # noqa: F811
    """Nobody says how it ended: dollars, tokens and a request as reserved, marked estimated."""
    budget = Budget("1", tokens=10_000, requests=5, quantile=quantile)
    services = replace(services, budgets=(budget,))
    line = flow.complete(ask(), services)
    effect = line.send(None)
    reservation = line.send([Balance() for _ in effect.holds]).reservation
    ledger = SQLiteLedger(":memory:")
    ledger.reserve(reservation)
    usd, tokens, requests = (hold.amount for hold in reservation.holds)
    holds = holds_for([budget], {}, reservation.at, "r")
    assert [b.reserved for b in ledger.balances(holds)] == [usd, tokens, requests]
    assert ledger.sweep(reservation.lease_until) == 0, "its lease has not ended"
    assert ledger.sweep(reservation.lease_until.replace(year=2027)) == 1
    (entry,) = ledger.entries()
    assert (entry.cost, entry.tokens, entry.requests) == (usd, tokens, requests)
    assert (entry.kind, entry.estimated) == ("expire", True)
    assert [(b.spent, b.reserved) for b in ledger.balances(holds)] == [
        (usd, 0),
        (tokens, 0),
        (requests, 0),
    ]
    line.close()


UNITS = st.sampled_from(["usd", "tokens", "requests"])
SHARES = st.floats(0, 1)


@st.composite
def strict_budgets(draw):
    """One to three strict budgets of random units, limits and windows."""
    limits = {
        "usd": st.integers(0, 20 * 10**9).map(to_usd),
        "tokens": st.integers(0, 3000),
        "requests": st.integers(0, 6),
    }
    found = []
    for i in range(draw(st.integers(1, 3))):
        units = draw(st.sets(UNITS, min_size=1))
        given_ = {unit: draw(limits[unit]) for unit in sorted(units)}
        window = draw(st.sampled_from(["total", "day", "month", "rolling 24h"]))
        scope = draw(st.sampled_from([{}, {"team": "*"}, {"model": "deepseek-small"}]))
        limit = given_.pop("usd", None)
        found.append(Budget(limit, window, scope, name=f"b{i}", **given_))
    return found


@settings(max_examples=60)
@given(
    strict_budgets(),
    st.lists(
        st.tuples(
            st.sampled_from([[SMALL], [LARGE], [SMALL, LARGE]]),
            st.one_of(st.none(), st.integers(1, 600)),
            SHARES,
            SHARES,
            st.booleans(),
        ),
        max_size=10,
    ),
)
def test_a_strict_budget_is_never_overspent(budgets, calls):
    """Whatever is asked and however long the answers: spent <= limit, always, in each unit."""
    shares = deque()

    def takes(call):
        some, much = shares[0]
        bound, most = worst(call)
        return math.floor(some * bound), math.floor(much * most) if most else 3

    ledger = SQLiteLedger(":memory:")
    clock = FakeClock()
    client, host = made(takes, budgets=budgets, ledger=ledger, tags={"team": "a"}, now=clock)
    for models, asked, some, much, failing in calls:
        shares.append((some, much))
        host.peek = _raising if failing else lambda: None
        with suppress(BudgetExceededError, InterruptedError):
            create(client, model=models, max_tokens=asked)
        shares.popleft()
        clock.advance(60)
        tags = {"team": "a", "model": "deepseek-small"}
        for hold, balance in zip(
            (holds := holds_for(budgets, tags, clock(), "")), ledger.balances(holds), strict=True
        ):
            assert balance.spent <= hold.limit, hold
            assert balance.reserved == 0
    ledger.check()
    covered = any(not budget.by_candidate for budget in budgets)
    for entry in ledger.entries():
        assert entry.overage == 0 or not (covered or entry.record.model == "deepseek-small")


def _raising():
    """The connection is lost midway: what was reserved is charged."""
    raise InterruptedError


@settings(max_examples=40)
@given(
    st.sampled_from([0.5, 0.9, 0.99]),
    st.integers(1, 10**10),
    st.lists(SHARES, min_size=1, max_size=8),
)
def test_the_overspend_of_a_quantile_is_bounded(quantile, limit, lengths):
    """With calls in flight at once: at most the sum of worst case less reserved, over them."""
    budget = Budget(to_usd(limit), name="b", quantile=quantile)
    ledger, begun, gaps = SQLiteLedger(":memory:"), [], []

    def takes(call):
        share = begun[-1]
        if lengths:
            following()  # while this one is on its way
        bound, most = worst(call)
        return bound, math.floor(share * most)

    client, _ = made(takes, budgets=budget, ledger=ledger)

    def following():
        begun.append(lengths.pop())
        try:
            forecast = create(client).route.forecasts[SMALL]
        except BudgetExceededError:
            return
        gaps.append(forecast.cost_ceiling - forecast.cost_likely)

    while lengths:
        following()
    (balance,) = ledger.balances(holds_for([budget], {}, NOW, ""))
    assert balance.spent - limit <= sum(gaps)
