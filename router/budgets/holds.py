"""Holds: what each limit of each budget has to do with one request, and what is left of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from router.budgets.budget import Budget, Unit
from router.errors import BudgetExceededError, BudgetFrozenError
from router.money import exact_usd, to_usd

_ADVICE = "Nothing was sent. Lower max_tokens, allow a cheaper candidate, or raise the limit."


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One limit of one budget that a reservation counts against; amounts are in `unit`.

    `key` and `window_start` name the account. Of a rolling window `window_start` is its present
    bucket, and the buckets from `since` on count together. `amount` is what this reservation
    sets aside in it (None: what the call may be charged), `quantile` of what it is (None: of the
    worst case). `single` caps one request and lasts for no other.
    """

    key: str
    window_start: datetime
    resets_at: datetime | None
    limit: int
    hard: bool
    name: str
    unit: Unit = "usd"
    since: datetime | None = None
    warn: tuple[float, ...] = ()
    quantile: float | None = None
    single: bool = False
    amount: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What one account holds in one window, in its unit; `adjusted` is what was added to it."""

    spent: int = 0
    reserved: int = 0
    adjusted: int = 0
    frozen: bool = False


def holds_for(
    budgets: Sequence[Budget], tags: Mapping[str, str], now: datetime, request_id: str
) -> tuple[Hold, ...]:
    """The holds of the budgets that apply to a request with these tags at this instant.

    Tags include `model`, `mode`, `host` and `candidate` where it is known who is called.
    """
    return tuple(
        hold
        for budget in budgets
        if budget.applies(tags)
        for hold in _holds(budget, tags, now, request_id)
    )


def _holds(budget: Budget, tags: Mapping[str, str], now: datetime, request_id: str) -> list[Hold]:
    period, name = budget.period(now), budget.named(tags)
    return [
        Hold(
            key=budget.key(tags, request_id, unit),
            window_start=period.start,
            resets_at=period.end,
            limit=limit,
            hard=budget.hard,
            name=name,
            unit=unit,
            since=period.since,
            warn=tuple(budget.warn),
            quantile=budget.quantile,
            single=budget.window == "request",
        )
        for unit, limit in budget.limits
    ]


def left(hold: Hold, balance: Balance) -> int:
    """What a hold still has, in its unit; below zero after an overage."""
    if balance.frozen:
        return min(0, hold.limit + balance.adjusted - balance.spent - balance.reserved)
    return hold.limit + balance.adjusted - balance.spent - balance.reserved


def in_unit(amount: int, unit: Unit) -> str:
    """An amount in words, exactly: "$0.002000", "1,200 tokens", "3 requests"."""
    if unit == "usd":
        return exact_usd(amount)
    return f"{amount:,} {unit[:-1] if amount == 1 else unit}"


def exceeded(
    hold: Hold,
    balance: Balance,
    needed: int,
    what: str,
    detail: str = "",
    *,
    advice: str = _ADVICE,
) -> BudgetExceededError:
    """The error for a hold with too little left for `needed`, which `what` names.

    `advice` says what did not happen, and what to do.
    """
    limit = hold.limit + balance.adjusted
    usd = hold.unit == "usd"
    figures = {
        "limit": to_usd(limit) if usd else limit,
        "spent": to_usd(balance.spent) if usd else balance.spent,
        "reserved": to_usd(balance.reserved) if usd else balance.reserved,
        "requested": to_usd(needed) if usd else needed,
    }
    if balance.frozen:
        return BudgetFrozenError(
            f"the budget of {hold.name} is frozen. Nothing was sent. "
            f"client.budgets.history() says by whom and why, client.budgets.unfreeze() ends it."
            f"{detail}",
            budget=hold.name,
            account=hold.key,
            unit=hold.unit,
            resets_at=None,
            **figures,
        )
    until = f"; it resets at {hold.resets_at:%Y-%m-%d %H:%M} UTC" if hold.resets_at else ""
    rest = in_unit(max(0, left(hold, balance)), hold.unit)
    return BudgetExceededError(
        f"the budget of {hold.name} has {rest} left, {what} {in_unit(needed, hold.unit)}"
        f"{until}. {advice}{detail}",
        budget=hold.name,
        account=hold.key,
        unit=hold.unit,
        resets_at=hold.resets_at,
        **figures,
    )
