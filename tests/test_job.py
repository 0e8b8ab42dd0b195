"""Totals of jobs and conversations: one forecast, not a sum of p90s; unknown is never zero."""

import asyncio
import inspect
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import Fixed, asks
from learning import ASK, Learning, models

from classifiers.scores import Quantiles
from policies import cheapest
from router import AsyncClient, Budget, Catalog, Client, InvalidRequestError, SQLiteLedger
from router.money import to_pico, to_usd
from router.testing import AsyncMockTransport, FakeClock, MockTransport, reply

SMALL, LARGE = "small@h", "large@h"


@pytest.fixture(params=[Client, AsyncClient])
def cls(request):
    return request.param


def made(cls=Client, **given):
    transport = (MockTransport if cls is Client else AsyncMockTransport)(reply("x"))
    defaults = {
        "catalog": models("small", "large", "free"),
        "candidates": [SMALL],
        "base_urls": {"h": "http://localhost:1"},
        "policy": cheapest(),
        "scorer": Fixed(),
        "ledger": SQLiteLedger(":memory:"),
        "now": FakeClock(),
    }
    return cls(transport=transport, **(defaults | given))


def of(found):
    return asyncio.run(found) if inspect.isawaitable(found) else found


def test_a_job_of_one_is_its_forecast(cls):
    """To the last digit, quantiles and ceiling too."""
    client = made(cls)
    one = of(client.plan(ASK, model=SMALL)).forecast
    job = of(client.plan_job([ASK], model=SMALL))
    assert (job.cost, job.cost_p50, job.cost_p90) == (one.cost, one.cost_p50, one.cost_p90)
    assert job.cost_p10 <= job.cost_p50 <= job.cost_p90 <= job.cost_p99
    assert (job.ceiling, job.sum_of_p90) == (one.cost_ceiling, one.cost_p90)
    assert (job.tokens.p50, job.tokens.p90) == pytest.approx((100, 300))
    assert job.requests[0].forecast == one


def test_a_total_is_less_than_the_sum_of_p90s(cls):
    """Of a hundred answers not all are long at once; the mean is the sum of means."""
    job = of(made(cls).plan_job(asks(100), model=SMALL))
    assert len(job.requests) == 100
    assert job.cost == sum(r.forecast.cost for r in job.requests)
    assert job.sum_of_p90 == sum(r.forecast.cost_p90 for r in job.requests)
    assert job.cost_p50 < job.cost_p90 < 0.7 * job.sum_of_p90
    assert job.ceiling == sum(r.forecast.cost_ceiling for r in job.requests)
    assert job.cost_p99 < job.ceiling
    assert job.tokens.mean == pytest.approx(100 * 120)
    assert job.cost_p90_usd == to_usd(job.cost_p90)
    assert job.by_candidate[SMALL].requests == 100
    assert job.by_candidate[SMALL].cost == job.cost


def test_requests_may_have_arguments_of_their_own():
    """A mapping's own arguments go over those that all share; nothing is sent or reserved."""
    client = made(candidates=[SMALL, LARGE])
    job = client.plan_job(
        [ASK, {"messages": ASK, "model": LARGE}, {"messages": ASK, "max_tokens": 7}],
        model=SMALL,
        max_tokens=50,
    )
    assert [r.candidate for r in job.requests] == [SMALL, LARGE, SMALL]
    assert [r.forecast.max_tokens for r in job.requests] == [50, 50, 7]
    assert client._transport.calls == []
    assert list(client._core.ledger.entries()) == []


def test_an_unknown_price_leaves_no_total(cls):
    """The total is None and names who has no price; tokens are known all the same."""
    rows = models("small", "large", "free")
    del rows["rate"][2]
    client = made(cls, catalog=rows)
    job = of(client.plan_job([ASK, {"messages": ASK, "model": "free@h"}], model=SMALL))
    costs = (job.cost, job.cost_p10, job.cost_p50, job.cost_p90, job.cost_p99)
    assert costs == (None,) * 5
    assert (job.ceiling, job.sum_of_p90, job.cost_usd) == (None,) * 3
    assert job.unpriced == ("free@h",)
    assert "no total: the price of free@h is not known" in str(job)
    assert job.by_candidate[SMALL].cost > 0
    assert job.by_candidate["free@h"].cost is None
    assert job.tokens.mean == pytest.approx(240)
    capped = of(made(cls, catalog=rows, unpriced="ceiling").plan_job([ASK], model="free@h"))
    assert capped.cost > 0


def talk(turns, **given):
    client = made(**given)
    return client.plan_job([{"messages": ASK, "turns": turns}], model=SMALL)


def by_hand(turns, *, cached, visible=120.0, question=None):
    """Expected cost at 1 USD a million, in and out, of a history that grows."""
    client = made()
    first = client.plan(ASK, model=SMALL).forecast
    read = client._core.services().read_input
    question = len(read(ASK)) if question is None else question
    pico = 0.0
    for k in range(turns):
        tokens = first.input_tokens + k * (question + visible)
        before = tokens - question - visible if k else 0.0
        pico += (tokens - before) + before * cached + 120.0
    return pico * 10**6


def test_a_conversation_pays_for_its_history():
    """Each turn sends all that was said before again; without a cache at the full price."""
    job = talk(5)
    assert job.cost == pytest.approx(by_hand(5, cached=1.0), rel=1e-3)
    assert job.requests[0].turns == 5
    assert job.cost > 5 * job.requests[0].forecast.cost
    assert job.cost_p90 < job.ceiling
    assert talk(1).cost == made().plan(ASK, model=SMALL).forecast.cost


