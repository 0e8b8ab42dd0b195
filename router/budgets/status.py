"""How much of each budget is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from router.budgets.budget import Budget
from router.budgets.ledger import Ledger, holds_for
from router.money import to_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """A budget's present window, in USD; `remaining` is below zero after an overage."""

    name: str
    limit: Decimal
    spent: Decimal
    reserved: Decimal
    remaining: Decimal
    resets_at: datetime | None


def status(
    budgets: Sequence[Budget], ledger: Ledger, tags: Mapping[str, str], now: datetime
) -> list[BudgetStatus]:
    """The status of each budget that applies to requests with these tags."""
    holds = holds_for(budgets, tags, now, "")
    return [
        BudgetStatus(
            name=hold.name,
            limit=to_usd(hold.limit),
            spent=to_usd(balance.spent),
            reserved=to_usd(balance.reserved),
            remaining=to_usd(hold.limit - balance.spent - balance.reserved),
            resets_at=hold.resets_at,
        )
        for hold, balance in zip(holds, ledger.balances(holds), strict=True)
    ]
