"""A whole decision record in few bytes: names once, quotes by column, words by a dictionary."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cache, lru_cache
from importlib.resources import files
from itertools import chain
from operator import attrgetter
from typing import Any

from policies.types import Decision, Quote
from router.errors import RecordError
from router.packing.columns import DRAWS, read, write
from router.packing.numbers import Reader, Writer
from router.record import DecisionRecord, instant, json_value, record_from

LARGEST = 16 * 2**20
"""Bytes of JSON in a text: a record of a hundred candidates has some 50,000."""
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=json_value)
_CHEAPER = "cheaper_at"
_CHECK = 4
_FIRST = 48
_MOST = 2_000
"""Names are told apart by letters, from "0" on. More of them are written as before."""
_LONGEST = 2**20
"""Bytes: what a forged text can cost to read stays small."""
_COLUMNS = (DRAWS, *(f.name for f in fields(Quote) if f.name not in {"name", DRAWS}))
"""Draws before their spread."""
_cells = attrgetter(*_COLUMNS)
_BY_NAME = ("ranking", "rejected", "escalation", "propensities")
_DECIDED = tuple(f.name for f in fields(Decision) if f.name not in _BY_NAME)
_REST = tuple(
    f.name
    for f in fields(DecisionRecord)
    if f.name not in {"request_id", "quotes", "decision", "obstacles", "rates"}
)


class UnfitError(Exception):
    """The record has what this layout cannot say; JSON can."""


def to_bytes(record: DecisionRecord) -> bytes:
    """The record in few bytes; `from_bytes` gives an equal one.

    A head of JSON and the high bytes of floats, deflated; then an id in hex, as bytes; then the
    numbers of `Writer`; then the CRC-32 of it all.

    Raises:
        UnfitError: two quotes of one name, more than 50,000 names, or one that is no text.
    """
    decision = record.decision
    names = _names(record)
    letter = {name: chr(_FIRST + i) for i, name in enumerate(names)}
    writer = Writer()
    columns: list[list[Any]] = []
    known: dict[str, Any] = {}
    for name, values in zip(_COLUMNS, zip(*map(_cells, record.quotes), strict=True), strict=False):
        columns.append(write(name, values, writer, known))
        known[name] = values
    chances = list(decision.propensities.values())
    identity, digits = _split(record.request_id)
    head = [
        identity or len(digits),
        len(record.quotes),
        _COLUMNS,
        columns,
        _letters(decision.ranking, letter),
        _letters(decision.rejected, letter),
        list(decision.rejected.values()),
        _letters(decision.escalation, letter),
        _letters(decision.propensities, letter),
        write("", chances, writer, {}) if chances else [],
        {name: getattr(decision, name) for name in _DECIDED},
        _letters(record.obstacles, letter),
        list(record.obstacles.values()),
        _letters(record.rates, letter),
        [word for name in names for word in (name, _cut(name, record.rates.get(name)))],
        {name: getattr(record, name) for name in _REST},
    ]
    high, rest, doubles = writer.close()
    text = _JSON.encode([doubles, *head])
    deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS, zdict=_dictionary())
    plain = text.encode("utf-8", "surrogatepass") + b"\0" + high
    made = deflate.compress(plain) + deflate.flush() + digits + rest
    if len(made) > _LONGEST - _CHECK:
        raise UnfitError
    return made + zlib.crc32(made).to_bytes(_CHECK, "little")


def from_bytes(packed: bytes) -> DecisionRecord:
    """The record of such bytes.

    Raises:
        RecordError: they are damaged, or of none.
    """
    if len(packed) > _LONGEST:
        raise RecordError(f"expected a packed decision record, got {len(packed):,} bytes")
    made, check = packed[:-_CHECK], packed[-_CHECK:]
    if zlib.crc32(made).to_bytes(_CHECK, "little") != check:
        raise RecordError("expected a packed decision record: it is damaged or cut off")
    inflate = zlib.decompressobj(-zlib.MAX_WBITS, zdict=_dictionary())
    plain = inflate.decompress(made, LARGEST)
    if not inflate.eof:
        raise RecordError(f"expected a packed decision record, got more than {LARGEST:,} bytes")
    text, _, high = plain.partition(b"\0")
    return _record(json.loads(text.decode("utf-8", "surrogatepass")), high, inflate.unused_data)


def _record(head: Sequence[Any], high: bytes, numbers: bytes) -> DecisionRecord:
    doubles, identity, count, titles, columns, *decided = head
    ranking, rejected, whys, escalation, drawn, chances, words, *others = decided
    obstacles, reasons, priced, named, rest = others
    names = named[::2]
    if not 0 <= count <= len(names) <= _MOST:
        raise ValueError(f"expected at most {_MOST:,} names, and as many quotes at most")
    prices = dict(zip(names, named[1::2], strict=True))
    if isinstance(identity, int):
        numbers, identity = numbers[identity:], numbers[:identity].hex()
    reader = Reader(high, numbers, doubles)
    shared: dict[str, Any] = {}
    known: dict[str, Any] = {}
    for title, how in zip(titles, columns, strict=False):
        if len(how) == 1:
            shared[title] = how[0]
        else:
            known[title] = read(how, count, reader, known)
    if DRAWS in shared:
        shared[DRAWS] = tuple(shared[DRAWS])
    elif DRAWS in known:
        known[DRAWS] = list(map(tuple, known[DRAWS]))
    if known.get(_CHEAPER):
        known[_CHEAPER] = list(map(instant, known[_CHEAPER]))
    rows = zip(*known.values(), strict=True) if known else [()] * count
    quotes = [
        Quote(name=name, **shared, **dict(zip(known, row, strict=True)))
        for name, row in zip(names[:count], rows, strict=True)
    ]
    at = {chr(_FIRST + i): name for i, name in enumerate(names)}
    likely = read(chances, len(drawn), reader, {}) if chances else []
    decision = {
        **words,
        "ranking": [at[letter] for letter in ranking],
        "rejected": {at[letter]: why for letter, why in zip(rejected, whys, strict=True)},
        "escalation": [at[letter] for letter in escalation],
        "propensities": {at[letter]: p for letter, p in zip(drawn, likely, strict=True)},
    }
    return record_from(
        {
            **rest,
            "request_id": identity,
            "quotes": quotes,
            "decision": decision,
            "obstacles": {at[letter]: why for letter, why in zip(obstacles, reasons, strict=True)},
            "rates": {at[letter]: _uncut(at[letter], prices[at[letter]]) for letter in priced},
        }
    )


def _names(record: DecisionRecord) -> list[str]:
    """All names in the record, those of the quotes first."""
    decision = record.decision
    quoted = [quote.name for quote in record.quotes]
    names = list(
        dict.fromkeys(
            chain(
                quoted,
                record.obstacles,
                record.rates,
                decision.ranking,
                decision.rejected,
                decision.escalation,
                decision.propensities,
            )
        )
    )
    if len(set(quoted)) < len(quoted) or len(names) > _MOST or not _are_texts(names):
        raise UnfitError
    return names


def _are_texts(names: Iterable[object]) -> bool:
    return all(isinstance(name, str) for name in names)


def _letters(names: Iterable[str], letter: Mapping[str, str]) -> str:
    return "".join([letter[name] for name in names])


def _split(request_id: str) -> tuple[str, bytes]:
    """The id as text, or as the bytes that it is the hex of."""
    try:
        digits = bytes.fromhex(request_id)
    except ValueError:
        return request_id, b""
    return ("", digits) if digits and digits.hex() == request_id else (request_id, b"")


def _cut(name: str, row: str | None) -> str:
    """The id of a price row without the endpoint that it begins with."""
    if row is None:
        return ""
    endpoint = _endpoint(name)
    if row.startswith(endpoint) and row.startswith("/", len(endpoint)):
        return row[len(endpoint) :]
    return "=" + row


def _uncut(name: str, row: str) -> str:
    return row[1:] if row.startswith("=") else _endpoint(name) + row


@lru_cache(maxsize=1024)
def _endpoint(name: str) -> str:
    model, _, host = name.partition("@")
    return f"{model.partition(':')[0]}@{host}"


@cache
def _dictionary() -> bytes:
    """What heads are made of as a rule, the likeliest last. Texts in ledgers rest on it: it is
    never changed, and a better one is another version.
    """
    return files("router.packing").joinpath("words.txt").read_bytes().rstrip()