def cheap_reads(**rule):
    rows = models("small", "large", "free")
    rows["rate"][0]["cache_read"] = "0.1"
    rows["endpoint"][0]["cache"] = "c"
    return rows | {"cache": [{"name": "c"} | rule]}


def test_a_conversation_is_read_from_the_cache():
    """Where the host caches, what was sent before is cheap, from its minimum on, in its units."""
    warm = talk(5, catalog=cheap_reads()).cost
    assert warm == pytest.approx(by_hand(5, cached=0.1), rel=5e-3)
    never = talk(5, catalog=cheap_reads(min_tokens=100_000)).cost
    assert never == pytest.approx(by_hand(5, cached=1.0), rel=1e-3)
    units = talk(5, catalog=cheap_reads(unit_tokens=64)).cost
    assert warm < units < never


def test_reasoning_is_not_sent_again():
    """Only what is visible stays in the history."""
    visible = Quantiles(25, 50, 150, 200, 60)
    half = talk(5, scorer=Fixed(visible=visible)).cost
    assert half == pytest.approx(by_hand(5, cached=1.0, visible=60.0), rel=1e-3)
    hidden = talk(5, scorer=Fixed(reasoning=Quantiles(25, 50, 150, 200, 60))).cost
    assert hidden == half


def test_a_conversation_ends_at_the_context():
    """Turns that would not fit are not counted, and a note says so."""
    job = talk(1000)
    (note,) = job.notes
    fitted = job.requests[0].turns
    assert 10 < fitted < 1000
    assert note == (
        f"requests[0]: turn {fitted + 1} would not fit into the context of small@h (10,000 "
        f"tokens): {fitted} counted"
    )
    assert note in str(job)


def test_budgets_say_whether_they_hold(cls):
    """The p90 of what counts against a budget, and its ceilings, beside what is left of it."""
    client = made(
        cls,
        candidates=[SMALL, LARGE],
        budgets=[Budget("1", "day"), Budget("0.02", "month", {"team": "search"}), Budget("9")],
    )
    mine = {"messages": ASK, "tags": {"team": "search"}}
    job = of(client.plan_job([*asks(100), *[mine] * 50], model=SMALL))
    fits = {fit.budget: fit for fit in job.budgets}
    assert len(fits) == 3
    day = fits["$1.000000 a day"]
    assert (day.left, day.p90_fits, day.ceiling_fits) == (to_pico("1"), True, True)
    team = fits["$0.020000 a month, team=search"]
    assert team.left_usd == to_usd(to_pico("0.02"))
    assert (team.p90_fits, team.ceiling_fits) == (True, False)
    assert "the p90 fits, the ceiling does not fit" in str(job)
    assert of(client.plan_job([ASK], model=SMALL, budget="0.5")).budgets[0].p90_fits


def test_a_job_is_a_table():
    """Who answers how many at what cost, the quantiles of the total, and the sum beside it."""
    text = str(made(candidates=[SMALL, LARGE]).plan_job([ASK, ASK], model=SMALL))
    lines = text.splitlines()
    assert lines[0].split() == ["candidate", "requests", "expected", "ceiling"]
    assert lines[1].split()[:2] == [SMALL, "2"]
    assert lines[2].startswith("together")
    assert lines[3].startswith("total: p10 $0.")
    assert lines[4].startswith("the sum of all p90s would be $0.")
    assert lines[5].startswith("tokens: ")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([ASK, {"messages": ASK, "turns": 0}], "turns: expected a whole number from 1"),
        ([ASK, {"messages": ASK, "turns": True}], "turns: expected"),
        ([ASK, {"model": SMALL}], "messages: expected a list"),
        ([ASK, "Hi"], "messages: expected a list"),
        ([ASK, {"messages": ASK, "max_tokens": 0}], "max_tokens: expected"),
    ],
)
def test_a_bad_request_is_named(given, message):
    """The error is that of a single call, and says which request it was."""
    with pytest.raises(InvalidRequestError, match=message) as caught:
        made().plan_job(given)
    assert caught.value.__notes__ == ["in requests[1]"]


def test_an_empty_job_is_nothing():
    """No request, no cost: that is known, so it is zero."""
    job = made().plan_job([])
    assert (job.cost, job.cost_p90, job.ceiling, job.tokens.mean) == (0, 0, 0, 0)
    assert "together" in str(job)


def test_requests_are_taken_one_by_one():
    """A generator is read as it is planned, and no prompt is kept."""
    client, planned = made(scorer=Learning()), []

    def some():
        for ask in asks(5):
            planned.append(len(client.scorer.prompts))
            yield ask

    job = client.plan_job(some(), model=SMALL)
    assert planned == [0, 1, 2, 3, 4]
    assert "zebra" not in repr(job)


@settings(max_examples=30)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.sampled_from(["prior", "route"]))
def test_totals_are_in_order(turns, basis):
    """Quantiles rise, the mean lies between, nothing is above the ceiling."""
    client = made(scorer=Fixed(basis=basis), catalog=Catalog.load(cheap_reads()))
    job = client.plan_job([{"messages": ASK, "turns": n} for n in turns], model=SMALL)
    assert 0 < job.cost_p10 <= job.cost_p50 <= job.cost_p90 <= job.cost_p99 <= job.ceiling
    assert job.cost_p10 <= job.cost <= job.cost_p99
    assert job.input_tokens == sum(r.input_tokens for r in job.requests)
    assert sum(r.turns for r in job.requests) == sum(turns)
    assert math.isfinite(job.tokens.p99)
