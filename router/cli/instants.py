"""Instants, days and spans of days on a command line, within what the calendar can count."""

from __future__ import annotations

import argparse
from datetime import UTC, date, datetime

_YEARS = range(2000, 3000)
"""Far from both ends of what `datetime` holds, so that no sum of an instant and a span fails."""
_LONGEST = 36_500


class OutOfRangeError(argparse.ArgumentTypeError):
    """It is an instant, in a year that is refused."""


def instant(text: str) -> datetime:
    """An ISO instant, in UTC; one without an offset is in UTC already.

    Raises:
        argparse.ArgumentTypeError: no instant, or (OutOfRangeError) not of the years 2000 to 2999.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(  # what argparse turns into a usage error
            f"expected an ISO instant such as 2026-11-01, got {text!r}"
        ) from None
    _check_year(found, text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def day(text: str) -> date:
    """An ISO day.

    Raises:
        argparse.ArgumentTypeError: no day, or not of the years 2000 to 2999.
    """
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected a day such as 2026-11-22, got {text!r}"
        ) from None
    _check_year(found, text)
    return found


def when(text: str) -> date:
    """A day, or an instant (UTC): the day of a zone that is named elsewhere, until it is known.

    Raises:
        argparse.ArgumentTypeError: neither, or not of the years 2000 to 2999.
    """
    return day(text) if len(text) == len("2026-11-01") else instant(text)


def days(text: str) -> int:
    """A number of days from 0 to 36,500, a hundred years.

    Raises:
        argparse.ArgumentTypeError: anything else.
    """
    # `int` takes underscores and digits of other scripts, and refuses thousands of digits.
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) <= _LONGEST):
        raise argparse.ArgumentTypeError(
            f"expected a whole number of days from 0 to {_LONGEST}, got {text!r}"
        )
    return int(text)


def _check_year(found: date, text: str) -> None:
    if found.year not in _YEARS:
        raise OutOfRangeError(f"expected a year from 2000 to 2999, got {text!r}")
