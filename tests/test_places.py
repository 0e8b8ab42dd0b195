"""Calls through real clients to replicas: warm caches, failures, and what forecasts expect."""

import asyncio
import time
from contextlib import suppress

import pytest
from calling import FixedScorer
from replicas import Replica

from router import AsyncClient, Budget, Client, cheapest
from router.errors import (
    ConfigError,
    ConnectionFailedError,
    NoCandidateError,
    ProviderError,
)
from router.testing import MockTransport, reply
from router.tokens import count_messages
from router.types import Reply, Usage

WORDS = " ".join(f"word{n}" for n in range(600))
HEAD = {"role": "system", "content": WORDS}


def question(n):
    return {"role": "user", "content": f"{n} " * 30}


@pytest.fixture
def two():
    replicas = [Replica(), Replica()]
    yield replicas
    for replica in replicas:
        replica.waits.set()
        replica.die()


def settings(replicas, **more):
    rate = {"endpoint": "moe@vllm", "input": "1", "cache_read": "0.1", "output": "1"}
    rows = {"rate": [rate | {"source": "a test", "checked": "2026-11-22"}]}
    return {
        "hosts": "vllm",
        "base_urls": {"vllm": [replica.url for replica in replicas]},
        "catalog": [_served(), rows],
        "ledger": ":memory:",
        "scorer": FixedScorer(),
    } | more


def _served():
    row = {"model": "moe", "host": "vllm", "model_id": "moe", "context_tokens": 100_000}
    return {"model": [{"name": "moe"}], "endpoint": [row | {"max_output_tokens": 1000}]}


def test_a_conversation_stays_where_it_is_warm(two):
    """Each turn goes to the replica that read the one before; others go their own way."""
    with Client(**settings(two)) as client:
        talks = [[{"role": "system", "content": f"{n} {WORDS}"}, question(n)] for n in range(6)]
        for _ in range(3):
            for talk in talks:
                done = client.chat.completions.create(talk, model="moe", max_tokens=10)
                talk += [{"role": "assistant", "content": done.text}, question(len(talk))]
    assert two[0].calls + two[1].calls == 18
    read = sorted(two[0].cached + two[1].cached)
    assert read[:6] == [0] * 6
    assert read[6] > 600


def test_what_is_expected_is_what_comes(two):
    """Forecasts count what the replica's cache should hold, and are billed so."""
    with Client(**settings(two[:1])) as client:
        routes = [
            client.chat.completions.create([HEAD, question(n)], model="moe", max_tokens=10).route
            for n in range(3)
        ]
    assert [r.usage.cache_read_tokens for r in routes] == [0, 592, 592]
    assert routes[0].forecast.cache_read_tokens == 0
    assert routes[2].forecast.cache_read_tokens == 592
    assert routes[2].forecast.input_tokens == pytest.approx(routes[2].usage.input_tokens, rel=0.05)
    assert routes[2].cost.pico < routes[0].cost.pico / 3


