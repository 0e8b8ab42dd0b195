"""What every ledger promises.

reserve -> settle | release | (expire, then perhaps correct). A reservation is a row with a
lease; each id resolves once; what was spent is the sum of the entries, which are never changed.
The rules are in `router.ledgers.books`; a store keeps the rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from router.budgets.holds import Balance, Hold
from router.ledgers.entries import Adjustment, Entry, Grade, Reservation, Settlement
from router.ledgers.slabs import Exchange, Exchanged


class Ledger(Protocol):
    """Where reservations and spend are kept. Every method is atomic and thread-safe."""

    def reserve(self, reservation: Reservation) -> None:
        """Set the amounts aside in all holds or in none. Idempotent by id.

        Raises:
            BudgetExceededError: a hard hold would pass its limit, or is frozen.
            LedgerError: the store failed, or the id was used for something else.
        """

    def settle(self, reservation_id: str, settlement: Settlement) -> Entry:
        """Turn a reservation into spend; after expiry, correct what was assumed. Idempotent."""

    def release(self, reservation_id: str, *, at: datetime, outcome: str) -> None:
        """Return a reservation whose call was not charged. Idempotent; unknown ids are ignored."""

    def post(self, reservation: Reservation, settlement: Settlement) -> Entry:
        """Record a call that nobody reserved. Never refused; idempotent by id."""

    def sweep(self, now: datetime) -> int:
        """Charge every reservation past its lease in full, as an estimate; how many there were."""

    def balances(self, holds: Sequence[Hold]) -> list[Balance]:
        """The balance of each hold's account in its window."""

    def entries(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Entry]:
        """Entries with since <= at < until, oldest first."""

    def adjust(self, adjustments: Sequence[Adjustment], holds: Sequence[Hold]) -> None:
        """Book changes of budgets, all or none; each has the hold that it changes.

        Raises:
            BudgetExceededError: a transfer takes more than there is left.
        """

    def adjustments(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Adjustment]:
        """Changes of budgets with since <= at < until, oldest first."""

    def decisions(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[tuple[str, str]]:
        """Request ids with their packed decision records (`router.packing`), of those that were
        reserved in since <= at < until by clients with `log_decisions`.
        """

    def grade(self, grades: Iterable[Grade]) -> int:
        """Keep grades of answers, all or none; how many of them are new.

        Raises:
            UnknownRequestError: the ledger has no such request.
        """

    def grades(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> Iterator[Grade]:
        """Grades with since <= at < until, in the order in which they were given."""

    def warned(self, key: str, window_start: datetime, share: float) -> bool:
        """Whether this caller is the first to warn of this share of this account."""

    def close(self) -> None:
        """Release the store. Further calls open it again."""


class SlabLedger(Ledger, Protocol):
    """A store that keeps slabs, too: see `router.ledgers.lease`. They are reserved like calls."""

    def draw(
        self, reservation: Reservation, settlement: Settlement, slabs: Mapping[str, str]
    ) -> Entry:
        """Record a call that was paid from slabs: `slabs` has a slab's id for an account's key.

        What the call took leaves the slab, so that it counts once. Idempotent by id.
        """

    def give_back(self, slab_id: str, at: datetime) -> None:
        """Return what is left of a slab. Idempotent; also ends the doubt about an expired one."""

    def extend(self, slab_ids: Sequence[str], lease_until: datetime) -> list[str]:
        """Renew the leases of slabs; those that are still open."""

    def exchange(self, asked: Exchange) -> Exchanged:
        """Post what was paid from slabs, and take new ones in place of old ones: all or none.

        Idempotent: an exchange whose outcome is unknown is sent again as it is.
        """
