"""A job is not sent in one instant: ceilings hold whenever its calls go out, and notes say so."""

import asyncio
import inspect
from datetime import UTC, datetime, timedelta

import pytest
from catalogs import by_clock, rate, small
from hypothesis import given, settings
from hypothesis import strategies as st
from jobs import Fixed, asks

from policies import cheapest
from router import AsyncClient, Client, InvalidRequestError
from router.money import format_usd
from router.testing import AsyncMockTransport, FakeClock, MockTransport, reply

ASK = [{"role": "user", "content": "Which colour has the zebra of my grandmother?"}]
TALK = {"messages": ASK, "turns": 3}
NAME = "m@h"
SEVEN = datetime(2026, 11, 23, 7, tzinfo=UTC)  # a Monday; the peak is from 9 to 12
NINE, NOON = SEVEN + timedelta(hours=2), SEVEN + timedelta(hours=5)
HOURS = {"name": "s", "zone": "UTC", "hours": ["09:00-12:00"]}
ROOM = {"max_output_tokens": 1_000}


def clocked(**columns):
    """Twice the price in peak hours; `columns` are of the price row."""
    return small(by_clock(**columns), schedule=[HOURS], endpoint=ROOM)


def client(at=SEVEN, cls=Client, *, catalog=None, **given):
    kind = MockTransport if cls is Client else AsyncMockTransport
    return cls(
        transport=kind(reply("x")),
        catalog=clocked() if catalog is None else catalog,
        candidates=[NAME],
        base_urls={"h": "http://localhost:1"},
        policy=cheapest(),
        scorer=Fixed(),
        ledger=":memory:",
        now=FakeClock(at),
        **given,
    )


def of(found):
    return asyncio.run(found) if inspect.isawaitable(found) else found


def job(*requests, at=SEVEN, catalog=None, cls=Client, **given):
    return of(client(at, cls, catalog=catalog).plan_job(requests or [ASK], model=NAME, **given))


@pytest.mark.parametrize("cls", [Client, AsyncClient])
@pytest.mark.parametrize("request_", [ASK, TALK])
def test_ceilings_hold_until_the_span_ends(cls, request_):
    """Up to the last call's timeout, in all turns; a day if nothing is said. Costs are of now."""
    now, peak = job(request_, within=0), job(request_, at=NINE, within=0)
    assert peak.ceiling == 2 * now.ceiling
    spans = {
        3600: now.ceiling,
        6599: now.ceiling,
        6600: peak.ceiling,  # its timeout of 600 s ends at nine
        timedelta(hours=2): peak.ceiling,
        None: peak.ceiling,
    }
    for within, ceiling in spans.items():
        found = job(request_, cls=cls, within=within)
        assert found.ceiling == ceiling, within
        assert found.requests[0].cost_ceiling == ceiling
        assert (found.cost, found.cost_p90, found.sum_of_p90) == (
            now.cost,
            now.cost_p90,
            now.sum_of_p90,
        )
    assert job(request_).within == timedelta(days=1)
    assert "ceilings: of calls sent within 24 h" in str(job(request_))


def test_the_dearest_known_price_is_that_of_the_span():
    """A candidate without a price is bounded by the dearest of others at any hour of the span."""
    limits = {"context_tokens": 10_000, **ROOM}
    unpriced = {"model": "f", "host": "h", "model_id": "f", **limits}
    catalog = clocked().overlay({"model": [{"name": "f"}], "endpoint": [unpriced]})
    own = client(catalog=catalog, unpriced="ceiling")
    now, day = (own.plan_job([ASK, TALK], model="f@h", within=w) for w in (0, None))
    assert day.ceiling == 2 * now.ceiling > 0
    assert day.cost == now.cost


