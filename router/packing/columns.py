"""Quotes by column: what all of them share once, numbers as bits."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from router.packing.numbers import DOUBLE, SINGLE, Reader, Writer

_NEAR = 2**20
"""Of floats beside a value that is computed: units in the last place."""
_ALIKE = frozenset({str, bool, type(None), int, float})
DRAWS, SPREAD = "quality_draws", "quality_se"


def write(name: str, values: Sequence[Any], writer: Writer, known: Mapping[str, Any]) -> list[Any]:
    """Writes a column of at least one value; the answer is JSON-able and reads it again.

    Its kinds: `[value]` (all have it), `["j", values]` (anything), `["v", table, ...]` (texts,
    yes and no), `["i", ...]` and `["u", ...]` (integers, and few different ones), `["d", ...]`
    (floats), `["t", size, length, ...]` (tuples of floats), `["s", ...]` (floats beside the
    spread of the draws) and `["?", which, column]` (the others are None). `known` has the columns
    before this one, by name.
    """
    first = values[0]
    if first is None and values.count(None) == len(values):
        return [None]
    kinds: set[type] = set(map(type, values))
    if len(kinds) > 1 and type(None) in kinds:
        there = [value is not None for value in values]
        which = writer.pattern(list(map(int, there)), 2)
        rest = [value for value in values if value is not None]
        return ["?", which, write("", rest, writer, known)]
    kind = kinds.pop() if len(kinds) == 1 else None
    alike = kind in _ALIKE and values.count(first) == len(values)
    if alike and (first or kind is not float or len(set(map(repr, values))) == 1):
        return [first]  # but 0.0 is equal to -0.0
    if kind is str or kind is bool:
        table = list(dict.fromkeys(values))
        return ["v", table, *_places(values, table, writer)]
    if kind is int:
        table = list(dict.fromkeys(values))
        if 2 * len(table) > len(values):
            return ["i", *writer.integers(values)]
        return ["u", *writer.integers(table), *_places(values, table, writer)]
    if kind is float:
        if name == SPREAD and (beside := _beside(values, known.get(DRAWS, ()))):
            return ["s", *writer.integers(beside)]
        table = _different(values)
        if len(table) == 1:
            return [first]
        writer.floats(table, DOUBLE)
        return ["d", *_places(values, table, writer)]
    if kind is tuple:
        return _tuples(values, writer)
    return ["j", list(values)]


def read(
    how: Sequence[Any], count: int, reader: Reader, known: Mapping[str, Any]
) -> Sequence[Any]:
    """The column of so many values that `write` described so.

    Raises:
        ValueError, TypeError, IndexError, KeyError: it describes none.
    """
    if len(how) == 1:
        return [how[0]] * count
    kind, *said = how
    if kind == "j":
        return list(said[0])
    if kind == "i":
        return reader.integers(count, *said)
    if kind == "s":
        near, beside = _spreads(known[DRAWS]), reader.integers(count, *said)
        if not any(beside):
            return near
        bits = [there + by for there, by in zip(_bits(near), beside, strict=True)]
        return list(struct.unpack(f"<{count}d", struct.pack(f"<{count}q", *bits)))
    if kind == "?":
        number, inner = said
        there = reader.pattern(number, count, 2)
        found = iter(read(inner, sum(there), reader, known))
        return [next(found) if is_there else None for is_there in there]
    *said, among, number = said
    if among > count:
        raise ValueError("it has more values than quotes")
    if kind == "v":
        return _placed(said[0], number, count, reader)
    if kind == "u":
        return _placed(reader.integers(among or count, *said), number, count, reader)
    if kind == "d":
        return _placed(reader.floats(among or count, DOUBLE), number, count, reader)
    if kind == "t":
        size, length = said
        flat = reader.floats(length * (among or count), size)
        rows = [tuple(flat[i : i + length]) for i in range(0, len(flat), length)]
        return _placed(rows, number, count, reader)
    raise ValueError(f"no kind of column: {kind!r}")


def _places(values: Sequence[Any], table: Sequence[Any], writer: Writer) -> tuple[int, int]:
    """How many different ones there are, and what says which stands where; 0, 0: all differ."""
    if len(table) == len(values):
        return 0, 0
    at = {value: i for i, value in enumerate(table)}
    return len(table), writer.pattern([at[value] for value in values], len(table))


def _placed(table: list[Any], number: int, count: int, reader: Reader) -> list[Any]:
    if len(table) == count:
        return table
    return [table[i] for i in reader.pattern(number, count, len(table))]


def _different(values: Sequence[float]) -> list[float]:
    """The values, each once; as they are where some are zero, for 0.0 is equal to -0.0."""
    return list(values if 0.0 in values else dict.fromkeys(values))


def _tuples(values: Sequence[tuple[Any, ...]], writer: Writer) -> list[Any]:
    length = len(values[0])
    flat = [number for row in values for number in row]
    if not flat:
        return [()]
    if set(map(len, values)) != {length} or set(map(type, flat)) != {float}:
        return ["j", list(values)]
    table = list(values if 0.0 in flat else dict.fromkeys(values))
    if len(table) < len(values):
        flat = [number for row in table for number in row]
    size = SINGLE if _are_single(flat) else DOUBLE
    writer.floats(flat, size)
    return ["t", size, length, *_places(values, table, writer)]


def _are_single(values: Sequence[float]) -> bool:
    """Whether they are floats of 4 bytes as well."""
    layout = f"<{len(values)}f"
    try:
        return struct.unpack(layout, struct.pack(layout, *values)) == tuple(values)
    except OverflowError:
        return False


def _beside(values: Sequence[float], draws: Sequence[Any]) -> list[int]:
    """How far floats are from the spread of these draws; nothing where that is no short cut."""
    if 0.0 in values or not draws:
        return []
    if not all(type(row) is tuple and row and set(map(type, row)) == {float} for row in draws):
        return []
    near = _spreads(draws)
    if near == list(values):
        return [0] * len(near)
    beside = [ours - theirs for ours, theirs in zip(_bits(values), _bits(near), strict=True)]
    return beside if max(map(abs, beside)) < _NEAR else []


def _spreads(draws: Sequence[Sequence[float]]) -> list[float]:
    """The standard deviation of each, as a packed text means it: this is never to be changed.

    Plain additions, for `sum` of floats is another one from Python 3.12 on.
    """
    found: dict[tuple[float, ...], float] = {}
    rows = list(map(tuple, draws))
    for row in rows:
        if row not in found:
            total = squares = 0.0
            for p in row:
                total += p
            mean = total / len(row)
            for p in row:
                squares += (p - mean) * (p - mean)
            found[row] = math.sqrt(squares / len(row))
    return [found[row] for row in rows]


def _bits(values: Sequence[float]) -> tuple[int, ...]:
    return struct.unpack(f"<{len(values)}q", struct.pack(f"<{len(values)}d", *values))
