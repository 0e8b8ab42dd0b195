from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.budgets import Budget, holds_for, window_period
from router.errors import ConfigError, InvalidBudgetError


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "tz", "now", "start", "end", "hours"),
    [
        ("day", "UTC", "2026-11-22T23:59:59.999999", "2026-11-22T00:00", "2026-11-23T00:00", 24),
        ("day", "UTC", "2026-11-23T00:00", "2026-11-23T00:00", "2026-11-24T00:00", 24),
        # spring: 23 hours; autumn: 25
        ("day", "Europe/Berlin", "2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00", 23),
        ("day", "Europe/Berlin", "2026-10-25T12:00", "2026-10-24T22:00", "2026-10-25T23:00", 25),
        ("day", "America/New_York", "2026-03-08T12", "2026-03-08T05", "2026-03-09T04", 23),
        ("day", "America/New_York", "2026-11-01T12", "2026-11-01T04", "2026-11-02T05", 25),
        # midnight does not exist on these days: they begin at 01:00
        ("day", "America/Santiago", "2026-09-06T12", "2026-09-06T04", "2026-09-07T03", 23),
        ("day", "Africa/Cairo", "2026-04-24T12:00", "2026-04-23T22:00", "2026-04-24T21:00", 23),
        # midnight comes twice on this one: the first begins the day
        ("day", "Atlantic/Azores", "2026-10-25T00:30", "2026-10-25T00:00", "2026-10-26T01:00", 25),
        ("day", "Atlantic/Azores", "2026-10-25T01:30", "2026-10-25T00:00", "2026-10-26T01:00", 25),
        ("day", "Asia/Kolkata", "2026-11-22T18:29", "2026-11-21T18:30", "2026-11-22T18:30", 24),
        ("day", "UTC", "2028-02-29T12:00", "2028-02-29T00:00", "2028-03-01T00:00", 24),
        ("month", "UTC", "2028-02-29T12:00", "2028-02-01T00:00", "2028-03-01T00:00", 29 * 24),
        ("month", "UTC", "2026-02-28T12:00", "2026-02-01T00:00", "2026-03-01T00:00", 28 * 24),
        ("month", "UTC", "2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00", 31 * 24),
        ("month", "UTC", "2026-01-31T00:00", "2026-01-01T00:00", "2026-02-01T00:00", 31 * 24),
        # March in Berlin is an hour short; its first hour is February in UTC
        ("month", "Europe/Berlin", "2026-02-28T23:30", "2026-02-28T23", "2026-03-31T22", 743),
        # November begins while Havana's midnight repeats
        ("month", "America/Havana", "2026-11-01T05:30", "2026-11-01T04", "2026-12-01T05", 721),
        # ISO weeks begin on Monday, across years
        ("week", "UTC", "2027-01-01T12:00", "2026-12-28T00:00", "2027-01-04T00:00", 168),
        ("week", "UTC", "2026-11-22T23:59", "2026-11-16T00:00", "2026-11-23T00:00", 168),
        ("week", "Europe/Berlin", "2026-10-25T12:00", "2026-10-18T22:00", "2026-10-25T23:00", 169),
        ("hour", "Europe/Berlin", "2026-10-25T00:30", "2026-10-25T00:00", "2026-10-25T01:00", 1),
        ("hour", "Europe/Berlin", "2026-10-25T01:30", "2026-10-25T01:00", "2026-10-25T02:00", 1),
    ],
)
def test_windows_follow_the_calendar(window, tz, now, start, end, hours):
    """Days, weeks, months and hours begin and end where the zone's calendar says."""
    assert window_period(window, tz, utc(now)) == (utc(start), utc(end))
    assert utc(end) - utc(start) == timedelta(hours=hours)


ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "America/Santiago",
    "Africa/Cairo",
    "Atlantic/Azores",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
]


@given(
    st.sampled_from(["hour", "day", "week", "month"]),
    st.sampled_from(ZONES),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC)),
)
def test_windows_tile_time(window, tz, now):
    """Each instant is in its window, all instants of a window agree, and windows leave no gap."""
    start, end = window_period(window, tz, now)
    assert start <= now < end
    for other in (start, start + (end - start) / 2, end - timedelta(microseconds=1)):
        assert window_period(window, tz, other) == (start, end)
    assert window_period(window, tz, end)[0] == end


def test_a_year_of_days_has_no_gap_in_any_zone():
    """Walking a year window by window meets every local date once."""
    for tz in ZONES:
        starts = [utc("2026-01-01T12:00")]
        while starts[-1] < utc("2027-01-01"):
            starts.append(window_period("day", tz, starts[-1])[1])
        dates = [start.astimezone(ZoneInfo(tz)).date() for start in starts[1:]]
        assert all(b - a == timedelta(days=1) for a, b in pairwise(dates))


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


@pytest.mark.parametrize(
    ("scope", "tags", "applies"),
    [
        ({}, {}, True),
        ({}, {"team": "search"}, True),
        ({"team": "search"}, {"team": "search", "user": "ann"}, True),
        ({"team": "search"}, {"team": "ads"}, False),
        ({"team": "search"}, {}, False),
        ({"team": "*"}, {"team": "anything"}, True),
        ({"team": "*"}, {"user": "ann"}, False),
        ({"team": "search", "user": "*"}, {"team": "search", "user": "ann"}, True),
        ({"team": "search", "user": "*"}, {"team": "search"}, False),
    ],
)
def test_scopes(scope, tags, applies):
    """A budget counts the requests that have all its tags; a star takes any value."""
    assert Budget("1", scope=scope).applies(tags) is applies


