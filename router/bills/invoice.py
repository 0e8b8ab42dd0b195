"""A host's bill read from its files: CSV, JSON lines, or the zip that DeepSeek exports."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from router.bills.amounts import repeats_over
from router.bills.asked import check_reading, paths_of
from router.bills.lines import BillLine, Invoice
from router.bills.parse import InvoiceFile
from router.errors import ConfigError

_LARGEST = 512 * 2**20
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError),
    *(RuntimeError, EOFError, OSError, ValueError),
)
"""What an archive that was cut, damaged or locked raises, by how it was packed."""


def read_invoice(
    *files: str | Path,
    columns: Mapping[str, str] | None = None,
    host: str | None = None,
    tz: str | None = None,
    currency: str | None = None,
    exchange: Mapping[str, str | Decimal] | None = None,
    decimal: str | None = None,
) -> Invoice:
    """The lines of a bill. Its form is told by its header; `columns` names them (role -> column).

    `tz` is the zone of its days and of instants without an offset (UTC), `exchange` USD for one
    unit of a currency, `decimal` the decimal mark where the file does not tell. Of DeepSeek's two
    files only the amounts are taken, and the currency of the other. Keys are left where they are.

    Raises:
        ConfigError: a file that cannot be read, of no known form, or with a line that makes no
            sense: which line, what was expected.
    """
    if not files:
        raise ConfigError("expected the file of an invoice, got none")
    check_reading(
        {"host": host, "tz": tz, "currency": currency, "decimal": decimal},
        {"columns": columns, "exchange": exchange},
    )
    parts = [part for path in paths_of(files) for part in _texts(path)]
    names: Counter[str] = Counter()
    read = []
    for name, text in _with_currency(parts):
        names[name] += 1
        told = name if names[name] == 1 else f"{name} ({names[name]})"  # of another folder
        file = InvoiceFile(told, text, columns=columns, decimal=decimal)
        read.append(file.invoice(tz, currency, exchange))
    amounts = [r for r in read if "amount-" in r.shape]
    costs = [r for r in read if "cost-" in r.shape]
    if amounts and costs:
        read = [_checked(amounts, costs), *(r for r in read if r not in amounts + costs)]
    whole = _joined(read)
    return whole if host is None else replace(whole, host=host)


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    name, whole = (x.encode(errors="backslashreplace").decode() for x in (path.name, str(path)))
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(f"{whole}: expected an invoice of at most {_LARGEST >> 20} MiB")
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigError(f"cannot read {whole}: {why}") from error
    if not raw.startswith(b"PK\x03\x04"):
        yield name, _decoded(raw, name)
        return
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for part in archive.infolist():
                if part.filename.lower().endswith((".csv", ".jsonl", ".json")):
                    if part.file_size > _LARGEST:
                        raise ConfigError(f"{name}: {part.filename} is too large")
                    yield part.filename, _decoded(archive.read(part), part.filename)
    except _BROKEN as error:
        raise ConfigError(f"cannot read {whole}: {error}; download it again") from error


def _decoded(raw: bytes, name: str) -> str:
    wide = raw.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return raw.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{name}, line {line}: expected UTF-8; save the file as UTF-8") from None


def _with_currency(parts: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    if not parts:
        raise ConfigError("expected a CSV or JSON file in the archive, it has none")
    return sorted(parts, key=lambda part: "cost" not in part[0].rsplit("/", 1)[-1].lower())


def _checked(amounts: Sequence[Invoice], costs: Sequence[Invoice]) -> Invoice:
    """DeepSeek's amounts, which have tokens, in the currency of its costs; and whether they agree.

    The amounts were read as USD where nobody named another currency.
    """
    worth, unit = costs[0].rate, costs[0].currency
    lines = [line for part in amounts for line in part.lines]
    if amounts[0].currency != unit and amounts[0].rate == 1:
        lines = [
            replace(line, amount=int(Decimal(line.amount) * worth))
            if line.amount is not None
            else line
            for line in lines
        ]
    notes = [note for part in amounts for note in part.notes if "currency" not in note]
    notes += [note for part in costs for note in part.notes]
    both = [sum(line.amount or 0 for line in found) for found in (lines, _all(costs))]
    if abs(both[0] - both[1]) > max(10**16, abs(both[1]) // 200):
        notes.append(
            f"its amounts make {Decimal(both[0]) / 10**18:.2f} USD, its costs "
            f"{Decimal(both[1]) / 10**18:.2f} USD: something on it is charged beside tokens"
        )
    whole = _joined(amounts)
    files = (*whole.files, *(name for part in costs for name in part.files))
    return replace(
        whole, lines=tuple(lines), currency=unit, rate=worth, notes=tuple(notes), files=files
    )


def _all(parts: Sequence[Invoice]) -> list[BillLine]:
    return [line for part in parts for line in part.lines]


def _joined(parts: Sequence[Invoice]) -> Invoice:
    first = parts[0]
    hosts = {part.host for part in parts}
    if len(hosts) > 1 or len({part.currency for part in parts}) > 1:
        raise ConfigError("expected files of one host in one currency; read them one by one")
    lines = repeats_over([part.lines for part in parts])
    return replace(
        first,
        lines=tuple(lines),
        repeated=tuple(n for _, n in dict.fromkeys((b.file, b.line) for b in lines if b.repeats)),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        files=tuple(name for part in parts for name in part.files),
    )
