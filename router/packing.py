"""Decision records as one line of text, for a row of the ledger: JSON, compressed, in base 64."""

from __future__ import annotations

import base64
import binascii
import logging
import zlib
from typing import Protocol

from router.errors import RecordError
from router.record import DecisionRecord

_log = logging.getLogger("router")

_LARGEST = 16 * 2**20
"""Bytes of JSON: a record of a hundred candidates has some 50,000."""


def pack(record: DecisionRecord) -> str:
    """A record as text without spaces or quotes; `unpack` gives an equal one."""
    return base64.b64encode(zlib.compress(record.to_json().encode(), 6)).decode("ascii")


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
    """The record of such a text.

    Raises:
        RecordError: it is none.
    """
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(base64.b64decode(text, validate=True), _LARGEST)
    except (zlib.error, binascii.Error, ValueError, TypeError) as error:
        raise RecordError(f"expected a packed decision record: {error}") from None
    if unpacker.unconsumed_tail:
        raise RecordError(f"expected a packed decision record, got more than {_LARGEST:,} bytes")
    try:
        return DecisionRecord.from_json(plain.decode())
    except UnicodeDecodeError as error:
        raise RecordError(f"expected a packed decision record: {error}") from None
