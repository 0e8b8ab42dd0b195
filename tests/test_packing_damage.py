"""Packed decision records that are damaged, or forged: a typed error, and never another record."""

import base64
import json
import zlib
from pathlib import Path

import pytest

from router import RecordError
from router.packing import unpack

KEPT = Path(__file__).parent / "data" / "decisions"


def test_every_damaged_byte_is_found():
    """A bit that is not as it was, or a text cut short: a typed error, never another record."""
    whole = base64.b64decode(restored((KEPT / "second.txt").read_text().strip()))
    for at in range(len(whole)):
        damaged = whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]
        for bad in (damaged, whole[:at]):
            with pytest.raises(RecordError):
                unpack("2" + base64.b64encode(bad).decode().rstrip("="))


def restored(text):
    return text[1:] + "=" * (-len(text[1:]) % 4)


def as_text(head, numbers=b"", high=b""):
    """A text with a right checksum around anything."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    plain = (head if isinstance(head, bytes) else json.dumps(head).encode()) + b"\0" + high
    made = deflate.compress(plain) + deflate.flush() + numbers
    return "2" + base64.b64encode(made + zlib.crc32(made).to_bytes(4, "little")).decode()


def head_of(**given):
    """The head of a record of one quote, parts of it replaced."""
    parts = {
        "doubles": 0,
        "id": "r",
        "count": 1,
        "titles": ["quality"],
        "columns": [[0.5]],
        "ranking": "0",
        "rejected": "",
        "whys": [],
        "escalation": "",
        "drawn": "",
        "chances": [],
        "decided": {"reason": "", "policy": ""},
        "obstacles": "",
        "reasons": [],
        "priced": "",
        "named": ["a", ""],
        "rest": {},
    }
    return list((parts | given).values())


@pytest.mark.parametrize(
    "text",
    [
        "2",
        "2!",
        as_text(b""),
        as_text(b"[]"),
        as_text(b"{}"),
        as_text(b"\xff\xff"),
        as_text(b"[" * 100_000),
        as_text(b" " * (17 * 2**20)),
        as_text(head_of()),
        as_text(head_of(doubles=-1)),
        as_text(head_of(doubles=5)),
        as_text(head_of(count=10**12)),
        as_text(head_of(count=-1)),
        as_text(head_of(columns=[["i", 0, 1, 10**9]])),
        as_text(head_of(columns=[["i", 0, 1, -1]])),
        as_text(head_of(columns=[["d", 10**9, 0]])),
        as_text(head_of(columns=[["u", 0, 1, 0, 10**12, 0]])),
        as_text(head_of(columns=[["d", -1, 0]])),
        as_text(head_of(columns=[["t", 8, 10**12, 0, 0]])),
        as_text(head_of(columns=[["t", 8, 0, 0, 0]])),
        as_text(head_of(columns=[["s", 0, 1, 0]])),
        as_text(head_of(columns=[["v", ["a", "b"], 2, 7]])),
        as_text(head_of(columns=[["?", 0, [1]]])),
        as_text(head_of(columns=[["x", 1]])),
        as_text(head_of(columns=[[]])),
        as_text(head_of(ranking="1")),
        as_text(head_of(id=10**9)),
        as_text(head_of(named=["a"])),
        as_text(head_of(named=[word for i in range(2_001) for word in (f"a{i}", "")])),
        as_text(head_of(), numbers=b"x" * 2**20),
        as_text(head_of(rest=7)),
    ],
)
def test_what_only_looks_packed_is_refused(text):
    """A right checksum does not make a record, nor takes much room or time."""
    with pytest.raises(RecordError):
        unpack(text)


def test_a_quote_of_another_version_is_refused():
    """A field that is not known here is no record of this version."""
    with pytest.raises(RecordError, match="luck"):
        unpack(as_text(head_of(titles=["luck"], columns=[[1]])))
