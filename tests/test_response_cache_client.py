"""The response cache through the real clients: a hit costs nothing, and is on the books."""

import asyncio
from contextlib import closing
from decimal import Decimal

import pytest
from calling import MESSAGES, in_order
from keeping import MODEL, Async, Sync

from policies import cheapest, constrained, utility
from router import AsyncClient, Client
from router.errors import ServerError
from router.responses import ResponseCache
from router.testing import AsyncMockTransport, reply
from router.types import Chunk

TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}


@pytest.fixture(params=[Sync, Async])
def made(request, tmp_path, clock):
    """Makes the callers; the same tests hold for both clients."""
    return lambda *answers: request.param(*answers, tmp_path=tmp_path, clock=clock)


def test_the_second_time_costs_nothing(made):
    """One call is sent, two answers come, and the ledger has both, with what was saved."""
    caller = made(reply("One", input_tokens=100, output_tokens=50), reply("Two"))
    text, route, _ = caller.ask(tags={"team": "a"})
    assert (text, route.cost.pico > 0) == ("One", True)
    paid = route.cost.pico
    text, route, (completion,) = caller.ask(tags={"team": "b"}, budget="0.000000000001")
    assert (text, caller.calls) == ("One", 1)
    assert (route.cost.usd, route.total_cost_usd, route.usage.input_tokens) == (0, 0, 0)
    assert (route.decision.policy, route.candidate) == ("cache", MODEL)
    assert route.decision.reason.startswith("answered from the response cache")
    assert route.forecast.cost_usd == 0
    assert completion.usage.total_tokens == 0
    first, second = caller.entries()
    assert (first.outcome, first.cost, first.saved) == ("ok", paid, 0)
    assert (second.outcome, second.cost, second.saved) == ("cached", 0, paid)
    assert (second.record.candidate, second.record.policy) == (MODEL, "cache")
    assert second.record.tags == {"team": "b"}
    assert second.requests == second.tokens == second.overage == second.reserved == 0
    assert second.reservation_id == f"{second.record.request_id}/cache"


def test_an_empty_budget_still_answers_what_is_kept(made):
    """A hit counts against no limit: that is what it is good for when money is gone."""
    caller = made(reply("One", input_tokens=100, output_tokens=50))
    caller.ask()
    spent = caller.entries()[0].cost
    text, _, _ = caller.ask(settings={"budgets": "0"})
    assert (text, caller.calls) == ("One", 1)
    with Client(**caller.settings(transport=None, budgets="1.00")) as client:
        total = client.report(by="outcome").total
    assert total == Decimal(spent) / 10**12


def test_without_a_cache_nothing_is_kept(made, tmp_path):
    """It is an option: by default every call is sent."""
    caller = made(reply("One"), reply("Two"))
    for expected in ("One", "Two"):
        assert caller.ask(settings={"cache": None})[0] == expected
    assert not (tmp_path / "cache").exists()


def test_tenants_do_not_share(made):
    """The same prompt of two tenants is two calls; of one tenant one."""
    caller = made(reply("for a"), reply("for b"), reply("for nobody"))
    for _ in range(2):
        for tenant in ("a", "b"):
            assert caller.ask(tags={"tenant": tenant})[0] == f"for {tenant}"
    assert caller.ask()[0] == "for nobody"
    assert caller.calls == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"max_tokens": 40},
        {"temperature": 0.5},
        {"service_tier": "flex"},
        {"tools": [TOOL]},
        {"response_format": {"type": "text"}},
        {"messages": [*MESSAGES, {"role": "user", "content": "And?"}]},
        {"settings": {"policy": cheapest()}},
        {"settings": {"policy": in_order}},
        {"extra_body": {"top_k": 3}},
    ],
    ids=repr,
)
def test_another_request_is_another_call(made, changes):
    """All that may change the answer."""
    caller = made(reply("One"), reply("Two"))
    assert caller.ask()[0] == "One"
    assert caller.ask(**changes)[0] == "Two"
    assert caller.ask(**changes)[0] == "Two"
    assert caller.ask(timeout=5.0, max_retries=0)[0] == "One"
    assert caller.calls == 2


@pytest.mark.parametrize(
    "elsewhere",
    [
        {"base_urls": {"deepinfra": "http://localhost:2/v1"}},
        {"catalog": {"host": [{"name": "deepinfra", "base_url": "http://localhost:2/v1"}]}},
        {"base_urls": {}, "environ": {"AZURE_AI_ENDPOINT": "http://localhost:2"}},
    ],
    ids=["argument", "catalogue", "environment"],
)
def test_another_server_is_another_call(made, elsewhere):
    """Clients that share a directory share no answers of hosts that are others for them."""
    caller = made(reply("One"), reply("Two"))
    assert caller.ask(settings={"environ": {}})[0] == "One"
    settings = {"environ": {}} | elsewhere
    assert caller.ask(settings=settings)[0] == "Two"
    assert caller.ask(settings=settings)[0] == "Two"
    assert caller.ask(settings={"environ": {}})[0] == "One"
    assert caller.calls == 2


def test_the_same_server_by_another_way_is_the_same_call(made):
    """From an argument or the environment, with or without a slash at its end."""
    caller = made(reply("One"))
    there = "http://localhost:2"
    both = {"azure": there, "azure-fireworks": there}  # read one variable
    caller.ask(settings={"environ": {}, "base_urls": both})
    settings = {"environ": {"AZURE_AI_ENDPOINT": f"{there}/"}, "base_urls": {}}
    assert caller.ask(settings=settings)[0] == "One"
    assert caller.calls == 1


