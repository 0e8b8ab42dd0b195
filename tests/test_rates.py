from datetime import UTC, date, datetime, timedelta

import pytest
from catalogs import rate, small, utc

from router.catalog import Catalog
from router.errors import CatalogError, InvalidRequestError, RouterError
from router.money import to_pico


@pytest.mark.parametrize(
    ("at", "window"),
    [
        ("2026-08-22T01:30", "peak"),  # a Saturday, but the weekend rule is not yet in force
        ("2026-08-23T01:30", "off-peak"),
        ("2026-08-24T01:30", "peak"),
        ("2026-08-28T16:30", "off-peak"),  # Saturday 00:30 in Beijing
        ("2026-10-01T02:00", "off-peak"),  # National Day, a Thursday
        ("2026-11-21T02:00", "off-peak"),  # a Saturday
        ("2026-11-20T00:59:59", "off-peak"),
        ("2026-11-20T01:00", "peak"),
        ("2026-11-20T03:59:59", "peak"),
        ("2026-11-20T04:00", "off-peak"),
        ("2026-11-20T06:00", "peak"),
        ("2026-11-20T10:00", "off-peak"),
        ("2026-11-22T16:00", "off-peak"),  # Monday 00:00 in Beijing
        ("2026-11-23T01:00", "peak"),
        ("2026-10-08T01:00", "peak"),  # the first working day after the holiday
        ("2027-01-01T01:00", "peak"),  # the list of holidays ends with 2026
    ],
)
def test_deepseek_peak_hours(at, window):
    """Peak hours follow the Beijing weekday and holidays; starts count, ends do not."""
    rates = Catalog.default().rates("deepseek-v4-pro@deepseek", utc(at))
    assert rates.window == window
    assert rates.input == to_pico("1.32" if window == "peak" else "0.66")
    assert rates.output == to_pico("3.96" if window == "peak" else "1.98")
    assert rates.id.endswith("#" + window)


@pytest.mark.parametrize(
    ("endpoint", "at", "expected"),
    [
        ("deepseek-v3.2@deepseek", "2026-02-01", ("0.28", "0.028", "0.42")),
        ("deepseek-v3.2-exp@deepseek", "2025-10-15", ("0.28", "0.028", "0.42")),
        ("deepseek-v3.2-speciale@deepseek", "2025-12-15T15:58", ("0.28", "0.028", "0.42")),
        ("deepseek-chat@deepseek", "2025-01-01", ("0.14", "0.014", "0.28")),
        ("deepseek-chat@deepseek", "2025-03-01T12:00", ("0.27", "0.07", "1.10")),
        ("deepseek-chat@deepseek", "2025-03-01T16:30", ("0.135", "0.035", "0.55")),
        ("deepseek-chat@deepseek", "2025-03-02T00:29", ("0.135", "0.035", "0.55")),
        ("deepseek-chat@deepseek", "2025-03-02T00:30", ("0.27", "0.07", "1.10")),
        ("deepseek-reasoner@deepseek", "2025-02-01", ("0.55", "0.14", "2.19")),
        ("deepseek-reasoner@deepseek", "2025-09-10", ("0.56", "0.07", "1.68")),
        ("deepseek-chat@deepseek", "2026-05-01", ("0.14", "0.0028", "0.28")),
        ("deepseek-v4-flash@deepseek", "2026-04-25", ("0.14", "0.028", "0.28")),
        ("deepseek-v4-flash@deepseek", "2026-08-24T01:30", ("0.44", "0.014", "1.32")),
        ("deepseek-v4-flash@deepseek", "2026-11-20T02:00", ("0.30", "0.006", "1.20")),
        ("deepseek-v4-pro@deepseek", "2026-06-15", ("0.435", "0.003625", "0.87")),
        ("deepseek-flash@deepseek", "2026-11-22", ("0.15", "0.003", "0.60")),
        ("deepseek-v3.2@openrouter", "2026-08-01", ("0.2288", "0.02288", "0.3432")),
        ("deepseek-v3.2@openrouter", "2026-11-22", ("0.26", "0.13", "0.38")),
        ("gpt-5@openai", "2026-11-22", ("1.25", "0.125", "10")),
        ("gemini-3-pro@quoted", "2026-11-22", ("2", "2", "2")),
    ],
)
def test_prices_of_the_day(endpoint, at, expected):
    """Shipped prices are those the sources give for the instant, in pico-dollars per million."""
    rates = Catalog.default().rates(endpoint, utc(at))
    assert (rates.input, rates.cache_read, rates.output) == tuple(map(to_pico, expected))


