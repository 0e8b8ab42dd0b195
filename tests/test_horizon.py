"""Which prices a call may meet, what is said of it, and at which it is billed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.scores import Quantiles, Score
from policies import cheapest
from router import Catalog, Client
from router.horizon import Horizon, billed, doubts, tier_of
from router.money import to_pico
from router.testing import FakeClock, MockTransport, reply

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)  # a Sunday
PEAK = datetime(2026, 11, 23, 6, tzinfo=UTC)  # Monday's second peak begins
FLASH = "deepseek-flash@deepseek"
ASK = [{"role": "user", "content": "Which colour has the zebra of my grandmother?"}]
LIMITS = {"context_tokens": 1_000_000, "max_output_tokens": 4_000}
KNOWN = {"source": "test", "checked": "2026-11-22"}


class Fixed:
    """Every answer takes about 100 tokens."""

    def score(self, prompt, profiles, *, tenant=""):
        lengths, none = Quantiles(50, 100, 300, 400, 120), Quantiles(0, 0, 0, 0, 0)
        return {p: Score(0.5, lengths, none, "trained") for p in profiles}


def client(at=NOW, *, catalog=None, **settings):
    given = {"ledger": ":memory:", "scorer": Fixed(), "now": FakeClock(at), "policy": cheapest()}
    if catalog is not None:
        given |= {"catalog": catalog, "base_urls": {"h": "http://localhost:1"}}
    transport = MockTransport(reply("x", input_tokens=1000, output_tokens=100))
    return Client(transport=transport, **(given | settings))


def book(**row):
    """One model at `h`, tokenised as we do, at 1 and 2 USD a million unless told otherwise."""
    rate = {"endpoint": "m@h", "input": "1", "output": "2", **KNOWN} | row
    rate = {k: v for k, v in rate.items() if v is not None}
    return Catalog.load(
        {
            "host": [{"name": "h", "base_url": "http://localhost:1"}],
            "model": [{"name": "m", "tokenizer": "deepseek-v3"}],
            "endpoint": [{"model": "m", "host": "h", "model_id": "m", **LIMITS}],
            "rate": [rate],
            "schedule": [
                {
                    "name": "noon",
                    "zone": "UTC",
                    "window": "peak",
                    "weekdays": [1, 2, 3, 4, 5, 6, 7],
                    "hours": ["12:30-12:45"],
                    "source": "test",
                    "checked": "2026-11-22",
                }
            ],
        }
    )


def test_a_call_a_minute_before_the_peak_says_so():
    """DeepSeek's peak begins at 06:00 UTC on Monday: the note has both prices, p90 the dearer."""
    made = client(PEAK - timedelta(minutes=1))
    found = made.plan(ASK, model=FLASH).forecast
    assert found.straddles == PEAK
    (note,) = [n for n in found.notes if "boundary" in n]
    assert note.startswith("may cross the price boundary at 06:00 UTC: $0.0000")
    assert note.endswith("after (expected cost)")
    calm = client(PEAK - timedelta(hours=1)).plan(ASK, model=FLASH).forecast
    tense = client(PEAK).plan(ASK, model=FLASH).forecast
    assert (calm.straddles, tense.straddles) == (None, None)
    assert found.cost == calm.cost  # how long it will take is not known: priced at its start
    assert found.priced_at == PEAK - timedelta(minutes=1)
    assert found.cost_p90 == tense.cost_p90 > calm.cost_p90
    assert found.cost_ceiling == tense.cost_ceiling
    assert found.rates_id.endswith("#off-peak")


def test_the_price_is_that_of_the_expected_end():
    """With the endpoint's pace known, a call that will end in the peak is priced there."""
    made = client(PEAK - timedelta(minutes=1))
    pace = made._core.services().pace
    for i in range(30):
        pace.observe(FLASH, 100 + i, 90.0)
    found = made.plan(ASK, model=FLASH).forecast
    assert found.seconds == pytest.approx(90.0, rel=0.2)
    assert found.priced_at == PEAK - timedelta(minutes=1) + timedelta(seconds=found.seconds)
    assert found.rates_id.endswith("#peak")
    assert found.straddles == PEAK


def test_a_fast_endpoint_does_not_straddle():
    """Where answers take a second, a minute before the boundary is far away."""
    made = client(PEAK - timedelta(minutes=1))
    for i in range(30):
        made._core.services().pace.observe(FLASH, 100 + i, 1.0)
    found = made.plan(ASK, model=FLASH).forecast
    assert found.seconds_p90 < 10
    assert found.straddles is None
    assert found.notes == ()
    assert found.cost_p90 == client().plan(ASK, model=FLASH).forecast.cost_p90
    # the ceiling is kept until the timeout all the same
    assert found.cost_ceiling == client(PEAK).plan(ASK, model=FLASH).forecast.cost_ceiling


def test_a_short_timeout_ends_before_the_boundary():
    """A call that is given up before the boundary cannot cross it."""
    made = client(PEAK - timedelta(minutes=1))
    assert made.plan(ASK, model=FLASH, timeout=30).forecast.straddles is None


