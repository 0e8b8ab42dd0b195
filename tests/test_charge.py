"""What an attempt is charged when it breaks off, or when the host's own count is none."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from calling import FixedScorer, in_order
from wire import Answer
from wire_bodies import deepseek, deepseek_error

from router import Budget, Client
from router.catalog import Catalog
from router.errors import ConnectionFailedError, RateLimitError, RouterError, ServerError
from router.ledgers.sqlite import SQLiteLedger
from router.testing import FakeClock, MockTransport, reply
from router.types import Chunk, Usage

NOW = FakeClock().instant
CONTEXT = 10_000
INPUT, CACHED, OUTPUT = 1_000_000, 100_000, 2_000_000
"""Pico-dollars a token."""
CHAT, THINKING = "m@h", "m:thinking@h"
MESSAGES = [{"role": "user", "content": "Which colour has a zebra?"}]
TEXT = "one two six"  # three tokens
SOFT = Budget("1", "request", hard=False)  # hard ones: test_left_streams


def catalog(**end: datetime) -> Catalog:
    """One model at one host at round prices, until the instant `retires_at` or `valid_to`."""
    retires = {k: v for k, v in end.items() if k == "retires_at"}
    limits = {"context_tokens": CONTEXT, "max_output_tokens": 1_000}
    known = {"source": "test", "checked": "2026-11-22"}
    prices = known | {"input": "1", "cache_read": "0.1", "output": "2"}
    return Catalog.load(
        {
            "host": [{"name": "h", "base_url": "http://localhost:1"}],
            "model": [{"name": "m", "modes": ["chat", "thinking"], "tokenizer": "deepseek-v3"}],
            "endpoint": [{"model": "m", "host": "h", "model_id": "m"} | limits | retires],
            "rate": [{"endpoint": CHAT} | prices | ({} if retires else end)],
        }
    )


class Slow(MockTransport):
    """Answers after a while, on the clock of the test."""

    def __init__(self, answer, clock, seconds):
        super().__init__(answer)
        self.clock, self.seconds = clock, seconds

    def _next(self, call):
        self.clock.advance(self.seconds)
        return super()._next(call)


@dataclass
class Charged:
    """The only entry, and what the caller saw."""

    entry: object
    input_tokens: int
    error: RouterError | None = None
    route: object = None


def ask(answer, *, model=CHAT, close_after=None, book=None, wait=0.0, budget=SOFT):
    """One call, streamed where the answer is pieces; its entry, when nothing is left open.

    The answer takes `wait` seconds; the stream is closed after `close_after` chunks.
    """
    clock, ledger = FakeClock(), SQLiteLedger(":memory:")
    client = Client(
        transport=Slow(answer, clock, wait),
        catalog=book or catalog(),
        hosts=["h"],
        ledger=ledger,
        scorer=FixedScorer(),
        policy=in_order,
        now=clock,
        max_retries=0,
        environ={},
    )
    made = error = None
    with client:
        planned = client.plan(MESSAGES, model=model)
        try:
            made = client.chat.completions.create(
                MESSAGES, model=model, budget=budget, stream=isinstance(answer, list)
            )
            if isinstance(answer, list):
                for _, _chunk in zip(range(close_after or len(answer)), made, strict=False):
                    pass
                if close_after is None:
                    list(made)
                made.close()
        except RouterError as raised:
            error = raised
        ledger.check()
        (entry,) = ledger.entries()
        open_ones = ledger._db().execute("SELECT count(*) FROM open_reservations").fetchone()
    assert open_ones == (0,)
    route = None if error or close_after else made.route
    return Charged(entry, planned.input_tokens, error, route)


def broken(billable=True):
    return ConnectionFailedError("it broke", billable=billable)


def text(words=TEXT, usage=None, finish_reason=None):
    return Chunk(body={}, text=words, usage=usage, finish_reason=finish_reason)


def cost(input_tokens, output_tokens, cached=0):
    return (input_tokens - cached) * INPUT + cached * CACHED + output_tokens * OUTPUT


ENDS = pytest.mark.parametrize("closed", [False, True])


def ended(pieces, *, closed, **more):
    """A stream that breaks after these pieces, or is closed by the caller there."""
    return ask([*pieces, broken()], close_after=len(pieces) if closed else None, **more)


@ENDS
def test_text_that_came_is_counted(closed):
    """A stream that ends early without any usage is charged what was handed out, as estimated."""
    got = ended([text("one two"), text(" six")], closed=closed)
    assert got.entry.cost == cost(got.input_tokens, 3)
    assert (got.entry.kind, got.entry.estimated) == ("settle", True)
    assert got.entry.outcome == ("closed" if closed else "connection")


@ENDS
def test_a_partial_usage_counts_where_it_is_more(closed):
    """Some hosts count along: what they have counted is charged, with the cache they told."""
    so_far = Usage(input_tokens=500, cache_read_tokens=400, output_tokens=90, reasoning_tokens=80)
    got = ended([text("one two", so_far), text(" six")], closed=closed)
    assert got.entry.cost == cost(500, 90, cached=400)
    assert got.entry.usage == Usage(
        input_tokens=500,
        cache_read_tokens=400,
        output_tokens=90,
        reasoning_tokens=80,
        estimated=True,
    )


@ENDS
def test_a_partial_usage_never_makes_text_cheaper(closed):
    """A count of its beginning does not hide the text that came after it."""
    got = ended(
        [text("one", Usage(input_tokens=1, output_tokens=1)), text(" two six")], closed=closed
    )
    assert got.entry.cost == cost(got.input_tokens, 3)
    assert got.entry.estimated


@ENDS
def test_an_absurd_partial_usage_is_not_charged(closed):
    """A count beyond ten contexts is a fault of the host, in a broken stream as in a whole one."""
    absurd = Usage(input_tokens=5, output_tokens=10 * CONTEXT + 1)
    got = ended([text(usage=absurd)], closed=closed)
    assert got.entry.cost == cost(got.input_tokens, 3)


@ENDS
def test_hidden_reasoning_costs_the_reservation(closed):
    """Who thinks unseen may have thought up to the limit, however little text has come."""
    got = ended([text()], closed=closed, model=THINKING, budget="1")
    assert got.entry.cost == got.entry.reserved > cost(got.input_tokens, 3)
    assert got.entry.estimated


@ENDS
def test_reasoning_that_is_shown_is_counted(closed):
    """Where the thoughts are in the stream they are counted like text, and no more is charged."""
    got = ended([Chunk(body={}, reasoning="one two"), text(" six")], closed=closed, model=THINKING)
    assert got.entry.cost == cost(got.input_tokens, 3)
    assert got.entry.estimated


@pytest.mark.parametrize("model", [CHAT, THINKING])
@ENDS
def test_a_final_usage_before_the_break_is_exact(model, closed):
    """Once the answer was finished and its usage told, a lost end changes nothing."""
    told = Usage(input_tokens=500, output_tokens=90)
    got = ended([text(), text("", told, "stop")], closed=closed, model=model, budget="1")
    assert got.entry.cost == cost(500, 90)
    assert not got.entry.estimated


def test_a_usage_without_the_end_is_not_final():
    """Hidden reasoning and a count on the way: more may follow, so the reservation is charged."""
    told = Usage(input_tokens=500, output_tokens=90)
    got = ended([text(usage=told)], closed=False, model=THINKING, budget="1")
    assert got.entry.cost == got.entry.reserved
    assert got.entry.estimated


@pytest.mark.parametrize("model", [CHAT, THINKING])
@pytest.mark.parametrize("answer", [[broken()], [Chunk(body={}), broken()], broken()])
@pytest.mark.parametrize("budget", [None, "1", SOFT])
def test_nothing_came_and_all_is_charged(answer, model, budget):
    """A call that was sent and never answered may have been worked on as far as was reserved."""
    got = ask(answer, model=model, budget=budget)
    assert got.entry.cost == got.entry.reserved > 0
    assert (got.entry.kind, got.entry.estimated) == ("settle", True)
    assert isinstance(got.error, ConnectionFailedError)


@pytest.mark.parametrize("answer", [[broken(billable=False)], broken(billable=False)])
def test_nothing_was_sent_and_nothing_is_charged(answer):
    """A call that never reached the host is released."""
    got = ask(answer)
    assert (got.entry.kind, got.entry.cost) == ("release", 0)


def test_text_is_charged_whatever_ended_it():
    """An error that is usually free does not make the text free that came before it."""
    got = ask([text(), RateLimitError("slow down", status_code=429)])
    assert got.entry.cost == cost(got.input_tokens, 3)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "told",
    [
        Usage(input_tokens=500, output_tokens=0),
        Usage(input_tokens=500, output_tokens=10 * CONTEXT + 1),
        Usage(input_tokens=10 * CONTEXT + 1, output_tokens=3),
    ],
)
def test_a_usage_that_cannot_be_is_counted_anew(told, streamed):
    """No output though text came, or more than ten contexts: our own count, as estimated."""
    whole = reply(TEXT, input_tokens=told.input_tokens, output_tokens=told.output_tokens)
    got = ask([text(), text("", told, "stop")] if streamed else whole)
    assert got.error is None
    assert got.entry.usage == Usage(input_tokens=got.input_tokens, output_tokens=3, estimated=True)
    assert got.entry.cost == cost(got.input_tokens, 3) == got.route.cost.pico


@pytest.mark.parametrize("streamed", [False, True])
def test_a_large_usage_that_can_be_is_believed(streamed):
    """Up to ten contexts the host's word counts, and so does no output where no text came."""
    told = Usage(input_tokens=10 * CONTEXT)
    whole = reply("", input_tokens=10 * CONTEXT, output_tokens=0)
    got = ask([text("", told, "stop")] if streamed else whole)
    assert (got.entry.cost, got.entry.estimated) == (cost(10 * CONTEXT, 0), False)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("end", ["retires_at", "valid_to"])
