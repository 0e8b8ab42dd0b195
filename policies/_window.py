"""How much of a budget's window is gone: by the clock, or in step with expected requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from policies import _check

_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
_HOUR = timedelta(hours=1)


def weights(profile: object) -> tuple[float, ...] | None:
    """A profile in one form: 24 weights by hour of the day, 168 by hour of the week, or None.

    Raises:
        ValueError: it is no such sequence of numbers of 0 or more, one of them above 0.
    """
    if profile is None:
        return None
    given = (
        tuple(profile) if isinstance(profile, Iterable) and not isinstance(profile, str) else ()
    )
    if len(given) not in {24, 168}:
        raise _check.refusal(f"profile: expected 24 or 168 weights, got {profile!r}")
    found = tuple(_check.at_least("profile", weight) for weight in given)
    if not sum(found) > 0:
        raise _check.refusal("profile: expected a weight above 0, got none")
    return found


def gone(
    profile: Sequence[float] | None, starts: datetime, ends: datetime, now: datetime
) -> float:
    """The share of the window's expected requests that lies before `now`, in [0, 1]."""
    first = _requests(profile, starts)
    whole, part = _requests(profile, ends) - first, _requests(profile, now) - first
    if whole <= 0:  # an empty window, or one in which no requests are expected
        whole, part = (ends - starts) / _HOUR, (now - starts) / _HOUR
    return min(max(part / whole, 0.0), 1.0) if whole > 0 else 1.0


def _requests(profile: Sequence[float] | None, instant: datetime) -> float:
    """Requests expected since a Monday long ago, in the profile's unit; without one, hours."""
    hours = (instant - _MONDAY) / _HOUR
    if profile is None:
        return hours
    rounds, rest = divmod(hours, len(profile))
    whole = int(rest)
    partial = sum(profile[:whole]) + (rest - whole) * profile[whole]
    return rounds * sum(profile) + partial
