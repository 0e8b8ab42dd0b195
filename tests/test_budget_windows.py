"""Windows of budgets by the calendar: every zone, every instant."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from router.budgets import Budget, window_period
from router.budgets.windows import Period
from router.errors import InvalidBudgetError


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# case, window, zone, an instant in it, start, end (all UTC), hours
CASES = [
    ("last instant", "day", "UTC", "2026-11-22T23:59:59.999999", "2026-11-22", "2026-11-23", 24),
    ("first instant", "day", "UTC", "2026-11-23", "2026-11-23", "2026-11-24", 24),
    ("spring", "day", "Europe/Berlin", "2026-03-29T12", "2026-03-28T23", "2026-03-29T22", 23),
    ("autumn", "day", "Europe/Berlin", "2026-10-25T12", "2026-10-24T22", "2026-10-25T23", 25),
    ("spring", "day", "America/New_York", "2026-03-08T12", "2026-03-08T05", "2026-03-09T04", 23),
    ("autumn", "day", "America/New_York", "2026-11-01T12", "2026-11-01T04", "2026-11-02T05", 25),
    (
        "spring by half an hour",
        *("day", "Australia/Lord_Howe", "2026-10-03T20"),
        *("2026-10-03T13:30", "2026-10-04T13", 23.5),
    ),
    (
        "autumn by half an hour",
        *("day", "Australia/Lord_Howe", "2026-04-05T12"),
        *("2026-04-04T13", "2026-04-05T13:30", 24.5),
    ),
    (
        "no midnight",
        *("day", "America/Sao_Paulo", "2018-11-04T03"),
        *("2018-11-04T03", "2018-11-05T02", 23),
    ),
    (
        "the day before that",
        *("day", "America/Sao_Paulo", "2018-11-04T02:59:59"),
        *("2018-11-03T03", "2018-11-04T03", 24),
    ),
    (
        "no midnight",
        "day",
        "America/Santiago",
        "2026-09-06T12",
        "2026-09-06T04",
        "2026-09-07T03",
        23,
    ),
    ("no midnight", "day", "Africa/Cairo", "2026-04-24T12", "2026-04-23T22", "2026-04-24T21", 23),
    ("no midnight", "day", "Asia/Beirut", "2026-03-28T22", "2026-03-28T22", "2026-03-29T21", 23),
    (
        "a jump from 23:30 to 00:30",
        *("day", "America/Toronto", "1919-03-31T04:45"),
        *("1919-03-31T04:30", "1919-04-01T04", 23.5),
    ),
    (
        "midnight twice, the first",
        *("day", "America/Havana", "2026-11-01T04:30"),
        *("2026-11-01T04", "2026-11-02T05", 25),
    ),
    (
        "midnight twice, the second",
        *("day", "America/Havana", "2026-11-01T05:30"),
        *("2026-11-01T04", "2026-11-02T05", 25),
    ),
    (
        "midnight twice, the second",
        *("day", "Atlantic/Azores", "2026-10-25T01:30"),
        *("2026-10-25T00", "2026-10-26T01", 25),
    ),
    (
        "back into the day before at 00:01",
        *("day", "America/St_Johns", "2006-10-29T02:45"),
        *("2006-10-29T02:30", "2006-10-30T03:30", 25),
    ),
    (
        "back into the day before at 00:00",
        *("day", "America/Sao_Paulo", "2018-02-18T02:30"),
        *("2018-02-17T02", "2018-02-18T03", 25),
    ),
    (
        "before a day that was skipped",
        *("day", "Pacific/Apia", "2011-12-30T09:59"),
        *("2011-12-29T10", "2011-12-30T10", 24),
    ),
    (
        "after a day that was skipped",
        *("day", "Pacific/Apia", "2011-12-30T10"),
        *("2011-12-30T10", "2011-12-31T10", 24),
    ),
    (
        "a month without one of its days",
        *("month", "Pacific/Apia", "2011-12-31T09:59"),
        *("2011-12-01T10", "2011-12-31T10", 720),
    ),
    (
        "half hours",
        "day",
        "Asia/Kolkata",
        "2026-11-22T18:29",
        "2026-11-21T18:30",
        "2026-11-22T18:30",
        24,
    ),
    (
        "quarters",
        "day",
        "Asia/Kathmandu",
        "2026-11-22T18:15",
        "2026-11-22T18:15",
        "2026-11-23T18:15",
        24,
    ),
    ("leap day", "day", "UTC", "2028-02-29T12", "2028-02-29", "2028-03-01", 24),
    ("leap month", "month", "UTC", "2028-02-29T12", "2028-02-01", "2028-03-01", 696),
    ("no leap year", "month", "UTC", "2100-02-28T12", "2100-02-01", "2100-03-01", 672),
    ("February", "month", "UTC", "2026-02-28T12", "2026-02-01", "2026-03-01", 672),
    ("the 31st", "month", "UTC", "2026-01-31", "2026-01-01", "2026-02-01", 744),
    ("year end", "month", "UTC", "2026-12-31T23:59", "2026-12-01", "2027-01-01", 744),
    (
        "year end in the east",
        *("month", "Pacific/Kiritimati", "2026-12-31T10"),
        *("2026-12-31T10", "2027-01-31T10", 744),
    ),
    (
        "March, while it is February in UTC",
        *("month", "Europe/Berlin", "2026-02-28T23:30"),
        *("2026-02-28T23", "2026-03-31T22", 743),
    ),
    (
        "begins while midnight repeats",
        *("month", "America/Havana", "2026-11-01T05:30"),
        *("2026-11-01T04", "2026-12-01T05", 721),
    ),
    ("over new year", "week", "UTC", "2027-01-01T12", "2026-12-28", "2027-01-04", 168),
    ("week 53", "week", "UTC", "2021-01-03T23:59", "2020-12-28", "2021-01-04", 168),
    ("ends on Sunday", "week", "UTC", "2026-11-22T23:59", "2026-11-16", "2026-11-23", 168),
    ("autumn", "week", "Europe/Berlin", "2026-10-25T12", "2026-10-18T22", "2026-10-25T23", 169),
    ("spring", "week", "America/New_York", "2026-03-08T12", "2026-03-02T05", "2026-03-09T04", 167),
    (
        "02:30 in autumn, first",
        "hour",
        "Europe/Berlin",
        "2026-10-25T00:30",
        "2026-10-25",
        "2026-10-25T01",
        1,
    ),
    (
        "02:30 in autumn, again",
        "hour",
        "Europe/Berlin",
        "2026-10-25T01:30",
        "2026-10-25T01",
        "2026-10-25T02",
        1,
    ),
    (
        "hours are those of UTC",
        "hour",
        "Asia/Kathmandu",
        "2026-11-22T18:20",
        "2026-11-22T18",
        "2026-11-22T19",
        1,
    ),
]


@pytest.mark.parametrize(("case", "window", "tz", "now", "start", "end", "hours"), CASES)
def test_windows_follow_the_calendar(case, window, tz, now, start, end, hours):
    """Days, weeks, months and hours begin and end where the zone's calendar says."""
    assert window_period(window, tz, utc(now)) == (utc(start), utc(end)), case
    assert utc(end) - utc(start) == timedelta(hours=hours)
    assert utc(start) <= utc(now) < utc(end)


