"""What every ledger promises, and the rows that go in and come out.

reserve -> settle | release | (expire, then perhaps correct). A reservation is a row with a
lease; each id resolves once; what was spent is the sum of the entries, which are never changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from router.budgets.budget import Budget
from router.errors import BudgetExceededError
from router.money import format_usd, to_usd
from router.types import Cost, Usage

EntryKind = Literal["settle", "release", "expire", "correct"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One budget that a reservation counts against: account, window and limit (pico-dollars)."""

    key: str
    window_start: datetime
    resets_at: datetime | None
    limit: int
    hard: bool
    name: str


def holds_for(
    budgets: Sequence[Budget], tags: Mapping[str, str], now: datetime, request_id: str
) -> tuple[Hold, ...]:
    """The holds of the budgets that apply to a request with these tags at this instant."""
    holds = []
    for budget in budgets:
        if budget.applies(tags):
            start, end = budget.period(now)
            holds.append(
                Hold(
                    key=budget.key(tags, request_id),
                    window_start=start,
                    resets_at=end,
                    limit=budget.limit_pico,
                    hard=budget.hard,
                    name=budget.name,
                )
            )
    return tuple(holds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is known of a call when it is reserved; costs in pico-dollars, None when unpriced."""

    request_id: str
    candidate: str
    model: str
    mode: str
    host: str
    policy: str
    tags: Mapping[str, str] = field(default_factory=dict)
    rates_id: str = ""
    forecast_cost: int | None = None
    forecast_cost_p90: int | None = None
    forecast_output_tokens: int = 0
    forecast_quality: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Money set aside for one call: `amount` pico-dollars, until settled or the lease ends."""

    id: str
    at: datetime
    lease_until: datetime
    amount: int
    holds: tuple[Hold, ...]
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How a call ended: its usage and cost, and whether they were reported or assumed.

    `cost.pico` is 0 with an empty `rates_id` for a model without a known price.
    """

    at: datetime
    usage: Usage
    cost: Cost
    outcome: str = "ok"
    finish_reason: str | None = None
    seconds: float = 0.0

    @property
    def estimated(self) -> bool:
        """Whether usage was counted or assumed by us instead of reported by the host."""
        return self.usage.estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of the ledger: a reservation's record with how it ended.

    `cost` is what this line adds to spend, in pico-dollars: negative in a correction downwards.
    `overage` is what the call cost beyond its reservation.
    """

    kind: EntryKind
    at: datetime
    reservation_id: str
    record: Record
    usage: Usage
    cost: int
    reserved: int
    overage: int
    outcome: str
    finish_reason: str | None
    seconds: float

    @property
    def estimated(self) -> bool:
        """Whether the cost rests on counted or assumed tokens."""
        return self.usage.estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What one account holds in one window, in pico-dollars."""

    spent: int = 0
    reserved: int = 0


def exceeded(
    hold: Hold, balance: Balance, needed: int, what: str, detail: str = ""
) -> BudgetExceededError:
    """The error for a hold with too little left for `needed` pico-dollars, which `what` names."""
    left = max(0, hold.limit - balance.spent - balance.reserved)
    until = f"; it resets at {hold.resets_at:%Y-%m-%d %H:%M} UTC" if hold.resets_at else ""
    return BudgetExceededError(
        f"the budget of {hold.name} has {format_usd(left)} left, {what} {format_usd(needed)}"
        f"{until}. Nothing was sent. Lower max_tokens, allow a cheaper candidate, or raise the "
        f"limit.{detail}",
        budget=hold.name,
        limit=to_usd(hold.limit),
        spent=to_usd(balance.spent),
        reserved=to_usd(balance.reserved),
        requested=to_usd(needed),
        resets_at=hold.resets_at,
    )


class Ledger(Protocol):
    """Where reservations and spend are kept. Every method is atomic and thread-safe."""

    def reserve(self, reservation: Reservation) -> None:
        """Set the amount aside in all holds or in none.

        Raises:
            BudgetExceededError: a hard hold would pass its limit.
            LedgerError: the store failed, or the id was used for something else.
        """

    def settle(self, reservation_id: str, settlement: Settlement) -> Entry:
        """Turn a reservation into spend; after expiry, correct what was assumed. Idempotent."""

    def release(self, reservation_id: str, *, at: datetime, outcome: str) -> None:
        """Return a reservation whose call was not charged. Idempotent; unknown ids are ignored."""

    def sweep(self, now: datetime) -> int:
        """Charge every reservation past its lease in full, as an estimate; how many there were."""

    def balances(self, holds: Sequence[Hold]) -> list[Balance]:
        """The balance of each hold's account in its window."""

    def entries(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Entry]:
        """Entries with since <= at < until, oldest first."""

    def close(self) -> None:
        """Release the store. Further calls open it again."""
