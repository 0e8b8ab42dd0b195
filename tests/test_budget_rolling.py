"""Rolling windows of budgets: one spelling each, and a limit that no interval outwits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.budgets import Budget
from router.budgets.windows import parse_window, rolling_period
from router.errors import InvalidBudgetError

INSTANTS = st.datetimes(datetime(1880, 1, 1), datetime(2120, 1, 1), timezones=st.just(UTC))


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("given_as", "canonical", "length"),
    [
        ("rolling 24h", "rolling 24h", timedelta(hours=24)),
        (timedelta(hours=24), "rolling 24h", timedelta(hours=24)),
        ("rolling 1d", "rolling 24h", timedelta(hours=24)),
        ("rolling 1440m", "rolling 24h", timedelta(hours=24)),
        ("rolling 7d", "rolling 7d", timedelta(days=7)),
        ("rolling 168h", "rolling 7d", timedelta(days=7)),
        ("rolling 36h", "rolling 36h", timedelta(hours=36)),
        ("rolling 90m", "rolling 90m", timedelta(minutes=90)),
        ("rolling 060m", "rolling 1h", timedelta(hours=1)),
        (timedelta(minutes=1), "rolling 1m", timedelta(minutes=1)),
        ("rolling 366d", "rolling 366d", timedelta(days=366)),
    ],
)
def test_rolling_windows_have_one_spelling(given_as, canonical, length):
    """A length is one account, however it was written; reading the spelling gives it again."""
    assert parse_window(given_as) == parse_window(canonical) == (canonical, length)
    assert Budget("1", given_as).window == canonical
    assert Budget("1", given_as) == Budget("1", canonical)
    assert Budget("1", given_as).key({}) == Budget("1", canonical, tz="Asia/Tokyo").key({})


@pytest.mark.parametrize(
    "window",
    [
        *("rolling 0h", "rolling 367d", "rolling 999999d", timedelta(0), timedelta(seconds=90)),
        *(timedelta(days=-1), timedelta(seconds=59), timedelta(days=366, minutes=1)),
        *("rolling", "rolling 24", "rolling h", "rolling 24s", "rolling -1h", "rolling 1.5h"),
        *(
            "Rolling 24h",
            "rolling  24h",
            "rolling 24h ",
            "rolling ٢h",
            "24h",
            "fortnight",
            "",
            None,
        ),
        *(24, b"day", ["day"], {"day"}),
    ],
)
def test_rolling_windows_that_make_no_sense(window):
    """Lengths out of range, not in whole minutes or in no known unit are refused."""
    with pytest.raises(InvalidBudgetError, match="Budget window: "):
        Budget("1", window)


LENGTHS = st.integers(1, 366 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))


@given(LENGTHS, INSTANTS)
def test_a_rolling_window_covers_its_length(length, now):
    """Buckets tile time on a fixed grid; what counts is the length and at most a 60th more."""
    period = rolling_period(length, now)
    step = length / 60
    assert period.start <= now < period.start + step
    assert period.end is None
    assert now - length - step < period.since <= now - length
    assert (period.start - period.since) == 60 * step
    after = rolling_period(length, period.start + step)
    assert after.start == period.start + step
    assert rolling_period(length, period.since).start == period.since


@given(
    st.sampled_from([timedelta(minutes=1), timedelta(minutes=7), timedelta(hours=24)]),
    st.lists(st.tuples(st.floats(0, 0.9), st.integers(1, 60)), min_size=1, max_size=60),
)
def test_no_interval_of_that_length_holds_more_than_the_limit(length, asks):
    """Spending whatever still fits, however it is timed: every interval of W keeps the limit.

    The spending is checked against all intervals by brute force, not against the buckets.
    """
    limit, now, spent, buckets = 100, utc("2026-11-22T12:34:56.789"), [], {}
    for wait, amount in asks:
        now += length * wait
        period = Budget(requests=limit, window=length).period(now)
        counted = sum(paid for start, paid in buckets.items() if start >= period.since)
        if counted + amount <= limit:
            buckets[period.start] = buckets.get(period.start, 0) + amount
            spent.append((now, amount))
    for first, _ in spent:
        assert sum(paid for at, paid in spent if first <= at <= first + length) <= limit


def test_what_was_spent_comes_back_when_its_bucket_is_out():
    """A full rolling day has room again a day later, at most a sixtieth of it (24 min) late."""
    budget = Budget("1", timedelta(hours=24))
    then = budget.period(utc("2026-11-22T12:00")).start
    assert budget.period(utc("2026-11-23T12:00")).since <= then
    assert budget.period(utc("2026-11-23T12:24")).since > then
