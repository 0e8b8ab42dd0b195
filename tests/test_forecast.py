import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.scores import Quantiles, Score
from router.budgets import Balance, Hold
from router.catalog import Catalog
from router.forecast import cacheable, forecast, input_bound, spread
from router.horizon import Prices
from router.limits import Unaffordable
from router.money import to_pico
from router.pace import Pace
from router.pricing import affordable_output, ceiling, cost
from router.prompts.rule import CacheRule
from router.purses import Room, room_in
from router.types import Forecast, Request, Usage

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KNOWN = {"source": "test", "checked": "2026-11-22"}
LIMITS = {"context_tokens": 10_000, "max_output_tokens": 4_000}
CATALOG = Catalog.load(
    {
        "host": [
            {"name": "h", "base_url": "http://localhost:1"},
            {"name": "replay", "kind": "replay"},
        ],
        "model": [{"name": "deepseek-x", "tokenizer": "deepseek-v3"}, {"name": "other"}],
        "endpoint": [
            {"model": "deepseek-x", "host": "h", "model_id": "x", **LIMITS},
            {"model": "other", "host": "h", "model_id": "o", **LIMITS},
            {"model": "other", "host": "replay", "model_id": "o", **LIMITS},
        ],
        "rate": [
            {"endpoint": "other@replay", "input": "1", "cache_read": "0.1", "output": "2", **KNOWN}
        ],
    }
)
# Recordings are counted as we count: round figures, without a margin.
CANDIDATE = CATALOG.candidate("other@replay", at=NOW)
RATES = CATALOG.rates(CANDIDATE, NOW)
ZERO = Quantiles(0, 0, 0, 0, 0)
SCORE = Score(0.75, Quantiles(50, 100, 300, 400, 120.5), Quantiles(0, 10, 30, 40, 12), "trained")
REQUEST = Request(id="r", messages=({"role": "user", "content": "Hi"},))


def room(remaining):
    """What a hard budget with so many pico-dollars left leaves; none without any."""
    if remaining is None:
        return Room()
    hold = Hold(
        key="total/UTC/", window_start=NOW, resets_at=None, limit=remaining, hard=True, name="all"
    )
    return room_in([(hold, Balance())])


def made(
    candidate=CANDIDATE,
    request=REQUEST,
    score=SCORE,
    *,
    rates=RATES,
    dearest=RATES,
    input_tokens=1000,
    input_bytes=5000,
    cache_read_tokens=0,
    remaining=None,
    pace=None,
):
    return forecast(
        candidate,
        request,
        score,
        Prices(CATALOG, candidate, NOW, rates, dearest),
        input_tokens=input_tokens,
        bound=input_bound(candidate, input_tokens, input_bytes),
        cache_read_tokens=cache_read_tokens,
        room=room(remaining),
        pace=pace or Pace(),
        quality_se=spread(score.draws),
        means={},
    )


def test_costs_follow_from_tokens_and_rates():
    """Expected cost, p50 and p90 are the price of those answers; the ceiling is of the longest."""
    found = made()
    # USD per million: 1 in, 2 out
    assert found.cost == to_pico("0.001242")  # 1000 + 2 x 121, for half a token is a token
    assert found.cost_p50 == to_pico("0.0012")
    assert found.cost_p90 == to_pico("0.0016")
    assert found.max_tokens == 4000
    assert found.cost_ceiling == to_pico("0.009")
    assert (found.quality, found.basis, found.rates_id) == (0.75, "trained", RATES.id)
    assert found.reasoning_tokens == SCORE.reasoning_tokens
    assert str(found.cost_usd) == "0.001242000000"
    assert str(found.cost_p90_usd) == "0.001600000000"


def test_a_warm_cache_lowers_the_cost_and_not_the_ceiling():
    """What is expected from the cache is cheaper, but nothing rests on it being there."""
    cold, warm = made(), made(cache_read_tokens=800)
    assert warm.cache_read_tokens == 800
    assert cold.cost - warm.cost == 800 * (RATES.input - RATES.cache_read) // 10**6
    assert warm.cost_ceiling == cold.cost_ceiling
    assert made(cache_read_tokens=5000).cache_read_tokens == 1000


