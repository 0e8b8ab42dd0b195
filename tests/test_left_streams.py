"""What a stream is charged that is closed, cancelled or broken before its end.

Under a hard budget its host may go on and bill it whole, unless it is known to stop.
"""

from contextlib import suppress
from types import SimpleNamespace

import pytest
from calling import FixedScorer, in_order
from hypothesis import given, settings
from hypothesis import strategies as st
from leaving import (
    BROKE,
    FOREIGN,
    GOES_ON,
    HARD,
    MESSAGES,
    STOPS,
    UNREAD,
    WAYS,
    WORD,
    catalog,
    cost,
    leave,
)

from router import Budget, Client
from router.errors import BudgetExceededError, ConnectionFailedError
from router.testing import FakeClock, MockSource, MockTransport
from router.types import Chunk, Usage

COUNTED = [
    None,
    Budget("1", hard=False),
    Budget("1", quantile=0.9),
    Budget(requests=5),
    Budget(tokens=9_999, quantile=0.9),
]


@pytest.mark.parametrize("way", WAYS)
class TestHard:
    def test_a_host_that_may_go_on_is_charged_in_full(self, way):
        """Nothing less keeps the promise; the usage says what came, the route why it costs so."""
        left = leave(way, HARD)
        assert left.entry.cost == left.entry.reserved == left.ceiling.cost_ceiling
        assert left.entry.usage.output_tokens == 3
        if left.route is not None:
            assert (left.route.cost.pico, left.route.usage) == (left.entry.cost, left.entry.usage)
            assert left.route.cost.rates_id == left.entry.record.rates_id
            assert left.notes == [
                "left before its end, so charged all that was reserved: m@goes-on may have gone on"
            ]

    def test_a_host_that_stops_is_charged_a_little_ahead(self, way):
        """What came, and what may have been on its way when the reader went."""
        left = leave(way, HARD, STOPS)
        assert left.entry.cost == cost(left.input_tokens, 3 + UNREAD) < left.entry.reserved
        assert left.entry.usage.output_tokens == 3
        if left.route is not None:
            assert (left.route.cost.pico, left.route.usage) == (left.entry.cost, left.entry.usage)
            assert left.notes == []

    def test_never_more_than_was_reserved(self, way):
        """A host that stops does so at `max_tokens` at the latest."""
        left = leave(way, HARD, STOPS, max_tokens=50)
        assert left.entry.cost == left.entry.reserved < cost(left.input_tokens, 3 + UNREAD)

    def test_tokens_are_kept_in_tokens(self, way):
        """A budget of tokens has its worst case in tokens; the dollars are those of what came."""
        budget = Budget(tokens=9_999)
        left = leave(way, budget)
        assert left.entry.tokens == left.ceiling.tokens_ceiling > left.input_tokens + 3
        assert left.entry.cost == cost(left.input_tokens, 3)
        left = leave(way, budget, STOPS)
        assert left.entry.tokens == left.input_tokens + 3 + UNREAD
        assert left.entry.cost == cost(left.input_tokens, 3)
        left = leave(way, budget, STOPS, max_tokens=50)
        assert left.entry.tokens == left.ceiling.tokens_ceiling < left.input_tokens + 3 + UNREAD


@pytest.mark.parametrize("model", [GOES_ON, STOPS])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("budget", COUNTED, ids=["none", "soft", "quantile", "requests", "likely"])
def test_without_a_strict_limit_what_came_is_charged(budget, way, model):
    """No promise is to be kept, so the likely cost is told and nothing is added."""
    left = leave(way, budget, model)
    assert left.entry.cost == cost(left.input_tokens, 3)
    assert left.entry.tokens == left.input_tokens + 3
    if left.route is not None:
        assert (left.route.cost.pico, left.notes) == (left.entry.cost, [])


def test_a_stream_left_before_its_first_piece_is_noted():
    """It may be worked on unseen: all that was reserved, whatever the host does when left."""
    left = leave("closed", HARD, STOPS, pieces=())
    assert left.entry.cost == left.entry.reserved
    assert len(left.notes) == 1


