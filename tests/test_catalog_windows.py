"""When prices change: windows, holidays, and the boundaries found without probing each minute."""

import sys
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from catalogs import by_clock, exchange, rate, small, utc
from hypothesis import given, settings
from hypothesis import strategies as st

from router.catalog import Catalog, windows
from router.errors import CatalogError, InvalidRequestError
from router.money import to_pico

MINUTE = timedelta(minutes=1)
# Starts of days on which clocks change, by the hour, the half hour, and at midnight.
STARTS = {
    "UTC": "2026-03-01T00:00",
    "Asia/Shanghai": "2026-12-30T16:00",
    "Europe/Berlin": "2026-10-24T18:00",
    "America/New_York": "2026-03-08T00:00",
    "Australia/Lord_Howe": "2026-10-03T06:00",
    "America/Santiago": "2026-09-05T20:00",
}
KINDS = ("input", "cache_read", "cache_write", "cache_write_1h", "output", "per_request")


def clock_text(minute):
    return f"{minute // 60:02d}:{minute % 60:02d}"


@st.composite
def schedules(draw, zone):
    spans = []
    for _ in range(draw(st.integers(1, 2))):
        start = draw(st.integers(0, 1439))
        spans.append((start, draw(st.integers(start + 1, 1440))))
    return {
        "name": "s",
        "zone": zone,
        "window": draw(st.sampled_from(["peak", "off-peak"])),
        "weekdays": draw(st.lists(st.integers(1, 7), min_size=1, unique=True)),
        "hours": [f"{clock_text(a)}-{clock_text(b)}" for a, b in spans],
    }, spans


@st.composite
def cases(draw):
    """A catalogue, from when to when to ask, and its price by an independent reading."""
    zone = draw(st.sampled_from(sorted(STARTS)))
    begin = utc(STARTS[zone])
    schedule, spans = draw(schedules(zone))
    minutes = st.integers(-300, 2400)
    rows = [by_clock(valid_from="2020-01-01", peak="7", off_peak="3")]
    for i, offset in enumerate(draw(st.lists(minutes, max_size=2, unique=True))):
        start = begin + offset * MINUTE
        ends = draw(st.none() | st.integers(1, 900).map(lambda n, start=start: start + n * MINUTE))
        made = by_clock if draw(st.booleans()) else rate
        prices = {"peak": str(9 + i), "off_peak": str(2 - i)} if made is by_clock else {}
        prices = prices or {"input": str(4 + i), "output": "5", "cache_read": "1"}
        rows.append(made(valid_from=start, valid_to=ends, **prices))
    retires = draw(st.none() | minutes.map(lambda n: begin + n * MINUTE))
    holiday = begin.astimezone(ZoneInfo(zone)).date() + timedelta(days=draw(st.integers(0, 2)))
    until = draw(st.none() | st.just(holiday))
    calendar = {"name": "c", "days": [holiday]} | ({"until": until} if until else {})
    catalog = small(
        *rows,
        endpoint={"retires_at": retires},
        schedule=[schedule | {"calendar": "c"}],
        calendar=[calendar],
    )

    def price(at):
        if retires is not None and at >= retires:
            return None
        here = [r for r in rows if as_utc(r["valid_from"]) <= at]
        here = [r for r in here if not r.get("valid_to") or at < r["valid_to"]]
        row = max(here, key=lambda r: as_utc(r["valid_from"]))
        if "schedule" not in row:
            return to_pico(row["input"])
        local = at.astimezone(ZoneInfo(zone))
        minute = local.hour * 60 + local.minute
        inside = (
            local.isoweekday() in schedule["weekdays"]
            and local.date() != holiday
            and any(a <= minute < b for a, b in spans)
        )
        peak = inside == (schedule["window"] == "peak")
        return to_pico(row["peak" if peak else "off_peak"]["input"])

    return catalog, begin, begin + draw(st.integers(0, 2000)) * MINUTE, price


