"""Budgets as values: limits, a window of time, and the requests that they apply to."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal, TypeAlias, cast

from router.budgets.scopes import CANDIDATE_SCOPES, check_scope, matched, quoted
from router.budgets.windows import (
    Period,
    Rolling,
    Window,
    parse_window,
    rolling_period,
    window_period,
    zone_of,
)
from router.errors import InvalidBudgetError
from router.money import MAX_PICO, exact_usd, to_pico

Unit: TypeAlias = Literal["usd", "tokens", "requests"]
"""`usd` counts pico-dollars, `tokens` input and output together, `requests` calls charged."""

_MOST_SHARE = 10.0
_LONGEST_KEY = 500


class _InWords(str):
    """A name that nobody gave: made anew when `dataclasses.replace` changes a budget."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits over a window of time, for the requests that `scope` covers; at least one of three.

    `limit` is in USD, `tokens` counts input and output together, `requests` calls that are
    charged. `hard=False` records what goes beyond and never refuses.

    `window`: "request" caps each request; "hour" is one of UTC; "day", "week" and "month" follow
    the calendar of the IANA zone `tz`, where a day has 23 or 25 hours when the clock changes;
    "rolling 24h" or a `timedelta` (1 minute to 366 days) counts any 24 hours; "total" never
    resets.

    `scope` maps names of tags to patterns. "acme" covers the values "acme" and all below it, such
    as "acme/search/ann". `*` stands for one segment and gives each value an account of its own:
    "acme/*" is a budget for each team of acme. The names model, mode, host and candidate are those
    of whoever is called, with a whole name or `*`. An empty scope covers every request.

    `warn` are shares of the limits, 0.8 for 80 %. `quantile` None reserves the worst case of each
    call, and a hard limit holds. A quantile q from 0.5 to 0.999 reserves what the forecast says is
    exceeded by one call in 1/(1-q): more calls fit in at once, and the limit can be overshot, at
    most by the sum over the calls in flight of worst case less reserved. How often a call takes
    more than was reserved for it is as near to 1-q as forecasts are calibrated.

    Raises:
        InvalidBudgetError: no limit at all, or a value that makes no sense; says which and why.

    >>> from router import Budget
    >>> Budget("5.00", "day", {"team": "search"}).name
    '$5.000000 a day, team=search'
    """

    limit: str | int | Decimal | float | None = field(default=None, compare=False)
    window: Window | Rolling | timedelta = "total"
    scope: Mapping[str, str] = field(default_factory=dict)
    tz: str = "UTC"
    hard: bool = True
    _: KW_ONLY
    tokens: int | None = None
    requests: int | None = None
    warn: Sequence[float] = ()
    quantile: float | None = None
    name: str = ""
    """The budget in errors and reports; if none is given, `words`."""
    limit_pico: int | None = field(init=False, repr=False)
    """`limit` in pico-dollars, None without one."""
    _rolling: timedelta | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        window, rolling = parse_window(self.window)
        zone_of(self.tz)
        if not isinstance(self.hard, bool):
            raise InvalidBudgetError(f"Budget hard: expected True or False, got {self.hard!r}")
        if self.limit is None and self.tokens is None and self.requests is None:
            raise InvalidBudgetError(
                "Budget limit: expected an amount in USD, or tokens=..., or requests=...; got none"
            )
        values = {
            "limit_pico": None if self.limit is None else _checked_limit(self.limit),
            "window": window,
            "_rolling": rolling,
            "scope": check_scope(self.scope),
            "tokens": _checked_count("tokens", self.tokens),
            "requests": _checked_count("requests", self.requests),
            "warn": _checked_warn(self.warn),
            "quantile": _checked_quantile(self.quantile),
        }
        for key, value in values.items():
            object.__setattr__(self, key, value)
        if self.name == "" or isinstance(self.name, _InWords):
            object.__setattr__(self, "name", _InWords(self.words))
        elif not isinstance(self.name, str) or not self.name.isprintable():
            raise InvalidBudgetError(f"Budget name: expected one line of text, got {self.name!r}")

    def __hash__(self) -> int:
        scope = tuple(sorted(self.scope.items()))
        return hash((self.limits, self.window, scope, self.tz, self.hard))

    @property
    def limits(self) -> tuple[tuple[Unit, int], ...]:
        """Each limit that is set, with its unit: pico-dollars, tokens, requests."""
        given: tuple[tuple[Unit, int | None], ...] = (
            ("usd", self.limit_pico),
            ("tokens", self.tokens),
            ("requests", self.requests),
        )
        return tuple((unit, limit) for unit, limit in given if limit is not None)

    @property
    def words(self) -> str:
        """Limits, window and scope in words: "1,000,000 tokens a day, team=search"."""
        amounts = " and ".join(
            exact_usd(limit)
            if unit == "usd"
            else f"{limit:,} {unit[: -1 if limit == 1 else None]}"
            for unit, limit in self.limits
        )
        if self._rolling:
            each = f"in any {str(self.window).removeprefix('rolling ')}"
        elif self.window == "total":
            each = "in all"
        else:
            each = f"a{'n' * (self.window == 'hour')} {self.window}"
        where = "".join(f", {k}={v}" for k, v in sorted(self.scope.items()))
        return f"{amounts} {each}{where}"

    def named(self, tags: Mapping[str, str]) -> str:
        """Its name, and whose account is meant where the scope has a `*`."""
        whose = [
            f"{name}={matched(name, pattern, tags[name])}"
            for name, pattern in sorted(self.scope.items())
            if "*" in pattern
        ]
        return f"{self.name} [{', '.join(whose)}]" if whose else self.name

    @property
    def by_candidate(self) -> bool:
        """Whether it depends on who is called, so that `tags` must say who that is."""
        return not CANDIDATE_SCOPES.isdisjoint(self.scope)

    def applies(self, tags: Mapping[str, str]) -> bool:
        """Whether a request with these tags counts against this budget."""
        return all(
            name in tags and matched(name, pattern, tags[name]) is not None
            for name, pattern in self.scope.items()
        )

    def key(self, tags: Mapping[str, str], request_id: str = "", unit: Unit = "usd") -> str:
        """The account in the ledger: one per unit, window kind, zone and value of each scoped tag.

        The limit is not part of it: a budget that is raised keeps what was spent. A long one ends
        in its hash, for an index has no room for it: then it has 501 characters, else at most 500.

        Raises:
            InvalidBudgetError: the budget does not apply to these tags.
        """
        single = self.window == "request"
        parts = []
        for name in sorted(self.scope):
            found = matched(name, self.scope[name], tags[name]) if name in tags else None
            if found is None:
                raise InvalidBudgetError(
                    f"the budget of {self.name} does not cover a request with the tags "
                    f"{sorted(tags)}: ask applies() first"
                )
            # The tags of one request stay as they are; only who is called may change.
            if not single or name in CANDIDATE_SCOPES:
                parts.append(f"{quoted(name)}={quoted(found)}")
        where = ";".join(parts)
        if single:
            account = f"request/{quoted(request_id)}" + (f"/{where}" if where else "")
        else:  # a rolling window is the same in all zones
            account = f"{self.window}/{'UTC' if self._rolling else self.tz}/{where}"
        return _shortened(account if unit == "usd" else f"{unit}:{account}")

    def period(self, now: datetime) -> Period:
        """The window that the instant `now` falls into; see `Period`."""
        if self._rolling:
            return rolling_period(self._rolling, now)
        return Period(*window_period(cast("Window", self.window), self.tz, now))


def _shortened(key: str) -> str:
    if len(key) <= _LONGEST_KEY:
        return key
    # One longer than any that is whole: nobody can make up tags that end like a hash.
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{key[: _LONGEST_KEY - len(digest)]}~{digest}"


def _checked_limit(limit: object) -> int:
    try:
        if not isinstance(limit, str | int | Decimal | float):  # Decimal also reads lists
            raise ValueError(f"expected an amount in USD such as '0.25', got {limit!r}")
        pico = to_pico(limit)
    except ValueError as error:
        raise InvalidBudgetError(f"Budget limit: {error}") from None
    if pico < 0:
        raise InvalidBudgetError(f"Budget limit: expected 0 USD or more, got {limit!r}")
    return pico


def _checked_count(what: str, count: object) -> int | None:
    if count is None:
        return None
    if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MAX_PICO:
        raise InvalidBudgetError(
            f"Budget {what}: expected a whole number from 0 to {MAX_PICO}, got {count!r}"
        )
    return int(count)


def _checked_warn(shares: object) -> tuple[float, ...]:
    if not isinstance(shares, tuple | list | set | frozenset) or not all(
        _is_real(share) and 0 < share <= _MOST_SHARE for share in shares
    ):
        raise InvalidBudgetError(
            f"Budget warn: expected shares of the limit such as (0.8, 1.0), above 0 and up to "
            f"{_MOST_SHARE:.0f}; got {shares!r}"
        )
    return tuple(sorted({float(share) for share in shares}))


def _checked_quantile(quantile: object) -> float | None:
    if quantile is None:
        return None
    if (
        not isinstance(quantile, int | float)
        or not _is_real(quantile)
        or not (0.5 <= quantile <= 0.999)
    ):
        raise InvalidBudgetError(
            "Budget quantile: expected None, to reserve the worst case, or a number from 0.5 to "
            f"0.999; got {quantile!r}"
        )
    return float(quantile)


def _is_real(number: object) -> bool:
    return (
        isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
    )
