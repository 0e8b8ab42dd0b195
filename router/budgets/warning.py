"""What is told when a budget has been spent up to one of its `warn` shares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from router.budgets.budget import Unit
from router.budgets.holds import Balance, Hold
from router.money import to_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetWarning:
    """A budget was spent up to `share` of its limit: told once in a window, over all processes.

    `spent` and `limit` are USD as `Decimal`, or whole tokens or requests. Of a rolling window
    `window_start` is since when it counts, and it is warned of once in a span of its length.
    """

    budget: str
    share: float
    spent: Decimal | int
    limit: Decimal | int
    unit: Unit
    window_start: datetime
    resets_at: datetime | None

    def __str__(self) -> str:
        have = f"${self.spent:.6f} of ${self.limit:.6f}"
        if self.unit != "usd":
            have = f"{self.spent:,} of {self.limit:,} {self.unit}"
        return f"the budget of {self.budget} is spent to {self.share:.0%}: {have}"


def warning_of(hold: Hold, balance: Balance, share: float) -> BudgetWarning:
    """The warning for a share of a hold's limit."""
    limit = hold.limit + balance.adjusted
    usd = hold.unit == "usd"
    return BudgetWarning(
        budget=hold.name,
        share=share,
        spent=to_usd(balance.spent) if usd else balance.spent,
        limit=to_usd(limit) if usd else limit,
        unit=hold.unit,
        window_start=hold.since or hold.window_start,
        resets_at=hold.resets_at,
    )


def shares_reached(hold: Hold, balance: Balance) -> list[float]:
    """The `warn` shares of a hold that its spend has reached."""
    limit = hold.limit + balance.adjusted
    return [share for share in hold.warn if balance.spent >= share * limit]