# One name per set of rules; links to the machine's own zone aside.
ZONES = sorted(
    z for z in available_timezones() if "/" in z and not z.startswith(("posix", "right"))
)
MICROSECOND = timedelta(microseconds=1)
INSTANTS = st.datetimes(datetime(1880, 1, 1), datetime(2120, 1, 1), timezones=st.just(UTC))


@given(st.sampled_from(["hour", "day", "week", "month"]), st.sampled_from(ZONES), INSTANTS)
@example("day", "America/Toronto", utc("1919-03-31T04:45"))
@example("week", "Pacific/Apia", utc("2011-12-30T10"))
@example("day", "America/St_Johns", utc("2006-10-29T02:31"))
@settings(max_examples=400)
def test_windows_tile_time(window, tz, now):
    """Each instant is in its window, all instants of a window agree, and windows leave no gap."""
    start, end = window_period(window, tz, now)
    assert start <= now < end
    for other in (start, start + (end - start) / 2, end - MICROSECOND):
        assert window_period(window, tz, other) == (start, end)
    assert window_period(window, tz, end)[0] == end


@given(st.sampled_from(ZONES), INSTANTS)
@example("America/Toronto", utc("1919-03-31T04:45"))
@example("America/St_Johns", utc("2006-10-29T02:45"))
@example("Pacific/Apia", utc("2011-12-30T10"))
@settings(max_examples=60)
def test_a_day_begins_when_its_date_comes(tz, now):
    """Searched minute by minute: a day lasts from when its date comes until the next does."""
    start, end = window_period("day", tz, now)
    zone = ZoneInfo(tz)
    today = (end - MICROSECOND).astimezone(zone).date()
    tomorrow = end.astimezone(zone).date()
    assert start.astimezone(zone).date() <= today < tomorrow
    minutes = [start - timedelta(hours=30) + timedelta(minutes=m) for m in range(60 * 60)]
    dates = [(at, at.astimezone(zone).date()) for at in minutes]
    assert all(day < today for at, day in dates if at < start)
    assert all(day < tomorrow for at, day in dates if at < end)


