"""Instants and spans on the command line: what is refused, in words, and never by a traceback."""

import argparse
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.cli import main
from router.cli.instants import day, days, instant

YEARS = "expected a year from 2000 to 2999"
DAYS = "expected a whole number of days from 0 to 36500"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("at", "9999-12-31T23:59Z", "deepseek-flash"), YEARS),
        (("at", "0001-01-01T00:00+14:00", "deepseek-flash"), YEARS),
        (("--at", "1999-12-31"), YEARS),
        (("show", "--at", "3000-01-01"), YEARS),
        (("check", "--at", "9999-12-31"), YEARS),
        (("import", "litellm", "--since", "9999-12-31"), YEARS),
        (("import", "litellm", "--checked", "0001-01-01"), YEARS),
        (("import", "litellm", "--checked", "today"), "expected a day"),
        (("check", "--days", "999999999"), DAYS),
        (("check", "--days", "-5"), DAYS),
        (("check", "--days", "36501"), DAYS),
        (("check", "--days", "1_0"), DAYS),
        (("check", "--days", "9" * 5000), DAYS),
        (("check", "--days", "٣"), DAYS),
        (("check", "--days", "2.5"), DAYS),
        (("at", "now"), "expected an ISO instant"),
    ],
)
def test_what_is_refused(capsys, arguments, says):
    """A usage error that says what was expected."""
    with pytest.raises(SystemExit) as caught:
        main(["catalog", *arguments])
    assert caught.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [("9999-12-31", "2026-11-22"), ("2026-11-22", "0001-01-01")])
def test_a_diff_of_years_far_away(capsys, arguments):
    """What may be a file or an instant is told to be an instant that is refused."""
    assert main(["catalog", "diff", *arguments]) == 1
    assert capsys.readouterr().err.startswith(f"InvalidRequestError: {YEARS}")


@pytest.mark.parametrize("at", ["2000-01-01T00:00+23:59", "2999-12-31T23:59-23:59"])
def test_the_ends_of_what_is_allowed(capsys, at):
    """Prices at either end, in any zone, and a check over the longest span."""
    assert main(["catalog", "at", at, "deepseek-flash@deepseek"]) == 0
    assert main(["catalog", "check", "--at", at, "--days", "36500", "--json"]) == 0
    assert main(["catalog", "check", "--at", at, "--days", "0", "--json"]) == 0
    assert main(["catalog", "diff", at, "2026-11-22", "flash@deepseek"]) == 0
    assert "Traceback" not in capsys.readouterr().err


def test_instants_are_shown_in_utc(capsys):
    """The title says UTC, so an instant with an offset is converted before it is shown."""
    assert main(["catalog", "at", "2026-11-20T02:00+01:00", "flash@deepseek"]) == 0
    assert "at 2026-11-20 01:00 UTC" in capsys.readouterr().out
    assert instant("2026-11-20") == datetime(2026, 11, 20, tzinfo=UTC)


@given(st.dates() | st.text(max_size=20))
def test_a_day_or_a_usage_error(given):
    """Nothing else comes out, whatever goes in."""
    try:
        found = day(str(given))
    except argparse.ArgumentTypeError:
        return
    assert date(2000, 1, 1) <= found <= date(2999, 12, 31)


@given(st.datetimes(timezones=st.timezones() | st.none()).map(str) | st.text(max_size=30))
def test_an_instant_or_a_usage_error(given):
    """What comes out can be counted from, a century in both directions."""
    try:
        found = instant(given)
    except argparse.ArgumentTypeError:
        return
    assert found.utcoffset().total_seconds() == 0
    assert 1999 <= found.year <= 3000


@given(st.integers() | st.text(max_size=8))
def test_days_or_a_usage_error(given):
    """From 0 to a hundred years."""
    try:
        found = days(str(given))
    except argparse.ArgumentTypeError:
        return
    assert 0 <= found <= 36_500
