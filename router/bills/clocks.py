"""Other readings of a price that follows the clock, and what a call would cost by each."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TypeAlias
from zoneinfo import ZoneInfo

from router.bills.calls import Paid
from router.bills.rates import prices_of
from router.bills.state import Priced
from router.catalog import Catalog, Rates
from router.catalog.prices import Prices
from router.catalog.rates import names_of
from router.catalog.schema import Calendar, Schedule
from router.catalog.windows import day_off
from router.errors import RouterError

_Prices: TypeAlias = tuple[int, int, int, int, int]
_ALL_DEAR = ("billed at the dearer hours' price", True)
_ALL_CHEAP = ("billed at the cheaper hours' price", True)
_NO_DAYS_OFF = ("weekends and holidays are billed like working days", False)
_NO_HOLIDAYS = ("holidays are billed like working days", False)
_IN_UTC = ("its hours are taken in UTC, not in the schedule's zone", False)
_AT_START = ("the start of a call decides its price, not its end", False)


def other_prices(catalog: Catalog, call: Paid, rates: Rates) -> dict[tuple[str, bool], _Prices]:
    """Prices of a call under each other reading that changes it; may a part of calls meet it?"""
    windows = _windows(catalog, call.endpoint, rates.id.split("#")[0])
    if windows is None:
        return {}
    peak, off_peak, schedule, calendar = windows
    now, found = prices_of(rates), {}
    dear, cheap = (peak, off_peak) if sum(peak) >= sum(off_peak) else (off_peak, peak)
    if now != dear:
        found[_ALL_DEAR] = dear
    if now != cheap:
        found[_ALL_CHEAP] = cheap
    local = call.ended.astimezone(ZoneInfo(schedule.zone))
    inside = {
        _NO_DAYS_OFF: _hours(schedule, local),
        _NO_HOLIDAYS: _hours(schedule, local) and local.isoweekday() in schedule.weekdays,
        _IN_UTC: _hours(schedule, call.ended.astimezone(UTC))
        and _working(schedule, calendar, call.ended.astimezone(UTC)),
    }
    named = schedule.window == "peak"
    for reading, within in inside.items():
        prices = peak if within == named else off_peak
        if prices != now:
            found[reading] = prices
    try:
        first = catalog.rates(call.endpoint, call.began, input_tokens=call.usage.input_tokens)
    except RouterError:
        first = None
    if first is not None and prices_of(first) != now and first.window:
        found[_AT_START] = prices_of(first)
    return found


def windows_of(catalog: Catalog, priced: Priced) -> tuple[_Prices, _Prices] | None:
    """The dearer and the cheaper prices of the row that billed a call; None without windows."""
    if priced.rates is None or not priced.rates.window:
        return None
    found = _windows(catalog, priced.call.endpoint, priced.rates.id.split("#")[0])
    if found is None:
        return None
    peak, off_peak = found[:2]
    return (peak, off_peak) if sum(peak) >= sum(off_peak) else (off_peak, peak)


def _hours(schedule: Schedule, local: datetime) -> bool:
    minute = local.hour * 60 + local.minute
    return any(start <= minute < end for start, end in schedule.hours)


def _working(schedule: Schedule, calendar: Calendar | None, local: datetime) -> bool:
    off = calendar is not None and day_off(calendar, local.date())
    return local.isoweekday() in schedule.weekdays and not off


@lru_cache(maxsize=64)
def _windows(
    catalog: Catalog, endpoint: str, row_id: str
) -> tuple[_Prices, _Prices, Schedule, Calendar | None] | None:
    """The peak and off-peak prices of a row in US dollars, with its schedule and calendar."""
    try:
        rows = catalog.rows(endpoint, datetime.max.replace(tzinfo=UTC))
    except RouterError:
        return None
    names = names_of(rows)
    row = next((r.rate for r in rows if names[id(r)] == row_id), None)
    if row is None or row.peak is None or row.off_peak is None or row.currency != "USD":
        return None
    tables = [entry.row for entry in catalog.entries]
    schedule = next(s for s in tables if isinstance(s, Schedule) and s.name == row.schedule)
    calendar = next(
        (c for c in tables if isinstance(c, Calendar) and c.name == schedule.calendar), None
    )
    return _five(row.peak), _five(row.off_peak), schedule, calendar


def _five(prices: Prices) -> _Prices:
    read = prices.input if prices.cache_read is None else prices.cache_read
    write = prices.input if prices.cache_write is None else prices.cache_write
    hour = write if prices.cache_write_1h is None else prices.cache_write_1h
    return prices.input, read, write, hour, prices.output
