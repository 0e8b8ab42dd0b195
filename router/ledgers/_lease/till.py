"""What a process holds of all accounts: purses, calls in hand, calls to be posted. No I/O.

Its owner locks; nothing here waits. See `router.ledgers.lease`.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from router.budgets.holds import Balance, Hold, exceeded, left
from router.errors import BudgetExceededError, LedgerError
from router.ledgers._lease.purse import Purse
from router.ledgers.entries import Entry, EntryKind, Reservation, Settlement
from router.ledgers.lines import amount_in

_REMEMBERED = 8192
_MOST_SINGLE = 65_536
_MOST_ROWS = 100_000
_LARGEST = 2**62

Place: TypeAlias = tuple[str, datetime]
Takes: TypeAlias = list[tuple[Purse, int]]
"""What a call is promised, or cost, in each purse."""
Wants: TypeAlias = list[tuple[Purse, int, Hold | None]]
"""What a call wants of each purse, and the tightest hard hold on it; None where all are soft."""


@dataclass(frozen=True, slots=True)
class Row:
    """A call that ended here and is to be posted, with what it cost in each purse."""

    reservation: Reservation
    settlement: Settlement
    costs: Takes


class Till:
    """Purses by account and window, and the calls that count against them."""

    def __init__(self) -> None:
        self.purses: dict[Place, Purse] = {}
        self.calls: dict[str, tuple[Reservation, Takes]] = {}
        self.rows: deque[Row] = deque()
        self.ended: OrderedDict[str, tuple[Entry, Takes]] = OrderedDict()
        self._singles: deque[Place] = deque()

    def repeated(self, reservation: Reservation) -> bool:
        """Whether this reservation was made here already, open or not.

        Raises:
            LedgerError: one with this id has other contents; or too many rows wait to be posted.
        """
        call = self.calls.get(reservation.id)
        if call is not None:
            if (call[0].amount, call[0].record) != (reservation.amount, reservation.record):
                raise LedgerError(f"reservation {reservation.id!r} exists with other contents")
            return True
        if len(self.rows) >= _MOST_ROWS:
            raise LedgerError(
                f"{len(self.rows):,} settled calls wait for the ledger's store, which does not "
                "answer: nothing more is admitted until it does"
            )
        return reservation.id in self.ended

    def wants(self, reservation: Reservation) -> Wants | None:
        """What the reservation wants of each purse; purses are made as they are needed.

        None when only the store can tell: a hard limit with a rolling window, several holds on one
        account that set different amounts aside, or a number too large to add up.
        """
        wants: Wants = []
        for hold in reservation.holds:
            if hold.since is not None:
                if hold.hard:
                    return None
                continue  # it is counted when the call is posted
            amount = amount_in(hold, reservation)
            if amount > _LARGEST:
                return None
            purse = self.purses.get((hold.key, hold.window_start)) or self._make(hold)
            tight = None
            if hold.hard:
                tight, purse.guarded = hold, purse.guarded or not hold.single
            for i, (other, its, limit) in enumerate(wants):
                if other is purse:
                    if its != amount:
                        return None
                    if tight is not None and (limit is None or tight.limit < limit.limit):
                        wants[i] = (purse, amount, tight)
                    break
            else:
                wants.append((purse, amount, tight))
        return wants

    def short(self, wants: Wants) -> bool:
        """Whether a slab must be asked for first.

        Raises:
            BudgetExceededError: the cap of a single request, which no slab can raise.
        """
        short = False
        for purse, amount, hold in wants:
            if hold is None:
                continue
            if hold.single:
                if hold.limit < purse.limit or not purse.guarded:
                    _cap(purse, hold)
                if purse.free < amount:
                    raise _refusal(purse, hold, amount)
            elif not _affords(purse, hold, amount):
                short = True
        return short

    def verdict(self, wants: Wants, denied: Collection[Purse]) -> BudgetExceededError | None:
        """After slabs were asked for: why the call cannot be paid; None when it can, or may yet.

        `denied` are the purses for which the store had no more.
        """
        for purse, amount, hold in wants:
            final = purse in denied or purse.single
            if hold is not None and final and not _affords(purse, hold, amount):
                return _refusal(purse, hold, amount)
        return None

    def affords(self, wants: Wants) -> bool:
        """Whether every hard hold has room for what is wanted of it."""
        return all(hold is None or _affords(purse, hold, n) for purse, n, hold in wants)

    def take(self, reservation: Reservation, wants: Wants, at: float) -> None:
        """Promise a call what it wants."""
        takes: Takes = []
        for purse, amount, _ in wants:
            purse.open += amount
            purse.touched = at
            takes.append((purse, amount))
        self.calls[reservation.id] = reservation, takes

    def end(self, reservation: Reservation, takes: Takes, settlement: Settlement) -> Entry:
        """A call ended: what it was promised is free again, what it cost is to be posted."""
        charge = charged(settlement) if settlement.charged else (0, 0, 0)
        usd, tokens, requests = charge
        costs: Takes = []
        for purse, amount in takes:
            unit = purse.hold.unit
            cost = usd if unit == "usd" else tokens if unit == "tokens" else requests
            purse.spend(amount, cost)
            costs.append((purse, cost))
        self.rows.append(Row(reservation, settlement, costs))
        entry = entry_of(reservation, settlement, charge)
        self.ended[reservation.id] = entry, costs
        if len(self.ended) > _REMEMBERED:
            self.ended.popitem(last=False)
        return entry

    def view(self, hold: Hold, since: float) -> Balance | None:
        """A balance without asking; None when only the store knows, or told before `since`."""
        if hold.since is not None:
            return None
        purse = self.purses.get((hold.key, hold.window_start))
        if purse is None:
            # A request that nobody has seen yet has spent nothing.
            return Balance() if hold.single else None
        known = purse.single or purse.slab is not None or purse.contact >= since
        return purse.balance if known else None

    def drop(self, purse: Purse) -> None:
        """Forget a purse with nothing in it."""
        self.purses.pop((purse.hold.key, purse.hold.window_start), None)

    def _make(self, hold: Hold) -> Purse:
        place = hold.key, hold.window_start
        purse = Purse(hold=hold, guarded=hold.hard, limit=hold.limit)
        self.purses[place] = purse
        if hold.single:
            purse.rest = hold.limit
            self._singles.append(place)
            if len(self._singles) > _MOST_SINGLE:
                oldest = self._singles.popleft()
                found = self.purses.get(oldest)
                if found is not None and found.in_use:
                    self._singles.append(oldest)
                else:
                    self.purses.pop(oldest, None)
        return purse


def charged(settlement: Settlement) -> tuple[int, int, int]:
    """Pico-dollars, tokens and requests that a call is charged.

    Raises:
        LedgerError: a number that no ledger can hold.
    """
    tokens = settlement.tokens
    if tokens is None:
        tokens = settlement.usage.input_tokens + settlement.usage.output_tokens
    if settlement.cost.pico > _LARGEST or tokens > _LARGEST:
        raise LedgerError("a call's cost or tokens are too large for the ledger")
    return settlement.cost.pico, tokens, 1


def entry_of(
    reservation: Reservation, settlement: Settlement, charge: tuple[int, int, int]
) -> Entry:
    """The line that a store will write for a call that was posted."""
    usd, tokens, requests = charge
    kind: EntryKind = "release" if settlement.released else "settle"
    return Entry(
        kind=kind,
        at=settlement.at,
        reservation_id=reservation.id,
        record=reservation.record,
        usage=settlement.usage,
        cost=usd,
        reserved=reservation.amount,
        overage=max(0, usd - reservation.amount) if kind == "settle" else 0,
        outcome=settlement.outcome,
        finish_reason=settlement.finish_reason,
        seconds=settlement.seconds,
        tokens=tokens,
        requests=requests,
        saved=settlement.saved,
        rates_id=settlement.cost.rates_id,
    )


def _affords(purse: Purse, hold: Hold, amount: int) -> bool:
    if amount or purse.single:
        held = purse.single or (purse.slab is not None and hold.limit >= purse.limit)
        return held and purse.free >= amount
    # Nothing is taken, but an account that is over its limit admits nothing; our own is free.
    base = purse.base
    return base is not None and not base.frozen and left(hold, purse.balance) >= 0


def _cap(purse: Purse, hold: Hold) -> None:
    """A tighter cap on the same request, or the first hard one after a soft one."""
    purse.rest -= purse.limit - hold.limit
    purse.limit, purse.hold, purse.guarded = hold.limit, hold, True


def _refusal(purse: Purse, hold: Hold, amount: int) -> BudgetExceededError:
    return exceeded(hold, purse.balance, amount, "this call may cost up to")
