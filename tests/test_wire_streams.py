"""Streams that break, stall or report errors, over a real socket and through both clients."""

import pytest
from wire import CUT, REPEAT, STALL, Answer
from wire_bodies import DONE, KEEP_ALIVE, V3_USAGE, deepseek_stream, event, stream

from router import Budget
from router.errors import (
    BadResponseError,
    ConnectionFailedError,
    ProviderTimeoutError,
    ServerError,
)

V3_COST = 219_520_000
BOTH = ["deepseek-v3.2@deepinfra", "deepseek-v3.2@novita"]
TWO = ("deepinfra", "novita")


@pytest.mark.parametrize("hard", [False, True])
def test_an_aborted_stream_is_charged_what_came(caller, wire, hard):
    """The socket closes in the middle: the pieces that came are counted, and no more.

    Under a hard budget what may be on its way is charged besides: this host stops when it is left.
    """
    wire.script(
        "deepinfra", stream(event({"content": "one two"}), event({"content": " six"}), CUT)
    )
    asked = caller.ask(stream=True, budget=Budget("1", "request", hard=hard))
    assert type(asked.error) is ConnectionFailedError
    assert asked.text == "one two six"
    entry = caller.entry()
    assert (entry.kind, entry.outcome, entry.estimated) == ("settle", "connection", True)
    assert entry.usage.output_tokens == 3
    output_tokens = 3 + 128 * hard
    assert entry.cost == entry.usage.input_tokens * 260_000 + output_tokens * 380_000


def test_an_aborted_tool_call_is_charged_too(caller, wire):
    """Arguments of a tool call are output like any other, also when the stream dies."""
    call = {"index": 0, "function": {"name": "look_up", "arguments": '{"city": "Paris"}'}}
    wire.script("deepinfra", stream(event({"tool_calls": [call]}), CUT))
    asked = caller.ask(stream=True)
    assert type(asked.error) is ConnectionFailedError
    assert caller.entry().usage.output_tokens >= 5


def test_broken_chunks_end_a_stream_like_a_lost_connection(caller, wire):
    """Bytes that are no HTTP chunk end the stream, at its deadline at the latest.

    aiohttp 3.14 closes the socket then and leaves its reader waiting: only our own limit ends it.
    """
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    piece = event({"content": "one"})
    wire.script(
        "deepinfra",
        Answer((head, b"%x\r\n%s\r\n" % (len(piece), piece), 0.02, b"zz\r\n"), raw=True),
    )
    asked = caller.ask(stream=True, timeout=0.25)
    assert isinstance(asked.error, ConnectionFailedError)
    assert caller.entry().usage.output_tokens == 1


@pytest.mark.parametrize(
    ("piece", "kind"),
    [
        (
            b'data: {"error": {"message": "EngineCore encountered an issue.", "code": 500}}\n\n',
            ServerError,
        ),
        (b'data: {"error": "dead"}\n\n', ServerError),
        (b"data: {half\n\n", BadResponseError),
        (b"data: [1]\n\n", BadResponseError),
        (b'data: {"choices": ["x"]}\n\n', BadResponseError),
        (b'data: {"choices": {"a": 1}}\n\n', BadResponseError),
        (b'data: {"choices": [{"delta": "x"}]}\n\n', BadResponseError),
    ],
)
def test_an_error_inside_a_stream_ends_it(caller, wire, piece, kind):
    """After HTTP 200 a host can still fail: what came is charged, nobody else continues it."""
    wire.script("deepinfra", stream(event({"content": "one"}), piece, DONE))
    asked = caller.ask(*TWO, model=BOTH, stream=True)
    assert type(asked.error) is kind
    assert asked.text == "one"
    assert caller.entry().usage.output_tokens == 1
    assert wire.calls("novita") == []


def test_an_error_before_the_first_piece_falls_back(caller, wire):
    """Nothing was handed out yet: the next host serves the stream from its start."""
    wire.script("deepinfra", stream(KEEP_ALIVE, b'data: {"error": {"message": "no GPU"}}\n\n'))
    wire.script("novita", deepseek_stream("Hello"))
    asked = caller.ask(*TWO, model=BOTH, stream=True, budget="1")
    assert asked.text == "Hello"
    lost, served = caller.entries()
    assert (lost.cost, lost.estimated) == (lost.reserved, True)
    assert served.cost == asked.route.cost.pico


def test_a_stream_without_done_is_whole_when_it_was_finished(caller, wire):
    """Some servers leave out [DONE]: a finish_reason is as good."""
    wire.script(
        "deepinfra", stream(event({"content": "one"}), event({}, finish="stop", usage=V3_USAGE))
    )
    asked = caller.ask(stream=True)
    assert asked.error is None
    assert asked.route.cost.pico == V3_COST


def test_a_stream_that_just_stops_is_an_error(caller, wire):
    """Neither finish_reason nor [DONE]: the answer is not whole, and the caller is told."""
    wire.script("deepinfra", stream(event({"content": "one"})))
    asked = caller.ask(stream=True)
    assert type(asked.error) is ConnectionFailedError
    assert "ended before the answer did" in str(asked.error)
    assert caller.entry().usage.output_tokens == 1


def test_a_stalled_stream_ends_at_its_deadline(caller, wire):
    """Silence in the middle of a stream does not last longer than the timeout."""
    wire.script("deepinfra", stream(event({"content": "one"}), STALL))
    asked = caller.ask(stream=True, timeout=0.25)
    assert type(asked.error) is ProviderTimeoutError
    entry = caller.entry()
    assert (entry.outcome, entry.usage.output_tokens) == ("timeout", 1)
    assert wire.gone.wait(2)


@pytest.mark.parametrize("streamed", [False, True])
def test_keep_alives_do_not_prolong_a_deadline(caller, wire, streamed):
    """A host that only says it is alive is given up when the time is over, and charged as lost."""
    wire.script(
        "deepinfra",
        stream(KEEP_ALIVE, REPEAT) if streamed else Answer((b"\n", REPEAT), chunked=True),
    )
    asked = caller.ask(stream=streamed, timeout=0.25, budget="1")
    assert type(asked.error) is ProviderTimeoutError
    entry = caller.entry()
    assert (entry.outcome, entry.cost, entry.estimated) == ("timeout", entry.reserved, True)
    assert wire.gone.wait(2)