@settings(max_examples=25)
@given(
    st.integers(0, 7 * 24 * 60),
    st.integers(0, 36 * 60),
    st.floats(0, 1),
    st.integers(1, 3),
    st.sampled_from([1.0, 600.0, 7200.0]),
)
def test_no_call_within_the_span_can_cost_more(start, minutes, share, turns, timeout):
    """Whenever in the span it is sent, its own ceiling then is no more than the job's."""
    at, within = SEVEN + timedelta(minutes=start), timedelta(minutes=minutes)
    talk = {"messages": ASK, "turns": turns}
    whole = job(talk, at=at, within=within, timeout=timeout)
    sent = job(talk, at=at + within * share, within=0, timeout=timeout)
    assert sent.ceiling <= whole.ceiling
    assert whole.cost <= whole.ceiling


def test_a_note_says_what_later_costs_more():
    """Once, by how much at the dearest; exactly what it would cost if it were sent then."""
    found, peak = job(*asks(3), TALK), job(*asks(3), TALK, at=NINE)
    start = "priced as if sent at 07:00 UTC; at the dearest hours within 24 h expect "
    (note,) = found.notes
    assert note.startswith(start)
    more = float(note.removeprefix(start).removeprefix("$").removesuffix(" more"))
    assert more == pytest.approx(float(peak.cost_usd - found.cost_usd), rel=1e-2)
    assert note.endswith(f"{format_usd(peak.cost - found.cost)} more")
    assert note in str(found)
    (note,) = peak.notes
    assert note == "priced as if sent at 09:00 UTC; no hour within 24 h is dearer"


def test_no_note_where_prices_do_not_change():
    """A flat price, or a span in which no boundary lies."""
    assert job(catalog=small(rate(), endpoint=ROOM)).notes == ()
    assert job(within=3600).notes == ()
    assert job(at=NOON, within=7200).notes == ()


def test_what_is_to_be_said_of_a_price_is_said_once():
    """A price checked long ago, and a boundary that calls sent now may cross, of all requests."""
    old = clocked(checked="2026-01-01")
    found = job(*asks(3), TALK, catalog=old, at=NINE - timedelta(seconds=30), within=0)
    assert len(found.notes) == len(set(found.notes)) == 2
    assert sum("its price was last checked on 2026-01-01" in note for note in found.notes) == 1
    assert "m@h: a call sent now may cross the price boundary at 09:00 UTC" in found.notes
    assert all(note in str(found) for note in found.notes)


def test_an_uncertain_hour_ahead_is_said():
    """Where the list of holidays ends within the span, later prices are not certain."""
    ends = {"name": "c", "days": [SEVEN.date()], "until": SEVEN.date()}
    catalog = small(
        by_clock(), schedule=[HOURS | {"calendar": "c"}], calendar=[ends], endpoint=ROOM
    )
    assert not any("holidays" in note for note in job(catalog=catalog, within=3600).notes)
    assert sum("holidays" in note for note in job(*asks(3), catalog=catalog).notes) == 1


def test_long_requests_do_not_price_short_ones():
    """What is kept of prices ahead is kept by length of input where a price depends on it."""
    tiers = [{"above_input_tokens": 200, "input": "10", "output": "10"}]
    catalog = small(rate(tiers=tiers), endpoint=ROOM)
    long = [{"role": "user", "content": "zebra " * 300}]
    alone = [job(each, catalog=catalog).ceiling for each in (ASK, long)]
    own = client(catalog=catalog)
    assert alone == [own.plan(each, model=NAME).forecast.cost_ceiling for each in (ASK, long)]
    assert job(ASK, long, ASK, catalog=catalog).ceiling == 2 * alone[0] + alone[1]
    assert job(long, ASK, catalog=catalog).requests[1].cost_ceiling == alone[0]


@pytest.mark.parametrize("cls", [Client, AsyncClient])
@pytest.mark.parametrize(
    "within",
    [-1, float("nan"), float("inf"), True, "1h", timedelta(-1), timedelta(days=367)],
)
def test_a_span_that_is_none(cls, within):
    """It is refused before the first request is read."""
    requests = asks(1)
    with pytest.raises(InvalidRequestError, match="within: expected a timedelta") as caught:
        of(client(cls=cls).plan_job(requests, within=within))
    assert caught.value.param == "within"
    assert next(requests)
