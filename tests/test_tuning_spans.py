"""Spans of a ledger as traffic: each request is whole, and on one side."""

from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from router import Client, SQLiteLedger, recorded_prompts, tuning
from router.ledgers import Record, Reservation, Settlement
from router.testing import FakeClock
from router.types import Cost, Usage

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MODELS = ["mixtral-8x7b-instruct-v0.1@replay", "deepseek-v2.5@replay"]
TOOK = Usage(input_tokens=10, output_tokens=5)


@pytest.fixture
def ledger(tmp_path):
    with closing(SQLiteLedger(tmp_path / "l.sqlite3")) as found:
        yield found


def reserved(ledger, number, request, cost):
    """A call of a request that begins so many minutes after noon; its id and when."""
    at, lease = NOON + timedelta(minutes=number), timedelta(minutes=5)
    record = Record(
        request_id=request, candidate="a@x", model="a", mode="", host="x", policy="mine"
    )
    name = f"{request}/{number}"
    ledger.reserve(
        Reservation(id=name, at=at, lease_until=at + lease, amount=cost, holds=(), record=record)
    )
    return name, at


def settled(ledger, name, at, cost):
    spent = Cost(pico=cost, rates_id="row")
    ledger.settle(name, Settlement(at=at, usage=TOOK, cost=spent, seconds=2.0))


def booked(ledger, number, *, request, cost):
    """A call, begun and ended."""
    name, at = reserved(ledger, number, request, cost)
    settled(ledger, name, at + timedelta(seconds=2), cost)


def lost(ledger, number, *, request, corrected_after):
    """A call whose outcome was lost, charged 100 in full, and told later to have cost 30."""
    name, at = reserved(ledger, number, request, 100)
    ledger.sweep(at + timedelta(minutes=6))
    settled(ledger, name, at + timedelta(minutes=5) + corrected_after, 30)


@pytest.mark.parametrize("days", [1, 9])
def test_a_late_correction_is_no_request_of_its_own(ledger, days):
    """It belongs to the request that it corrects: whole in its span, and in no later one."""
    lost(ledger, 0, request="old", corrected_after=timedelta(days=days))
    since = NOON + timedelta(days=days, minutes=-1)
    booked(ledger, days * 24 * 60 + 30, request="new", cost=7)
    found = tuning.load(ledger, since=since)
    assert [(r.request_id, r.cost) for r in found] == [("new", 7)]
    assert any("corrections of 1 requests" in note for note in found.notes) is (days == 9)
    for span in ({}, {"since": NOON}, {"until": since}):
        assert tuning.load(ledger, **span)[0].cost == 30, span
    assert len(tuning.load(ledger, until=since)) == 1


def test_no_request_is_cut_in_two_by_a_span(ledger):
    """Its attempts stay together, on the side on which it began."""
    booked(ledger, 0, request="r", cost=100)
    booked(ledger, 10, request="r", cost=23)
    between = NOON + timedelta(minutes=5)
    assert not tuning.load(ledger, since=between)
    assert [r.cost for r in tuning.load(ledger, until=between)] == [123]


def test_spans_of_a_ledger_are_those_of_its_traffic(tmp_path):
    """Spans meet without a gap and without an overlap, where `since` and `until` cut traffic."""
    path, clock = tmp_path / "l.sqlite3", FakeClock()
    with Client(ledger=str(path), candidates=MODELS, now=clock, log_decisions=True) as client:
        for number, each in enumerate(recorded_prompts(source="zeroeval")[:12]):
            client.chat.completions.create([{"role": "user", "content": each.prompt}])
            clock.advance(3600 * (1 + number % 3))
    every = tuning.load(path)
    for at in {r.at + timedelta(seconds=shift) for r in every for shift in (-1, 0, 1)}:
        after, before = tuning.load(path, since=at), tuning.load(path, until=at)
        assert (after, before) == (every.since(at), every.until(at))
        assert len(after) + len(before) == len(every)