def as_utc(value):
    return utc(value) if isinstance(value, str) else value


def probed(begin, end):
    count = int((end - begin) / MINUTE)
    return [begin + i * MINUTE for i in range(count + 1)]


@settings(max_examples=60)
@given(cases())
def test_boundaries_are_those_that_probing_finds(case):
    """Boundary after boundary gives each change that probing each minute finds, and no other."""
    catalog, begin, end, price = case
    instants = probed(begin, end)
    rates = [catalog.rates("m@h", at) for at in instants]
    assert [r and r.input for r in rates] == [price(at) for at in instants]
    pairs = zip(rates, rates[1:], instants[1:], strict=False)
    expected = [at for before, after, at in pairs if before != after]
    found, at = [], begin
    while (at := catalog.boundary("m@h", at, end)) is not None:
        found.append(at)
    assert found == expected


@settings(max_examples=60)
@given(cases())
def test_the_dearest_is_that_of_probing(case):
    """The highest of each price between two instants is the highest that any minute has."""
    catalog, begin, end, _ = case
    found = catalog.dearest("m@h", begin, end)
    rates = [r for at in probed(begin, end) if (r := catalog.rates("m@h", at))]
    if catalog.rates("m@h", begin) is None:
        assert found is None
        return
    for kind in KINDS:
        assert getattr(found, kind) == max(getattr(r, kind) for r in rates)
    assert found.uncertain == any(r.uncertain for r in rates)
    assert found.id == catalog.rates("m@h", begin).id


@settings(max_examples=30)
@given(cases(), st.lists(st.integers(0, 2400), min_size=1, max_size=30))
def test_the_order_of_questions_does_not_matter(case, minutes):
    """What was asked before never changes an answer: times may go back and forth."""
    catalog, begin, _, price = case
    for minute in minutes:
        at = begin + minute * MINUTE
        rates = catalog.rates("m@h", at)
        assert (rates and rates.input) == price(at)


def test_boundaries_of_rows_are_exact():
    """A row that starts within a minute is a boundary at its very instant."""
    odd = datetime(2026, 5, 1, 12, 0, 7, 250_000, tzinfo=UTC)
    catalog = small(rate(), rate(valid_from=odd, input="3"))
    start, end = utc("2026-05-01T00:00"), utc("2026-06-01T00:00")
    assert catalog.boundary("m@h", start, end) == odd
    assert catalog.boundary("m@h", odd, end) is None
    assert catalog.boundary("m@h", start, odd) == odd
    assert catalog.boundary("m@h", start, odd - timedelta(microseconds=1)) is None
    assert catalog.boundary("m@h", end, start) is None
    with pytest.raises(InvalidRequestError, match="aware"):
        catalog.boundary("m@h", start, end.replace(tzinfo=None))


def test_dearest_looks_at_tiers_and_exchange():
    """It covers every shorter length of input, and a currency that rises on the way."""
    tier = {"above_input_tokens": 1000, "input": "0.5", "output": "3"}
    catalog = small(
        rate(tiers=[tier], currency="CNY"),
        exchange=[exchange("0.1"), exchange("0.2", valid_from="2026-05-01")],
    )
    start = utc("2026-04-30")
    long = catalog.dearest("m@h", start, utc("2026-05-01"), input_tokens=1001)
    assert (long.input, long.output) == (to_pico("0.2"), to_pico("0.6"))
    assert catalog.dearest("m@h", start, start, input_tokens=1000).output == to_pico("0.2")
    assert catalog.dearest("m@h", start, start, service_tier="batch") is None