@pytest.mark.parametrize(
    ("asked", "input_tokens", "limit", "note"),
    [
        (None, 1000, 4000, None),
        (100, 1000, 100, None),
        (4000, 1000, 4000, None),
        (5000, 1000, 4000, "max_tokens lowered from 5,000 to 4,000: its cap"),
        (None, 9500, 500, None),
        (600, 9500, 500, "max_tokens lowered from 600 to 500: its cap"),
    ],
)
def test_an_answer_fits_into_its_caps(asked, input_tokens, limit, note):
    """The answer is limited by what was asked, the model's cap and what the context has left."""
    found = made(request=replace(REQUEST, max_tokens=asked), input_tokens=input_tokens)
    assert found.max_tokens == limit
    assert found.notes == ((note,) if note else ())


@pytest.mark.parametrize(
    ("p99", "limit"),
    [(2000, 2500), (2001, 2502), (10, 256), (100_000, 4000)],
)
def test_a_hard_budget_limits_the_answer(p99, limit):
    """With a hard budget the answer is capped a quarter above its p99, within sane bounds."""
    tokens = Quantiles(1, 2, min(p99, 300), p99, 3)
    score = replace(SCORE, output_tokens=tokens, tokens_basis="route")
    found = made(score=score, remaining=to_pico("1"))
    assert found.max_tokens == limit
    cause = "room for a long answer" if p99 == 10 else "1.25 x the forecast's p99"
    assert found.notes == (f"max_tokens set to {limit:,}: {cause}",)


@pytest.mark.parametrize("basis", ["trained", "placed"])
def test_answers_have_room_until_calls_of_ones_own_say_otherwise(basis):
    """Lengths are learned from short questions: an essay must not be cut off for being one."""
    found = made(score=replace(SCORE, basis=basis), remaining=to_pico("1"))
    assert found.max_tokens == 2048


@pytest.mark.parametrize("basis", ["placed", "prior"])
def test_a_model_never_measured_gets_more_room(basis):
    """Without answers of the model itself the cap is three times its p99: tails are unknown."""
    tokens = Quantiles(1, 2, 300, 1000, 3)
    score = replace(SCORE, basis=basis, output_tokens=tokens)
    assert made(score=score, remaining=to_pico("1")).max_tokens == 3000


def test_the_callers_limit_is_kept_under_a_budget():
    """A max_tokens that was asked for is neither raised nor lowered by a budget that holds it."""
    found = made(request=replace(REQUEST, max_tokens=3000), remaining=to_pico("1"))
    assert found.max_tokens == 3000
    assert found.cost_ceiling == to_pico("0.007")


def test_the_answer_is_shortened_to_what_the_budget_can_pay():
    """Between p90 and the cap the answer is cut to the last token that fits, and this is said."""
    remaining = ceiling(1000, 350, RATES) + 1
    found = made(remaining=remaining)
    assert found.max_tokens == 350
    assert found.notes == ("max_tokens set to 350: what the budget can pay",)
    assert found.cost_ceiling <= remaining


def test_an_answer_that_is_likely_cut_off_is_not_bought():
    """When even nine answers in ten would not fit, the candidate is out, with both amounts."""
    needed = ceiling(1000, 300, RATES)
    found = made(remaining=needed - 1)
    assert isinstance(found, Unaffordable)
    assert found.needed == needed
    assert found.reason == "needs $0.001600, the budget has $0.001599999999 left"
    assert isinstance(made(remaining=needed), Forecast)


def test_a_limit_that_was_asked_for_is_all_or_nothing():
    """A caller's own max_tokens is reserved in full or refused, never silently shortened."""
    asked = replace(REQUEST, max_tokens=2000)
    needed = ceiling(1000, 2000, RATES)
    assert made(request=asked, remaining=needed).max_tokens == 2000
    assert made(request=asked, remaining=needed - 1).needed == needed


