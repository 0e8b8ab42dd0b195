"""How much of each budget is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from router.budgets.budget import Budget, Unit
from router.budgets.holds import holds_for
from router.ledgers.ledger import Ledger
from router.money import to_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatus:
    """One limit of a budget in its present window: USD as `Decimal`, or whole tokens or requests.

    `limit` includes what was `adjusted`; `remaining` is below zero after an overage.
    """

    name: str
    limit: Decimal | int
    spent: Decimal | int
    reserved: Decimal | int
    remaining: Decimal | int
    resets_at: datetime | None
    unit: Unit = "usd"
    adjusted: Decimal | int = 0
    frozen: bool = False


def status(
    budgets: Sequence[Budget], ledger: Ledger, tags: Mapping[str, str], now: datetime
) -> list[BudgetStatus]:
    """The status of each budget that applies to requests with these tags."""
    holds = holds_for(budgets, tags, now, "")
    found = []
    for hold, balance in zip(holds, ledger.balances(holds), strict=True):
        limit = hold.limit + balance.adjusted
        rest = limit - balance.spent - balance.reserved
        figures = limit, balance.spent, balance.reserved, rest, balance.adjusted
        usd = map(to_usd, figures) if hold.unit == "usd" else figures
        whole, spent, reserved, remaining, adjusted = usd
        found.append(
            BudgetStatus(
                name=hold.name,
                unit=hold.unit,
                limit=whole,
                spent=spent,
                reserved=reserved,
                remaining=remaining,
                resets_at=hold.resets_at,
                adjusted=adjusted,
                frozen=balance.frozen,
            )
        )
    return found
