"""Spans of time as people name them: days of a zone, instants, months across a change of clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from router.errors import InvalidRequestError
from router.ledgers import Entry

When: TypeAlias = "datetime | date | str | None"
"""An aware instant, a day of the report's zone, or either as ISO text."""
_HOUR = timedelta(hours=1)
_YEARS = range(2, 9999)
"""A day from both ends of what `datetime` holds, so that no zone and no month leads out of it."""


def zone_of(tz: str) -> ZoneInfo:
    """The zone of an IANA name.

    Raises:
        InvalidRequestError: there is no such zone.
    """
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise InvalidRequestError(
            f"tz: expected an IANA zone such as 'Europe/Berlin', got {tz!r}", param="tz"
        ) from None


def instant_of(when: When, zone: ZoneInfo, name: str) -> datetime | None:
    """The instant (UTC) that is meant: of a day, when it begins in the zone.

    Raises:
        InvalidRequestError: no date, one at an end of the calendar, or an instant without an
            offset; `name` is the argument.
    """
    if when is None:
        return None
    found = _parsed(when, name) if isinstance(when, str) else when
    if not isinstance(found, date):
        raise InvalidRequestError(_expected(name, when), param=name)
    check_year(found, name)
    if not isinstance(found, datetime):
        return start_of(found, zone)
    if found.tzinfo is None:
        raise InvalidRequestError(_expected(name, when), param=name)
    return found.astimezone(UTC)


def span_of(since: When, until: When, tz: str) -> tuple[datetime | None, datetime | None]:
    """Both ends of a span as instants (UTC), None where it is open.

    Raises:
        InvalidRequestError: as in `instant_of` and `zone_of`, or the span is empty.
    """
    zone = zone_of(tz)
    start, end = instant_of(since, zone, "since"), instant_of(until, zone, "until")
    if start is not None and end is not None and end <= start:
        raise InvalidRequestError(
            f"until: expected one after since ({since}), for until is not counted itself; "
            f"got {until}",
            param="until",
        )
    return start, end


def check_year(found: date, name: str) -> None:
    """Refuse what no zone could be applied to.

    Raises:
        InvalidRequestError: not of the years 2 to 9998; `name` is the argument.
    """
    if found.year not in _YEARS:
        raise InvalidRequestError(
            f"{name}: expected a time of the years 2 to 9998, got {found.isoformat()}", param=name
        )


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """When a day begins in a zone, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def next_day(day: date) -> date:
    """The day after."""
    return day + timedelta(days=1)


def month_of(at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start and end (UTC) of the month of the zone in which an instant lies."""
    first = at.astimezone(zone).date().replace(day=1)
    after = (first + timedelta(days=32)).replace(day=1)
    return start_of(first, zone), start_of(after, zone)


def hour_of(at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Start and end (UTC) of the hour of the zone's clock in which an instant (UTC) lies.

    Where the clock changes by half an hour, hours end and begin at the change.
    """
    local = at.astimezone(zone)
    past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    start, end = at - past, at - past + _HOUR
    last = end - timedelta.resolution
    if not _same(start, at, zone):
        start = _change(start, at, zone)
    if not _same(at, last, zone):
        end = _change(at, last, zone)
    return start, end


def within(
    entries: Iterable[Entry], since: datetime | None, until: datetime | None
) -> Iterator[Entry]:
    """Entries with since <= at < until."""
    for entry in entries:
        if (since is None or entry.at >= since) and (until is None or entry.at < until):
            yield entry


def _same(a: datetime, b: datetime, zone: ZoneInfo) -> bool:
    return a.astimezone(zone).utcoffset() == b.astimezone(zone).utcoffset()


def _change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """When a zone's clock changes, between two instants with different offsets."""
    while (gap := after - before) > timedelta.resolution:
        middle = before + gap / 2
        before, after = (before, middle) if _same(middle, after, zone) else (middle, after)
    return after


def _parsed(text: str, name: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequestError(_expected(name, text), param=name) from None


def _expected(name: str, got: object) -> str:
    return (
        f"{name}: expected a day such as date(2026, 11, 1) or '2026-11-01', which begins in the "
        f"report's zone, or an aware instant: datetime(2026, 11, 1, tzinfo=UTC); got {got!r}"
    )