def test_no_answer_of_nothing_is_asked_for():
    """A budget that pays the input and not one token of answer is too small for any forecast."""
    silent = replace(SCORE, output_tokens=ZERO)
    remaining = ceiling(1000, 0, RATES)
    assert isinstance(made(score=silent, remaining=remaining), Unaffordable)
    assert made(score=silent, remaining=ceiling(1000, 1, RATES)).max_tokens == 1


def test_a_free_answer_fits_any_budget():
    """Where output costs nothing, only the input must fit."""
    free = replace(RATES, output=0)
    assert made(rates=free, dearest=free, remaining=to_pico("0.001")).cost_ceiling == to_pico(
        "0.001"
    )
    assert isinstance(made(rates=free, dearest=free, remaining=to_pico("0.000999")), Unaffordable)


def test_the_dearest_rate_bounds_the_ceiling():
    """What is expected is priced at today's rates, what is reserved at the highest ahead."""
    peak = replace(RATES, input=2 * RATES.input, output=3 * RATES.output)
    calm, tense = made(), made(dearest=peak)
    assert (tense.cost, tense.cost_p90) == (calm.cost, calm.cost_p90)
    assert tense.cost_ceiling == ceiling(1000, 4000, peak)


def test_an_unknown_price_is_not_zero():
    """Without a price every amount is None, and tokens are forecast all the same."""
    found = made(rates=None, dearest=None)
    assert (found.cost, found.cost_p50, found.cost_p90, found.cost_ceiling) == (None,) * 4
    assert found.cost_usd is None
    assert found.cost_p90_usd is None
    assert found.rates_id == ""
    assert found.max_tokens == 4000


def test_the_bound_of_the_input():
    """Ours and a margin where we have the vocabulary, exact for recordings, else bytes."""
    other = CATALOG.candidate("other@h", at=NOW)
    known = CATALOG.candidate("deepseek-x@h", at=NOW)
    assert input_bound(known, 1000, 5000) == 1042
    assert input_bound(CANDIDATE, 1000, 5000) == 1000
    assert input_bound(other, 1000, 5000) == 5000
    assert input_bound(other, 1000, 500) == 1000
    assert made(candidate=other).cost_ceiling == ceiling(5000, 4000, RATES)
    assert made(candidate=other).cost == made().cost


@given(
    st.integers(0, 9_999),
    st.integers(0, 20_000),
    st.none() | st.integers(1, 10_000),
    st.none() | st.integers(0, to_pico("0.05")),
    st.lists(st.floats(0, 10_000), min_size=5, max_size=5),
)
def test_no_forecast_promises_what_it_cannot_keep(tokens, cached, asked, remaining, lengths):
    """Within the budget, in order, and never below the bill of any answer that keeps the limit."""
    p10, p50, p90, p99, _ = sorted(lengths)
    score = replace(SCORE, output_tokens=Quantiles(p10, p50, p90, p99, lengths[0]))
    found = made(
        request=replace(REQUEST, max_tokens=asked),
        score=score,
        input_tokens=tokens,
        input_bytes=tokens,
        cache_read_tokens=cached,
        remaining=remaining,
    )
    if isinstance(found, Unaffordable):
        assert found.needed > remaining
        return
    assert found.cost_p50 <= found.cost_p90 <= found.cost_ceiling
    assert found.cost <= found.cost_ceiling
    assert 1 <= found.max_tokens <= 4000
    assert tokens + found.max_tokens <= 10_000
    longest = Usage(input_tokens=tokens, output_tokens=found.max_tokens)
    assert cost(longest, RATES).pico == found.cost_ceiling
    if remaining is not None:
        assert found.cost_ceiling <= remaining
        assert found.max_tokens <= affordable_output(remaining, tokens, RATES)
    if asked is None and remaining is not None:
        assert found.max_tokens >= min(math.ceil(p90), 4000, 10_000 - tokens)