@pytest.mark.parametrize(
    ("endpoint", "at", "before", "after"),
    [
        ("deepseek-chat", "2025-02-08T16:00", "0.14 0.014 0.28", "0.27 0.07 1.10"),
        ("deepseek-chat", "2025-02-26T16:30", "0.27 0.07 1.10", "0.135 0.035 0.55"),
        ("deepseek-chat", "2025-09-05T00:30", "0.135 0.035 0.55", "0.27 0.07 1.10"),
        ("deepseek-chat", "2025-09-05T16:00", "0.27 0.07 1.10", "0.56 0.07 1.68"),
        ("deepseek-chat", "2025-09-29", "0.56 0.07 1.68", "0.28 0.028 0.42"),
        ("deepseek-chat", "2026-04-24", "0.28 0.028 0.42", "0.14 0.028 0.28"),
        ("deepseek-chat", "2026-04-26", "0.14 0.028 0.28", "0.14 0.0028 0.28"),
        ("deepseek-reasoner", "2025-02-26T16:30", "0.55 0.14 2.19", "0.135 0.035 0.55"),
        ("deepseek-reasoner", "2025-02-27T00:30", "0.135 0.035 0.55", "0.55 0.14 2.19"),
        ("deepseek-reasoner", "2025-09-05T16:00", "0.55 0.14 2.19", "0.56 0.07 1.68"),
        ("deepseek-reasoner", "2025-09-29", "0.56 0.07 1.68", "0.28 0.028 0.42"),
        ("deepseek-reasoner", "2026-04-24", "0.28 0.028 0.42", "0.14 0.028 0.28"),
        ("deepseek-v4-flash", "2026-04-26", "0.14 0.028 0.28", "0.14 0.0028 0.28"),
        ("deepseek-v4-flash", "2026-08-16T16:00", "0.14 0.0028 0.28", "0.22 0.007 0.66"),
        ("deepseek-v4-flash", "2026-08-22T01:00", "0.22 0.007 0.66", "0.44 0.014 1.32"),
        ("deepseek-v4-pro", "2026-04-26", "1.74 0.145 3.48", "1.74 0.0145 3.48"),
        ("deepseek-v4-pro", "2026-05-31T16:00", "1.74 0.0145 3.48", "0.435 0.003625 0.87"),
        ("deepseek-v4-pro", "2026-08-16T16:00", "0.435 0.003625 0.87", "0.66 0.022 1.98"),
    ],
)
def test_both_sides_of_each_change(endpoint, at, before, after):
    """DeepSeek's prices changed at these instants: the last second before has the old price."""
    catalog, now = Catalog.default(), utc(at)
    for instant, expected in ((now - timedelta(seconds=1), before), (now, after)):
        rates = catalog.rates(f"{endpoint}@deepseek", instant)
        quoted = (rates.input, rates.cache_read, rates.output)
        assert quoted == tuple(map(to_pico, expected.split()))
    assert catalog.boundary(f"{endpoint}@deepseek", now - timedelta(seconds=1), now) == now


def test_every_holiday_on_a_weekday_is_off_peak():
    """On each weekday of the list Beijing's peak hours cost the off-peak price."""
    catalog = Catalog.default()
    calendar = next(e.row for e in catalog.entries if e.table == "calendar")
    past = [d for d in calendar.days if d > date(2026, 8, 23) and d.isoweekday() < 6]
    assert len(past) == 6
    for day in past:
        for hour in (1, 3, 6, 9):
            at = datetime(day.year, day.month, day.day, hour, 30, tzinfo=UTC)
            assert catalog.rates("deepseek-v4-pro@deepseek", at).window == "off-peak"


def test_friday_night_in_beijing_is_the_weekend():
    """The weekend begins on Friday at 16:00 UTC, after the last peak hours of the week."""
    catalog = Catalog.default()
    friday, monday = utc("2026-11-20T10:00"), utc("2026-11-23T01:00")
    assert catalog.rates("deepseek-flash@deepseek", utc("2026-11-20T16:00")).window == "off-peak"
    assert catalog.boundary("deepseek-flash@deepseek", friday, monday) == monday


