"""Weekly hours in a zone, less holidays: whether an instant is in them, and when that changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from router.errors import CatalogError

if TYPE_CHECKING:
    from router.catalog.schema import Calendar, Schedule

_DAY = timedelta(days=1)
_KEPT_DAYS = 1000
NO_HOLIDAYS = (
    "expected the package that knows public holidays, for country = {country!r}: "
    "pip install holidays, or list the days"
)


class Clock:
    """A schedule, with its calendar, made ready for many questions. Starts count, ends do not.

    Weekday and holiday go by the date in the schedule's zone. After the calendar's `until` every
    day is an ordinary one, and `uncertain`.
    """

    def __init__(self, schedule: Schedule, calendar: Calendar | None) -> None:
        self.schedule = schedule
        self._calendar = calendar
        self._zone = ZoneInfo(schedule.zone)
        self._edges: dict[date, tuple[datetime, ...]] = {}

    def inside(self, at: datetime) -> bool:
        """Whether `at` falls in the hours.

        Raises:
            CatalogError: the calendar is that of a country, and `holidays` is not installed or
                does not know it.
        """
        local = at.astimezone(self._zone)
        if local.isoweekday() not in self.schedule.weekdays:
            return False
        if self._calendar is not None and day_off(self._calendar, local.date()):
            return False
        minute = local.hour * 60 + local.minute
        return any(start <= minute < end for start, end in self.schedule.hours)

    def uncertain(self, at: datetime) -> bool:
        """Whether `at` is after the last day that the calendar speaks for."""
        until = self._calendar.until if self._calendar else None
        return until is not None and at.astimezone(self._zone).date() > until

    def edges(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Instants in (start, end], in order, at which `inside` or `uncertain` may change."""
        day, last = (at.astimezone(self._zone).date() for at in (start, end))
        while day <= last:
            yield from (edge for edge in self._edges_of(day) if start < edge <= end)
            day += _DAY

    def _edges_of(self, day: date) -> tuple[datetime, ...]:
        known = self._edges.get(day)
        if known is None:
            if len(self._edges) >= _KEPT_DAYS:
                self._edges.clear()
            known = self._edges[day] = tuple(sorted(self._turns(day)))
        return known

    def _turns(self, day: date) -> set[datetime]:
        minutes = {0, *(m for span in self.schedule.hours for m in span)} - {24 * 60}
        turns = {self._utc(day, minute, fold) for minute in minutes for fold in (0, 1)}
        # Where clocks are put forward or back, the hours may begin or end at that very instant.
        low, high = self._utc(day, 0, 0), self._utc(day + _DAY, 0, 1)
        if self._offset(low) != self._offset(high):
            before = self._offset(low)
            while high - low > timedelta(seconds=1):
                middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
                low, high = (middle, high) if self._offset(middle) == before else (low, middle)
            turns.add(high)
        return turns

    def _utc(self, day: date, minute: int, fold: int) -> datetime:
        wall = datetime.combine(day, time(minute // 60, minute % 60, fold=fold), self._zone)
        return wall.astimezone(UTC)

    def _offset(self, at: datetime) -> timedelta | None:
        return at.astimezone(self._zone).utcoffset()


def day_off(calendar: Calendar, day: date) -> bool:
    """Whether the calendar lists this day.

    Raises:
        CatalogError: see `Clock.inside`.
    """
    if calendar.until is not None and day > calendar.until:
        return False
    if calendar.country is None:
        return day in calendar.days
    return day in _public_holidays(calendar.country, day.year)


def holidays_installed() -> bool:
    """Whether calendars of countries can be read; does not import the package."""
    return find_spec("holidays") is not None


@lru_cache(maxsize=256)
def _public_holidays(country: str, year: int) -> frozenset[date]:
    try:
        package = import_module("holidays")
    except ImportError:
        raise CatalogError(NO_HOLIDAYS.format(country=country)) from None
    try:
        return frozenset(package.country_holidays(country, years=year))
    except NotImplementedError:
        raise CatalogError(
            f"expected a country that the package holidays knows, got {country!r}; list the days"
        ) from None
