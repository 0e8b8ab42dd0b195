from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from price_lists import LITELLM, NOW, entry, genai, litellm, rates, usd

from router.money import to_pico


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"input_cost_per_token": None}, "no price"),
        ({"input_cost_per_token": 0, "output_cost_per_token": 0}, "zero"),
        ({"output_cost_per_token": 0}, "zero"),
        ({"mode": "embedding"}, "mode"),
        ({"mode": None}, "mode"),
        ({"output_cost_per_reasoning_token": 3e-6}, "reasoning"),
        ({"input_cost_per_token": "x"}, "unreadable"),
        ({"input_cost_per_token": -1e-6}, "unreadable"),
        ({"input_cost_per_token": float("nan")}, "unreadable"),
        ({"input_cost_per_token": True}, "unreadable"),
        ({"input_cost_per_token": 5}, "unreadable"),
        ({"deprecation_date": "soon"}, "unreadable"),
        ({"max_input_tokens": "many"}, "unreadable"),
        ({"off_peak_pricing": {"hours_utc": "noon"}}, "hours"),
        ({"off_peak_pricing": {"hours_utc": "01:00-02:00", "weekday_timezone": "Mars"}}, "hours"),
    ],
)
def test_what_is_not_imported(fields, why):
    """Unknown and doubtful prices are no prices, least of all zero."""
    found = litellm({"deepinfra/x-1": entry(**fields), "deepinfra/x-2": entry()})
    assert found.skipped["deepinfra/x-1"].startswith(f"{why}: ")
    assert found.priced == ("x-2@deepinfra",)
    assert litellm({"x": None}).skipped["x"].startswith("unreadable: ")


def test_zero_is_free_only_where_it_is_said():
    """A model called free costs nothing; so do tokens beside a price per request."""
    free = rates(litellm(), "beam-free@opencode-go")
    assert (free.input, free.output) == (0, 0)
    online = rates(litellm(), "pplx-7b-online@perplexity")
    assert (online.input, usd(online.per_request)) == (0, Decimal("0.005"))
    assert litellm().skipped["ollama/deepseek-v3.1:671b-cloud"].startswith("zero: ")
    assert genai().skipped["openrouter/deepseek/deepseek-r1:free"].startswith("no price")


def test_a_cached_price_of_zero_is_the_input_price():
    """ "No fee on top" is as likely meant; what was not read is named."""
    found = litellm()
    read = rates(found, "deepseek-v4-flash@tensormesh")
    assert read.cache_read == read.input == to_pico("0.14")
    assert found.left_out["tensormesh/deepseek-ai/DeepSeek-V4-Flash"] == (
        "cache_read_input_token_cost",
    )


def test_cache_prices():
    """Reads, five-minute and one-hour writes each have their own."""
    found = rates(litellm(), "claude-haiku-4-5-20251001@anthropic")
    prices = (found.input, found.cache_read, found.cache_write, found.cache_write_1h)
    assert [usd(pico) for pico in prices] == [1, Decimal("0.1"), Decimal("1.25"), 2]


def test_tiers_and_service_tiers():
    """Thresholds are exceeded, not met; a service tier has its own prices, and tiers."""
    name, found = "gpt-5.4@azure-openai", litellm()
    price = {
        (n, tier): usd(rates(found, name, input_tokens=n, service_tier=tier).input)
        for n in (272_000, 272_001)
        for tier in ("standard", "batch", "flex", "priority")
    }
    assert [*price.values()] == [
        *map(Decimal, ("2.5", "1.25", "1.25", "5", "5", "2.5", "2.5", "10"))
    ]
    bands = [
        usd(rates(found, "qwen3-coder-plus@dashscope", input_tokens=n).input)
        for n in (32000, 32001)
    ]
    listed = [
        band["input_cost_per_token"]
        for band in LITELLM["dashscope/qwen3-coder-plus"]["tiered_pricing"]
    ]
    assert bands == [Decimal(str(price)) * 10**6 for price in listed[:2]]
    gemini = [
        row
        for row in litellm().rows["rate"]
        if row["endpoint"].startswith("gemini-3.1-pro-preview@")
    ]
    assert [row["flex"].get("tiers") for row in gemini] == [None]
    assert gemini[0]["tiers"][0]["output"] == "18"


def test_a_threshold_that_counts_itself():
    """At xAI a prompt of exactly the threshold is dear, as LiteLLM bills it."""
    long = entry(litellm_provider="xai", input_cost_per_token_above_200k_tokens=3e-6)
    found = litellm({"xai/x-1": long, "deepinfra/x-1": {**long, "litellm_provider": "deepinfra"}})
    bills = {
        (host, n): usd(rates(found, f"x-1@{host}", input_tokens=n).input)
        for host in ("xai", "deepinfra")
        for n in (199_999, 200_000, 200_001)
    }
    assert [*bills.values()] == [1, 3, 3, 1, 1, 3]


