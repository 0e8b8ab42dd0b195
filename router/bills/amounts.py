"""Lines beside each other: taken back, without an amount, or in several files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from router.bills.lines import BillLine


def reversed_out(lines: Sequence[BillLine]) -> list[BillLine]:
    """The lines, where a credit of exactly an earlier line's amount is that line taken back."""
    open_: Counter[tuple[object, ...]] = Counter()
    found = []
    for line in lines:
        amount = line.amount or 0
        same = (line.day, line.model, line.kind, line.key)
        if line.nature == "usage" and amount > 0:
            open_[(*same, amount)] += 1
        elif line.nature == "credit" and amount < 0 and line.model and open_[(*same, -amount)]:
            open_[(*same, -amount)] -= 1
            line = replace(line, nature="usage")  # noqa: PLW2901
        found.append(line)
    return found


def without_amount(lines: Sequence[BillLine]) -> list[int]:
    """Numbers of lines that have tokens and no amount at all, where other lines have amounts."""
    priced = {line.line for line in lines if line.amount is not None}
    if not priced:
        return []
    return sorted({line.line for line in lines if line.tokens} - priced)


def repeats_over(files: Sequence[Sequence[BillLine]]) -> list[BillLine]:
    """The lines of several files; one that is in an earlier file too is marked as a repeat."""
    if len(files) == 1:
        return list(files[0])
    found: list[BillLine] = []
    seen: Counter[tuple[object, ...]] = Counter()
    for lines in files:
        here: Counter[tuple[object, ...]] = Counter()
        for line in lines:
            same = (
                *(line.day, line.model, line.kind, line.nature, line.key, line.ident),
                *(line.tokens, line.requests, line.amount),
            )
            here[same] += 1
            counts = line.amount or line.tokens or line.requests
            again = bool(counts) and here[same] <= seen[same]
            found.append(replace(line, repeats=line.repeats or again))
        seen |= here
    return found
