"""Calls with what they took and what they cost in the end: a lost one with its late truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from router.ledgers import Entry


class Told(NamedTuple):
    """Calls of which it is known what they took, each with its cost (pico-dollars); and how many
    are left out: lost, and charged in full by assumption, or corrected where what was assumed
    is not among the lines.
    """

    calls: list[tuple[Entry, int]]
    lost: int


def told_of(entries: Sequence[Entry]) -> Told:
    """The calls of a ledger's lines, without answers out of the response cache, leases, and calls
    that were not charged.
    """
    ends = {e.reservation_id: e for e in entries if e.kind in {"expire", "release"}}
    corrected = {e.reservation_id for e in entries if e.kind == "correct"}
    calls: list[tuple[Entry, int]] = []
    lost = 0
    for entry in entries:
        if entry.kind == "correct":
            before = ends.get(entry.reservation_id)
            if before is None:
                lost += 1
            elif before.cost + entry.cost or entry.usage.input_tokens or entry.usage.output_tokens:
                calls.append((entry, before.cost + entry.cost))
        elif entry.kind == "expire":
            lost += entry.reservation_id not in corrected
        elif entry.kind == "settle" and entry.outcome != "cached":
            calls.append((entry, entry.cost))
    return Told(calls, lost)