def test_a_price_that_its_start_decides():
    """Where the schedule says that the start decides there is nothing to cross."""
    prices = {"off_peak": {"input": "1", "output": "2"}, "peak": {"input": "3", "output": "6"}}
    start = book(input=None, output=None, schedule="noon", **prices)
    at = NOW + timedelta(minutes=29)
    for decided_by, expected in (("start", None), ("", NOW + timedelta(minutes=30))):
        rows = {"schedule": [_schedule(start, decided_by)]}
        made = client(at, catalog=start.overlay(rows))
        assert made.plan(ASK, model="m@h").forecast.straddles == expected
    rates = start.overlay({"schedule": [_schedule(start, "start")]})
    found = billed(
        rates,
        rates.candidate("m@h", at=at),
        began=at,
        ended=at + timedelta(minutes=2),
        until=at + timedelta(minutes=10),
        input_tokens=1,
    )
    assert found.window == "off-peak"


def _schedule(catalog, decided_by):
    return {
        "name": "noon",
        "zone": "UTC",
        "window": "peak",
        "weekdays": [1, 2, 3, 4, 5, 6, 7],
        "hours": ["12:30-12:45"],
        "decided_by": decided_by,
        "source": "test",
        "checked": "2026-11-22",
    }


def test_old_and_uncertain_prices_are_doubted():
    """Checked more than 120 days ago, or beyond the list of holidays: a note each."""
    old = client(catalog=book(checked="2026-07-24")).plan(ASK, model="m@h").forecast
    assert old.notes == ("its price was last checked on 2026-07-24",)
    assert client(catalog=book(checked="2026-07-25")).plan(ASK, model="m@h").forecast.notes == ()
    rates = replace(book().rates("m@h", NOW), uncertain=True)
    assert doubts(rates, NOW) == ("its price now is not certain: the list of holidays has ended",)


def test_service_tiers_are_priced_or_unknown():
    """A tier's own price, forecast and billed; one that is not quoted is unknown, never standard.

    Under a hard budget a tier is asked for by the argument, which is priced."""
    catalog = book(flex={"input": "0.5", "output": "1"})
    made = client(catalog=catalog, budgets="1")
    flex = made.plan(ASK, model="m@h", service_tier="flex").forecast
    plain = made.plan(ASK, model="m@h").forecast
    assert flex.rates_id == "m@h/1970-01-01#flex"
    assert 2 * flex.cost == plain.cost
    route = made.chat.completions.create(ASK, model="m@h", service_tier="flex").route
    assert route.cost.pico == to_pico("0.0006")  # 1,000 x 0.5 + 100 x 1, per million
    assert route.cost.rates_id == flex.rates_id
    soft = client(catalog=catalog).plan(ASK, model="m@h", service_tier="priority").forecast
    assert (soft.cost, soft.rates_id) == (None, "")
    assert tier_of({"service_tier": "Flex"}) == "flex"
    assert (
        tier_of({"service_tier": "auto"}) == tier_of({"service_tier": None}) == tier_of({}) == ""
    )


def test_long_inputs_are_priced_at_their_tier():
    """Above a threshold the whole request has the tier's price; the ceiling looks at the bound."""
    tiers = [{"above_input_tokens": 1000, "input": "10", "output": "20"}]
    catalog = book(tiers=tiers)
    candidate = catalog.candidate("m@h", at=NOW)
    horizon = Horizon(catalog, NOW, 600.0)
    short, near, long = (
        horizon.prices(candidate, tokens, bound)
        for tokens, bound in ((900, 950), (990, 1030), (1001, 1100))
    )
    assert (short.rates.above_input_tokens, short.dearest.input) == (0, to_pico("1"))
    assert (near.rates.above_input_tokens, near.dearest.input) == (0, to_pico("10"))
    assert (long.rates.above_input_tokens, long.dearest.output) == (1000, to_pico("20"))


@given(st.integers(0, 60 * 24 * 4), st.sampled_from([30.0, 600.0, 7200.0, 86_400.0]))
def test_prices_are_those_of_every_minute(minutes, timeout):
    """The rates now, the dearest until the timeout and the boundary are as asked minute by minute,
    whether they were remembered or not."""
    catalog = Catalog.default()
    now = datetime(2026, 11, 20, 0, tzinfo=UTC) + timedelta(minutes=minutes, seconds=7)
    for name in (FLASH, "deepseek-v3.2@deepinfra"):
        candidate = catalog.candidate(name, at=now)
        found = Horizon(catalog, now, timeout).prices(candidate, 100, 140)
        end = now + timedelta(seconds=timeout)
        steps = [now + timedelta(seconds=60 * i - 7) for i in range(1, int(timeout // 60) + 2)]
        later = [catalog.rates(candidate, at) for at in (*(s for s in steps if s <= end), end)]
        first = catalog.rates(candidate, now)
        assert found.rates == first
        assert found.dearest.input == max(r.input for r in (first, *later))
        assert found.dearest.output == max(r.output for r in (first, *later))
        changed = [at for at, r in zip(steps, later, strict=False) if r != first and at <= end]
        assert found.boundary == (changed[0] if changed else None)
        assert found.at(end) == catalog.rates(candidate, end)
