"""The metrics of calls: money beside forecast and reservation, tokens, failures, overhead."""

import asyncio
import time

import pytest
from learning import models, staged
from observing import ANSWER, MODEL, NEWEST, ask, client_of

from router import AsyncClient, Budget, BudgetExceededError
from router.errors import ConnectionFailedError, InvalidRequestError, ServerError
from router.money import to_usd
from router.testing import AsyncMockTransport, reply

TOLD = reply(ANSWER, input_tokens=1000, cache_read_tokens=640, output_tokens=200)
GONE = ConnectionFailedError("gone", billable=True)


def thrice(observed, **settings):
    """A priced answer, one that the host did not count, and a failure; the ledger's lines."""
    answers = (TOLD, reply(ANSWER, usage=False), ServerError("no", status_code=500))
    with client_of(*answers, max_retries=0, **settings) as client:
        ask(client)
        ask(client)
        with pytest.raises(ServerError):
            ask(client)
        return list(client._core.ledger.entries())


def test_spend_by_source_is_the_ledgers(observed):
    """What was charged, apart by whether the host counted or we did; together the ledger's sum."""
    entries = thrice(observed)
    cost = {e.usage.estimated: float(to_usd(e.cost)) for e in entries if e.cost}
    spend = observed.values("centroute.spend", "centroute.cost.source")
    assert spend == {
        ("computed",): pytest.approx(cost[False]),
        ("estimated",): pytest.approx(cost[True]),
    }
    assert observed.values("gen_ai.client.operation.cost", "centroute.cost.source") == spend


def test_forecast_and_reservation_beside_the_actual(observed):
    """Of the same calls: what they were forecast to cost, and what was set aside for them."""
    settled = [entry for entry in thrice(observed, budgets="1") if entry.cost]
    forecast = [entry.record.forecast_cost for entry in settled]
    reserved = [entry.reserved for entry in settled]
    assert observed.values("centroute.forecast.cost") == {
        (): pytest.approx(float(to_usd(sum(forecast))))
    }
    assert observed.values("centroute.reservation.cost") == {
        (): pytest.approx(float(to_usd(sum(reserved))))
    }
    errors = sum(e.cost / f for e, f in zip(settled, forecast, strict=True))
    used = sum(e.cost / r for e, r in zip(settled, reserved, strict=True))
    assert observed.values("centroute.forecast.error") == {(): pytest.approx(errors)}
    assert observed.values("centroute.reservation.used") == {(): pytest.approx(used)}


@pytest.mark.parametrize("budgets", [None, [Budget(requests=9)], [Budget(tokens=10**6)]])
def test_no_dollars_are_set_aside_without_a_budget_in_dollars(observed, budgets):
    """What a lost call would be charged is no reservation: nobody else has to do without it."""
    with client_of(TOLD, budgets=budgets) as client:
        ask(client)
    points = observed.points()
    assert "centroute.spend" in points
    assert not [name for name in points if name.startswith("centroute.reservation")]
    (span,) = observed.spans
    assert "centroute.reservation.cost" not in span.attributes


def test_a_soft_budget_sets_aside_too(observed):
    """What it holds is counted, and no more than that."""
    with client_of(TOLD, budgets=[Budget("1", hard=False), Budget(tokens=10**6)]) as client:
        ask(client)
        (entry,) = client._core.ledger.entries()
    held = observed.values("centroute.reservation.cost")
    assert held == {(): pytest.approx(float(to_usd(entry.reserved)))}
    assert entry.reserved > 0


def test_tokens_by_kind(observed):
    """Cached tokens are part of the input, in both generations' words."""
    with client_of(TOLD) as client:
        ask(client)
    assert observed.values("centroute.tokens", "gen_ai.token.type") == {
        ("input",): 1000,
        ("cache_read",): 640,
        ("cache_write",): 0,
        ("output",): 200,
        ("reasoning",): 0,
    }
    assert observed.values("gen_ai.client.token.usage", "gen_ai.token.type") == {
        ("input",): 1000,
        ("output",): 200,
    }


def test_attempts_by_how_they_ended(observed):
    """Every call to a host counts once, failed ones by their outcome."""
    answers = (ServerError("no", status_code=503, retry_after=0.0), TOLD, TOLD)
    with client_of(*answers) as client:
        ask(client)
        with ask(client, stream=True) as stream:
            next(iter(stream))
    assert observed.values("centroute.attempts", "error.type") == {
        ("http_503",): 1,
        ("",): 1,
        ("closed",): 1,
    }


def test_the_newest_names_count_failures_too(observed):
    """Counters get 0 of an unknown modality where no usage came; sizes are of answers alone."""
    thrice(observed, environ=NEWEST)
    prefix = "gen_ai.client.inference"
    values = {
        kind: observed.values(f"{prefix}.usage.{kind}", "gen_ai.token.modality")
        for kind in ("input_tokens", "cache_read.input_tokens", "reasoning.output_tokens")
    }
    assert values["input_tokens"][("text",)] > 1000
    assert values["cache_read.input_tokens"] == {("text",): 640, ("unknown",): 0}
    assert values["reasoning.output_tokens"] == {("text",): 0, ("unknown",): 0}
    points = observed.points()
    assert sum(p.count for p in points[f"{prefix}.operation.input_tokens"]) == 2
    durations = {p.attributes.get("error.type"): p.count for p in points[f"{prefix}.duration"]}
    assert durations == {None: 2, "http_500": 1}
    assert not [n for n in points if n == "gen_ai.client.token.usage" or "operation.dur" in n]