@pytest.mark.parametrize("model", [GOES_ON, STOPS])
def test_what_the_host_has_counted_is_owed(model):
    """Also where it is more than was reserved: the ledger does not hide an overage."""
    told = Usage(input_tokens=500, output_tokens=900)
    left = leave(
        "closed", HARD, model, [Chunk(body={}, text=" one", usage=told), WORD], max_tokens=50
    )
    assert left.entry.cost == left.entry.reserved + left.entry.overage > left.entry.reserved
    assert left.entry.cost >= cost(500, 900)


def test_a_count_without_the_vocabulary_is_no_measure():
    """What came of a model whose tokens we cannot count exactly is charged in full, too."""
    left = leave("closed", HARD, FOREIGN)
    assert left.entry.cost == left.entry.reserved
    assert len(left.notes) == 1


@pytest.mark.parametrize(("pause", "whole"), [(0.01, False), (2.0, True)])
def test_behind_a_slow_reader_more_may_have_been_written(monkeypatch, pause, whole):
    """The host stops when it is left, but until then it was not held up by its reader."""
    clock = FakeClock()

    def monotonic():
        return clock.instant.timestamp()

    class Slow(tuple):
        __slots__ = ()

        def __iter__(self):
            for piece in super().__iter__():
                yield piece
                clock.advance(pause)

    monkeypatch.setattr("router._core.time", SimpleNamespace(monotonic=monotonic))
    left = leave("closed", HARD, STOPS, Slow((WORD,) * 3))
    assert (left.entry.cost == left.entry.reserved) is whole


class Meter(MockTransport):
    """Hosts that answer with so many tokens, up to `max_tokens`, and what they bill.

    One goes on to the end of its answer when its reader has gone, or its connection has; the
    other has written up to 128 tokens that nobody reads.
    """

    def __init__(self):
        super().__init__()
        self.answers, self.bill = [], 0

    def open(self, call):
        self.calls.append(call)
        length, broken_after, ahead = self.answers[-1]
        whole = min(length, call.max_tokens)
        written = min(whole, broken_after)
        ends = written == whole
        done = Usage(input_tokens=call.input_tokens, output_tokens=whole)
        last = Chunk(body={}, usage=done, finish_reason="stop")
        source = MockSource([WORD] * written + [last if ends else BROKE])
        stops = call.candidate.stops_when_left
        close = source.close

        def left():
            unread = len(source._pieces)
            read = written if unread == 0 else written - (unread - 1)
            output = min(whole, read + ahead) if stops else whole
            self.bill += cost(call.input_tokens, output)
            close()

        source.close = left
        return source


CALL = st.tuples(
    st.sampled_from([GOES_ON, STOPS]),
    st.integers(1, 700),  # tokens of the whole answer
    st.integers(1, 700),  # after so many the connection breaks
    st.integers(1, 700),  # after so many the reader goes
    st.integers(0, UNREAD),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CALL, min_size=1, max_size=8), st.integers(300, 4_000))
def test_the_bill_never_passes_the_limit(calls, micro_dollars):
    """Whatever is left when: what the provider bills is within what we charge, and the limit."""
    limit = micro_dollars * 10**6
    host = Meter()
    with Client(
        transport=host,
        catalog=catalog(),
        hosts=["goes-on", "stops"],
        ledger=":memory:",
        scorer=FixedScorer(),
        policy=in_order,
        now=FakeClock(),
        budgets=[Budget(f"0.{micro_dollars:06d}", name="b")],
        environ={},
    ) as client:
        for model, length, broken_after, read, ahead in calls:
            host.answers.append((length, broken_after, ahead))
            with (
                suppress(BudgetExceededError, ConnectionFailedError),
                client.chat.completions.create(
                    MESSAGES, model=model, stream=True, max_retries=0
                ) as stream,
            ):
                for _, _chunk in zip(range(read), stream, strict=False):
                    pass
            (status,) = client.budgets.status()
            assert status.reserved == 0
            spent = int(status.spent * 10**12)
            assert host.bill <= spent <= limit
