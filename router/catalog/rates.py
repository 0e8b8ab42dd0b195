"""What an endpoint charges at an instant: dated rows, weekly windows, holidays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from router.errors import InvalidRequestError

if TYPE_CHECKING:
    from router.catalog.schema import Calendar, Prices, Rate, Schedule

_zone = lru_cache(maxsize=64)(ZoneInfo)


@dataclass(frozen=True, slots=True)
class Rates:
    """Quoted prices in pico-dollars (1e-12 USD) per MILLION tokens, at one instant.

    `cache_read` equals `input` where the host quotes no cached price, `cache_write` likewise.
    `id` names the row: "deepseek-v3.2@deepinfra/2025-12-01", with "#peak" or "#off-peak".
    """

    id: str
    input: int
    cache_read: int
    cache_write: int
    output: int
    window: str
    source: str
    checked: date
    valid_from: datetime


@dataclass(frozen=True, slots=True)
class RateRow:
    """A rate row and the layer (overlay) it came with."""

    rate: Rate
    layer: int


def aware(at: datetime) -> datetime:
    """`at` in UTC.

    Raises:
        InvalidRequestError: without an offset.
    """
    if at.tzinfo is None:
        raise InvalidRequestError(
            f"expected an aware instant such as datetime(2026, 11, 21, tzinfo=UTC), got {at!r}",
            param="at",
        )
    return at.astimezone(UTC)


def rates_at(
    rows: Sequence[RateRow],
    at: datetime,
    schedules: Mapping[str, Schedule],
    calendars: Mapping[str, Calendar],
    known_at: datetime | None = None,
) -> Rates | None:
    """The rates in force at `at` (UTC), None where none is known.

    Of the rows in force the highest layer wins, then the latest `valid_from`. With `known_at`,
    rows announced after it do not count: what a forecast made then could have known.
    """
    best: RateRow | None = None
    for row in rows:
        rate = row.rate
        if at < rate.valid_from or (rate.valid_to is not None and at >= rate.valid_to):
            continue
        if known_at is not None and (rate.known_since or rate.valid_from) > known_at:
            continue
        rank = (row.layer, rate.valid_from)
        if best is None or rank > (best.layer, best.rate.valid_from):
            best = row
    return None if best is None else _quote(best.rate, at, schedules, calendars)


def in_hours(schedule: Schedule, calendar: Calendar | None, at: datetime) -> bool:
    """Whether `at` falls in the schedule's hours; starts count, ends do not.

    Weekday and holiday go by the date in the schedule's zone. Days after the calendar's last
    entry are ordinary days.
    """
    local = at.astimezone(_zone(schedule.zone))
    if local.isoweekday() not in schedule.weekdays:
        return False
    if calendar is not None and local.date() in calendar.days:
        return False
    minute = local.hour * 60 + local.minute
    return any(start <= minute < end for start, end in schedule.hours)


def _quote(
    rate: Rate,
    at: datetime,
    schedules: Mapping[str, Schedule],
    calendars: Mapping[str, Calendar],
) -> Rates:
    window = ""
    prices: Rate | Prices = rate
    if rate.schedule is not None and rate.peak is not None and rate.off_peak is not None:
        schedule = schedules[rate.schedule]
        calendar = calendars[schedule.calendar] if schedule.calendar else None
        inside = in_hours(schedule, calendar, at)
        peak = inside if schedule.window == "peak" else not inside
        window, prices = ("peak", rate.peak) if peak else ("off-peak", rate.off_peak)
    assert prices.input is not None and prices.output is not None
    since = rate.valid_from
    midnight = since.hour == since.minute == since.second == 0
    stamp = since.strftime("%Y-%m-%d" if midnight else "%Y-%m-%dT%H:%MZ")
    return Rates(
        id=f"{rate.endpoint}/{stamp}" + (f"#{window}" if window else ""),
        input=prices.input,
        cache_read=prices.input if prices.cache_read is None else prices.cache_read,
        cache_write=prices.input if prices.cache_write is None else prices.cache_write,
        output=prices.output,
        window=window,
        source=rate.source,
        checked=rate.checked,
        valid_from=since,
    )
