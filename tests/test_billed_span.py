"""What is charged stays within what was reserved: instants of prices, and unknown prices."""

import asyncio
import inspect
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.scores import Quantiles, Score
from policies import cheapest
from router import AsyncClient, Catalog, Client, SQLiteLedger
from router.budgets import Balance, Hold
from router.forecast import forecast
from router.horizon import Horizon, billed
from router.money import to_pico
from router.pace import Pace
from router.purses import room_in
from router.testing import AsyncMockTransport, FakeClock, MockTransport, reply
from router.types import Request

PEAK = datetime(2026, 11, 23, 1, tzinfo=UTC)  # Monday's first peak of DeepSeek begins
FLASH = "deepseek-flash@deepseek"
ASK = [{"role": "user", "content": "Which colour has the zebra of my grandmother?"}]
KNOWN = {"source": "test", "checked": "2026-11-22"}
LIMITS = {"context_tokens": 10_000, "max_output_tokens": 2_000}
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ANSWER = reply("one two three", input_tokens=10, output_tokens=100)
LENGTHS, NONE = Quantiles(50, 100, 300, 400, 120), Quantiles(0, 0, 0, 0, 0)


class Fixed:
    """Every answer takes about 100 tokens."""

    def score(self, prompt, profiles, *, tenant=""):
        return {p: Score(0.5, LENGTHS, NONE, "trained") for p in profiles}


def book(*hours, priced=True, **row):
    """One model at `h` at 1 and 2 USD a million; within `hours` (UTC, daily) at 3 and 6."""
    rate = {"endpoint": "m@h", "input": "1", "output": "2", **KNOWN} | row
    if hours:
        del rate["input"], rate["output"]
        rate |= {
            "schedule": "busy",
            "off_peak": {"input": "1", "output": "2"},
            "peak": {"input": "3", "output": "6"},
        }
    busy = {"name": "busy", "zone": "UTC", "window": "peak", "hours": list(hours), **KNOWN}
    return Catalog.load(
        {
            "host": [{"name": "h", "base_url": "http://localhost:1"}],
            "model": [{"name": m, "tokenizer": "deepseek-v3"} for m in ("m", "free")],
            "endpoint": [
                {"model": m, "host": "h", "model_id": m, **LIMITS} for m in ("m", "free")
            ],
            "rate": [rate] if priced else [],
            "schedule": [busy | {"weekdays": [1, 2, 3, 4, 5, 6, 7]}] if hours else [],
        }
    )


@pytest.fixture(params=[Client, AsyncClient])
def cls(request):
    return request.param


def made(answer=ANSWER, *, at=NOON, cls=Client, catalog=None, **settings):
    """A client with its clock (`clock`) and ledger (`kept`)."""
    transport = (MockTransport if cls is Client else AsyncMockTransport)(answer)
    clock, ledger = FakeClock(at), SQLiteLedger(":memory:")
    given = {"scorer": Fixed(), "policy": cheapest(), "ledger": ledger, "now": clock}
    if catalog is None:
        given["keys"] = {"deepseek": "k"}
    else:
        given |= {"catalog": catalog, "base_urls": {"h": "http://localhost:1"}}
    client = cls(transport=transport, **(given | {"budgets": "1", "timeout": 600.0} | settings))
    client.clock, client.kept = clock, ledger
    return client


def read(client, *, pause_after, seconds, stop=None, **arguments):
    """A stream whose reader pauses after so many chunks and closes it after `stop`; its route."""

    async def run():
        async with await client.chat.completions.create(ASK, stream=True, **arguments) as stream:
            n = 0
            async for _ in stream:
                n += 1
                if n == pause_after:
                    client.clock.advance(seconds)
                if n == stop:
                    break
        return stream.route

    if isinstance(client, AsyncClient):
        return asyncio.run(run())
    with client.chat.completions.create(ASK, stream=True, **arguments) as stream:
        for n, _ in enumerate(stream, 1):
            if n == pause_after:
                client.clock.advance(seconds)
            if n == stop:
                break
    return stream.route


def of(found):
    return asyncio.run(found) if inspect.isawaitable(found) else found


@pytest.mark.parametrize("stop", [None, 4])
def test_a_slow_reader_does_not_change_the_price(cls, stop):
    """The last chunk came before the peak; how long its reader held it is not the host's time."""
    client = made(at=PEAK - timedelta(minutes=5), cls=cls)
    route = read(client, pause_after=4, seconds=400, stop=stop, model=FLASH)
    assert route.cost.rates_id.endswith("#off-peak")
    (entry,) = client.kept.entries()
    assert (entry.cost, entry.overage) == (route.cost.pico, 0)


def test_an_empty_stream_ends_when_it_was_opened():
    """Nothing came of it: its reader's pause before asking is not the host's time either."""
    client = made([], at=PEAK - timedelta(minutes=5))
    with client.chat.completions.create(ASK, model=FLASH, stream=True) as stream:
        client.clock.advance(400)
        assert list(stream) == []
    assert stream.route.cost.rates_id.endswith("#off-peak")


def test_a_stream_that_ends_in_the_peak_is_billed_there(cls):
    """The reader paused before the last chunk came, within the timeout: the ceiling covers it."""
    client = made(at=PEAK - timedelta(minutes=5), cls=cls)
    route = read(client, pause_after=2, seconds=400, model=FLASH)
    assert route.cost.rates_id.endswith("#peak")
    assert route.cost.pico <= route.forecast.cost_ceiling


