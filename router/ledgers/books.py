"""The rules of the ledger: what each operation does to accounts and rows. Pure, and one for all.

A store opens a transaction, hands its rows in as `Books`, performs operations and commits. An
operation that raises has changed nothing, so the others of a transaction stand.

The invariants: at each reserve spent + reserved <= limit; each id resolves once; all holds or
none; spent is the sum of the entries; what a call cost beyond its reservation is recorded and
counts against the next; what is lost is charged in full, and corrected by a late truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from router.budgets.holds import Balance, Hold, exceeded
from router.errors import LedgerError
from router.ledgers.entries import Adjustment, Entry, EntryKind, Reservation, Settlement
from router.ledgers.lines import (
    NOTHING,
    Charge,
    amount_in,
    charge_of,
    correct,
    doubted,
    draw,
    found,
    known_of,
    line,
    resolve,
    spend,
    undo,
)
from router.ledgers.view import Account, Books
from router.types import Cost, Usage


def balance_of(books: Books, hold: Hold) -> Balance:
    """What a hold's account has in its window; for a rolling one, in all buckets that count."""
    if hold.since is None:
        accounts: Iterable[Account] = (books.account(hold.key, hold.window_start),)
    else:
        accounts = books.buckets(hold.key, hold.since)
    spent = reserved = adjusted = 0
    for account in accounts:
        spent += account.spent
        reserved += account.reserved
        adjusted += account.adjusted
    return Balance(
        spent=spent, reserved=reserved, adjusted=adjusted, frozen=books.frozen(hold.key)
    )


def reserve(books: Books, reservation: Reservation) -> None:
    """See `Ledger.reserve`."""
    known = books.known(reservation.id)
    if known is not None:
        if (known.amount, known.record) != (reservation.amount, reservation.record):
            raise LedgerError(f"reservation {reservation.id!r} exists with other contents")
        return
    for hold in reservation.holds:
        if hold.hard:
            balance, amount = balance_of(books, hold), amount_in(hold, reservation)
            limit = hold.limit + balance.adjusted
            if balance.frozen or balance.spent + balance.reserved + amount > limit:
                raise exceeded(hold, balance, amount, "this call may cost up to")
    known = known_of(reservation)
    for part in known.parts:
        books.account(part.key, part.window_start).reserved += part.amount
    books.add(known, reservation, is_open=True)


def settle(books: Books, reservation_id: str, settlement: Settlement) -> Entry:
    """See `Ledger.settle`."""
    known = found(books, reservation_id)
    if known.past is None:
        return resolve(books, known, "settle", settlement, charge_of(settlement))
    if known.past.kind == "settle":
        if (known.past.cost, known.past.usage) != (settlement.cost.pico, settlement.usage):
            raise LedgerError(f"{reservation_id!r} was settled with another cost already")
        return known.past
    # Expired or released: the truth arrives late, and the difference is booked.
    return correct(books, known, settlement, charge_of(settlement))


def release(books: Books, reservation_id: str, at: datetime, outcome: str) -> None:
    """See `Ledger.release`."""
    known = books.known(reservation_id)
    if known is None:
        return  # interrupted before it was made: there is nothing to return
    nothing = Settlement(at=at, usage=Usage(), cost=Cost(pico=0), outcome=outcome)
    if known.past is None:
        resolve(books, known, "release", nothing, NOTHING)
    elif known.past.kind == "expire":
        correct(books, known, nothing, NOTHING)
    elif known.past.kind == "settle":
        raise LedgerError(f"{reservation_id!r} is settled and can no longer be released")


def post(
    books: Books,
    reservation: Reservation,
    settlement: Settlement,
    slabs: Mapping[str, str] | None = None,
) -> Entry:
    """See `Ledger.post`, and with `slabs` `SlabLedger.draw`."""
    known = books.known(reservation.id)
    if known is not None and settlement.released:
        release(books, reservation.id, settlement.at, settlement.outcome)
        assert known.past is not None
        return known.past
    if known is not None:
        return settle(books, reservation.id, settlement)
    known = known_of(reservation, posted=True)
    books.add(known, reservation, is_open=False)
    charge = charge_of(settlement) if settlement.charged else NOTHING
    kind: EntryKind = "release" if settlement.released else "settle"
    entry = line(known, kind, settlement, charge)
    spend(books, known, charge)
    books.append(entry)
    known.past = entry
    for part in known.parts:
        slab = books.known((slabs or {}).get(part.key, ""))
        if slab is not None:
            draw(books, slab, charge[part.unit], settlement.at)
    return entry


def sweep(books: Books, now: datetime) -> int:
    """See `Ledger.sweep`."""
    lost = list(books.overdue(now))
    for known in lost:
        charge: Charge = {"usd": known.amount, "tokens": known.tokens, "requests": 1}
        if known.slab:
            charge = {**NOTHING, known.parts[0].unit: known.rest}
        assumed = Settlement(
            at=now,
            usage=Usage(estimated=True),
            cost=Cost(pico=charge["usd"], rates_id=known.record.rates_id),
            outcome="lost",
        )
        resolve(books, known, "expire", assumed, charge)
    return len(lost)


def adjust(books: Books, adjustments: Sequence[Adjustment], holds: Sequence[Hold]) -> None:
    """See `Ledger.adjust`."""
    if any(books.adjusted(adjustment.id) for adjustment in adjustments):
        return
    taken: dict[tuple[str, datetime], int] = {}
    for adjustment, hold in zip(adjustments, holds, strict=True):
        if adjustment.amount < 0:
            at = adjustment.key, adjustment.window_start
            taken[at] = taken.get(at, 0) - adjustment.amount
            balance = balance_of(books, hold)
            room = hold.limit + balance.adjusted - balance.spent - balance.reserved
            if room < taken[at]:
                rest = replace(balance, frozen=False)  # a freeze is not what is in the way
                said = "this would take"
                raise exceeded(hold, rest, taken[at], said, advice="Nothing was changed.")
    for adjustment in adjustments:
        books.account(adjustment.key, adjustment.window_start).adjusted += adjustment.amount
        if adjustment.kind in {"freeze", "unfreeze"}:
            books.freeze(adjustment.key, adjustment.kind == "freeze")
        books.adjust(adjustment)


def give_back(books: Books, slab_id: str, at: datetime) -> None:
    """See `SlabLedger.give_back`."""
    slab = found(books, slab_id)
    if slab.past is None:
        end = Settlement(at=at, usage=Usage(), cost=Cost(pico=0), outcome="returned")
        resolve(books, slab, "release", end, NOTHING)
    elif slab.past.kind == "expire" and (charged := doubted(slab)):
        undo(books, slab, charged, at)


def extend(books: Books, slab_ids: Sequence[str], lease_until: datetime) -> list[str]:
    """See `SlabLedger.extend`."""
    still = [k for i in slab_ids if (k := books.known(i)) is not None and k.past is None]
    for known in still:
        books.extend(known, lease_until)
    return [known.id for known in still]