def test_a_price_that_ends_during_a_call_still_holds_for_it(end, streamed):
    """The endpoint retires, or its row ends, meanwhile: the reservation's rates, never zero."""
    book = catalog(**{end: NOW + timedelta(seconds=5)})
    told = Usage(input_tokens=500, output_tokens=90)
    whole = reply(TEXT, input_tokens=500, output_tokens=90)
    got = ask([text(), text("", told, "stop")] if streamed else whole, book=book, wait=10)
    assert got.entry.cost == cost(500, 90) == got.route.cost.pico
    assert got.route.cost.rates_id == got.entry.record.rates_id != ""


@pytest.mark.parametrize("end", ["retires_at", "valid_to"])
def test_a_stream_broken_after_its_price_ended_is_charged(end):
    """The same for what came of a stream that did not end well."""
    book = catalog(**{end: NOW + timedelta(seconds=5)})
    got = ask([text(), broken()], book=book, wait=10)
    assert got.entry.cost == cost(got.input_tokens, 3)


@pytest.mark.parametrize("status", [504, 524])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_gateway_that_gave_up_may_have_been_charged(caller, wire, status, streamed):
    """504: the host behind it may have worked. Charged in full, not repeated there, elsewhere."""
    wire.script("deepinfra", Answer((b"<html>gateway time-out</html>",), status=status))
    wire.script("novita", deepseek() if not streamed else deepseek_error(401, "no"))
    asked = caller.ask(
        "deepinfra",
        "novita",
        model=["deepseek-v3.2@deepinfra", "deepseek-v3.2@novita"],
        stream=streamed,
        budget="1",
    )
    lost, second = caller.entries()
    assert (lost.outcome, lost.cost, lost.estimated) == (f"http_{status}", lost.reserved, True)
    assert second.record.host == "novita"
    assert len(wire.calls("deepinfra")) == 1
    assert (asked.error is None) is (not streamed)


def test_a_gateway_that_gave_up_may_say_so_in_a_body(caller, wire):
    """The same told with status 200, as gateways do that have begun to answer."""
    body = b'{"error": {"message": "upstream timed out", "code": 504}}'
    wire.script("deepinfra", Answer((body,)))
    asked = caller.ask(budget="1", max_retries=0)
    assert isinstance(asked.error, ServerError)
    entry = caller.entry()
    assert (entry.cost, entry.outcome) == (entry.reserved, "http_504")
