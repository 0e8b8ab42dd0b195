from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.catalog import Catalog, Rates
from router.money import to_pico
from router.pricing import affordable_output, ceiling, cost
from router.types import Usage

TOKENS = st.integers(0, 2_000_000)
QUOTED = st.integers(0, to_pico("100")) | st.sampled_from([0, 1, to_pico("0.028")])


def rates_of(input_rate, cache_read, cache_write, output, hour=None, per_request=0):
    return Rates(
        id="m@h/2026-01-01",
        input=input_rate,
        cache_read=cache_read,
        cache_write=cache_write,
        cache_write_1h=cache_write if hour is None else hour,
        per_request=per_request,
        known_since=datetime(2026, 1, 1, tzinfo=UTC),
        output=output,
        window="",
        source="s",
        checked=date(2026, 11, 21),
        valid_from=datetime(2026, 1, 1, tzinfo=UTC),
    )


RATES = st.builds(rates_of, QUOTED, QUOTED, QUOTED, QUOTED, QUOTED, QUOTED)


@st.composite
def usages(draw):
    total = draw(TOKENS)
    read = draw(st.integers(0, total))
    write = draw(st.integers(0, total - read))
    output = draw(TOKENS)
    return Usage(
        input_tokens=total,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=draw(st.integers(0, write)),
        output_tokens=output,
        reasoning_tokens=draw(st.integers(0, output)),
    )


@pytest.mark.parametrize(
    ("name", "at", "usd"),
    [
        # 104 x 0.28 + 896 x 0.028 + 200 x 0.42 = 138.208 micro-dollars
        ("deepseek-v3.2@deepseek", "2026-02-01T12:00+00:00", "0.000138208"),
        # no time of day changed V3.2's price: the discount hours of 2025 had ended
        ("deepseek-v3.2@deepseek", "2026-02-01T20:00+00:00", "0.000138208"),
        # a Saturday in Beijing's peak hours is off-peak: 104 x 0.15 + 896 x 0.003 + 200 x 0.60
        ("deepseek-flash@deepseek", "2026-11-21T02:00+00:00", "0.000138288"),
        # the same hour on a Friday is peak
        ("deepseek-flash@deepseek", "2026-11-20T02:00+00:00", "0.000276576"),
    ],
)
def test_published_bills(name, at, usd):
    """1,000 prompt tokens, 896 of them cached, and 200 of answer cost what DeepSeek bills."""
    rates = Catalog.default().rates(name, datetime.fromisoformat(at))
    billed = cost(Usage(input_tokens=1000, cache_read_tokens=896, output_tokens=200), rates)
    assert billed.usd == Decimal(usd)
    assert billed.rates_id == rates.id


def test_one_rounding_up_at_the_end():
    """Fractions of a pico-dollar are added up before they are rounded, once, upwards."""
    third = rates_of(400_000, 400_000, 400_000, 400_000)  # 0.4 pico-dollars a token
    assert cost(Usage(input_tokens=1), third).pico == 1
    assert cost(Usage(input_tokens=1, output_tokens=1), third).pico == 1
    assert cost(Usage(input_tokens=2, output_tokens=3), third).pico == 2
    assert cost(Usage(), third).pico == 0


def test_reasoning_is_billed_as_output():
    """Reasoning tokens are part of the output and are not charged a second time."""
    rates = rates_of(to_pico("1"), 0, 0, to_pico("2"))
    thought = Usage(output_tokens=100, reasoning_tokens=90)
    assert cost(thought, rates) == cost(Usage(output_tokens=100), rates)


def test_a_cache_write_has_its_own_rate():
    """Tokens written to a cache leave the fresh input and pay the rate for writing."""
    rates = rates_of(to_pico("1"), to_pico("0.1"), to_pico("1.25"), 0)
    usage = Usage(input_tokens=1_000_000, cache_read_tokens=200_000, cache_write_tokens=400_000)
    charged = cost(usage, rates)
    assert charged.input == to_pico("0.4")
    assert charged.cache_read == to_pico("0.02")
    assert charged.cache_write == to_pico("0.5")
    assert charged.usd == Decimal("0.92")


def test_an_hour_in_the_cache_has_its_own_rate():
    """Of the tokens written to a cache those kept for an hour pay their own rate."""
    rates = rates_of(to_pico("1"), 0, to_pico("1.25"), 0, hour=to_pico("2"))
    usage = Usage(
        input_tokens=1_000_000, cache_write_tokens=400_000, cache_write_1h_tokens=100_000
    )
    charged = cost(usage, rates)
    assert charged.cache_write == to_pico("0.575")
    assert charged.usd == Decimal("1.175")


