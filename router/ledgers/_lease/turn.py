"""One turn of a lease holder: what to ask of the store, and what its answer changes. No I/O.

`plan` is called under the owner's lock, then the store is asked without it, then `apply` under it
again. Meanwhile calls go on being paid from what is free, so a plan never counts on that.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from router.budgets.holds import Hold
from router.errors import RouterError
from router.ledgers._lease.purse import Purse
from router.ledgers._lease.till import Row, Takes, Till
from router.ledgers.entries import Reservation
from router.ledgers.slabs import Draw, Exchange, Exchanged, Lease

MOST_ROWS = 256
"""Rows in one transaction: enough to make the fsync cheap, few enough not to hold the store."""


@dataclass(eq=False, slots=True)
class Wish:
    """A call that waits for a slab. `direct`: the store must weigh it against another limit."""

    reservation: Reservation
    done: bool = False
    left: bool = False
    direct: bool = False
    error: RouterError | None = None


@dataclass(slots=True, kw_only=True)
class Aim:
    """What a turn is for, besides posting: purses to shrink, calls that the store shall keep."""

    shrink: Collection[Purse] = ()
    keep: Collection[str] = ()
    renew: Collection[Purse] = ()


@dataclass(slots=True, kw_only=True)
class Turn:
    """An exchange with what it stands for here."""

    exchange: Exchange
    rows: list[Row]
    leases: list[tuple[Purse, Lease]]
    asked: Collection[Purse]
    moved: list[tuple[Reservation, Takes]]
    renewed: list[Purse]
    watched: list[Purse]

    @property
    def idle(self) -> bool:
        """Whether there is nothing to ask."""
        asked = self.exchange
        return not (asked.draws or asked.kept or asked.leases or asked.renew)


@dataclass(slots=True)
class Turns:
    """Makes turns: for about `seconds` of spending at a time, in slabs that live `ttl`."""

    till: Till
    seconds: float
    ttl: timedelta
    numbers: Iterator[int] = field(default_factory=itertools.count)
    nonce: str = field(default_factory=lambda: os.urandom(8).hex())

    def plan(self, wishes: Iterable[Wish], aim: Aim, now: datetime, mono: float) -> Turn:
        """What to ask now. Rows and calls to keep leave the till, so a plan must be applied."""
        till = self.till
        rows = [till.rows.popleft() for _ in range(min(MOST_ROWS, len(till.rows)))]
        moved = [call for rid in aim.keep if (call := till.calls.pop(rid, None)) is not None]
        gone: dict[Purse, int] = {}
        for row in rows:
            for purse, cost in row.costs:
                gone[purse] = gone.get(purse, 0) + cost
        kept: dict[Purse, int] = {}
        for _, takes in moved:
            for purse, amount in takes:
                kept[purse] = kept.get(purse, 0) + amount
        wanted = self._wanted(wishes)
        leases: list[tuple[Purse, Lease]] = []
        for purse in {**gone, **kept, **wanted, **dict.fromkeys(aim.shrink)}:
            if not purse.guarded or purse.single:
                continue
            need, hold = wanted.get(purse, (0, purse.hold))
            lease = self._lease(
                purse,
                gone.get(purse, 0),
                kept.get(purse, 0),
                (purse in wanted, need, hold),
                purse in aim.shrink,
                now,
                mono,
            )
            if lease is not None:
                leases.append((purse, lease))
        new = {purse for purse, _ in leases}
        renewed = [p for p in aim.renew if p.slab is not None and p not in new]
        watched = [p for p in {**gone, **dict.fromkeys(new)} if not p.single]
        exchange = Exchange(
            at=now,
            draws=tuple(_draw(row) for row in rows),
            kept=tuple(reservation for reservation, _ in moved),
            leases=tuple(lease for _, lease in leases),
            renew=tuple(p.slab for p in renewed if p.slab is not None),
            until=now + self.ttl,
            watch=tuple(p.hold for p in watched),
        )
        return Turn(
            exchange=exchange,
            rows=rows,
            leases=leases,
            asked=wanted.keys(),
            moved=moved,
            renewed=renewed,
            watched=watched,
        )

    def apply(self, turn: Turn, answer: Exchanged, mono: float) -> set[Purse]:
        """Take the answer over; the purses for which the store had less than was needed."""
        for row in turn.rows:
            refused = row.reservation.id in answer.refused
            for purse, cost in row.costs:
                if refused:
                    purse.pending -= cost
                else:
                    purse.posted(cost)
        for _, takes in turn.moved:
            for purse, amount in takes:
                purse.open -= amount
        third = self.ttl / 3
        denied: set[Purse] = set()
        for purse, lease in turn.leases:
            granted = answer.granted[lease.id]
            if purse in turn.asked and (granted < lease.keep + lease.need or not lease.need):
                denied.add(purse)
            purse.rest, purse.aside = granted, 0
            purse.slab = lease.id if granted else None
            purse.limit, purse.hold, purse.lapsed = lease.hold.limit, lease.hold, False
            purse.lease_until, purse.renew_at = lease.until, lease.until - 2 * third
        for purse in turn.renewed:
            if purse.slab in answer.lapsed:
                purse.lapsed = True
            elif turn.exchange.until is not None:
                purse.lease_until = turn.exchange.until
                purse.renew_at = purse.lease_until - 2 * third
        for purse, balance in zip(turn.watched, answer.balances, strict=True):
            purse.base, purse.contact = balance, mono
            if balance.frozen:
                purse.aside += max(0, purse.free)
        return denied

    def _wanted(self, wishes: Iterable[Wish]) -> dict[Purse, tuple[int, Hold]]:
        """What waiting calls need of each purse, and the tightest hold among them."""
        wanted: dict[Purse, tuple[int, Hold]] = {}
        for wish in wishes:
            for purse, amount, hold in self.till.wants(wish.reservation) or ():
                if hold is None or hold.single:
                    continue
                need, tight = wanted.get(purse, (0, hold))
                tight = hold if hold.limit < tight.limit else tight
                wanted[purse] = need + amount, tight
        return {p: w for p, w in wanted.items() if _lacks(p, *w)}

    def _lease(
        self,
        purse: Purse,
        gone: int,
        kept: int,
        wanted: tuple[bool, int, Hold],
        shrink: bool,
        now: datetime,
        mono: float,
    ) -> Lease | None:
        """The slab that is to take the place of the purse's own, None when that one will do."""
        asked, need, hold = wanted
        rest = max(0, purse.rest - gone)
        promised = max(0, purse.open - kept + purse.pending - gone)
        frozen = purse.base is not None and purse.base.frozen
        shrink = shrink or frozen or (asked and hold.limit < purse.limit)
        lapsed = purse.lapsed or (purse.lease_until is not None and now > purse.lease_until)
        if not (asked or kept or promised > rest or lapsed or shrink):
            return None
        if shrink:
            keep = promised
            spare = rest > keep or (keep == 0 and purse.slab is not None)
            if not (asked or kept or lapsed or spare):
                return None
            purse.aside += max(0, purse.free)
        else:
            # What is free stays with us: others go on taking from it.
            keep = max(rest - kept, promised)
            need = max(0, need - max(0, rest - promised - purse.aside))
        spending = purse.spending(mono, self.seconds)
        return Lease(
            id=f"slab/{self.nonce}/{next(self.numbers)}",
            hold=hold,
            old=purse.slab,
            keep=keep,
            need=need,
            extra=spending if asked else 0,
            until=now + self.ttl,
        )


def _lacks(purse: Purse, need: int, hold: Hold) -> bool:
    return not need or purse.slab is None or hold.limit < purse.limit or purse.free < need


def _draw(row: Row) -> Draw:
    slabs = {
        purse.hold.key: purse.slab
        for purse, _ in row.costs
        if purse.slab is not None and not purse.single
    }
    return Draw(row.reservation, row.settlement, slabs)