def test_an_answer_that_is_cut_costs_no_more_than_its_cap():
    """What is expected is E[min(tokens, cap)]: below the cap, and below the mean without one."""
    free, cut = made(), made(request=replace(REQUEST, max_tokens=150))
    # 1000 in, and between 100 and 150 out: half of the answers are cut, the others are shorter
    assert to_pico("0.001") + 2 * 50 * 10**6 < cut.cost < to_pico("0.001") + 2 * 121 * 10**6
    assert cut.cost < free.cost
    assert cut.cost_p90 == to_pico("0.0013")
    assert cut.base_cost <= free.base_cost


@given(
    st.integers(0, 200_000),
    st.integers(0, 200_000),
    st.lists(st.floats(0, 20_000), min_size=5, max_size=5),
    st.integers(0, 10**7),
)
def test_amounts_are_those_of_the_bill(tokens, cached, lengths, fee):
    """Forecasts multiply for themselves, for speed: to the last digit as `pricing.cost` does."""
    p10, p50, p90, p99, _ = sorted(lengths)
    score = replace(SCORE, output_tokens=Quantiles(p10, p50, p90, p99, p50))
    rates = replace(RATES, input=to_pico("0.123457"), output=to_pico("0.7"), per_request=fee)
    wide = replace(CANDIDATE, context_tokens=10**6, max_output_tokens=10**5)
    found = made(
        wide,
        score=score,
        rates=rates,
        dearest=rates,
        input_tokens=tokens,
        input_bytes=tokens,
        cache_read_tokens=cached,
    )
    for amount, length in ((found.cost_p50, p50), (found.cost_p90, p90)):
        usage = Usage(
            input_tokens=tokens,
            cache_read_tokens=found.cache_read_tokens,
            output_tokens=math.ceil(length),
        )
        assert amount == cost(usage, rates).pico


def test_what_a_host_keeps_of_a_prefix():
    """Whole units, and nothing below the host's minimum."""
    host = replace(CANDIDATE, cache=CacheRule(min_tokens=256, unit_tokens=128))
    for sent, kept in ((0, 0), (255, 0), (256, 256), (300, 256), (383, 256), (384, 384)):
        assert cacheable(host, sent) == kept
    tokenwise = replace(CANDIDATE, cache=CacheRule(unit_tokens=1, recomputes_tokens=1))
    assert cacheable(tokenwise, 7) == 7


def test_what_lengths_rest_on_is_handed_on():
    """Basis, number of calls and the visible part come from the score as they are."""
    visible = Quantiles(1, 2, 3, 4, 2)
    score = replace(SCORE, visible_tokens=visible, tokens_basis="route", tokens_calls=12)
    found = made(score=score)
    assert (found.visible_tokens, found.tokens_basis, found.tokens_calls) == (visible, "route", 12)
    assert (made().visible_tokens, made().tokens_basis, made().tokens_calls) == (None, "prior", 0)


def test_times_come_from_the_endpoints_history():
    """Seconds of the capped length; None of an endpoint that nothing is known of."""
    pace = Pace()
    for i in range(30):
        pace.observe("other@replay", 100 + i, 2.0 + (100 + i) / 50)
        pace.observe_first("other@replay", 0.7)
    found, unknown = made(pace=pace), made()
    assert found.seconds == pytest.approx(2.0 + 120.5 / 50, rel=0.02)
    assert found.seconds_p90 > found.seconds
    assert found.first_token_seconds == 0.7
    assert found.priced_at == NOW + timedelta(seconds=found.seconds)
    assert (unknown.seconds, unknown.seconds_p90, unknown.first_token_seconds) == (None,) * 3
    assert unknown.priced_at == NOW
    cut = made(pace=pace, request=replace(REQUEST, max_tokens=50))
    assert cut.seconds < found.seconds