def test_a_star_gives_each_value_its_own_account():
    """With a star, ann's and bob's spend do not mix; a change of limit keeps the account."""
    each = Budget("1", "day", {"user": "*"})
    assert each.key({"user": "ann"}) != each.key({"user": "bob"})
    assert each.key({"user": "ann"}) == Budget("2", "day", {"user": "*"}).key({"user": "ann"})


PARTS = st.text("ab=;/%*|", min_size=1, max_size=4)
SCOPES = st.dictionaries(PARTS, PARTS)


@given(SCOPES, SCOPES, st.sampled_from(["day", "month"]), st.sampled_from(["day", "month"]))
def test_accounts_do_not_collide(first, second, window, other):
    """Two scopes share an account only if they are equal, whatever separators the tags hold."""
    one = Budget("1", window, dict.fromkeys(first, "*")).key(first)
    two = Budget("1", other, dict.fromkeys(second, "*")).key(second)
    assert (one == two) == (first == second and window == other)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"a": "b=c"}, {"a=b": "c"}),
        ({"a": "b;c=d"}, {"a": "b", "c": "d"}),
        ({"a": "="}, {"a": "%3D"}),
        ({"a": ";"}, {"a": "%3B"}),
        ({"a": "/"}, {"a": "%2F"}),
        ({"a": "*"}, {"a": "%2A"}),
    ],
)
def test_tags_that_look_like_others(first, second):
    """Tags that hold our own separators, raw or quoted, do not end up in another's account."""
    keys = {Budget("1", "day", dict.fromkeys(tags, "*")).key(tags) for tags in (first, second)}
    assert len(keys) == 2


@given(st.text(min_size=1), st.text(min_size=1))
def test_request_accounts_do_not_collide(first, second):
    """A request's account is its own, and no window of another kind shares it."""
    budget = Budget("1", "request")
    assert (budget.key({}, first) == budget.key({}, second)) == (first == second)
    assert budget.key({}, first) != Budget("1", "total").key({}, first)


def test_the_order_of_tags_does_not_matter():
    """The same tags in another order are the same account."""
    tags = {"a": "1", "b": "2"}
    assert Budget("1", scope={"a": "*", "b": "*"}).key(tags) == Budget(
        "1", scope={"b": "*", "a": "*"}
    ).key(tags)


def test_holds_are_those_that_apply():
    """Only matching budgets become holds, each with its window, limit and hardness."""
    budgets = (
        Budget("5", "day", {"team": "search"}, tz="Europe/Berlin"),
        Budget("1", "request"),
        Budget("9", scope={"team": "ads"}),
        Budget("7", "month", hard=False),
    )
    now = utc("2026-11-22T12:00")
    day, request, month = holds_for(budgets, {"team": "search"}, now, "r1")
    assert (day.limit, day.hard) == (5 * 10**12, True)
    assert (day.window_start, day.resets_at) == (utc("2026-11-21T23:00"), utc("2026-11-22T23:00"))
    assert request.key == "request/r1"
    assert (month.limit, month.hard) == (7 * 10**12, False)
    assert day.name == "$5.000000 a day, team=search"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"limit": "NaN"}, "limit.*finite"),
        ({"limit": float("inf")}, "limit.*finite"),
        ({"limit": "-0.01"}, "limit.*0 USD or more"),
        ({"limit": -5}, "limit.*0 USD or more"),
        ({"limit": "five"}, "limit.*expected an amount"),
        ({"limit": True}, "limit.*expected an amount"),
        ({"limit": None}, "limit.*expected an amount"),
        ({"limit": "1e20"}, "limit.*end at"),
        ({"limit": "0.0000000000001"}, "limit.*12 decimals"),
        ({"limit": "1", "window": "fortnight"}, "window: expected request, hour, day"),
        ({"limit": "1", "window": None}, "window: expected"),
        ({"limit": "1", "tz": "Berlin"}, "tz: expected an IANA zone"),
        ({"limit": "1", "tz": ""}, "tz: expected an IANA zone"),
        ({"limit": "1", "tz": "../etc/passwd"}, "tz: expected an IANA zone"),
        ({"limit": "1", "tz": 1}, "tz: expected an IANA zone"),
        ({"limit": "1", "tz": "a\0b"}, "tz: expected an IANA zone"),
        ({"limit": "1", "scope": "team"}, "scope: expected tag names"),
        ({"limit": "1", "scope": {"team": 1}}, "scope: expected tag names"),
        ({"limit": "1", "scope": {"": "x"}}, "scope: expected tag names"),
        ({"limit": "1", "scope": {"team": ""}}, "scope: expected tag names"),
    ],
)
def test_bad_budgets_are_refused(arguments, says):
    """What makes no sense as a budget is refused when it is made, with what was expected."""
    with pytest.raises(InvalidBudgetError, match=says) as caught:
        Budget(**arguments)
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, ValueError)


def test_zero_is_a_limit():
    """A budget of nothing is allowed: it refuses everything that costs anything."""
    assert Budget("0").limit_pico == 0


def test_a_scope_is_a_copy():
    """Changing the dict afterwards does not change the budget."""
    scope = {"team": "search"}
    budget = Budget("1", scope=scope)
    scope["team"] = "ads"
    assert budget.applies({"team": "search"})
