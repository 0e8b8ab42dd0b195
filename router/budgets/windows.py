"""Windows of time that budgets count in: those of the calendar of a zone, and rolling ones."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from router.errors import InvalidBudgetError

Window: TypeAlias = Literal["request", "hour", "day", "week", "month", "total"]
Rolling: TypeAlias = Literal["rolling 1h", "rolling 24h", "rolling 7d", "rolling 30d"]
"""Rolling windows that a type checker knows by name; for any other there is `timedelta`."""

BUCKETS = 60
"""Parts that a rolling window is counted in: one can last up to a sixtieth longer than it says."""

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_LONGEST = timedelta(days=366)
_UNITS = {"m": _MINUTE, "h": timedelta(hours=1), "d": _DAY}
_KEPT_DAYS = 4096


@dataclass(frozen=True, slots=True)
class Period:
    """The window that an instant falls into: start <= instant < end, all aware and in UTC.

    `end` is None where nothing ends at once: "total", "request" and rolling windows. Of a rolling
    one `start` is its present bucket, and all that was spent from `since` on counts.
    """

    start: datetime
    end: datetime | None
    since: datetime | None = None


def window_period(window: Window, tz: str, now: datetime) -> tuple[datetime, datetime | None]:
    """Start and end (UTC) of the calendar window of zone `tz` that holds the instant `now`.

    A day begins at the first instant of its date: at 01:00 where the clock skips midnight, at the
    first of two midnights. Weeks begin on Monday. Hours are those of UTC, for a local one can come
    twice. Raises InvalidBudgetError for an unknown zone or an instant without one.
    """
    _check_aware(now)
    if window in {"request", "total"}:
        return _BEGINNING, None
    if window == "hour":
        start = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return start, start + timedelta(hours=1)
    zone = zone_of(tz)
    day = now.astimezone(zone).date()
    # Past a midnight that comes again, the clock shows the day before once more.
    while _begins(zone, day + _DAY) <= now:
        day += _DAY
    if window == "day":
        first, last = day, day + _DAY
    elif window == "week":
        first = day - timedelta(days=day.weekday())
        last = first + timedelta(days=7)
    else:
        first = day.replace(day=1)
        last = (first + timedelta(days=32)).replace(day=1)
    return _begins(zone, first), _begins(zone, last)


def rolling_period(length: timedelta, now: datetime) -> Period:
    """The bucket of `now`, and since when to count so that at least `length` is covered.

    Buckets are a sixtieth of `length`, on a grid from 1970. If whoever spends keeps what was spent
    since `since` within a limit, no interval of `length` anywhere holds more than the limit.
    """
    _check_aware(now)
    step = length // BUCKETS
    bucket = (now - _BEGINNING) // step
    start = _BEGINNING + bucket * step
    return Period(start, None, start - BUCKETS * step)


def parse_window(window: object) -> tuple[str, timedelta | None]:
    """A window in its one spelling, and its length if it is a rolling one.

    Raises:
        InvalidBudgetError: neither a window of the calendar nor "rolling 24h" or a `timedelta` of
            whole minutes, from one minute to 366 days.

    >>> parse_window("rolling 1d")[0]
    'rolling 24h'
    """
    if isinstance(window, str) and window in get_args(Window):
        return window, None
    length = window if isinstance(window, timedelta) else _length(window)
    if length is None:
        expected = ", ".join(get_args(Window))
        raise InvalidBudgetError(
            f"Budget window: expected {expected}, a text such as 'rolling 24h' (units m, h, d) or "
            f"a timedelta; got {window!r}"
        )
    if not _MINUTE <= length <= _LONGEST or length % _MINUTE:
        raise InvalidBudgetError(
            "Budget window: a rolling one lasts whole minutes, from 1 minute to 366 days; got "
            f"{window!r}"
        )
    return f"rolling {_spelled(length)}", length


def zone_of(tz: str) -> ZoneInfo:
    """The IANA zone of this name; InvalidBudgetError if there is none."""
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, TypeError, AttributeError, OSError):
        raise InvalidBudgetError(
            f"Budget tz: expected an IANA zone such as 'Europe/Berlin', got {tz!r}"
        ) from None


@lru_cache(maxsize=_KEPT_DAYS)
def _begins(zone: ZoneInfo, day: date) -> datetime:
    """The first instant, in UTC, at which the date in this zone is `day` or a later one."""
    midnight = datetime.combine(day, time(), zone)
    high = midnight.astimezone(UTC)
    low = midnight.replace(fold=1).astimezone(UTC)
    if low >= high:
        return high
    # The clock skips midnight, perhaps the whole day: the day begins where it jumps.
    while high - low > timedelta.resolution:
        middle = low + (high - low) // 2
        if middle.astimezone(zone).date() < day:
            low = middle
        else:
            high = middle
    return high


def _length(text: object) -> timedelta | None:
    found = re.fullmatch(r"rolling ([0-9]{1,6})([mhd])", text) if isinstance(text, str) else None
    return int(found[1]) * _UNITS[found[2]] if found else None


def _spelled(length: timedelta) -> str:
    # One spelling for each length, for it names the account. A day is 24h: not the calendar's.
    if length % _DAY == timedelta(0) and length > _DAY:
        return f"{length // _DAY}d"
    if length % _UNITS["h"] == timedelta(0):
        return f"{length // _UNITS['h']}h"
    return f"{length // _MINUTE}m"


def _check_aware(now: datetime) -> None:
    if now.tzinfo is None:
        raise InvalidBudgetError(
            f"Budget period: expected an aware instant such as datetime.now(UTC), got {now!r}"
        )
