"""What an invoice holds, whichever host wrote it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, tzinfo
from decimal import Decimal
from typing import Literal, TypeAlias

from router.money import to_usd

Kind: TypeAlias = Literal[
    "input", "cache_read", "cache_write", "cache_write_1h", "output", "request", "all"
]
"""What a line charges: fresh input, tokens read from or written to a cache (for an hour), output,
requests, or everything together."""
KINDS: tuple[Kind, ...] = ("input", "cache_read", "cache_write", "cache_write_1h", "output")
Nature: TypeAlias = Literal["usage", "tax", "credit", "other"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One charge of an invoice. `line` is its number in the file, from 1.

    `amount` is atto-dollars (1e-18 USD), None where the file names none; `tokens` and `requests`
    likewise. `model` is the host's word, "" where it names none; `key` is the NAME of an API key.
    `repeats` says that an earlier line, of any file, is the same; `rounding` (atto-dollars) is
    half a unit of the last place in which the file writes amounts. `host` is whose line it is,
    where a file of several hosts tells.
    """

    line: int
    day: date
    model: str
    kind: Kind
    nature: Nature = "usage"
    tokens: int | None = None
    requests: int | None = None
    amount: int | None = None
    key: str = ""
    ident: str = ""
    file: str = ""
    repeats: bool = False
    rounding: int = 0
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """The lines of a host's bill. Days are in `zone`; `host` is "" where the file does not tell.

    `shape` is the form that was recognised, and `seen` whether it was seen in real use or only
    described. `repeated` are numbers of lines that repeat an earlier one (of several files, see
    `BillLine.file` and `repeats`); `currency` and `rate` (USD for one of it) are of the file.
    `notes` is what was left out, or not as expected.
    """

    lines: tuple[BillLine, ...]
    shape: str
    seen: str
    host: str = ""
    zone: tzinfo = UTC
    currency: str = "USD"
    rate: Decimal = Decimal(1)
    repeated: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    files: tuple[str, ...] = field(default=())

    def of(self, nature: Nature) -> Iterator[BillLine]:
        """The lines of a nature: usage, tax, credit or other."""
        return (line for line in self.lines if line.nature == nature)

    def amount(self, nature: Nature | None = None) -> Decimal:
        """The sum of amounts in USD, to 1e-12: of one nature, or of the whole bill."""
        lines = self.lines if nature is None else tuple(self.of(nature))
        return to_usd(sum(line.amount or 0 for line in lines) // 10**6)

    @property
    def days(self) -> tuple[date, ...]:
        """The days that have lines, in order."""
        return tuple(sorted({line.day for line in self.lines}))
