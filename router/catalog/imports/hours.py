"""Daily and weekly windows of a data set -> one set of peak hours, as a schedule has it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from router.catalog.imports.offer import Hours, SkipError

_DAY = 24 * 60
_ALL_WEEK = (1, 2, 3, 4, 5, 6, 7)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Spans = list[tuple[int, int]]
"""Minutes of the day, start inclusive, end exclusive."""


def peak_outside(block: Mapping[str, Any]) -> Hours:
    """Peak hours as all that LiteLLM's `off_peak_pricing` block does not call off-peak.

    Raises:
        SkipError: windows that cannot be read, or that differ between weekdays in a way that one
            schedule cannot say.
    """
    zone = str(block.get("weekday_timezone") or "UTC").strip()
    shift = _offset(zone)
    off: dict[int, Spans] = {day: [] for day in _ALL_WEEK}
    _add(off, block.get("hours_utc"), _ALL_WEEK, shift)
    for rule in block.get("windows") or ():
        days = _ALL_WEEK if rule.get("weekdays") is None else map(_weekday, rule["weekdays"])
        _add(off, rule.get("hours_utc"), tuple(days), shift)
    peak = {day: _rest(spans) for day, spans in off.items()}
    days_with = tuple(day for day in _ALL_WEEK if peak[day])
    if not days_with:
        raise SkipError("hours: all of the week is off-peak")
    first = peak[days_with[0]]
    if any(peak[day] != first for day in days_with):
        raise SkipError("hours: peak hours that differ between weekdays")
    return Hours(zone, days_with, tuple(map(_written, first)))


def daily(windows: Iterable[tuple[time, time]]) -> Hours:
    """Peak hours of these daily windows, given in UTC; one may run past midnight."""
    spans: Spans = []
    for start, end in windows:
        spans += _wrapped(start.hour * 60 + start.minute, end.hour * 60 + end.minute)
    return Hours("UTC", _ALL_WEEK, tuple(_written(span) for span in _rest(_rest(spans))))


def _offset(zone: str) -> int:
    """Minutes east of UTC of a zone that keeps its offset all year."""
    try:
        known = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise SkipError(f"hours: an unknown zone, {zone!r}") from None
    offsets = {datetime(2026, month, 1, tzinfo=known).utcoffset() for month in range(1, 13)}
    if len(offsets) != 1 or (offset := offsets.pop()) is None:
        raise SkipError(f"hours: UTC hours on the weekdays of {zone}, which changes its clocks")
    return int(offset.total_seconds()) // 60


def _add(off: dict[int, Spans], hours: Any, days: Sequence[int], shift: int) -> None:
    for text in (hours,) if isinstance(hours, str) else hours or ():
        match = re.fullmatch(r"\s*(\d\d?):(\d\d)\s*-\s*(\d\d?):(\d\d)\s*", str(text))
        if match is None:
            raise SkipError(f"hours: expected a window such as 16:30-00:30, got {text!r}")
        h1, m1, h2, m2 = map(int, match.groups())
        start, end = ((h * 60 + m + shift) % _DAY for h, m in ((h1, m1), (h2, m2)))
        for day in days:
            # Both parts of a window past midnight belong to the weekday they fall on.
            off[day] += _wrapped(start, end)


def _wrapped(start: int, end: int) -> Spans:
    if start < end:
        return [(start, end)]
    return [(a, b) for a, b in ((0, end), (start, _DAY)) if a < b]


def _rest(spans: Spans) -> Spans:
    """The minutes of a day that none of the spans covers; twice gives the spans, merged."""
    rest, at = [], 0
    for start, end in sorted(spans):
        if start > at:
            rest.append((at, start))
        at = max(at, end)
    return [*rest, (at, _DAY)] if at < _DAY else rest


def _weekday(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 7:
        return value
    if isinstance(value, str) and value.strip().lower()[:3] in _DAYS:
        return _DAYS.index(value.strip().lower()[:3]) + 1
    raise SkipError(f"hours: expected a weekday from 1 to 7, got {value!r}")


def _written(span: tuple[int, int]) -> str:
    (h1, m1), (h2, m2) = divmod(span[0], 60), divmod(span[1], 60)
    return f"{h1:02}:{m1:02}-{h2:02}:{m2:02}"
