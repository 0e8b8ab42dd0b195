"""Ways around a hard budget that are closed, and what must go on working beside it."""

from dataclasses import dataclass
from decimal import Decimal

import pytest
from calling import FixedScorer, in_order
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from classifiers.scores import Quantiles, Score
from router import AsyncClient, Budget, Client
from router.errors import (
    ConnectionFailedError,
    InvalidRequestError,
    ServerError,
)
from router.ledgers.sqlite import SQLiteLedger
from router.money import to_pico, to_usd
from router.testing import AsyncMockTransport, FakeClock, MockTransport, reply

MODEL = "deepseek-v3.2@deepinfra"
BOTH = [MODEL, "deepseek-v3.2@novita"]
MESSAGES = [{"role": "user", "content": "Which colour has a zebra?"}]
KNOWN = {"source": "test", "checked": "2026-11-22"}


@dataclass
class Set:
    """A client, its transport and its ledger."""

    client: Client
    transport: MockTransport
    ledger: SQLiteLedger

    def ask(self, **arguments):
        """One call."""
        return self.client.chat.completions.create(MESSAGES, **({"model": MODEL} | arguments))


@pytest.fixture
def made():
    """Makes clients that answer from a queue; their ledgers are sound at the end."""
    everything = []

    def make(*answers, **settings):
        transport, ledger = MockTransport(*answers), SQLiteLedger(":memory:")
        defaults = {
            "keys": {"deepinfra": "k", "novita": "k"},
            "ledger": ledger,
            "scorer": FixedScorer(),
            "policy": in_order,
            "now": FakeClock(),
            "environ": {},
        }
        everything.append(
            Set(Client(transport=transport, **(defaults | settings)), transport, ledger)
        )
        return everything[-1]

    yield make
    for one in everything:
        one.ledger.check()
        open_ones = one.ledger._db().execute("SELECT count(*) FROM open_reservations").fetchone()
        assert open_ones == (0,)
        one.client.close()


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "body",
    [
        {"provider": {"order": ["dearest"]}},
        {"models": ["openai/gpt-5"]},
        {"service_tier": "priority"},
        {"top_k": 5, "web_search": True},
    ],
)
@pytest.mark.parametrize("where", ["client", "call"])
def test_fields_that_may_change_the_bill_are_refused(made, body, where, streamed):
    """Unknown fields of a host may choose another model, provider or tier: nothing is sent."""
    one = made(reply("x"), budgets="1" if where == "client" else None)
    budget = {"budget": "1"} if where == "call" else {}
    with pytest.raises(InvalidRequestError, match="a hard budget applies") as caught:
        one.ask(extra_body=body, stream=streamed, **budget)
    assert caught.value.param == "extra_body"
    assert [key in str(caught.value) for key in body] == [key != "top_k" for key in body]
    assert one.transport.calls == []
    assert list(one.ledger.entries()) == []
    with pytest.raises(InvalidRequestError):
        one.client.plan(MESSAGES, model=MODEL, extra_body=body, **budget)


@pytest.mark.parametrize(
    "body",
    [
        {"top_k": 5, "cache_salt": "s"},
        {"guided_json": {"type": "object"}, "repetition_penalty": 1.1},
        {"temperature": 0.5, "seed": 1},
        {},
    ],
)
def test_harmless_fields_pass_under_a_hard_budget(made, body):
    """Fields known to change nothing that is billed reach the host as they are."""
    one = made(reply("x"))
    one.ask(extra_body=body, budget="1")
    assert one.transport.calls[0].request.extra == body


@pytest.mark.parametrize("budgets", [None, (), Budget("0.01", hard=False)])
def test_without_a_hard_budget_all_fields_pass(made, budgets):
    """A soft budget records and refuses nothing, so the caller may send what a host knows."""
    body = {"provider": {"order": ["dearest"]}, "service_tier": "priority", "top_k": 5}
    one = made(reply("x"), budgets=budgets)
    one.ask(extra_body=body)
    assert one.transport.calls[0].request.extra == body


