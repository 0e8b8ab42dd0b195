"""What the rules of the ledger see of its rows: accounts, reservations, and a transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from router.budgets import Unit
from router.ledgers.entries import Adjustment, Entry, Record, Reservation


@dataclass(slots=True)
class Account:
    """One account in one window; a store writes back those that changed."""

    key: str
    window_start: datetime
    spent: int = 0
    reserved: int = 0
    adjusted: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """What a reservation set aside in one account."""

    key: str
    window_start: datetime
    unit: Unit
    amount: int


@dataclass(slots=True)
class Known:
    """A reservation as the store has it. `past` is how it ended, None while it is open.

    `corrected` is the sum of its corrections, None without any; `drawn` is what was paid from a
    slab, in its unit.
    """

    id: str
    amount: int
    tokens: int
    record: Record
    parts: tuple[Part, ...]
    slab: bool = False
    drawn: int = 0
    past: Entry | None = None
    corrected: Entry | None = None

    def copy(self) -> Known:
        """Another one, to be changed: a fifth of the time of `dataclasses.replace`."""
        made = self.id, self.amount, self.tokens, self.record, self.parts
        return Known(*made, self.slab, self.drawn, self.past, self.corrected)

    @property
    def rest(self) -> int:
        """What is left of a slab."""
        return self.parts[0].amount - self.drawn if self.slab else 0


class Books(Protocol):
    """The rows of a ledger, inside of a transaction that no other one sees or changes."""

    def account(self, key: str, window_start: datetime) -> Account:
        """The account in this window, to be changed in place; a new one is made."""

    def buckets(self, key: str, since: datetime) -> Iterable[Account]:
        """The accounts of a rolling window's buckets from `since` on."""

    def frozen(self, key: str) -> bool:
        """Whether the account is frozen, whatever its window."""

    def freeze(self, key: str, frozen: bool) -> None:
        """Freeze the account, or end that."""

    def known(self, reservation_id: str) -> Known | None:
        """A reservation, open or not."""

    def add(self, known: Known, reservation: Reservation, *, is_open: bool) -> None:
        """Keep a new reservation."""

    def close(self, known: Known) -> None:
        """It is open no longer."""

    def drew(self, slab: Known) -> None:
        """What was drawn from a slab has changed."""

    def extend(self, known: Known, lease_until: datetime) -> None:
        """Renew a lease."""

    def append(self, entry: Entry) -> None:
        """Add a line."""

    def adjust(self, adjustment: Adjustment) -> None:
        """Add a line on a change of a budget."""

    def adjusted(self, adjustment_id: str) -> bool:
        """Whether this change is booked."""

    def overdue(self, now: datetime) -> Iterable[Known]:
        """Open reservations past their lease."""