def test_hours_of_another_zone():
    """Tencent's off-peak hours are UTC hours on weekdays of Shanghai."""
    found = litellm()
    (schedule,) = found.rows["schedule"]
    assert schedule["zone"] == "Asia/Shanghai"
    assert schedule["hours"] == ["09:00-12:00", "14:00-18:00"]
    windows = {
        text: rates(found, "deepseek-v4-pro-0813@tencent", datetime.fromisoformat(text)).window
        for text in ("2026-11-23T01:30Z", "2026-11-23T04:00Z", "2026-11-28T01:30Z")
    }
    assert [*windows.values()] == ["peak", "off-peak", "off-peak"]


def test_dated_prices():
    """A start date is a row's; the price before it is not claimed for a past nobody named."""
    found = genai()
    rows = [row for row in found.rows["rate"] if row["endpoint"] == "o3@openai"]
    assert rows[0]["valid_from"] == date(2025, 6, 10)
    assert usd(rates(found, "o3@openai", datetime(2025, 6, 10, tzinfo=UTC)).output) == 8
    assert rates(found, "o3@openai", datetime(2025, 6, 9, tzinfo=UTC)) is None
    early = genai(since=date(2025, 1, 1))
    assert usd(rates(early, "o3@openai", datetime(2025, 6, 9, tzinfo=UTC)).output) == 40
    assert usd(rates(found, "o3@openai", service_tier="flex").input) == 1
    assert (
        rates(found, "o3@openai", datetime(2026, 10, 11, tzinfo=UTC), service_tier="flex") is None
    )


def test_a_price_of_tomorrow():
    """A known endpoint gets its announced price, once."""
    changes = {"input_mtok": 1, "output_mtok": 2}
    dated = [{"prices": {"input_mtok": 0.26, "cache_read_mtok": 0.13, "output_mtok": 0.38}}]
    dated += [{"constraint": {"start_date": "2027-01-01"}, "prices": changes}]
    model = {"id": "v32", "match": {"contains": "deepseek-v3.2"}, "prices": dated}
    found = genai([{"id": "openrouter", "models": [model]}])
    assert [row["valid_from"] for row in found.rows["rate"]] == [date(2027, 1, 1)]
    assert usd(rates(found, "deepseek-v3.2@openrouter").input) == Decimal("0.26")
    assert (
        usd(rates(found, "deepseek-v3.2@openrouter", datetime(2027, 1, 1, tzinfo=UTC)).input) == 1
    )


def test_times_of_the_day():
    """Off-peak is the plain price, hours listed after it are peak, every day."""
    prices = [
        {"prices": {"input_mtok": 1, "output_mtok": 2}},
        {
            "constraint": {"start_time": "22:00:00Z", "end_time": "02:00:00+00:00"},
            "prices": {"input_mtok": 3, "output_mtok": 4},
        },
    ]
    found = genai([{"id": "lab", "models": [{"id": "x-1", "prices": prices}]}])
    at = [rates(found, "x-1@lab", NOW.replace(day=23, hour=hour)).window for hour in (1, 2, 22)]
    assert at == ["peak", "off-peak", "peak"]
    third = {
        "constraint": {"start_time": "04:00Z", "end_time": "05:00Z"},
        "prices": prices[0]["prices"],
    }
    found = genai([{"id": "lab", "models": [{"id": "x-1", "prices": [*prices, third]}]}])
    assert found.skipped["lab/x-1"] == "hours: more than two prices a day"


def test_prices_per_request_and_variants():
    """Requests are priced by the thousand there; batch overrides what it names."""
    assert usd(rates(genai(), "sonar@perplexity").per_request) == Decimal("0.012")
    batch = rates(genai(), "gemini-2.5-pro@google", service_tier="batch", input_tokens=200_001)
    assert (usd(batch.input), usd(batch.cache_read)) == (Decimal("1.25"), Decimal("0.25"))


def test_an_unknown_clause():
    """A clause of a later version skips its model and says so."""
    model = {"id": "x-1", "match": {"like": "x"}, "prices": {"input_mtok": 1, "output_mtok": 1}}
    found = genai([{"id": "deepseek", "models": [model]}])
    assert found.skipped == {
        "deepseek/x-1": "unreadable: expected a clause such as equals or contains, got 'like'"
    }