def test_a_price_per_request_is_paid_once():
    """It is in the bill, in the ceiling, and what it takes is not left for the answer."""
    rates = rates_of(to_pico("1"), 0, 0, to_pico("2"), per_request=to_pico("0.01"))
    assert cost(Usage(), rates).usd == Decimal("0.01")
    assert cost(Usage(), rates).request == to_pico("0.01")
    assert cost(Usage(input_tokens=1000), rates).usd == Decimal("0.011")
    assert ceiling(0, 0, rates) == to_pico("0.01")
    assert affordable_output(to_pico("0.01"), 0, rates) == 0
    assert affordable_output(to_pico("0.01") - 1, 0, rates) < 0
    free = replace(rates, output=0)
    assert affordable_output(to_pico("0.01") - 1, 0, free) == -1


@given(usages(), RATES, st.integers(0, 1000), st.integers(0, 1000))
def test_no_bill_exceeds_its_ceiling(usage, rates, input_more, output_more):
    """Whatever is cached and however little is answered, the ceiling of the bounds holds."""
    charged = cost(usage, rates).pico
    bounds = (usage.input_tokens + input_more, usage.output_tokens + output_more)
    assert charged <= ceiling(*bounds, rates)


@given(usages(), RATES)
def test_the_parts_explain_the_whole(usage, rates):
    """The parts never exceed the total, and miss less of it than a pico-dollar for each."""
    charged = cost(usage, rates)
    parts = (charged.input, charged.cache_read, charged.cache_write, charged.output)
    parts += (charged.request,)
    assert sum(parts) <= charged.pico < sum(parts) + len(parts)
    assert charged.request == rates.per_request


@given(usages(), RATES)
def test_more_tokens_never_cost_less(usage, rates):
    """One more token, read from a cache, written to one, fresh or answered, lowers no bill."""
    charged = cost(usage, rates).pico
    longer = {"input_tokens": usage.input_tokens + 1}
    for more in (
        {"output_tokens": usage.output_tokens + 1},
        longer,
        longer | {"cache_read_tokens": usage.cache_read_tokens + 1},
        longer | {"cache_write_tokens": usage.cache_write_tokens + 1},
        longer
        | {
            "cache_write_tokens": usage.cache_write_tokens + 1,
            "cache_write_1h_tokens": usage.cache_write_1h_tokens + 1,
        },
    ):
        assert cost(replace(usage, **more), rates).pico >= charged


@given(usages(), RATES)
def test_the_bill_is_the_exact_sum_rounded_up(usage, rates):
    """The bill is the exact sum of count times rate, rounded up by less than a pico-dollar."""
    hour = usage.cache_write_1h_tokens
    exact = (
        (usage.cache_miss_tokens - usage.cache_write_tokens) * rates.input
        + usage.cache_read_tokens * rates.cache_read
        + (usage.cache_write_tokens - hour) * rates.cache_write
        + hour * rates.cache_write_1h
        + usage.output_tokens * rates.output
    )
    bill = (cost(usage, rates).pico - rates.per_request) * 10**6
    assert exact <= bill < exact + 10**6


@given(st.integers(0, to_pico("10")), TOKENS, RATES)
def test_affordable_output_is_the_largest_that_fits(pico, input_tokens, rates):
    """The answer fits into the amount, one more token does not; negative when not even none."""
    tokens = affordable_output(pico, input_tokens, rates)
    if tokens is None:
        assert rates.output == 0
        assert ceiling(input_tokens, 10**9, rates) <= pico
    elif tokens < 0:
        assert ceiling(input_tokens, 0, rates) > pico
    else:
        assert ceiling(input_tokens, tokens, rates) <= pico
        assert ceiling(input_tokens, tokens + 1, rates) > pico


@pytest.mark.parametrize(
    "counts",
    [
        {"input_tokens": -1},
        {"input_tokens": 10, "cache_read_tokens": 11},
        {"input_tokens": 10, "cache_read_tokens": 6, "cache_write_tokens": 5},
        {"output_tokens": 5, "reasoning_tokens": 6},
    ],
)
def test_impossible_usage_is_refused(counts):
    """A negative count, or a part larger than its whole, never becomes a usage to be priced."""
    with pytest.raises(ValueError, match="token"):
        Usage(**counts)
