"""What a process that spends from slabs asks of the store, all of it in one transaction.

An `Exchange` posts the calls that were paid from slabs and takes slabs in place of others. What
was promised to calls stays covered: the old slab is given back in the same transaction.
Pure, like `router.ledgers.books`; a replay of an exchange changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from router.budgets.holds import Balance, Hold, left
from router.errors import LedgerError
from router.ledgers import books as rules
from router.ledgers.entries import Record, Reservation, Settlement
from router.ledgers.view import Books

SHARE = 8
"""A slab takes at most one part in so many of what is left beyond what is needed now."""


@dataclass(frozen=True, slots=True)
class Draw:
    """A call that was paid from slabs: `slabs` has a slab's id for an account's key."""

    reservation: Reservation
    settlement: Settlement
    slabs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A slab to be taken in one account, in place of `old`; amounts are in the hold's unit.

    `keep` is promised already and granted whatever the limit says: it is what `old` covers. `need`
    is what calls wait for, granted as far as there is room. `extra` is for later ones.
    """

    id: str
    hold: Hold
    old: str | None
    keep: int
    need: int
    extra: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What is to be done, in this order: draw, keep, lease, renew, and tell the balances.

    `kept` are calls that the store shall hold itself from now on, admitted already. `renew` are
    slabs whose lease is to last until `until`.
    """

    at: datetime
    draws: tuple[Draw, ...] = ()
    kept: tuple[Reservation, ...] = ()
    leases: tuple[Lease, ...] = ()
    renew: tuple[str, ...] = ()
    until: datetime | None = None
    watch: tuple[Hold, ...] = ()

    @property
    def ids(self) -> list[str]:
        """Every reservation and slab that it touches, for a store that locks before it reads."""
        found = [draw.reservation.id for draw in self.draws]
        found += [slab for draw in self.draws for slab in draw.slabs.values()]
        found += [reservation.id for reservation in self.kept]
        found += [i for lease in self.leases for i in (lease.id, lease.old) if i]
        return [*found, *self.renew]

    @property
    def holds(self) -> list[Hold]:
        """Every account that it touches, as holds."""
        found = [hold for draw in self.draws for hold in draw.reservation.holds]
        found += [hold for reservation in self.kept for hold in reservation.holds]
        return [*found, *(lease.hold for lease in self.leases), *self.watch]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """What came of it: slabs' amounts by their id (0: none was made), balances of the watched.

    `refused` has the draws that the store cannot take, by the call's id; `lapsed` are the slabs
    whose lease was over before it could be renewed.
    """

    granted: Mapping[str, int] = field(default_factory=dict)
    balances: tuple[Balance, ...] = ()
    refused: Mapping[str, LedgerError] = field(default_factory=dict)
    lapsed: frozenset[str] = frozenset()


def exchange(books: Books, asked: Exchange) -> Exchanged:
    """See `SlabLedger.exchange`."""
    if asked.leases:
        rules.sweep(books, asked.at)
    refused: dict[str, LedgerError] = {}
    for draw in asked.draws:
        try:
            rules.post(books, draw.reservation, draw.settlement, draw.slabs)
        except LedgerError as error:  # raised before anything was changed
            refused[draw.reservation.id] = error
    # All are given back before any call is kept, so that nothing is counted twice meanwhile.
    for lease in asked.leases:
        known = books.known(lease.id)
        if known is None and lease.old is not None and books.known(lease.old) is not None:
            rules.give_back(books, lease.old, asked.at)
    for reservation in asked.kept:
        if books.known(reservation.id) is None:
            rules.reserve(books, softened(reservation))
    granted = {lease.id: _take(books, lease, asked.at) for lease in asked.leases}
    renewed: list[str] = []
    if asked.renew and asked.until is not None:
        renewed = rules.extend(books, asked.renew, asked.until)
    return Exchanged(
        granted=granted,
        balances=tuple(rules.balance_of(books, hold) for hold in asked.watch),
        refused=refused,
        lapsed=frozenset(asked.renew) - frozenset(renewed),
    )


def softened(reservation: Reservation) -> Reservation:
    """The same reservation, refused by no limit: it was admitted elsewhere."""
    holds = tuple(replace(hold, hard=False) for hold in reservation.holds)
    return replace(reservation, holds=holds)


def _take(books: Books, lease: Lease, at: datetime) -> int:
    known = books.known(lease.id)
    if known is not None:
        return known.parts[0].amount
    room = left(lease.hold, rules.balance_of(books, lease.hold)) - lease.keep
    need = max(0, min(lease.need, room))
    amount = lease.keep + need + max(0, min(lease.extra, (room - need) // SHARE))
    if amount > 0:
        rules.reserve(books, slab(lease, amount, at))
    return amount


def slab(lease: Lease, amount: int, at: datetime) -> Reservation:
    """The reservation that a slab is in the store."""
    return Reservation(
        id=lease.id,
        at=at,
        lease_until=lease.until,
        amount=amount if lease.hold.unit == "usd" else 0,
        tokens=amount if lease.hold.unit == "tokens" else 0,
        # What is granted was weighed against the limit; what is kept may not be refused.
        holds=(replace(lease.hold, hard=False, amount=amount),),
        record=_record(lease.id),
        slab=True,
    )


def _record(slab_id: str) -> Record:
    return Record(request_id=slab_id, candidate="", model="", mode="", host="", policy="lease")
