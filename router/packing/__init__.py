"""Decision records as one word of text, for a row of the ledger."""

from __future__ import annotations

import base64
import binascii
import logging
import struct
import zlib
from typing import Protocol

from router.errors import RecordError
from router.packing.whole import LARGEST, UnfitError, from_bytes, to_bytes
from router.record import DecisionRecord

_log = logging.getLogger("router")

_SECOND = "2"
"""How a text of this version begins; what `zlib` made begins with an "e" in base 64."""
_DAMAGED = "expected a packed decision record"


def pack(record: DecisionRecord) -> str:
    """A record as text without spaces or quotes; `unpack` gives an equal one."""
    try:
        return _SECOND + base64.b64encode(to_bytes(record)).decode("ascii").rstrip("=")
    except UnfitError:
        return _first(record)


class _Decided(Protocol):
    @property
    def record(self) -> DecisionRecord: ...


def packed(route: _Decided) -> str:
    """The record of a route as text; "" where it cannot be written, which costs no answer."""
    try:
        return pack(route.record)
    except Exception:  # noqa: BLE001 - a policy is anybody's code, and so are its numbers
        _log.warning("a decision could not be logged", exc_info=True)
        return ""


def unpack(text: str) -> DecisionRecord:
    """The record of such a text, of this version or an earlier one.

    Raises:
        RecordError: it is none.
    """
    try:
        if text[:1] == _SECOND:
            rest = text[1:]
            return from_bytes(base64.b64decode(rest + "=" * (-len(rest) % 4), validate=True))
        return _from_first(text)
    except RecordError:
        raise
    except (
        zlib.error,
        binascii.Error,
        struct.error,
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise RecordError(f"{_DAMAGED}: {type(error).__name__}: {error}") from None


def _first(record: DecisionRecord) -> str:
    """The first version: JSON, compressed, in base 64. It says whatever JSON can say."""
    return base64.b64encode(zlib.compress(record.to_json().encode(), 6)).decode("ascii")


def _from_first(text: str) -> DecisionRecord:
    unpacker = zlib.decompressobj()
    plain = unpacker.decompress(base64.b64decode(text, validate=True), LARGEST)
    if unpacker.unconsumed_tail:
        raise RecordError(f"{_DAMAGED}, got more than {LARGEST:,} bytes")
    return DecisionRecord.from_json(plain.decode())