def test_a_year_of_days_has_no_gap_in_any_zone():
    """Walking a year window by window meets every local date once."""
    for tz in ("Europe/Berlin", "America/Havana", "Africa/Cairo", "Australia/Lord_Howe"):
        starts = [utc("2026-01-01T12:00")]
        while starts[-1] < utc("2027-01-01"):
            starts.append(window_period("day", tz, starts[-1])[1])
        dates = [start.astimezone(ZoneInfo(tz)).date() for start in starts[1:]]
        assert all(b - a == timedelta(days=1) for a, b in pairwise(dates))


def test_a_day_that_never_was_is_no_window():
    """Samoa had no 30 December 2011: the days around it follow each other."""
    zone = ZoneInfo("Pacific/Apia")
    _, skipped = window_period("day", "Pacific/Apia", utc("2011-12-30T09:59"))
    assert (skipped - MICROSECOND).astimezone(zone).date() == date(2011, 12, 29)
    assert skipped.astimezone(zone).date() == date(2011, 12, 31)


def test_an_instant_in_any_zone_means_the_same():
    """The window goes by the instant, whatever zone the clock that told it was in."""
    now = utc("2026-10-25T00:30")
    elsewhere = now.astimezone(ZoneInfo("Asia/Tokyo"))
    assert window_period("day", "Europe/Berlin", now) == window_period(
        "day", "Europe/Berlin", elsewhere
    )


@pytest.mark.parametrize("window", ["request", "total"])
def test_windows_without_end(window):
    """A total never resets, and a request's own budget has nothing to reset."""
    assert window_period(window, "UTC", utc("2026-11-22")) == (utc("1970-01-01"), None)
    assert Budget("1", window).period(utc("2026-11-22")) == Period(utc("1970-01-01"), None, None)


def test_a_budget_has_the_window_of_its_zone():
    """A budget's period is its zone's; in another zone it is another account."""
    berlin, kathmandu = (
        Budget("1", "day", tz="Europe/Berlin"),
        Budget("1", "day", tz="Asia/Kathmandu"),
    )
    now = utc("2026-11-22T20:00")
    assert berlin.period(now) == Period(utc("2026-11-21T23:00"), utc("2026-11-22T23:00"), None)
    assert kathmandu.period(now).start == utc("2026-11-22T18:15")
    assert berlin.key({}) != kathmandu.key({})


@pytest.mark.parametrize(
    "tz", ["Berlin", "", "../etc/passwd", 1, None, "a\0b", "Europe", b"UTC", []]
)
def test_a_zone_that_is_none(tz):
    """An unknown zone is an error, wherever it is first used; it never becomes UTC."""
    with pytest.raises(InvalidBudgetError, match="tz: expected an IANA zone"):
        Budget("1", "day", tz=tz)
    with pytest.raises(InvalidBudgetError, match="tz: expected an IANA zone"):
        window_period("day", tz, utc("2026-11-22"))


@pytest.mark.parametrize("window", ["day", "hour", "total", "rolling 24h"])
def test_a_naive_instant_is_refused(window):
    """An instant without a zone could be any: it is refused, not taken for the machine's time."""
    with pytest.raises(InvalidBudgetError, match="aware instant"):
        Budget("1", window).period(datetime(2026, 11, 22))
