"""Candidates without a known price, and hosts that do not say what an answer took."""

import asyncio
import inspect

import pytest
from learning import ASK, Learning, models, staged

from router import AsyncClient, Client, ConfigError, UnpricedModelError
from router.errors import ConnectionFailedError, UsageError
from router.testing import chunks, reply

FREE = "free@h"


@pytest.fixture(params=[Client, AsyncClient])
def cls(request):
    return request.param


def made(*answers, cls=Client, **settings):
    """A client of two priced models and one that is not."""
    rows = models("small", "large", "free")
    del rows["rate"][2]
    return staged(
        *answers,
        cls=cls,
        catalog=rows,
        candidates=[FREE],
        policy=None,
        scorer=Learning(),
        **settings,
    )


def of(found):
    return asyncio.run(found) if inspect.isawaitable(found) else found


def test_by_default_it_is_served_at_unknown_cost_or_refused(cls):
    """Without a hard budget the cost stays unknown; with one the call is refused."""
    client = made(reply("x"), cls=cls)
    assert of(client.plan(ASK, model=FREE)).forecast.cost is None
    assert of(client.chat.completions.create(ASK, model=FREE)).route.cost is None
    with pytest.raises(UnpricedModelError):
        of(made(reply("x"), cls=cls, budgets="1").plan(ASK, model=FREE))


def test_deny_refuses_it_always(cls):
    """No budget is needed for that; beside a priced model it is only left out."""
    client = made(reply("x"), cls=cls, unpriced="deny")
    with pytest.raises(UnpricedModelError, match="unpriced='deny'") as caught:
        of(client.chat.completions.create(ASK, model=FREE))
    assert caught.value.reasons.keys() == {FREE}
    assert client.calls == []
    plan = of(client.plan(ASK, model=[FREE, "small@h"]))
    assert plan.decision.chosen == "small@h"
    assert "unpriced='deny'" in plan.decision.rejected[FREE]


@pytest.mark.parametrize("stream", [False, True])
def test_a_ceiling_is_forecast_reserved_and_charged(stream):
    """At the dearest known price of each kind: here those of "large", 10 USD a million."""
    client = made(reply("x", input_tokens=10, output_tokens=100), unpriced="ceiling", budgets="1")
    found = client.plan(ASK, model=FREE).forecast
    assert found.rates_id.startswith("ceiling:")
    assert 0 < found.cost <= found.cost_p90 <= found.cost_ceiling
    answer = client.chat.completions.create(ASK, model=FREE, stream=stream)
    if stream:
        list(answer)
    route = answer.route
    rates = client.catalog.ceiling_rates(client._core.now())
    assert route.cost.pico == (10 * rates.input + 100 * rates.output) // 10**6
    assert route.cost.rates_id == rates.id
    (entry,) = client.kept.entries()
    assert entry.cost == route.cost.pico > 0
    assert entry.overage == 0


def test_a_broken_stream_is_charged_at_the_ceiling_too():
    """What came of it is not free because nobody knows the price."""
    broken = [*chunks(reply("one two"))[:1], ConnectionFailedError("gone", billable=True)]
    client = made(broken, unpriced="ceiling", budgets="1")
    with (
        pytest.raises(ConnectionFailedError),
        client.chat.completions.create(ASK, model=FREE, stream=True) as stream,
    ):
        list(stream)
    (entry,) = client.kept.entries()
    assert entry.cost > 0


def test_an_unknown_mode_is_refused():
    """A word that means nothing is told at once."""
    with pytest.raises(ConfigError, match=r"unpriced: expected None, 'deny' or 'ceiling'"):
        Client(unpriced="free", ledger=":memory:")


def test_strict_usage_raises_after_settling(cls):
    """The answer is paid for, so it is in the error, with its route; the ledger has it."""
    client = staged(reply("the answer", usage=False), cls=cls, strict_usage=True)
    with pytest.raises(UsageError) as caught:
        of(client.chat.completions.create(ASK))
    error = caught.value
    assert error.completion.text == "the answer"
    assert error.route.usage.estimated
    assert error.route.cost.pico > 0
    assert error.completion.route == error.route
    (entry,) = client.kept.entries()
    assert (entry.cost, entry.outcome) == (error.route.cost.pico, "ok")


def test_strict_usage_of_a_stream():
    """At the end of the stream, when all of it was handed out."""
    client = staged(reply("one two", usage=False), strict_usage=True)
    words = []
    with (
        pytest.raises(UsageError) as caught,
        client.chat.completions.create(ASK, stream=True) as stream,
    ):
        words.extend(chunk.text for chunk in stream)
    assert "".join(words) == "one two"
    assert caught.value.completion is None
    assert caught.value.route.attempts[0].outcome == "ok"
    (entry,) = client.kept.entries()
    assert entry.cost > 0


def test_strict_usage_is_content_with_a_sound_count(cls):
    """A host that reports is not refused, nor is one by a client that is not strict."""
    assert (
        of(staged(reply("x"), cls=cls, strict_usage=True).chat.completions.create(ASK)).text == "x"
    )
    lenient = staged(reply("x", usage=False), cls=cls)
    assert of(lenient.chat.completions.create(ASK)).route.usage.estimated


def test_strict_usage_of_a_closed_stream():
    """Who closes a stream has no usage to wait for."""
    client = staged(reply("one two three", usage=False), strict_usage=True)
    with client.chat.completions.create(ASK, stream=True) as stream:
        next(stream)
    assert stream.route.attempts[0].outcome == "closed"
