"""How a line of the ledger comes about, and what it moves between accounts. Pure.

`router.ledgers.books` has the rules of when that is allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TypeAlias

from router.budgets.budget import Unit
from router.budgets.holds import Hold
from router.errors import LedgerError
from router.ledgers.entries import Entry, EntryKind, Reservation, Settlement
from router.ledgers.view import Books, Known, Part
from router.types import Cost, Usage

Charge: TypeAlias = Mapping[Unit, int]
"""An amount in each unit: pico-dollars, tokens, requests."""
NOTHING: Charge = {"usd": 0, "tokens": 0, "requests": 0}


def amount_in(hold: Hold, reservation: Reservation) -> int:
    """What a reservation sets aside in a hold, in its unit."""
    if hold.amount is not None:
        return hold.amount
    return {"usd": reservation.amount, "tokens": reservation.tokens, "requests": 1}[hold.unit]


def known_of(reservation: Reservation, *, posted: bool = False) -> Known:
    """A reservation as the store will have it; one that is `posted` sets nothing aside."""
    # Several budgets may share an account (a hard limit beside a soft one): it is moved once.
    parts: dict[tuple[str, datetime], Part] = {}
    for hold in reservation.holds:
        amount = 0 if posted else amount_in(hold, reservation)
        at = hold.key, hold.window_start
        if at not in parts or parts[at].amount < amount:
            parts[at] = Part(hold.key, hold.window_start, hold.unit, amount)
    return Known(
        id=reservation.id,
        amount=reservation.amount,
        tokens=reservation.tokens,
        record=reservation.record,
        parts=tuple(parts.values()),
        slab=reservation.slab,
    )


def found(books: Books, reservation_id: str) -> Known:
    """A reservation that must be there; raises LedgerError if it is not."""
    known = books.known(reservation_id)
    if known is None:
        raise LedgerError(f"no reservation {reservation_id!r} in this ledger")
    return known


def charge_of(settlement: Settlement) -> Charge:
    """What a call takes from its accounts, in each unit."""
    usage = settlement.usage
    tokens = settlement.tokens
    if tokens is None:
        tokens = usage.input_tokens + usage.output_tokens
    return {"usd": settlement.cost.pico, "tokens": tokens, "requests": 1}


def line(known: Known, kind: EntryKind, end: Settlement, adds: Charge) -> Entry:
    """The line for what `adds` says; nothing is booked yet."""
    return Entry(
        kind=kind,
        at=end.at,
        reservation_id=known.id,
        record=known.record,
        usage=end.usage,
        cost=adds["usd"],
        reserved=known.amount,
        overage=max(0, adds["usd"] - known.amount) if kind == "settle" else 0,
        outcome=end.outcome,
        finish_reason=end.finish_reason,
        seconds=end.seconds,
        tokens=adds["tokens"],
        requests=adds["requests"],
        saved=end.saved,
        rates_id=end.cost.rates_id,
    )


def spend(books: Books, known: Known, charge: Charge) -> None:
    """Add a charge to what its accounts have spent."""
    # A reservation settles in the window it was made in, however late.
    for part in known.parts:
        books.account(part.key, part.window_start).spent += charge[part.unit]


def resolve(books: Books, known: Known, kind: EntryKind, end: Settlement, charge: Charge) -> Entry:
    """End an open reservation: what it set aside returns, what it takes is spent."""
    entry = line(known, kind, end, charge)
    for part in known.parts:
        books.account(part.key, part.window_start).reserved -= part.amount - known.drawn
    spend(books, known, charge)
    known.past = entry
    books.close(known)
    books.append(entry)
    return entry


def correct(books: Books, known: Known, truth: Settlement, charge: Charge) -> Entry:
    """Book the difference between what was charged and the truth, once."""
    assert known.past is not None
    past = known.past
    delta: Charge = {unit: amount - past.adds(unit) for unit, amount in charge.items()}
    if known.corrected is not None:
        if any(known.corrected.adds(unit) != amount for unit, amount in delta.items()):
            raise LedgerError(f"{known.id!r} was corrected to another cost already")
        return known.corrected
    entry = line(known, "correct", truth, delta)
    spend(books, known, delta)
    known.corrected = entry
    books.append(entry)
    return entry


def draw(books: Books, slab: Known, amount: int, at: datetime) -> None:
    """Take what a call cost out of a slab, or out of what was assumed when its lease ended."""
    if slab.past is None:
        taken = min(amount, slab.rest)
        slab.drawn += taken
        part = slab.parts[0]
        books.account(part.key, part.window_start).reserved -= taken
        books.drew(slab)
    elif slab.past.kind == "expire" and (taken := min(amount, doubted(slab))):
        undo(books, slab, taken, at)


def doubted(slab: Known) -> int:
    """What of an expired slab is charged by assumption only, still."""
    assert slab.past is not None
    unit = slab.parts[0].unit
    undone = 0 if slab.corrected is None else slab.corrected.adds(unit)
    return slab.past.adds(unit) + undone


def undo(books: Books, slab: Known, amount: int, at: datetime) -> None:
    """Take back some of what an expired slab was charged by assumption."""
    delta: Charge = {**NOTHING, slab.parts[0].unit: -amount}
    end = Settlement(at=at, usage=Usage(), cost=Cost(pico=0), outcome="lost, found")
    entry = line(slab, "correct", end, delta)
    spend(books, slab, delta)
    books.append(entry)
    before = slab.corrected
    # Of several corrections the store gives the sum.
    slab.corrected = (
        entry
        if before is None
        else replace(
            entry,
            cost=entry.cost + before.cost,
            tokens=entry.tokens + before.tokens,
            requests=entry.requests + before.requests,
        )
    )