def test_which_instant_decides_is_told():
    """In 2025 the completion decided the window; for 2026 nothing is published."""
    catalog = Catalog.default()
    old = catalog.rates("deepseek-chat@deepseek", utc("2025-03-01T17:00"))
    assert old.decided_by == "completion"
    new = catalog.rates("deepseek-flash@deepseek", utc("2026-11-20T02:00"))
    assert new.decided_by == ""


@pytest.mark.parametrize(
    ("endpoint", "at"),
    [
        ("deepseek-v3.2@deepseek", "2026-04-24"),
        ("deepseek-v3.2@deepseek", "2025-11-30T23:59"),
        ("deepseek-v3.2-speciale@deepseek", "2025-12-15T15:59"),
        ("deepseek-chat@deepseek", "2026-07-24T15:59"),
        ("deepseek-v3.2@vllm", "2026-11-22"),
        ("deepseek-flash@deepseek", "2026-09-10T03:59"),
    ],
)
def test_no_price_outside_its_time(endpoint, at):
    """Before the first row, after retirement and where nobody knows, a rate is None, not zero."""
    assert Catalog.default().rates(endpoint, utc(at)) is None


def test_candidate_and_name_agree():
    """A candidate, in either mode, has the rates of its endpoint."""
    catalog, at = Catalog.default(), utc("2026-11-22")
    thinking = catalog.candidate("deepseek-v3.2:thinking@deepinfra", at=at)
    named = catalog.rates("deepinfra/deepseek-v3.2", at)
    assert catalog.rates(thinking, at) == named
    assert named.id == "deepseek-v3.2@deepinfra/2025-12-01"
    assert named.checked == date(2026, 11, 21)
    assert named.source.startswith("LiteLLM 1.109.1")


def test_retired_candidate_keeps_its_own_past():
    """A candidate that became an alias is not priced as its successor."""
    catalog = Catalog.default()
    old = catalog.candidate("deepseek-v4-flash@deepseek", at=utc("2026-06-01"))
    assert catalog.rates(old, utc("2026-06-01")).input == to_pico("0.14")
    assert catalog.rates(old, utc("2026-11-22")) is None


def test_absent_cache_prices_are_the_input_price():
    """Without a cached price, reading and writing the cache cost what input costs."""
    rates = small(rate()).rates("m@h", utc("2026-01-01"))
    assert (rates.cache_read, rates.cache_write) == (rates.input, rates.input) == (10**12, 10**12)
    free = small(rate(cache_read="0")).rates("m@h", utc("2026-01-01"))
    assert free.cache_read == 0


def test_latest_row_wins_and_gaps_are_unknown():
    """The latest row in force counts, from its start to before its end."""
    catalog = small(
        rate(valid_from="2026-01-01", valid_to="2026-03-01"),
        rate(valid_from="2026-02-01T12:00:00+02:00", valid_to="2026-03-01", input="3"),
    )
    assert catalog.rates("m@h", utc("2025-12-31T23:59:59")) is None
    assert catalog.rates("m@h", utc("2026-02-01T09:59")).input == to_pico(1)
    assert catalog.rates("m@h", utc("2026-02-01T10:00")).input == to_pico(3)
    assert catalog.rates("m@h", utc("2026-03-01")) is None


def test_what_was_known_then():
    """With known_at, a price announced later does not count."""
    catalog = small(
        rate(valid_from="2026-01-01"),
        rate(valid_from="2026-06-01", known_since="2026-05-20", input="3"),
    )
    at = utc("2026-06-02")
    assert catalog.rates("m@h", at).input == to_pico(3)
    assert catalog.rates("m@h", at, known_at=utc("2026-05-19")).input == to_pico(1)
    assert catalog.rates("m@h", at, known_at=utc("2026-05-20")).input == to_pico(3)


def test_overlay_rate_goes_first_from_its_start():
    """An overlay's rate beats every rate below it once it is valid, not before."""
    base = small(rate(valid_from="2026-01-01"), rate(valid_from="2026-06-01", input="3"))
    dated = base.overlay({"rate": [rate(valid_from="2026-03-01", input="0.5")]})
    assert dated.rates("m@h", utc("2026-02-01")).input == to_pico(1)
    assert dated.rates("m@h", utc("2026-07-01")).input == to_pico("0.5")
    always = base.overlay({"rate": [rate(input="0.7")]})
    assert always.rates("m@h", utc("2020-01-01")).input == to_pico("0.7")
    assert base.rates("m@h", utc("2026-07-01")).input == to_pico(3)