@pytest.mark.parametrize("stop", [None, 3])
def test_nothing_is_billed_at_a_price_after_the_timeout(cls, stop):
    """The clock says the last chunk came an hour later: the span that was reserved ends before."""
    client = made(at=PEAK - timedelta(minutes=15), cls=cls)
    found = of(client.plan(ASK, model=FLASH)).forecast
    route = read(client, pause_after=2, seconds=3600, stop=stop, model=FLASH)
    assert route.cost.rates_id == found.rates_id
    assert route.cost.pico <= found.cost_ceiling


@given(
    st.integers(-7200, 7200),
    st.floats(1, 3600),
    st.integers(-10_000, 10_000),
    st.integers(-10_000, 10_000),
)
def test_no_instant_leaves_the_span_that_was_reserved(start, timeout, began, ended):
    """Whatever the clock says afterwards, each price is at most the dearest of the span."""
    catalog = Catalog.default()
    now = PEAK + timedelta(seconds=start)
    until = now + timedelta(seconds=timeout)
    dearest = catalog.dearest(FLASH, now, until)
    rates = billed(
        catalog,
        catalog.candidate(FLASH, at=now),
        began=max(now, now + timedelta(seconds=began)),
        ended=now + timedelta(seconds=ended),
        until=until,
        input_tokens=10,
    )
    for kind in ("input", "cache_read", "cache_write", "output"):
        assert getattr(rates, kind) <= getattr(dearest, kind)


WHOLE = Hold(
    key="total/UTC/", window_start=NOON, resets_at=None, limit=10**15, hard=True, name="all"
)
ROOM = room_in([(WHOLE, Balance())])


@given(
    st.integers(0, 24 * 3600),
    st.floats(0.5, 86_400),
    st.floats(0, 1e7),
    st.none() | st.floats(0.001, 1e5),
)
def test_what_is_expected_never_exceeds_the_ceiling(second, timeout, taken, slope):
    """Whenever it starts, whatever its timeout and however slow its endpoint."""
    catalog = BUSY
    now = NOON + timedelta(seconds=second)
    candidate = catalog.candidate("m@h", at=now)
    pace = Pace()
    if slope is not None:
        for i in range(12):
            pace.observe("m@h", 100 + i, taken + slope * i)
    prices = Horizon(catalog, now, timeout).prices(candidate, 100, 140)
    found = forecast(
        candidate,
        Request(id="r", messages=tuple(ASK), timeout=timeout),
        Score(0.5, LENGTHS, NONE, "trained", base_tokens=9e9),
        prices,
        input_tokens=100,
        bound=140,
        cache_read_tokens=0,
        room=ROOM,
        pace=pace,
        quality_se=0.0,
        means={},
    )
    assert now <= found.priced_at <= now + timedelta(seconds=timeout)
    assert found.cost_p50 <= found.cost_p90 <= found.cost_ceiling
    assert max(found.cost, found.base_cost) <= found.cost_ceiling
    if slope is None:  # p90 is that of the dearest second until its horizon
        end = now + timedelta(seconds=min(600.0, timeout))
        dear = catalog.dearest("m@h", now, end).output == to_pico("6")
        assert found.cost_p90 == (to_pico("0.0021") if dear else to_pico("0.0007"))


BUSY = book("12:05-12:07", "12:09-12:10", "12:30-14:00", "23:50-24:00")


def test_a_peak_behind_the_first_boundary_is_in_the_p90():
    """From one peak over a pause into a dearer one: the first boundary leads down."""
    lower = {
        "endpoint": "m@h",
        "input": "0.5",
        "output": "1",
        "valid_from": "2026-11-22T12:03:00Z",
        "valid_to": "2026-11-22T12:05:00Z",
        **KNOWN,
    }
    found = made(catalog=BUSY.overlay({"rate": [lower]}), at=NOON).plan(ASK, model="m@h").forecast
    assert found.straddles == NOON + timedelta(minutes=3)
    tense = made(catalog=BUSY, at=NOON + timedelta(minutes=6)).plan(ASK, model="m@h").forecast
    assert found.cost_p90 == tense.cost_p90 > found.cost_p50


def test_a_ceiling_covers_the_whole_span_and_all_tiers():
    """The dearest of every instant until `until`, of every length and service tier."""
    catalog = book("12:10-12:20")
    soon = NOON + timedelta(minutes=9)
    assert catalog.ceiling_rates(soon).output == to_pico("2")
    assert catalog.ceiling_rates(soon, soon + timedelta(minutes=1)).output == to_pico("6")
    assert catalog.ceiling_rates(NOON, soon).output == to_pico("2")
    assert catalog.ceiling_rates(NOON, NOON + timedelta(hours=1)).output == to_pico("6")
    tiers = book(priority={"input": "5", "output": "9"}, batch={"input": "0.1", "output": "0.1"})
    found = tiers.ceiling_rates(NOON)
    assert (found.input, found.output) == (to_pico("5"), to_pico("9"))
    assert found.id == "ceiling:m@h"


@pytest.mark.parametrize("seconds", [0, 90, 3600])
def test_an_unknown_price_is_charged_as_it_was_reserved(cls, seconds):
    """A minute before another model's peak, and whenever it ends: one price all the way."""
    catalog, at = book("12:10-12:20"), NOON + timedelta(minutes=9)
    client = made(cls=cls, catalog=catalog, at=at, unpriced="ceiling")
    found = of(client.plan(ASK, model="free@h")).forecast
    assert found.cost == found.cost_p50 + 20 * 6 * 10**6
    route = read(client, pause_after=2, seconds=seconds, model="free@h")
    (entry,) = client.kept.entries()
    assert route.cost.pico == (10 * 3 + 100 * 6) * 10**6 == entry.cost
    assert entry.overage == 0
    assert route.cost.rates_id == found.rates_id == "ceiling:m@h"