@pytest.mark.parametrize(
    ("environ", "metric"),
    [
        ({}, "gen_ai.client.operation.time_to_first_chunk"),
        (NEWEST, "gen_ai.client.inference.time_to_first_chunk"),
    ],
)
def test_the_first_chunk_of_a_stream(observed, environ, metric):
    """Measured for streams alone, on the span as well; never more than the whole."""
    with client_of(TOLD, TOLD, environ=environ) as client:
        ask(client)
        with ask(client, stream=True) as stream:
            list(stream)
    whole, streamed = observed.spans
    assert "gen_ai.response.time_to_first_chunk" not in whole.attributes
    first = streamed.attributes["gen_ai.response.time_to_first_chunk"]
    (point,) = observed.points()[metric]
    assert (point.count, point.sum) == (1, first)
    assert first >= 0


def test_what_the_response_cache_saved(observed, tmp_path):
    """An answer out of the cache is no attempt and no spend, but what it had cost is counted."""
    with client_of(TOLD, cache=tmp_path, tags={"team": "a"}, metric_tags=["team"]) as client:
        cost = float(ask(client).route.cost.usd)
        for _ in range(2):
            assert ask(client).route.decision.policy == "cache"
    labels = ("centroute.candidate", "centroute.policy", "centroute.tag.team")
    assert observed.values("centroute.saved", *labels) == {
        (MODEL, "cache", "a"): pytest.approx(2 * cost)
    }
    assert sum(observed.values("centroute.attempts").values()) == 1
    assert len(observed.spans) == 1


def test_refusals_by_kind_and_tag(observed):
    """Nothing was sent: no span and no attempt, whether the plan or the ledger refused."""
    settings = {"metric_tags": ["team"], "budgets": "0"}
    with client_of(TOLD, **settings) as client:
        for team in ("a", "a", "b"):
            with pytest.raises(BudgetExceededError):
                ask(client, tags={"team": team})
        with pytest.raises(InvalidRequestError):
            ask(client, max_tokens=-1, tags={"team": "a"})
    assert observed.values("centroute.refusals", "error.type", "centroute.tag.team") == {
        ("BudgetExceededError", "a"): 2,
        ("BudgetExceededError", "b"): 1,
        ("InvalidRequestError", "a"): 1,
    }
    assert observed.spans == ()


def test_a_failure_of_a_host_is_no_refusal(observed):
    """Something was sent: it is an attempt that failed."""
    failing = client_of(ServerError("no", status_code=500), max_retries=0)
    with failing as client, pytest.raises(ServerError):
        ask(client)
    assert "centroute.refusals" not in observed.points()
    assert "centroute.overhead" not in observed.points()


def test_a_plan_that_says_no_is_no_refusal(observed):
    """It is a question. The request that was not sent for it is counted when it is made."""
    with client_of(TOLD, budgets="0") as client:
        with pytest.raises(BudgetExceededError):
            client.plan([{"role": "user", "content": "Hi"}], model=MODEL)
        assert "centroute.refusals" not in observed.points()
        with pytest.raises(BudgetExceededError):
            ask(client)
    assert observed.values("centroute.refusals") == {(): 1}


class Slow(AsyncMockTransport):
    """A host that takes its time, unlike us."""

    async def send(self, call):
        await asyncio.sleep(0.3)
        return await super().send(call)


async def test_overhead_is_without_the_hosts_time(observed):
    """What hosts, readers and verifiers take is theirs."""

    async def verify(answer):
        await asyncio.sleep(0.3)
        return True

    settings = {"keys": {"deepinfra": "k"}, "ledger": ":memory:", "environ": {}}
    async with AsyncClient(transport=Slow(TOLD), verify=verify, **settings) as client:
        client._core.services()
        began = time.monotonic()
        await client.chat.completions.create([{"role": "user", "content": "Hi"}], model=MODEL)
        whole = time.monotonic() - began
    (point,) = observed.points()["centroute.overhead"]
    assert point.count == 1
    assert 0 < point.sum <= whole - 0.55
    assert point.attributes["centroute.candidate"] == MODEL


def test_the_readers_time_is_not_ours(observed):
    """A stream whose reader dawdles has no overhead for it."""
    with client_of(TOLD) as client:
        client._core.services()
        began = time.monotonic()
        with ask(client, stream=True) as stream:
            for _ in stream:
                time.sleep(0.05)
        whole = time.monotonic() - began
    (point,) = observed.points()["centroute.overhead"]
    assert point.sum <= whole - 0.04 * len(ANSWER.split())


def test_a_lost_call_that_is_charged_is_estimated(observed):
    """A call that may have been worked on is spend, and an attempt that failed."""
    with staged(GONE, catalog=models("small"), candidates=["small@h"], policy=None) as client:
        with pytest.raises(ConnectionFailedError):
            client.chat.completions.create([{"role": "user", "content": "Hi"}], model="small")
        (entry,) = client.kept.entries()
    assert entry.cost > 0
    assert observed.values("centroute.spend", "centroute.cost.source") == {
        ("estimated",): pytest.approx(float(to_usd(entry.cost)))
    }
    (span,) = observed.spans
    assert span.attributes["error.type"]
    assert span.attributes["gen_ai.usage.cost.amount"] == float(to_usd(entry.cost))