@pytest.mark.parametrize("n", [2, 0, "1"])
def test_more_than_one_answer_is_refused(made, n):
    """n multiplies the output: only one answer is forecast, reserved and returned."""
    one = made(reply("x"))
    with pytest.raises(InvalidRequestError, match="one answer to a request") as caught:
        one.ask(n=n, budget="1")
    assert caught.value.param == "n"
    assert one.transport.calls == []


@pytest.mark.parametrize("streamed", [False, True])
def test_arguments_that_openais_users_pass_are_taken(made, streamed):
    """n=1 and stream_options change nothing and are not sent on as extra fields."""
    one = made(reply("x"))
    got = one.ask(n=1, stream_options={"include_usage": True}, stream=streamed, budget="1")
    if streamed:
        assert "".join(chunk.text for chunk in got) == "x"
    assert one.transport.calls[0].request.extra == {}
    assert one.transport.calls[0].request.unvetted == ()


class Better:
    """The better one is right more often by far; both answer in about 100 tokens."""

    def score(self, prompt, profiles, *, tenant=""):
        lengths, none = Quantiles(50, 100, 300, 400, 120), Quantiles(0, 0, 0, 0, 0)
        return {p: Score(0.95 if p == "dear" else 0.4, lengths, none, "trained") for p in profiles}


def priced(**models):
    """A catalogue of models at one host: rates in USD per million tokens, in and out alike."""
    limits = {"context_tokens": 10_000, "max_output_tokens": 1_000}
    return {
        "host": [{"name": "h", "base_url": "http://localhost:1"}],
        "model": [{"name": name} for name in models],
        "endpoint": [{"model": m, "host": "h", "model_id": m, **limits} for m in models],
        "rate": [
            {"endpoint": f"{m}@h", "input": rate, "output": rate, **KNOWN}
            for m, rate in models.items()
        ],
    }


def at_h(made, catalog, **settings):
    """A client of the only host of this catalogue."""
    address = {"keys": None, "base_urls": {"h": "http://localhost:1"}}
    return made(reply("x"), catalog=catalog, hosts=["h"], **(address | settings))


def test_a_cap_on_one_request_is_no_purse_to_be_spared(made):
    """`budget="0.02"` allows two cents for this call: the choice is the same as without it."""
    settings = {"policy": "balanced", "scorer": Better()}
    one = at_h(made, priced(cheap="0.1", dear="16"), **settings).client
    free, capped = one.plan(MESSAGES), one.plan(MESSAGES, budget="0.02")
    assert free.decision.chosen == capped.decision.chosen == "dear@h"
    assert capped.forecast.cost_usd > Decimal("0.001")  # the twentieth that a purse would allow
    purse = at_h(made, priced(cheap="0.1", dear="16"), budgets="0.02", **settings).client
    assert purse.plan(MESSAGES).decision.chosen == "cheap@h"
    assert purse.plan(MESSAGES, budget="0.02").decision.chosen == "cheap@h"


