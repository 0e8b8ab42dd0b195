"""Budgets as values: a limit, a window of the calendar, and the requests it applies to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from router.errors import InvalidBudgetError
from router.money import format_usd, to_pico

Window = Literal["request", "hour", "day", "week", "month", "total"]
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Budget:
    """A limit in USD over a calendar window, for the requests whose tags match `scope`.

    `scope` maps tag names to values; `"*"` gives each value of the tag a budget of its own; an
    empty scope covers every request. The window "request" caps each request; the others follow
    the calendar of the IANA zone `tz`: a day has 23 or 25 hours when the clock changes.
    `hard=False` records overspending and never refuses.

    Raises:
        InvalidBudgetError: a limit that is not a finite amount >= 0, an unknown window or zone.

    >>> from router import Budget
    >>> Budget("5.00", "day", {"team": "search"}).name
    '$5.000000 a day, team=search'
    """

    limit: str | int | Decimal | float = field(compare=False)
    window: Window = "total"
    scope: Mapping[str, str] = field(default_factory=dict)
    tz: str = "UTC"
    hard: bool = True
    limit_pico: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        try:
            pico = to_pico(self.limit)
        except ValueError as error:
            raise InvalidBudgetError(f"Budget limit: {error}") from None
        if pico < 0:
            raise InvalidBudgetError(f"Budget limit: expected 0 USD or more, got {self.limit!r}")
        object.__setattr__(self, "limit_pico", pico)
        if self.window not in get_args(Window):
            expected = ", ".join(get_args(Window))
            raise InvalidBudgetError(f"Budget window: expected {expected}; got {self.window!r}")
        object.__setattr__(self, "scope", _checked_scope(self.scope))
        _zone(self.tz)

    def __hash__(self) -> int:
        scope = tuple(sorted(self.scope.items()))
        return hash((self.limit_pico, self.window, scope, self.tz, self.hard))

    @property
    def name(self) -> str:
        """The budget in words, for errors and reports."""
        each = (
            "in all"
            if self.window == "total"
            else f"a{'n' * (self.window == 'hour')} {self.window}"
        )
        where = "".join(f", {k}={v}" for k, v in self.scope.items())
        return f"{format_usd(self.limit_pico)} {each}{where}"

    def applies(self, tags: Mapping[str, str]) -> bool:
        """Whether a request with these tags counts against this budget."""
        return all(k in tags and v in ("*", tags[k]) for k, v in self.scope.items())

    def key(self, tags: Mapping[str, str], request_id: str = "") -> str:
        """The account in the ledger: one per window kind, zone and value of each scoped tag.

        The limit is not part of it: a budget that is raised keeps what was spent.
        """
        if self.window == "request":
            return f"request/{_quoted(request_id)}"
        where = ";".join(f"{_quoted(k)}={_quoted(tags[k])}" for k in sorted(self.scope))
        return f"{self.window}/{self.tz}/{where}"

    def period(self, now: datetime) -> tuple[datetime, datetime | None]:
        """Start and end (UTC, end exclusive) of the window that `now` falls into."""
        return window_period(self.window, self.tz, now)


def window_period(window: Window, tz: str, now: datetime) -> tuple[datetime, datetime | None]:
    """Start and end (UTC) of the calendar window of zone `tz` that holds the instant `now`."""
    if window in {"request", "total"}:
        return _BEGINNING, None
    if window == "hour":  # hours are counted in UTC: a local hour can come twice
        start = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return start, start + timedelta(hours=1)
    zone = _zone(tz)
    local = now.astimezone(zone)
    # Without `fold`: where the clock goes back over midnight, the first of the two begins the day.
    day = local.replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0, fold=0)
    if window == "day":
        first, last = day, day + timedelta(days=1)
    elif window == "week":  # ISO: weeks begin on Monday
        first = day - timedelta(days=day.weekday())
        last = first + timedelta(days=7)
    else:
        first = day.replace(day=1)
        last = (first + timedelta(days=32)).replace(day=1)
    # Wall-clock midnights, each with its own offset: that is what makes DST days 23 or 25 hours.
    return first.replace(tzinfo=zone).astimezone(UTC), last.replace(tzinfo=zone).astimezone(UTC)


def _zone(tz: str) -> ZoneInfo:
    try:
        return ZoneInfo(tz)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise InvalidBudgetError(
            f"Budget tz: expected an IANA zone such as 'Europe/Berlin', got {tz!r}"
        ) from None


def _checked_scope(scope: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(scope, Mapping) or not all(
        isinstance(k, str) and k and isinstance(v, str) and v for k, v in scope.items()
    ):
        raise InvalidBudgetError(
            "Budget scope: expected tag names and values such as {'team': 'search'}, "
            f"got {scope!r}"
        )
    return dict(scope)


def _quoted(text: str) -> str:
    if not isinstance(text, str):
        raise InvalidBudgetError(f"expected text as the value of a tag, got {text!r}")
    # Keeps tags that contain our separators from sharing an account.
    return text.replace("%", "%25").replace(";", "%3B").replace("=", "%3D").replace("/", "%2F")
