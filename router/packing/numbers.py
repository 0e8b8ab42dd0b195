"""Columns of numbers in few bits: integers by their range, floats bit for bit."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import islice

DOUBLE, SINGLE = 8, 4


class Writer:
    """Takes columns of numbers in, and gives them as bytes."""

    def __init__(self) -> None:
        self._bits = self._length = 0
        self._doubles: list[float] = []
        self._singles: list[float] = []
        self._patterns: dict[tuple[int, ...], int] = {}

    def integers(self, values: Sequence[int]) -> list[int]:
        """Writes them; the answer is what reads them: the least one, their unit, bits of each."""
        low = min(0, *values)
        if low:
            values = [value - low for value in values]
        step = math.gcd(*values) or 1
        width = (max(values) // step).bit_length()
        bits = 0
        for value in reversed(values):
            bits = bits << width | value // step
        self._add(bits, width * len(values))
        return [low, step, width]

    def pattern(self, indices: Sequence[int], among: int) -> int:
        """Writes which of so many values stand where, once for each such arrangement."""
        key = tuple(indices)
        if key not in self._patterns:
            self._patterns[key] = len(self._patterns)
            width = (among - 1).bit_length()
            bits = 0
            for index in reversed(indices):
                bits = bits << width | index
            self._add(bits, width * len(indices))
        return self._patterns[key]

    def floats(self, values: Sequence[float], size: int) -> None:
        """Writes floats that have 8 or 4 bytes."""
        (self._doubles if size == DOUBLE else self._singles).extend(values)

    def _add(self, bits: int, length: int) -> None:
        self._bits |= bits << self._length
        self._length += length

    def close(self) -> tuple[bytes, bytes, int]:
        """The high bytes of all floats, which are much alike; all else; how many are of 8."""
        doubles = struct.pack(f"<{len(self._doubles)}d", *self._doubles)
        singles = struct.pack(f"<{len(self._singles)}f", *self._singles)
        rest = b"".join(
            [
                self._bits.to_bytes((self._length + 7) // 8, "little"),
                *(doubles[i::DOUBLE] for i in range(DOUBLE - 1)),
                *(singles[i::SINGLE] for i in range(SINGLE - 1)),
            ]
        )
        return doubles[7::DOUBLE] + singles[3::SINGLE], rest, len(self._doubles)


class Reader:
    """Gives the columns that a `Writer` took, in the same order.

    Raises:
        ValueError: there are not so many.
    """

    def __init__(self, high: bytes, rest: bytes, doubles: int) -> None:
        singles = len(high) - doubles
        floats = doubles * (DOUBLE - 1) + singles * (SINGLE - 1)
        if not 0 <= doubles <= len(high) or len(rest) < floats:
            raise ValueError("its numbers are cut off")
        start = len(rest) - floats
        middle = start + doubles * (DOUBLE - 1)
        self._bits = int.from_bytes(rest[:start], "little")
        self._left = 8 * start
        planes = _joined(rest[start:middle], high[:doubles], DOUBLE)
        self._doubles = iter(struct.unpack(f"<{doubles}d", planes))
        planes = _joined(rest[middle:], high[doubles:], SINGLE)
        self._singles = iter(struct.unpack(f"<{singles}f", planes))
        self._patterns: list[list[int]] = []

    def integers(self, count: int, low: int, step: int, width: int) -> list[int]:
        taken = self._take(count, width)
        return [low + step * value for value in taken] if low or step != 1 else taken

    def pattern(self, number: int, count: int, among: int) -> list[int]:
        if number == len(self._patterns):
            self._patterns.append(self._take(count, (among - 1).bit_length()))
        return self._patterns[number]

    def floats(self, count: int, size: int) -> list[float]:
        source = self._doubles if size == DOUBLE else self._singles
        found = list(islice(source, count))
        if len(found) < count:
            raise ValueError("its numbers are cut off")
        return found

    def _take(self, count: int, width: int) -> list[int]:
        if not 0 <= count * width <= self._left:
            raise ValueError("its numbers are cut off")
        bits, mask = self._bits, (1 << width) - 1
        taken = [bits >> at & mask for at in range(0, count * width, width)] if width else []
        self._bits >>= count * width
        self._left -= count * width
        return taken or [0] * count


def _joined(low: bytes, high: bytes, size: int) -> bytes:
    """Numbers of `size` bytes, of which one plane after the other was written."""
    joined = bytearray(len(high) * size)
    for i in range(size - 1):
        joined[i::size] = low[i * len(high) : (i + 1) * len(high)]
    joined[size - 1 :: size] = high
    return bytes(joined)
