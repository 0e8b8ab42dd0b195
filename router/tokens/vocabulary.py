"""Loads the shipped vocabulary: DeepSeek V3's 128,000 base entries and 818 added tokens.

What is stored is the list of BPE merges, as pairs of ids: the tokens follow from it, and so
does the model's own tokenizer file, which makes the data verifiable (`data/README.md`).
"""

from __future__ import annotations

import array
import json
import zlib
from dataclasses import dataclass
from importlib.resources import files

from router.errors import ConfigError

FILE = "deepseek-v3.bpe.zz"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A byte-level BPE: `ranks` maps a token's bytes to its id, which is its merge priority too.

    `merges` are pairs of ids in order of priority; the pair at i makes the token of id
    `first_merge + i`. `added` maps the text of each added token to its id.
    """

    ranks: dict[bytes, int]
    merges: list[tuple[int, int]]
    first_merge: int
    added: dict[str, int]


def byte_order() -> list[int]:
    """The 256 byte values in the order of their ids: GPT-2's printable ones first."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return printable + [byte for byte in range(256) if byte not in printable]


def pack(merges: list[tuple[int, int]], first_byte: int, added: dict[str, int]) -> bytes:
    """The file's bytes: zlib of a JSON line, then the merges as six planes of bytes.

    All left ids come before all right ids, each as three planes, high byte first: planes of
    equal significance compress far better than the pairs themselves.
    """
    header = {"format": FORMAT, "merges": len(merges), "first_byte": first_byte, "added": added}
    planes = (
        bytes(pair[side] >> shift & 255 for pair in merges)
        for side in (0, 1)
        for shift in (16, 8, 0)
    )
    line = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    return zlib.compress(line + b"\n" + b"".join(planes), 9)


def unpack(data: bytes) -> Vocabulary:
    """The vocabulary packed by `pack`.

    Raises:
        ConfigError: the bytes are damaged or of another format.
    """
    try:
        line, _, body = zlib.decompress(data).partition(b"\n")
        header = json.loads(line)
        count, first = header["merges"], header["first_byte"]
        if header["format"] != FORMAT or len(body) != 6 * count:
            raise ValueError("another format")
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"the token vocabulary {FILE} cannot be read ({type(error).__name__}): "
            "expected the file this library ships; reinstall it"
        ) from None
    planes = [body[i * count : (i + 1) * count] for i in range(6)]
    merges = list(zip(_column(*planes[:3]), _column(*planes[3:]), strict=True))
    tokens = [b""] * first
    tokens += (bytes((byte,)) for byte in byte_order())
    append = tokens.append
    for left, right in merges:
        append(tokens[left] + tokens[right])
    ranks = {token: rank for rank, token in enumerate(tokens) if token}
    return Vocabulary(ranks, merges, first + 256, header["added"])


def load() -> Vocabulary:
    """The shipped vocabulary, read anew at each call (about 70 ms): see `encoder` for once."""
    return unpack(files(__package__).joinpath("data", FILE).read_bytes())


def _column(high: bytes, middle: bytes, low: bytes) -> list[int]:
    """Integers from their three planes, joined as little-endian words on every platform."""
    words = bytearray(4 * len(low))
    words[0::4], words[1::4], words[2::4] = low, middle, high
    column = array.array("I")
    if column.itemsize != 4:  # no platform of ours, and a wrong width would misread silently
        return [int.from_bytes(words[i : i + 4], "little") for i in range(0, len(words), 4)]
    column.frombytes(bytes(words))
    if memoryview(b"\x01\x00\x00\x00").cast("I")[0] != 1:
        column.byteswap()
    return column.tolist()
