"""Streamed requests, driven by hand."""

from __future__ import annotations

import pytest
from by_hand import LARGE, ask, finish, to_reserve

from router import flow
from router.effects import Emit, Open, Read, Settle
from router.errors import (
    InsufficientBalanceError,
    ProviderTimeoutError,
    ServerError,
)
from router.services import Services
from router.streamed import StreamClosed
from router.testing import chunks, reply
from router.types import Chunk


def test_a_stream_is_read_handed_out_and_settled(services: Services) -> None:
    """Open, then chunk by chunk; usage comes from the last chunk."""
    line = flow.complete(ask(stream=True), services)
    to_reserve(line)
    assert isinstance(line.send(None), Open)
    assert line.send(None) == Emit(None)
    pieces = chunks(reply("Hello there", output_tokens=9))
    for piece in pieces:
        assert isinstance(line.send(None), Read)
        assert line.send(piece) == Emit(piece)
    assert isinstance(line.send(None), Read)
    settle = line.send(None)
    assert settle.settlement.usage.output_tokens == 9
    got, route = finish(line, None)
    assert got is None
    assert route.usage.output_tokens == 9


def test_a_closed_stream_is_charged_for_what_came(services: Services) -> None:
    """Closing early settles the counted tokens, not the reservation and not nothing."""
    line = flow.complete(ask(stream=True), services)
    to_reserve(line)
    line.send(None)
    line.send(None)
    line.send(None)
    line.send(Chunk(body={}, text="one two three"))
    settle = line.throw(StreamClosed())
    assert settle.settlement.usage.output_tokens == 3
    assert (settle.settlement.outcome, settle.settlement.estimated) == ("closed", True)
    got, route = finish(line, None)
    assert got is None
    assert route.usage.output_tokens == 3
    assert [a.outcome for a in route.attempts] == ["closed"]


def test_a_stream_that_breaks_midway_is_not_continued_elsewhere(services: Services) -> None:
    """The caller has part of the answer: no fallback, the error is raised."""
    line = flow.complete(ask(stream=True), services)
    to_reserve(line)
    line.send(None)
    line.send(None)
    line.send(None)
    line.send(Chunk(body={}, text="one"))
    line.send(None)
    assert isinstance(line.throw(ServerError("broke", billable=True)), Settle)
    with pytest.raises(ServerError):
        line.send(None)


def test_a_stream_that_breaks_before_its_first_chunk_falls_back(services: Services) -> None:
    """Nothing was handed out yet: the next candidate may serve, and opens no second time."""
    line = flow.complete(ask(stream=True), services)
    to_reserve(line)
    line.send(None)
    line.send(None)
    line.send(None)
    line.throw(InsufficientBalanceError("empty"))
    assert line.send(None).reservation.record.candidate == LARGE
    assert isinstance(line.send(None), Open)
    assert isinstance(line.send(None), Read)


def test_a_role_alone_commits_to_nothing(services: Services) -> None:
    """A first chunk without content may be followed by another host; it costs its input."""
    line = flow.complete(ask(stream=True), services)
    to_reserve(line)
    line.send(None)
    line.send(None)
    line.send(None)
    line.send(Chunk(body={}))
    line.send(None)
    settle = line.throw(ServerError("broke", billable=True))
    assert (settle.settlement.usage.input_tokens, settle.settlement.usage.output_tokens) == (10, 0)
    assert line.send(None).reservation.record.candidate == LARGE
    line.send(None)
    line.send(None)
    unread = line.throw(ProviderTimeoutError("late", billable=True))
    # nothing came of this one: what the first brought does not make it cheaper
    assert unread.settlement.cost.pico > settle.settlement.cost.pico
