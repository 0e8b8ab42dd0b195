"""Calls of a history with what they cost and what they would have: one by one, and in sums."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from decimal import Decimal
from html import escape
from typing import Any

from router.bills.calls import Paid
from router.errors import InvalidRequestError
from router.money import to_usd
from router.reports.periods import zone_of
from router.reports.table import Table, exact

_COLUMNS: dict[str, type] = {
    "at": datetime,
    **dict.fromkeys(("request_id", "attempt", "candidate", "old_rates_id", "new_rates_id"), str),
    **dict.fromkeys(("input_tokens", "cache_read_tokens", "cache_write_tokens"), int),
    "output_tokens": int,
    "estimated": bool,
    **dict.fromkeys(("old_usd", "new_usd", "difference_usd"), Decimal),
    "why": str,
}
_GROUPS = ("model", "host", "candidate", "endpoint", "outcome", "day", "month", "rates_id", "why")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One call: what it cost and what it would have, in pico-dollars.

    `old` is None where no price was known when it was charged, `new` where none is known now;
    `why` says so, or what was charged beside its usage, or that another price row stands in for
    the one that billed it. `rates_id` is the new price row.
    """

    call: Paid
    old: int | None
    new: int | None
    rates_id: str = ""
    why: str = ""

    @property
    def difference(self) -> int | None:
        """New less old, in pico-dollars; None where either is not known."""
        return None if self.old is None or self.new is None else self.new - self.old

    def key(self, by: str, zone: tzinfo) -> str:
        """The value of a column to group by; days and months are of the zone."""
        if by in {"day", "month"}:
            local = self.call.ended.astimezone(zone)
            return f"{local:%Y-%m-%d}" if by == "day" else f"{local:%Y-%m}"
        if by in {"rates_id", "why"}:
            return str(getattr(self, by))
        return str(getattr(self.call, by))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Calls with the same values of the columns grouped by; sums in pico-dollars, exact.

    `old` and `new` are of the calls whose cost is known at both prices; `left_out` is what the
    other `unpriced` calls did cost, None where that is not known of one of them.
    """

    group: tuple[str, ...]
    requests: int
    old: int
    new: int
    unpriced: int
    left_out: int | None

    @property
    def difference(self) -> int:
        """New less old."""
        return self.new - self.old

    @property
    def compared(self) -> bool:
        """Whether the sums say anything: False where there are calls, and all are left out."""
        return self.unpriced < self.requests or not self.requests

    def __str__(self) -> str:
        if self.compared:
            sign = "+" if self.difference >= 0 else ""
            said = (
                f"{_calls(self.requests - self.unpriced)} cost {_said(self.old)} USD and would "
                f"cost {_said(self.new)}: {sign}{_said(self.difference)}"
            )
        else:
            said = "no call can be compared"
        if not self.unpriced:
            return said
        left = "not known" if self.left_out is None else f"{_said(self.left_out)} USD"
        return f"{said}; left out: {_calls(self.unpriced)}, whose cost was {left}"


@dataclass(frozen=True, slots=True, repr=False)
class Repriced(Table):
    """The calls of a history with their old and new costs. Iterates as mappings in USD.

    Released attempts and answers out of the response cache cost nothing anywhere and are left
    out; `held` is money (pico-dollars) of the ledger that belongs to no call. Days are of the
    zone `tz`.
    """

    rows: tuple[Row, ...]
    cached: int = 0
    held: int = 0
    tz: str = "UTC"

    @property
    def total(self) -> Group:
        """All of it."""
        return _sum((), self.rows)

    def by(self, *columns: str) -> list[Group]:
        """Sums by model, host, candidate, endpoint, outcome, day or month, rates_id, why.

        Raises:
            InvalidRequestError: an unknown column.
        """
        for column in columns:
            if column not in _GROUPS:
                raise InvalidRequestError(
                    f"by: expected {', '.join(_GROUPS)}; got {column!r}", param="by"
                )
        zone = zone_of(self.tz)
        groups: dict[tuple[str, ...], list[Row]] = {}
        for row in self.rows:
            groups.setdefault(tuple(row.key(column, zone) for column in columns), []).append(row)
        return [_sum(group, groups[group]) for group in sorted(groups)]

    @property
    def brief(self) -> tuple[str, ...]:
        """The columns that are shown where there is little room."""
        return "at", "candidate", "old_usd", "new_usd", "difference_usd", "why"

    @property
    def kinds(self) -> Mapping[str, type]:
        """The columns in their order, with their types."""
        return _COLUMNS

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (_as_dict(row) for row in self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        return f"{Table.__str__(self)}\n{self.total}"

    def _repr_html_(self) -> str:
        return f"{Table._repr_html_(self)}<p>{escape(str(self.total))}</p>"


def _sum(group: tuple[str, ...], rows: Sequence[Row]) -> Group:
    pairs = [(row.old, row.new) for row in rows]
    compared = [(old, new) for old, new in pairs if old is not None and new is not None]
    others = [old for old, new in pairs if old is None or new is None]
    known = [old for old in others if old is not None]
    return Group(
        group=group,
        requests=len(rows),
        old=sum(old for old, _ in compared),
        new=sum(new for _, new in compared),
        unpriced=len(others),
        left_out=sum(known) if len(known) == len(others) else None,
    )


def _as_dict(row: Row) -> dict[str, Any]:
    call, usage = row.call, row.call.usage
    attempt = call.id.removeprefix(call.request_id).strip("/")
    return {
        "at": call.ended,
        "request_id": call.request_id,
        "attempt": attempt,
        "candidate": call.candidate,
        "old_rates_id": call.rates_id,
        "new_rates_id": row.rates_id,
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "estimated": usage.estimated,
        "old_usd": _usd(row.old),
        "new_usd": _usd(row.new),
        "difference_usd": _usd(row.difference),
        "why": row.why,
    }


def _usd(pico: int | None) -> Decimal | None:
    return None if pico is None else to_usd(pico)


def _said(pico: int) -> str:
    return exact(to_usd(pico))


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count:,} calls"
