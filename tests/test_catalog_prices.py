"""Currencies, tiers by length, service tiers, prices per request, cache prices, ceilings."""

import pytest
from catalogs import by_clock, exchange, rate, small, utc
from hypothesis import given
from hypothesis import strategies as st

from router.catalog import Catalog
from router.errors import CatalogError
from router.money import to_pico
from router.pricing import cost
from router.types import Usage

NOW = utc("2026-11-22T00:00")
LONG = {"above_input_tokens": 200_000, "input": "4", "cache_read": "0.4", "output": "18"}


def test_a_foreign_currency_is_unknown_without_an_exchange_row():
    """A price in CNY is None, not zero, and the listing says what is missing."""
    catalog = small(rate(currency="CNY"))
    assert catalog.rates("m@h", NOW) is None
    (line,) = catalog.describe(NOW)
    assert line.note == "priced in CNY: give an [[exchange]] row for it in an overlay"
    late = catalog.overlay({"exchange": [exchange("0.14", valid_from="2026-12-01")]})
    assert late.rates("m@h", NOW) is None
    assert late.boundary("m@h", NOW, utc("2027-01-01")) == utc("2026-12-01")


def test_the_shipped_catalogue_has_no_exchange_rows():
    """No sourced figure was to be had: none is shipped."""
    assert not [e for e in Catalog.default().entries if e.table == "exchange"]


def test_the_exchange_row_in_force_converts():
    """CNY become dollars at the instant's row, rounded up to whole pico-dollars per million."""
    catalog = small(
        rate(currency="CNY", input="1", cache_read="0.000000000001", output="4", per_request="2"),
        exchange=[
            exchange("0.1402", valid_from="2026-11-01"),
            exchange("0.1", valid_from="2026-01-01"),
        ],
    )
    now = catalog.rates("m@h", NOW)
    assert (now.input, now.output) == (to_pico("0.1402"), to_pico("0.5608"))
    assert now.cache_read == 1  # 0.14 of a pico-dollar, rounded up
    assert now.per_request == to_pico("0.2804")
    assert (now.currency, now.exchange) == ("CNY", "CNY/2026-11-01")
    assert now.id == "m@h/1970-01-01#CNY/2026-11-01"
    assert catalog.rates("m@h", utc("2026-10-31")).input == to_pico("0.1")
    assert catalog.rates("m@h", utc("2025-12-31")) is None


def test_an_overlays_exchange_row_goes_first():
    """Your own exchange row beats those below it, also later ones."""
    base = small(rate(currency="CNY"), exchange=[exchange("0.14", valid_from="2026-06-01")])
    assert base.overlay({"exchange": [exchange("0.2")]}).rates("m@h", NOW).input == to_pico("0.2")


@given(st.integers(0, to_pico("100")), st.integers(1, to_pico("10")))
def test_conversion_never_loses_money(amount, worth):
    """What is converted is at least the exact amount, and less than a pico-dollar above it."""
    price, usd = (f"{n // 10**12}.{n % 10**12:012d}" for n in (amount, worth))
    catalog = small(rate(currency="CNY", input=price), exchange=[exchange(usd)])
    exact = amount * worth
    assert exact <= catalog.rates("m@h", NOW).input * 10**12 < exact + 10**12


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (exchange("0"), "above zero"),
        (exchange("0.1") | {"currency": "USD"}, "another currency than USD"),
        (exchange("0.1") | {"currency": "yuan"}, "pattern"),
        (exchange(0.14), "write rates as strings"),
    ],
)
def test_bad_exchange_rows_are_refused(row, says):
    """An exchange row that cannot be right is refused, and named."""
    with pytest.raises(CatalogError, match=says):
        small(exchange=[row])


def test_long_requests_pay_the_higher_tier_wholly():
    """At the threshold the base price holds; one token more, and all tokens pay the tier's."""
    catalog = small(rate(tiers=[LONG, LONG | {"above_input_tokens": 500_000, "input": "8"}]))
    at = catalog.rates("m@h", NOW, input_tokens=200_000)
    assert (at.input, at.above_input_tokens, at.id) == (to_pico(1), 0, "m@h/1970-01-01")
    over = catalog.rates("m@h", NOW, input_tokens=200_001)
    assert (over.input, over.output) == (to_pico(4), to_pico(18))
    assert (over.cache_read, over.cache_write) == (to_pico("0.4"), to_pico(4))
    assert (over.above_input_tokens, over.id) == (200_000, "m@h/1970-01-01#>200000")
    assert catalog.rates("m@h", NOW, input_tokens=500_001).input == to_pico(8)
    whole = cost(Usage(input_tokens=200_001), over)
    assert whole.pico == 200_001 * to_pico(4) // 10**6


def test_service_tiers_have_their_own_price_or_none():
    """Batch is priced as written; a service tier without a price is unknown, never standard."""
    catalog = small(rate(batch={"input": "0.5", "output": "1"}))
    batch = catalog.rates("m@h", NOW, service_tier="batch")
    assert (batch.input, batch.cache_read, batch.output) == tuple(
        map(to_pico, ("0.5", "0.5", "1"))
    )
    assert (batch.id, batch.service_tier) == ("m@h/1970-01-01#batch", "batch")
    for unpriced in ("flex", "priority", "scale", "BATCH"):
        assert catalog.rates("m@h", NOW, service_tier=unpriced) is None
    standard = catalog.rates("m@h", NOW)
    for same in ("standard", "default", "auto", ""):
        assert catalog.rates("m@h", NOW, service_tier=same) == standard
    clocked = small(by_clock(), schedule=[{"name": "s", "zone": "UTC", "hours": ["09:00-12:00"]}])
    assert clocked.rates("m@h", NOW, service_tier="batch") is None