@pytest.mark.parametrize("how", ["dead", "before", "sick"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_replica_that_fails_loses_no_request(two, how, stream):
    """Another one answers at once; what nobody answered is not charged."""
    with Client(**settings(two, budgets=Budget("1.00"), max_retries=0)) as client:
        for n in range(4):  # both are warm
            client.chat.completions.create([HEAD, question(n)], model="moe", max_tokens=10)
        victim = max(two, key=lambda r: r.calls)
        victim.cut, victim.sick = ("before" if how == "before" else ""), how == "sick"
        if how == "dead":
            victim.die()
        for n in range(4, 10):
            got = client.chat.completions.create(
                [HEAD, question(n)], model="moe", max_tokens=10, stream=stream
            )
            text = "".join(chunk.text for chunk in got) if stream else got.text
            assert text == "Yes"
            assert got.route.attempts[-1].outcome == "ok"
        spent = client.budgets.status()[0].spent
        bill = sum(e.cost for e in client._core.ledger.entries() if e.outcome == "ok")
    assert spent * 10**12 == bill


def test_an_async_client_goes_elsewhere(two):
    """The same on an event loop, with calls at once."""

    async def run():
        async with AsyncClient(**settings(two, max_retries=0)) as client:
            first = client.chat.completions.create([HEAD, question(0)], model="moe", max_tokens=5)
            await first
            two[0].die()
            calls = [
                client.chat.completions.create([HEAD, question(n)], model="moe", max_tokens=5)
                for n in range(1, 9)
            ]
            return await asyncio.gather(*calls)

    assert [done.text for done in asyncio.run(run())] == ["Yes"] * 8


def test_a_stream_that_breaks_before_its_first_word_goes_elsewhere(two):
    """The caller has nothing of it yet, so another replica begins anew."""
    with Client(**settings(two, max_retries=0)) as client:
        client.chat.completions.create([HEAD, question(0)], model="moe", max_tokens=10)
        victim = max(two, key=lambda r: r.calls)
        victim.cut = "early"
        stream = client.chat.completions.create(
            [HEAD, question(1)], model="moe", max_tokens=10, stream=True
        )
        assert "".join(chunk.text for chunk in stream) == "Yes"
        assert [a.outcome for a in stream.route.attempts][-1] == "ok"


def test_a_replica_that_returns_is_used_again_and_is_cold(two):
    """Its cache is taken for empty; once it answers, calls go there as before."""
    with Client(**settings(two, max_retries=0)) as client:
        client.chat.completions.create([HEAD, question(0)], model="moe", max_tokens=10)
        warm, cold = sorted(two, key=lambda r: -r.calls)
        warm.die()
        made = client.chat.completions.create([HEAD, question(1)], model="moe", max_tokens=10)
        assert made.route.usage.cache_read_tokens == 0
        warm.start()
        cold.die()
        made = client.chat.completions.create([HEAD, question(2)], model="moe", max_tokens=10)
        assert made.text == "Yes"
        assert (made.route.usage.cache_read_tokens, made.route.forecast.cache_read_tokens) == (
            0,
            pytest.approx(592, abs=600),
        )


def test_all_replicas_are_dead(two):
    """Then it is an error as ever, that names what was tried."""
    with Client(**settings(two, max_retries=0)) as client:
        client.chat.completions.create([HEAD, question(0)], model="moe", max_tokens=10)
        for replica in two:
            replica.die()
        with pytest.raises(ConnectionFailedError) as caught:
            client.chat.completions.create([HEAD, question(1)], model="moe", max_tokens=10)
    assert "tried: " in str(caught.value.__notes__)


def test_a_refusal_of_the_request_is_not_tried_elsewhere(two):
    """What is wrong with the request is wrong everywhere."""
    for replica in two:
        replica.models = ("moe", "other")
    with Client(**settings(two, max_retries=0)) as client:
        client.chat.completions.create([HEAD, question(0)], model="moe", max_tokens=10)
        before = two[0].calls + two[1].calls
        with pytest.raises(ProviderError):
            client.chat.completions.create(
                [{"role": "user", "content": "x"}], model="moe", max_tokens=10, timeout=1e-9
            )
    assert two[0].calls + two[1].calls <= before + 1


def test_draining_a_replica(two):
    """It gets no new calls until it is given some again."""
    with Client(**settings(two)) as client:
        client.drain(two[0].url + "/")
        for n in range(4):
            client.chat.completions.create([HEAD, question(n)], model="moe", max_tokens=10)
        assert (two[0].calls, two[1].calls) == (0, 4)
        assert {s.url: s.status for s in client.replicas()}[two[0].url] == "draining"
        client.undrain(two[0].url)
        client.drain(two[1].url)
        client.chat.completions.create([HEAD, question(9)], model="moe", max_tokens=10)
        assert (two[0].calls, two[1].calls) == (1, 4)
        with pytest.raises(ConfigError, match="expected the base URL of a replica"):
            client.drain("http://elsewhere/v1")


def other_hosts():
    """Two hosts of one model, at one price: only what is warm tells them apart."""
    hosts = [{"name": h, "base_url": f"http://{h}.example/v1"} for h in ("one", "two")]
    served = {"model": "moe", "model_id": "moe", "context_tokens": 100_000}
    prices = {"input": "1", "cache_read": "0.1", "output": "1", "source": "s"}
    rows = {"model": [{"name": "moe"}], "host": hosts, "endpoint": [], "rate": []}
    for host in ("one", "two"):
        rows["endpoint"].append(served | {"host": host, "max_output_tokens": 1000, "cache": "c"})
        rows["rate"].append(
            prices
            | {"endpoint": f"moe@{host}", "checked": "2026-11-22"}
            | ({"input": "1.1"} if host == "one" else {})
        )
    return rows | {"cache": [{"name": "c", "unit_tokens": 64}]}


def test_leaving_a_warm_cache_shows_its_price():
    """The dearer host keeps what is warm there; the reason says what leaving costs."""
    tokens = count_messages([HEAD, question(0)])
    transport = MockTransport(reply("Yes", input_tokens=tokens, output_tokens=1))
    with Client(
        transport=transport,
        catalog=other_hosts(),
        hosts=["one", "two"],
        ledger=":memory:",
        policy=cheapest(),
        scorer=FixedScorer(),
    ) as client:
        talk = [HEAD, question(0)]
        first = client.chat.completions.create(talk, model="moe@one", max_tokens=10)
        assert first.route.host == "one"
        talk += [{"role": "assistant", "content": "Yes"}, question(1)]
        plan = client.plan(talk, model="moe", max_tokens=10)
        assert plan.decision.chosen == "moe@one"
        why = plan.decision.rejected["moe@two"]
        assert "for leaving the cache of moe@one" in why
        assert plan.record.replays()
        quotes = {quote.name: quote for quote in plan.record.quotes}
        tokens = plan.forecasts["moe@one"].cache_read_tokens
        assert quotes["moe@two"].leaving == tokens * 900_000
        assert quotes["moe@one"].leaving == 0
        forced = client.plan(talk, model="moe@two", max_tokens=10)
        assert forced.forecast.cache_read_tokens == 0


def test_drained_replicas_get_no_calls(two):
    """Where all are drained the candidate is out, and says so; another one would be tried."""
    with Client(**settings(two)) as client:
        client.chat.completions.create([HEAD, question(0)], model="moe", max_tokens=10)
        for replica in two:
            client.drain(replica.url)
        before = two[0].calls + two[1].calls
        with pytest.raises(NoCandidateError, match="all its replicas are drained"):
            client.chat.completions.create([HEAD, question(1)], model="moe", max_tokens=10)
        assert two[0].calls + two[1].calls == before
        assert [state.in_flight for state in client.replicas()] == [0, 0]


def test_a_paid_call_that_may_be_charged_is_not_repeated(two):
    """At a host that bills, other addresses are tried only where nothing was sent."""
    rows = {
        "model": [{"name": "moe"}],
        "host": [{"name": "paid", "base_url": two[0].url}],
        "endpoint": [_served()["endpoint"][0] | {"host": "paid"}],
        "rate": [
            {"endpoint": "moe@paid", "input": "1", "output": "1", "source": "s"}
            | {"checked": "2026-11-22"}
        ],
    }
    asked = settings(two, hosts="paid", catalog=rows, max_retries=0)
    asked["base_urls"] = {"paid": [replica.url for replica in two]}
    with Client(**asked) as client:
        for replica in two:
            replica.cut = "before"
        with pytest.raises(ConnectionFailedError):
            client.chat.completions.create([HEAD, question(0)], model="moe", max_tokens=10)
        assert two[0].calls + two[1].calls == 1
        two[0].cut = two[1].cut = ""
        two[0].die()
        for n in range(4):  # nothing listens at one of them: nothing was charged there
            got = client.chat.completions.create([HEAD, question(n)], model="moe", max_tokens=10)
            assert got.text == "Yes"


def test_a_burst_is_spread(two):
    """Tasks that are started at once see each other, though none was answered yet."""
    for replica in two:
        replica.pause = 0.2

    async def run():
        async with AsyncClient(**settings(two)) as client:
            await asyncio.gather(
                *(
                    client.chat.completions.create(
                        [{"role": "user", "content": f"{n} {WORDS}"}], model="moe", max_tokens=5
                    )
                    for n in range(24)
                )
            )

    asyncio.run(run())
    assert min(two[0].calls, two[1].calls) >= 6


def test_short_prompts_say_nothing_of_a_vocabulary():
    """A template's own tokens are added, not multiplied: a hard limit holds after "Hi"."""
    long = [{"role": "user", "content": WORDS * 4}]
    tokens = count_messages(long)
    for told in (1, 4, 30, 250):
        transport = MockTransport(reply("Yes", input_tokens=told, output_tokens=1))
        with Client(
            transport=transport,
            keys={"deepinfra": "k"},
            hosts="deepinfra",
            ledger=":memory:",
            scorer=FixedScorer(),
        ) as client:
            client.chat.completions.create(
                [{"role": "user", "content": "Hi"}], model="deepseek-v3.2@deepinfra"
            )
            forecast = client.plan(long, model="deepseek-v3.2@deepinfra").forecast
        assert forecast.input_tokens == tokens
        assert forecast.tokens_ceiling >= tokens + forecast.max_tokens


def test_no_count_of_a_host_shuts_it_out():
    """A foreign count is an estimate: it neither refuses a prompt nor lowers its worst case."""
    answers = [reply("Yes", input_tokens=9_000, output_tokens=1)] * 3
    rows = other_hosts()
    rows["endpoint"] = [row | {"context_tokens": 5_000} for row in rows["endpoint"]]
    with Client(
        transport=MockTransport(*answers),
        catalog=rows,
        hosts=["one", "two"],
        ledger=":memory:",
        scorer=FixedScorer(),
    ) as client:
        talk = [HEAD, question(0)]
        for _ in range(2):
            client.chat.completions.create(talk, model="moe@one", max_tokens=10)
        forecast = client.plan(talk, model="moe@one", max_tokens=10).forecast
        assert forecast.input_tokens >= count_messages(talk)
        assert forecast.tokens_ceiling >= count_messages(talk) + 10


def test_a_server_that_comes_up_later_is_found(two, monkeypatch):
    """One that did not answer at first is asked again, in the background."""
    monkeypatch.setattr("router._core._ASK_AGAIN", 0.05)
    two[0].die()
    with Client(**settings(two[:1], max_retries=0)) as client:
        with pytest.raises(NoCandidateError, match="does not answer"):
            client.chat.completions.create([HEAD, question(0)], model="moe", max_tokens=10)
        two[0].start()

        def answered():
            with suppress(NoCandidateError):
                made = client.chat.completions.create([HEAD, question(1)], model="moe")
                return made.text == "Yes"
            return False

        for _ in range(200):
            if answered():
                break
            time.sleep(0.05)
        else:
            pytest.fail("never found")


class Odd:
    """A transport of one's own whose answers lack what ours always have."""

    def send(self, call):
        return Reply(body={"id": "x"}, usage=Usage(input_tokens=9, output_tokens=1))

    def close(self):
        """Nothing to close."""


def test_an_odd_answer_is_settled(two):
    """What is noted for the cache never costs an answer, or leaves it unsettled."""
    with Client(**settings(two), transport=Odd()) as client:
        with suppress(ValueError):  # it has no choices to show
            client.chat.completions.create([HEAD, question(0)], model="moe", max_tokens=10)
        (entry,) = client._core.ledger.entries()
        assert (entry.kind, entry.outcome) == ("settle", "ok")
        assert [state.in_flight for state in client.replicas()] == [0, 0]