@pytest.mark.parametrize(
    ("timeout", "meets"),
    [(600, False), (1195, False), (1205, True), (1800, True), (3600, True), (7200, True)],
)
@pytest.mark.parametrize("seconds", [0, 17])
def test_a_short_window_inside_the_timeout_is_in_the_ceiling(made, timeout, meets, seconds):
    """A peak from 12:20 to 12:21, which neither end of the call sees, may be what is billed."""
    low, high = ({"input": rate, "output": rate} for rate in ("1", "3"))
    book = priced(m="1") | {
        "schedule": [{"name": "short", "zone": "UTC", "hours": ["12:20-12:21"]}]
    }
    book["rate"] = [
        {"endpoint": "m@h", "schedule": "short", "off_peak": low, "peak": high, **KNOWN}
    ]
    clock = FakeClock()
    clock.advance(seconds)
    one = at_h(made, book, now=clock)
    got = one.ask(model="m@h", max_tokens=100, timeout=timeout - seconds, budget="1")
    forecast = got.route.forecast
    (entry,) = one.ledger.entries()
    assert forecast.cost < entry.reserved == forecast.cost_ceiling
    bound = len(MESSAGES[0]["content"]) + 100
    assert (forecast.cost_ceiling > (bound + 100) * to_pico("1") // 10**6 * 2) is meets


@pytest.mark.parametrize("model", ["deepseek-r1-distill-qwen-7b@h", "deepseek-finetune@h"])
def test_a_model_without_a_known_vocabulary_is_bounded_by_bytes(made, model):
    """A distilled model has another vocabulary, whatever its name: no fewer tokens than bytes."""
    content = "Wie heißt der Bürgermeister? 斑马是什么颜色? " * 20
    book = priced(**{model.removesuffix("@h"): "0.26"})
    del book["model"][: model.startswith("deepseek-r1")]  # the catalogue knows these weights
    plan = made(catalog=book).client.plan(
        [{"role": "user", "content": content}], model=[model, MODEL], max_tokens=1, budget="1"
    )
    size = len(content.encode())
    assert plan.forecasts[model].cost_ceiling >= size * 260_000
    # with its own vocabulary: our count, and a margin for the host's template
    close = plan.forecasts[MODEL]
    tokens = (close.cost_ceiling - 380_000) // 260_000
    assert close.input_tokens < tokens <= close.input_tokens * 1.01 + 32
    assert tokens < size / 2


def lost():
    return ConnectionFailedError("it broke", candidate=MODEL, billable=True)


@pytest.mark.parametrize("others", [(), (ServerError("busy", status_code=503),)])
def test_a_refused_fallback_tells_the_failure(made, others):
    """The first host was charged, so the budget refuses the next: the failure is raised."""
    one = made(*others, lost(), reply("x"))
    ceiling = one.client.plan(
        MESSAGES, model=BOTH, max_tokens=100, budget="1"
    ).forecast.cost_ceiling
    tight = made(*others, lost(), reply("x"), budgets=Budget(to_usd(2 * ceiling - 1)))
    with pytest.raises(ConnectionFailedError, match="it broke") as caught:
        tight.ask(model=BOTH, max_tokens=100)
    notes = "\n".join(caught.value.__notes__)
    assert "no fallback: the budget of" in notes
    assert [call.candidate.name for call in tight.transport.calls] == [MODEL] * (1 + len(others))
    assert sum(entry.cost for entry in tight.ledger.entries()) == ceiling


class Failing(SpanProcessor):
    """The host's own telemetry, which fails at one point."""

    def __init__(self, at):
        self.at = at

    def on_start(self, span, parent_context=None):
        if self.at == "start":
            raise RuntimeError("telemetry is down")

    def on_end(self, span):
        if self.at == "end":
            raise RuntimeError("telemetry is down")


@pytest.fixture(params=["start", "end"])
def failing(request, monkeypatch):
    """Telemetry in the place of the global one that raises wherever a span starts or ends."""
    tracing = TracerProvider()
    tracing.add_span_processor(Failing(request.param))
    monkeypatch.setattr("opentelemetry.trace.get_tracer", tracing.get_tracer)
    yield
    tracing.shutdown()


@pytest.mark.parametrize("streamed", [False, True])
def test_failing_telemetry_loses_neither_answer_nor_settlement(made, failing, caplog, streamed):
    """Whatever the application's exporter does, the answer comes and is booked; the log tells."""
    one = made(reply("one two", input_tokens=50, output_tokens=2))
    got = one.ask(stream=streamed, budget="1")
    assert ("".join(chunk.text for chunk in got) if streamed else got.text) == "one two"
    (entry,) = one.ledger.entries()
    assert (entry.kind, entry.outcome, entry.cost) == ("settle", "ok", got.route.cost.pico)
    assert entry.cost == 50 * 260_000 + 2 * 380_000
    assert "telemetry could not" in caplog.text
    assert MESSAGES[0]["content"] not in caplog.text


async def test_failing_telemetry_does_not_hide_an_error(failing, clock):
    """A failed attempt is settled and its own error raised, on an event loop as well."""
    ledger = SQLiteLedger(":memory:")
    settings = {"keys": {"deepinfra": "k"}, "scorer": FixedScorer(), "policy": in_order}
    transport = AsyncMockTransport(lost())
    async with AsyncClient(transport=transport, ledger=ledger, now=clock, **settings) as client:
        with pytest.raises(ConnectionFailedError, match="it broke"):
            await client.chat.completions.create(MESSAGES, model=MODEL, budget="1")
        (entry,) = ledger.entries()
    assert (entry.kind, entry.cost) == ("settle", entry.reserved)