def test_long_requests_of_a_service_tier():
    """They pay that tier's own long price; without one the price is unknown."""
    flex = {"input": "0.5", "output": "1"}
    catalog = small(rate(tiers=[LONG], flex=flex, priority=flex | {"tiers": [LONG]}))
    assert catalog.rates("m@h", NOW, service_tier="flex", input_tokens=200_000).input == to_pico(
        "0.5"
    )
    assert catalog.rates("m@h", NOW, service_tier="flex", input_tokens=200_001) is None
    long = catalog.rates("m@h", NOW, service_tier="priority", input_tokens=200_001)
    assert (long.input, long.id) == (to_pico(4), "m@h/1970-01-01#priority#>200000")


def test_one_hour_cache_writes():
    """They have their own price, else that of writing, else that of input; in windows, too."""
    for columns, expected in [
        ({"cache_write": "1.25", "cache_write_1h": "2"}, ("1.25", "2")),
        ({"cache_write": "1.25"}, ("1.25", "1.25")),
        ({"cache_write_1h": "2"}, ("1", "2")),
        ({}, ("1", "1")),
    ]:
        rates = small(rate(**columns)).rates("m@h", NOW)
        assert (rates.cache_write, rates.cache_write_1h) == tuple(map(to_pico, expected))
    sonnet = Catalog.default().rates("claude-sonnet-4@anthropic", NOW)
    assert (sonnet.cache_write, sonnet.cache_write_1h) == (to_pico("3.75"), to_pico(6))


def test_shipped_tiers():
    """Gemini's long prompts, and Bedrock's batch price, are those of the source."""
    catalog = Catalog.default()
    long = catalog.rates("gemini-3-pro@google", NOW, input_tokens=200_001)
    assert (long.input, long.output) == (to_pico(4), to_pico(18))
    batch = catalog.rates("deepseek-v3.2@bedrock-us", NOW, service_tier="batch")
    assert (batch.input, batch.output) == (to_pico("0.31"), to_pico("0.925"))


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"tiers": [LONG, LONG]}, "tiers that rise"),
        ({"tiers": [LONG | {"above_input_tokens": 0}]}, "greater than 0"),
        ({"batch": {"input": "1"}}, "expected this key"),
        ({"batch": {"input": "1", "output": "1", "tiers": [LONG, LONG]}}, "tiers that rise"),
        ({"per_request": "-1"}, "zero or more"),
        ({"currency": "usd"}, "pattern"),
    ],
)
def test_bad_prices_are_refused(columns, says):
    """A price that cannot be right is refused in words that say what was expected."""
    with pytest.raises(CatalogError, match=says):
        small(rate(**columns))


@pytest.mark.parametrize("columns", [{"tiers": [LONG]}, {"flex": {"input": "1", "output": "1"}}])
def test_windows_take_no_tiers(columns):
    """Beside a schedule there is only peak and off-peak."""
    schedule = [{"name": "s", "zone": "UTC", "hours": ["09:00-12:00"]}]
    with pytest.raises(CatalogError, match="no other prices, tiers or service tiers"):
        small(by_clock(**columns), schedule=schedule)


def test_ceiling_rates():
    """The dearest of each kind over all live candidates; baselines and recordings do not count."""
    shipped = Catalog.default()
    rates = shipped.ceiling_rates(NOW)
    known = [r for c in shipped.candidates(at=NOW) if (r := shipped.rates(c, NOW))]
    for kind in ("input", "cache_read", "cache_write", "cache_write_1h", "output"):
        assert getattr(rates, kind) == max(getattr(r, kind) for r in known)
    assert rates.id == "ceiling:deepseek-v3.2@sambanova"
    long = small(rate(tiers=[LONG])).ceiling_rates(NOW)
    assert (long.input, long.output, long.id) == (to_pico(4), to_pico(18), "ceiling:m@h")
    assert small().ceiling_rates(NOW) is None


def test_the_rule_of_a_cache_reaches_the_candidate():
    """How a host caches is on the candidate; an endpoint's row goes before its host's."""
    catalog, past = Catalog.default(), utc("2026-02-01")
    for name, at, expected in [
        ("deepseek-flash@deepseek", NOW, ("deepseek-v4", "units", 128)),
        ("deepseek-v3.2:thinking@deepseek", past, ("deepseek-v3", "blocks", 64)),
        ("deepseek-v3.2@vllm", NOW, ("vllm", "blocks", 16)),
        ("deepseek-v3.2@deepinfra", NOW, ("cautious", "blocks", 64)),
    ]:
        rule = catalog.candidate(name, at=at).cache
        assert (rule.name, rule.match, rule.unit_tokens) == expected
    with pytest.raises(CatalogError, match=r"expected the name of a \[\[cache\]\] row"):
        small(endpoint={"cache": "nobody's"})
    with pytest.raises(CatalogError, match="expected capacity_tokens of at least a unit"):
        small(cache=[{"name": "c", "unit_tokens": 64, "capacity_tokens": 32}])
