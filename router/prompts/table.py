"""Rows of a table in an order, each with its fields in an order, that share prefixes. Pure.

For jobs that put each row into a prompt, where the caller says that the order of fields is no
meaning. Greedy group recursion (GGR, arXiv 2403.05821): what saves the most goes first, with all
rows that have it; then the same within them, without it, and among the rows that are left. Unlike
there, no dependencies between fields are declared: what goes along with a value is read off, and
what a value saves is weighed by row, or short values of few kinds would tear the long ones apart.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from router.errors import InvalidRequestError

Cell: TypeAlias = tuple[str, str]
"""A field and its value."""
Row: TypeAlias = tuple[int, tuple[str, ...]]
"""A row by its position, and its fields in the order in which they are to be written."""

_BY_ROW = 0.8
"""0 compares what values save in all, as GGR does, 1 what they save in each row. On six made-up
tables (`benchmarks/batching.py`) this shares as much as the best, and twice as much on one."""


def reorder(rows: Sequence[Mapping[str, str]], weigh: Callable[[str], int] = len) -> list[Row]:
    """All rows, each once and with all its fields; rows that begin alike follow each other.

    `weigh` says how long a value is: characters, or tokens where they are counted. What nothing
    is gained by keeps its order. Two fields are never one, whatever their values.

    Raises:
        InvalidRequestError: a row that is no mapping of texts.
    """
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping) or not all(
            isinstance(text, str) for cell in row.items() for text in cell
        ):
            raise InvalidRequestError(
                f"rows[{i}]: expected a dict of texts by field", param=f"rows[{i}]"
            )
    weights = {value: weigh(value) for row in rows for value in row.values()}
    return list(_grouped(rows, list(range(len(rows))), (), weights))


def _grouped(
    rows: Sequence[Mapping[str, str]],
    members: list[int],
    first: tuple[str, ...],
    weights: Mapping[str, int],
) -> Iterator[Row]:
    """The members in their order, each beginning with the fields `first`, which they share."""
    where: dict[Cell, set[int]] = {}
    for i in members:
        for cell in rows[i].items():
            if cell[0] not in first:
                where.setdefault(cell, set()).add(i)
    left = set(members)
    heap = [
        (-_worth(rows, found, first, weights), min(found), cell)
        for cell, found in where.items()
        if len(found) > 1
    ]
    heapq.heapify(heap)
    while heap:
        promised, _, cell = heapq.heappop(heap)
        found = where[cell] & left
        if len(found) < 2:
            continue
        if (now := -_worth(rows, found, first, weights)) > promised:
            heapq.heappush(heap, (now, min(found), cell))  # others took rows of it
            continue
        left -= found
        group = sorted(found)
        alike = [f for f, _ in _alike(rows, group, first)]
        yield from _grouped(rows, group, (*first, *alike), weights)
    for i in sorted(left):
        yield i, (*first, *(f for f in rows[i] if f not in first))


def _worth(
    rows: Sequence[Mapping[str, str]],
    members: set[int],
    first: tuple[str, ...],
    weights: Mapping[str, int],
) -> float:
    """What need not be read again when these rows follow each other, as it is compared."""
    alike = sum(weights[value] for _, value in _alike(rows, sorted(members), first))
    return float(alike * (len(members) - 1) / len(members) ** _BY_ROW)


def _alike(
    rows: Sequence[Mapping[str, str]], members: list[int], first: tuple[str, ...]
) -> list[Cell]:
    """The cells that all the members have, in the order of the first of them."""
    one, *others = members
    return [
        (field, value)
        for field, value in rows[one].items()
        if field not in first and all(rows[i].get(field) == value for i in others)
    ]