def test_zone_with_summer_time():
    """Hours are those on the wall of the zone, also when its clocks change."""
    catalog = small(
        rate(input=None, output=None, schedule="s", peak={"input": "2", "output": "2"},
             off_peak={"input": "1", "output": "1"}),
        schedule=[{"name": "s", "zone": "Europe/Berlin", "hours": ["08:00-09:00"]}],
    )  # fmt: skip
    assert catalog.rates("m@h", utc("2026-01-15T07:30")).window == "peak"
    assert catalog.rates("m@h", utc("2026-07-15T07:30")).window == "off-peak"
    assert catalog.rates("m@h", utc("2026-07-15T06:30")).window == "peak"


def test_naive_instant_is_refused():
    """An instant without an offset could be any hour: it is refused, with an example."""
    with pytest.raises(InvalidRequestError, match="aware instant"):
        Catalog.default().rates("deepseek-flash@deepseek", datetime(2026, 11, 21))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"input": 0.28}, 'write rates as strings, "0.28"'),
        ({"input": float("nan")}, "write rates as strings"),
        ({"input": "nan"}, "finite"),
        ({"input": "inf"}, "finite"),
        ({"input": "-0.1"}, "zero or more"),
        ({"output": "cheap"}, "expected an amount in USD"),
        ({"output": True}, "USD per million"),
        ({"output": None}, "expected input and output"),
        ({"source": None}, "expected this key"),
        ({"checked": None}, "expected this key"),
        ({"schedule": "s"}, "expected peak and off_peak"),
        ({"peak": {"input": "1", "output": "1"}}, "expected a schedule"),
        ({"valid_from": datetime(2026, 1, 1)}, "offset"),
        ({"valid_from": "soon"}, "expected an instant such as"),
        ({"valid_from": "2026-02-01", "valid_to": "2026-01-01"}, "after valid_from"),
        ({"endpoint": "m@elsewhere"}, "name of a \\[\\[endpoint\\]\\] row"),
        ({"price": "1"}, "unknown key"),
    ],
)
def test_bad_rates_are_refused(columns, expected):
    """A rate that cannot be right is refused in words that say what was expected."""
    with pytest.raises(CatalogError, match=expected) as caught:
        small(rate(**columns))
    assert isinstance(caught.value, RouterError)


@pytest.mark.parametrize(
    "hours", ["22:00-02:00", "9-12", "09:00-09:00", "09:60-10:00", "10:00-24:01"]
)
def test_bad_hours_are_refused(hours):
    """Hours run forward within one day; spans across midnight are written as two."""
    with pytest.raises(CatalogError, match="expected"):
        small(schedule=[{"name": "s", "zone": "UTC", "hours": [hours]}])


def test_unknown_zone_is_refused():
    """A zone that does not exist is refused when the file is read, not when a price is asked."""
    with pytest.raises(CatalogError, match="expected a zone such as 'Asia/Shanghai'"):
        small(schedule=[{"name": "s", "zone": "Asia/Pekin", "hours": ["00:00-24:00"]}])


@pytest.mark.parametrize(
    ("name", "at", "prices"),
    [
        ("deepseek-v3.2@openrouter", "2026-10-18T23:59:59", "0.2288 0.02288 0.3432"),
        ("deepseek-v3.2@openrouter", "2026-10-19T00:00", "0.28 0.028 0.42"),
        ("deepseek-v3.2@openrouter", "2026-11-08T23:59:59", "0.28 0.028 0.42"),
        ("deepseek-v3.2@openrouter", "2026-11-09T00:00", "0.26 0.13 0.38"),
        ("deepseek-v3.2-speciale@openrouter", "2026-05-14T23:59:59", "0.27 0.27 0.41"),
        ("deepseek-v3.2-speciale@openrouter", "2026-05-15T00:00", "0.287 0.058 0.431"),
        ("deepseek-v3.2-speciale@openrouter", "2026-05-29T00:00", ""),
    ],
)
def test_openrouter_s_dated_prices(name, at, prices):
    """Each of OpenRouter's prices holds from its day on; none after the model was taken off."""
    rates = Catalog.default().rates(name, datetime.fromisoformat(at).replace(tzinfo=UTC))
    quoted = [] if rates is None else [rates.input, rates.cache_read, rates.output]
    assert quoted == [to_pico(price) for price in prices.split()]
