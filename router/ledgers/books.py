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
from typing import TypeAlias

from router.budgets.budget import Unit
from router.budgets.holds import Balance, Hold, exceeded
from router.errors import LedgerError
from router.ledgers.entries import Adjustment, Entry, EntryKind, Reservation, Settlement
from router.ledgers.view import Account, Books, Known, Part
from router.types import Cost, Usage

Charge: TypeAlias = Mapping[Unit, int]
_NOTHING: Charge = {"usd": 0, "tokens": 0, "requests": 0}


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
    known = _known(reservation)
    for part in known.parts:
        books.account(part.key, part.window_start).reserved += part.amount
    books.add(known, reservation, is_open=True)


def settle(books: Books, reservation_id: str, settlement: Settlement) -> Entry:
    """See `Ledger.settle`."""
    known = _found(books, reservation_id)
    if known.past is None:
        return _resolve(books, known, "settle", settlement, _charge(settlement))
    if known.past.kind == "settle":
        if (known.past.cost, known.past.usage) != (settlement.cost.pico, settlement.usage):
            raise LedgerError(f"{reservation_id!r} was settled with another cost already")
        return known.past
    # Expired or released: the truth arrives late, and the difference is booked.
    return _correct(books, known, settlement, _charge(settlement))


def release(books: Books, reservation_id: str, at: datetime, outcome: str) -> None:
    """See `Ledger.release`."""
    known = books.known(reservation_id)
    if known is None:
        return  # interrupted before it was made: there is nothing to return
    nothing = Settlement(at=at, usage=Usage(), cost=Cost(pico=0), outcome=outcome)
    if known.past is None:
        _resolve(books, known, "release", nothing, _NOTHING)
    elif known.past.kind == "expire":
        _correct(books, known, nothing, _NOTHING)
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
    known = _known(reservation, posted=True)
    books.add(known, reservation, is_open=False)
    charge = _charge(settlement) if settlement.charged else _NOTHING
    kind: EntryKind = "release" if settlement.released else "settle"
    entry = _line(known, kind, settlement, charge)
    _spend(books, known, charge)
    books.append(entry)
    known.past = entry
    for part in known.parts:
        slab = books.known((slabs or {}).get(part.key, ""))
        if slab is not None:
            _draw(books, slab, charge[part.unit], settlement.at)
    return entry


def sweep(books: Books, now: datetime) -> int:
    """See `Ledger.sweep`."""
    lost = list(books.overdue(now))
    for known in lost:
        charge: Charge = {"usd": known.amount, "tokens": known.tokens, "requests": 1}
        if known.slab:
            charge = {**_NOTHING, known.parts[0].unit: known.rest}
        assumed = Settlement(
            at=now,
            usage=Usage(estimated=True),
            cost=Cost(pico=charge["usd"], rates_id=known.record.rates_id),
            outcome="lost",
        )
        _resolve(books, known, "expire", assumed, charge)
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
    slab = _found(books, slab_id)
    if slab.past is None:
        end = Settlement(at=at, usage=Usage(), cost=Cost(pico=0), outcome="returned")
        _resolve(books, slab, "release", end, _NOTHING)
    elif slab.past.kind == "expire" and (doubted := _doubted(slab)):
        _undo(books, slab, doubted, at)


def extend(books: Books, slab_ids: Sequence[str], lease_until: datetime) -> list[str]:
    """See `SlabLedger.extend`."""
    still = [k for i in slab_ids if (k := books.known(i)) is not None and k.past is None]
    for known in still:
        books.extend(known, lease_until)
    return [known.id for known in still]


def amount_in(hold: Hold, reservation: Reservation) -> int:
    """What a reservation sets aside in a hold, in its unit."""
    if hold.amount is not None:
        return hold.amount
    return {"usd": reservation.amount, "tokens": reservation.tokens, "requests": 1}[hold.unit]


def _known(reservation: Reservation, *, posted: bool = False) -> Known:
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


def _found(books: Books, reservation_id: str) -> Known:
    known = books.known(reservation_id)
    if known is None:
        raise LedgerError(f"no reservation {reservation_id!r} in this ledger")
    return known


def _charge(settlement: Settlement) -> Charge:
    usage = settlement.usage
    tokens = settlement.tokens
    if tokens is None:
        tokens = usage.input_tokens + usage.output_tokens
    return {"usd": settlement.cost.pico, "tokens": tokens, "requests": 1}


def _line(known: Known, kind: EntryKind, end: Settlement, adds: Charge) -> Entry:
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


def _spend(books: Books, known: Known, charge: Charge) -> None:
    # A reservation settles in the window it was made in, however late.
    for part in known.parts:
        books.account(part.key, part.window_start).spent += charge[part.unit]


def _resolve(
    books: Books, known: Known, kind: EntryKind, end: Settlement, charge: Charge
) -> Entry:
    entry = _line(known, kind, end, charge)
    for part in known.parts:
        books.account(part.key, part.window_start).reserved -= part.amount - known.drawn
    _spend(books, known, charge)
    known.past = entry
    books.close(known)
    books.append(entry)
    return entry


def _correct(books: Books, known: Known, truth: Settlement, charge: Charge) -> Entry:
    assert known.past is not None
    past = known.past
    delta: Charge = {unit: amount - past.adds(unit) for unit, amount in charge.items()}
    if known.corrected is not None:
        if any(known.corrected.adds(unit) != amount for unit, amount in delta.items()):
            raise LedgerError(f"{known.id!r} was corrected to another cost already")
        return known.corrected
    entry = _line(known, "correct", truth, delta)
    _spend(books, known, delta)
    known.corrected = entry
    books.append(entry)
    return entry


def _draw(books: Books, slab: Known, amount: int, at: datetime) -> None:
    """Take what a call cost out of a slab, or out of what was assumed when its lease ended."""
    if slab.past is None:
        taken = min(amount, slab.rest)
        slab.drawn += taken
        part = slab.parts[0]
        books.account(part.key, part.window_start).reserved -= taken
        books.drew(slab)
    elif slab.past.kind == "expire" and (taken := min(amount, _doubted(slab))):
        _undo(books, slab, taken, at)


def _doubted(slab: Known) -> int:
    """What of an expired slab is charged by assumption only, still."""
    assert slab.past is not None
    unit = slab.parts[0].unit
    undone = 0 if slab.corrected is None else slab.corrected.adds(unit)
    return slab.past.adds(unit) + undone


def _undo(books: Books, slab: Known, amount: int, at: datetime) -> None:
    delta: Charge = {**_NOTHING, slab.parts[0].unit: -amount}
    end = Settlement(at=at, usage=Usage(), cost=Cost(pico=0), outcome="lost, found")
    entry = _line(slab, "correct", end, delta)
    _spend(books, slab, delta)
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
