"""Made-up tables for row and field orders, and other ways to order them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence

from router.prompts import table
from router.prompts.table import Row, reorder

Rows = list[dict[str, str]]


def tables(rows: int = 1500) -> Iterator[tuple[str, Rows]]:
    """Tables by name: as jobs put them into prompts, a row a prompt."""
    chance = random.Random(7)
    many = range(rows)
    yield "reviews", [_review(chance, i, rows // 20) for i in many]
    yield "reviews, review first", [dict(reversed(r.items())) for r in _reviews(chance, rows)]
    yield "questions over documents", [_asked(chance, i) for i in many]
    yield (
        "few short kinds",
        [
            {
                "a": chance.choice("abc") * 4,
                "b": chance.choice("abcdefgh") * 8,
                "c": chance.choice("xy") * 2,
                "d": f"{chance.randrange(rows // 10):04}" * 9,
                "e": f"{i:05}" * 10,
            }
            for i in many
        ],
    )
    yield (
        "dates and places",
        [
            {
                "id": str(i),
                "day": f"2026-11-{chance.randint(1, 30):02}",
                "place": f"{'shop in the ' * 3}{chance.randrange(25)}",
                "text": f"{i} " * 20,
            }
            for i in many
        ],
    )
    yield (
        "nothing in common",
        [{"a": f"{i} " * 9, "b": f"{chance.random()}" * 3} for i in many],
    )


def _review(chance: random.Random, i: int, products: int) -> dict[str, str]:
    product = chance.randrange(products)
    return {
        "review": f"text {i} " * 30,
        "stars": str(chance.randint(1, 5)),
        "verified": chance.choice(["yes", "no"]),
        "product": f"p{product}" * 5,
        "description": f"what {product} is " * 20,
    }


def _reviews(chance: random.Random, rows: int) -> Rows:
    return [_review(chance, i, rows // 20) for i in range(rows)]


def _asked(chance: random.Random, i: int) -> dict[str, str]:
    first, second = (min(int(chance.paretovariate(0.9)), 400) for _ in range(2))
    return {
        "question": f"question {i} " * 6,
        "first": f"document {first} " * 60,
        "second": f"document {second} " * 60,
        "language": chance.choice(["en", "de", "fr"]),
    }


def shared(rows: Rows, made: Sequence[Row]) -> float:
    """The share of all characters that rows have in common with the row before, at the start."""
    total = 0
    for (one, before), (other, after) in itertools.pairwise(made):
        for field, next_ in zip(before, after, strict=False):
            if field != next_ or rows[one][field] != rows[other][field]:
                break
            total += len(rows[one][field])
    return total / sum(len(value) for row in rows for value in row.values())


def as_given(rows: Rows) -> list[Row]:
    """Nothing moved."""
    return [(i, tuple(row)) for i, row in enumerate(rows)]


def sorted_rows(rows: Rows) -> list[Row]:
    """Rows sorted, fields as they are."""
    return [(i, tuple(rows[i])) for i in _ranked(rows, tuple(rows[0]))]


def best_fixed(rows: Rows) -> list[Row]:
    """The best of all orders of fields that hold for all rows, which are sorted by it."""
    ways = itertools.permutations(rows[0])
    return max(
        ([(i, way) for i in _ranked(rows, way)] for way in ways), key=lambda m: shared(rows, m)
    )


def in_all(rows: Rows) -> list[Row]:
    """Greedy by what values save in all, as GGR weighs them."""
    kept, table._BY_ROW = table._BY_ROW, 0.0
    try:
        return reorder(rows)
    finally:
        table._BY_ROW = kept


def _ranked(rows: Rows, fields: tuple[str, ...]) -> list[int]:
    return sorted(range(len(rows)), key=lambda i: [rows[i][f] for f in fields])


WAYS: dict[str, Callable[[Rows], list[Row]]] = {
    "as given": as_given,
    "rows sorted": sorted_rows,
    "best fixed fields": best_fixed,
    "greedy, in all": in_all,
    "ours": reorder,
}