def test_the_cache_of_a_client(made, tmp_path):
    """`client.cache` clears it and counts; without one it is None."""
    caller = made(reply("One"), reply("Two"))
    caller.ask()
    caller.ask()
    client = Client(**caller.settings(transport=None))
    assert isinstance(client.cache, ResponseCache)
    assert (client.cache.path, client.cache.stats().entries) == (tmp_path / "cache", 1)
    client.cache.clear()
    assert client.cache.stats().entries == 0
    client.cache.close()
    assert caller.ask()[0] == "Two"
    for kind in (Client, AsyncClient):
        assert kind(**caller.settings(transport=None, cache=None)).cache is None


def test_a_tag_with_a_quality_floor_of_its_own_is_not_answered_by_another(made):
    """The answer for a tag without a floor may be by a candidate that keeps none."""
    strict = constrained(utility("0.01"), quality_floors={"team=legal": 0.2})
    caller = made(reply("One"), reply("Two"))
    settings = {"policy": strict}
    assert caller.ask(settings=settings)[0] == "One"
    assert caller.ask(settings=settings, tags={"team": "legal"})[0] == "Two"
    assert caller.ask(settings=settings, tags={"user": "ann"})[0] == "One"


def test_under_a_policy_of_your_own_all_tags_count(made):
    """Nobody knows which it reads."""
    caller = made(reply("One"), reply("Two"))
    settings = {"policy": in_order}
    assert caller.ask(settings=settings)[0] == "One"
    assert caller.ask(settings=settings, tags={"user": "ann"})[0] == "Two"
    assert caller.ask(settings=settings, tags={"user": "ann"})[0] == "Two"
    assert caller.calls == 2


def test_an_answer_ends_with_its_time(made, clock):
    """By the client's clock, a day after it was given."""
    caller = made(reply("One"), reply("Two"))
    caller.ask()
    clock.advance(86399)
    assert caller.ask()[0] == "One"
    clock.advance(1)
    assert caller.ask()[0] == "Two"
    clock.advance(86399)
    assert caller.ask()[0] == "Two"


def test_streams_are_kept_and_given(made):
    """A stream is answered from a whole answer, a whole answer from a stream."""
    caller = made(reply("One two three", input_tokens=100, output_tokens=50), reply("Other"))
    text, route, _ = caller.ask(stream=True)
    assert (text, route.cost.pico > 0) == ("One two three", True)
    paid = route.cost.pico
    text, route, chunks = caller.ask(stream=True)
    assert (text, route.cost.pico, caller.calls) == ("One two three", 0, 1)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.total_tokens == 0
    text, route, _ = caller.ask()
    assert (text, route.cost.pico, caller.calls) == ("One two three", 0, 1)
    assert [e.saved for e in caller.entries()] == [0, paid, paid]


def test_a_streamed_hit_may_be_left(tmp_path, clock):
    """Closed after its first chunk: on the books once, and the next one is a hit, too."""
    caller = Sync(reply("One"), tmp_path=tmp_path, clock=clock)
    caller.ask()
    with Client(**caller.settings()) as client:
        stream = client.chat.completions.create(MESSAGES, model=MODEL, stream=True)
        assert next(stream).text == "One"
        stream.close()
        assert stream.route.cost.pico == 0
    assert caller.ask()[0] == "One"
    assert [e.outcome for e in caller.entries()] == ["ok", "cached", "cached"]


def test_a_closed_stream_is_not_kept(tmp_path, clock):
    """It is a part of an answer."""
    caller = Sync(reply("One two three"), reply("Whole"), tmp_path=tmp_path, clock=clock)
    with Client(**caller.settings()) as client:
        stream = client.chat.completions.create(MESSAGES, model=MODEL, stream=True)
        next(stream)
        stream.close()
    assert caller.ask()[0] == "Whole"


def test_a_stream_that_starts_again_elsewhere_is_kept_whole(made):
    """What a failed attempt brought is no part of the answer."""
    first = [Chunk(body={"choices": []}), ServerError("broke off", status_code=500)]
    caller = made(first, reply("One two"), reply("Other"))
    assert caller.ask(stream=True, model=[MODEL, "deepseek-v3.2:thinking@deepinfra"])[0]
    text, _, _ = caller.ask(stream=True, model=[MODEL, "deepseek-v3.2:thinking@deepinfra"])
    assert (text, caller.calls) == ("One two", 2)


def test_streams_with_tools_are_cached_only_if_asked(made, tmp_path, clock):
    """By default each is a call; a `ResponseCache` that says so keeps them."""
    caller = made(*[reply(str(i)) for i in range(4)])
    assert [caller.ask(stream=True, tools=[TOOL])[0] for _ in range(2)] == ["0", "1"]
    with closing(ResponseCache(tmp_path / "tools", streams_with_tools=True, now=clock)) as cache:
        asked = {"settings": {"cache": cache}, "stream": True, "tools": [TOOL]}
        assert [caller.ask(**asked)[0] for _ in range(2)] == ["2", "2"]
        assert cache.stats().hits == 1, "a cache that was handed in is not closed"


def test_many_at_once(tmp_path, clock):
    """A hundred tasks of one event loop: each has its answer, and each hit its row."""

    async def main():
        transport = AsyncMockTransport(reply("One"))
        caller = Async(tmp_path=tmp_path, clock=clock)
        async with AsyncClient(**caller.settings(transport=transport)) as client:
            await client.chat.completions.create(MESSAGES, model=MODEL)
            asked = [client.chat.completions.create(MESSAGES, model=MODEL) for _ in range(100)]
            texts = [made.text for made in await asyncio.gather(*asked)]
            assert texts == ["One"] * 100
            assert len(transport.calls) == 1
            entries = list(client._core.ledger.entries())
        assert [e.outcome for e in entries].count("cached") == 100

    asyncio.run(main())