def test_dearest_and_boundary_as_known_then():
    """With known_at an announcement made later, or called off, moves nothing."""
    plan = rate(
        valid_from="2026-05-01", known_since="2026-04-20", withdrawn="2026-04-25", input="9"
    )
    catalog = small(rate(), plan)
    start, end = utc("2026-04-30"), utc("2026-05-02")
    seen = {"known_at": utc("2026-04-21")}
    assert catalog.boundary("m@h", start, end) is None
    assert catalog.boundary("m@h", start, end, **seen) == utc("2026-05-01")
    assert catalog.dearest("m@h", start, end).input == to_pico(1)
    assert catalog.dearest("m@h", start, end, **seen).input == to_pico(9)


def test_after_the_calendar_prices_are_uncertain():
    """From 2027 on, Beijing's time, no holidays are known: peak prices, and marked so."""
    catalog, name = Catalog.default(), "deepseek-flash@deepseek"
    turn = utc("2026-12-31T16:00")
    assert not catalog.rates(name, turn - MINUTE).uncertain
    assert catalog.rates(name, turn).uncertain
    assert catalog.boundary(name, utc("2026-12-31T10:00"), utc("2027-01-31")) == turn
    assert not catalog.rates("deepseek-v3.2@deepinfra", turn).uncertain
    assert catalog.dearest(name, turn - MINUTE, turn).uncertain


BEIJING = {"name": "s", "zone": "Asia/Shanghai", "hours": ["09:00-12:00"], "calendar": "c"}


def test_public_holidays_of_a_country(monkeypatch):
    """A calendar may be a country's, as the package `holidays` has it, read when first needed."""
    asked = []

    def country_holidays(country, years):
        asked.append((country, years))
        if country != "CN":
            raise NotImplementedError
        return {date(2026, 10, 1): "National Day"}

    monkeypatch.setitem(
        sys.modules, "holidays", SimpleNamespace(country_holidays=country_holidays)
    )
    monkeypatch.setattr(windows, "find_spec", lambda name: object())
    windows._public_holidays.cache_clear()
    catalog = small(by_clock(), schedule=[BEIJING], calendar=[{"name": "c", "country": "CN"}])
    assert asked == []
    assert catalog.rates("m@h", utc("2026-10-01T02:00")).window == "off-peak"
    assert catalog.rates("m@h", utc("2026-10-02T02:00")).window == "peak"
    assert asked == [("CN", 2026)]
    unknown = small(by_clock(), schedule=[BEIJING], calendar=[{"name": "c", "country": "XX"}])
    with pytest.raises(CatalogError, match="got 'XX'; list the days"):
        unknown.rates("m@h", utc("2026-10-01T02:00"))
    windows._public_holidays.cache_clear()


def test_a_country_without_the_package(monkeypatch):
    """Without the package such a calendar is refused when it is read, with what to install."""
    monkeypatch.setitem(sys.modules, "holidays", None)
    monkeypatch.setattr(windows, "find_spec", lambda name: None)
    with pytest.raises(CatalogError, match=r"\[\[calendar\]\] c, country: .*pip install holidays"):
        small(by_clock(), schedule=[BEIJING], calendar=[{"name": "c", "country": "CN"}])
    monkeypatch.setattr(windows, "find_spec", lambda name: object())
    broken = small(by_clock(), schedule=[BEIJING], calendar=[{"name": "c", "country": "CN"}])
    with pytest.raises(CatalogError, match="pip install holidays"):
        broken.rates("m@h", utc("2026-10-01T02:00"))


@pytest.mark.parametrize(
    ("calendar", "says"),
    [
        ({"name": "c"}, "either days or a country"),
        ({"name": "c", "days": [date(2026, 1, 1)], "country": "CN"}, "either days or a country"),
        ({"name": "c", "country": "China"}, "pattern"),
        (
            {"name": "c", "days": [date(2026, 1, 2)], "until": date(2026, 1, 1)},
            "until on or after",
        ),
    ],
)
def test_bad_calendars_are_refused(calendar, says):
    """A calendar has one source, and speaks for all of its own days."""
    with pytest.raises(CatalogError, match=says):
        small(calendar=[calendar])
