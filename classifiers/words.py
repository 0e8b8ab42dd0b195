"""Word vectors and groups of keywords: one look-up for both, numpy only.

The table (`data/words.npz`, made by `training.build_words`) has a row per English word. Words of
other languages have no rows of their own: they stand for one or two English ones.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

FORMAT = "words/1"
WORDS_FILE = "words.npz"
N_WORDS = 64

KEYWORDS: dict[str, frozenset[str]] = {
    "prove": frozenset({"prove", "proof", "show", "derive", "theorem", "lemma"}),
    "compute": frozenset({"compute", "calculate", "find", "determine", "evaluate", "solve"}),
    "count": frozenset({"many", "much", "total", "count", "number", "sum"}),
    "geometry": frozenset({"triangle", "circle", "angle", "square", "polygon", "radius"}),
    "algebra": frozenset({"integer", "integers", "polynomial", "equation", "real", "prime"}),
    "code": frozenset(
        {"def", "return", "function", "class", "import", "python", "assert", "lambda"}
    ),
    "loop": frozenset({"for", "while", "if", "else", "elif", "range", "append"}),
    "write": frozenset({"write", "essay", "story", "poem", "draft", "rewrite"}),
    "explain": frozenset({"explain", "why", "describe", "discuss", "compare", "analyze"}),
    "question": frozenset({"what", "who", "when", "where", "which"}),
    "negation": frozenset({"not", "except", "least", "never", "false", "incorrect"}),
    "options": frozenset({"following", "statement", "statements", "choose", "select", "option"}),
    "steps": frozenset({"step", "steps", "reasoning", "think", "carefully"}),
    "format": frozenset({"json", "format", "list", "table", "output", "answer", "only"}),
    "puzzle": frozenset({"puzzle", "grid", "board", "game", "rules", "constraints", "row"}),
    "plan": frozenset({"plan", "goal", "action", "actions", "block", "state", "moves"}),
    "letters": frozenset({"letter", "letters", "word", "words", "string", "sentence"}),
    "logic": frozenset({"true", "then", "implies", "knight", "liar", "all", "some"}),
    "law": frozenset({"law", "court", "defendant", "contract", "plaintiff", "statute"}),
    "medical": frozenset({"patient", "disease", "blood", "treatment", "symptoms", "cells"}),
    "physics": frozenset({"mass", "velocity", "force", "energy", "temperature", "pressure"}),
    "finance": frozenset({"price", "cost", "dollars", "interest", "rate", "market", "tax"}),
    "example": frozenset({"example", "examples", "input", "given", "consider"}),
}
"""Groups of words whose presence is a hand feature each; at most 32."""

_SHIFTS = np.arange(len(KEYWORDS), dtype=np.uint32)
_ONE = np.uint32(1)
_ONES = np.ones(128, dtype=np.float32)

# A long text's words are hashed all at once: the hash of a word is the sum of its letters, 1 to
# 26, times powers of an odd number, modulo 2^64. Dividing by the power at which the word begins
# makes it the same wherever the word stands.
_SHORT = 900
"""Characters below which a dictionary is faster than arithmetic on arrays."""
_LONGEST = 1 << 13
_CODES = bytes(c - 96 if 97 <= c <= 122 else c - 64 if 65 <= c <= 90 else 0 for c in range(256))
_LOWER = bytes(c if 97 <= c <= 122 else c + 32 if 65 <= c <= 90 else 32 for c in range(256))
_ODD = 0x9E3779B97F4A7C15
_POWERS = np.cumprod(np.full(_LONGEST + 1, _ODD, dtype=np.uint64))
_INVERSES = np.cumprod(np.full(_LONGEST + 1, pow(_ODD, -1, 1 << 64), dtype=np.uint64))
_MIX = np.uint64(0xD6E8FEB86659FD93)
_BUCKET_BITS, _SLOT_BITS = 13, 16
_TO_BUCKET, _TO_SLOT = np.uint64(64 - _BUCKET_BITS), np.uint64(64 - _SLOT_BITS)

Rows = npt.NDArray[np.uint16]
Hashes = npt.NDArray[np.uint64]


class Found(NamedTuple):
    """The words of a text: how many, how many distinct, and the rows of the known ones."""

    total: int
    distinct: int
    rows: Rows


class WordTable:
    """Words to rows. Row 0 is nothing; unknown words have no row.

    `vectors` (rows, N_WORDS) float32, weighted: a row for each word, then one for each alias, the
    sum of the words it stands for. `provenance` says where they come from. A table is not changed
    after it is made, and may be shared by threads.
    """

    __slots__ = (
        "_begins", "_by_first", "_groups", "_hashes", "_index", "_shifts", "_slots",
        "provenance", "vectors",
    )  # fmt: skip

    def __init__(
        self,
        words: Sequence[bytes],
        vectors: npt.NDArray[np.float32] | npt.NDArray[np.int8],
        aliases: Sequence[str] = (),
        meanings: Rows | None = None,
        scales: npt.NDArray[np.float32] | None = None,
        shifts: Rows | None = None,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        """`meanings` (aliases, 2) are rows of words, 0 for none; `scales` multiply the vectors."""
        first, last = len(words) + 1, len(words) + len(aliases)
        meanings = np.zeros((len(aliases), 2), np.uint16) if meanings is None else meanings
        if last >= 1 << 16:
            raise ValueError(f"expected fewer than 65536 words and aliases, got {last}")
        if vectors.shape != (len(words), N_WORDS) or meanings.shape != (len(aliases), 2):
            raise ValueError("expected a vector per word and two rows per alias")
        # a word's row as two bytes: joined, they are the array of all rows of a text
        codes: list[bytes] = np.arange(last + 1, dtype=np.uint16).view("V2").tolist()
        self._index = dict(zip(words, codes[1:first], strict=True))
        self._groups = np.zeros(last + 1, dtype=np.uint32)
        for bit, group in enumerate(KEYWORDS.values()):
            rows = [code for word in group if (code := self._index.get(word.encode()))]
            self._groups[np.frombuffer(b"".join(rows), dtype=np.uint16)] |= _ONE << np.uint32(bit)
        self._groups[first:] = np.bitwise_or.reduce(self._groups[meanings], axis=1)
        self.vectors = np.zeros((last + 1, N_WORDS), dtype=np.float32)
        np.multiply(vectors, 1.0 if scales is None else scales[:, None], out=self.vectors[1:first])
        self.vectors[first:] = self.vectors[meanings].sum(axis=1)
        self._by_first: dict[str, list[tuple[str, bytes]]] = {}
        self._begins = np.zeros(1 << 16, dtype=np.bool_)
        for alias, code in zip(aliases, codes[first:], strict=True):
            if alias.isascii():
                self._index[alias.encode()] = code
            else:
                self._by_first.setdefault(alias[0], []).append((alias, code))
                self._begins[ord(alias[0])] = True
        for terms in self._by_first.values():
            terms.sort(key=lambda term: -len(term[0]))
        self._shifts, self._hashes, self._slots = _hash_table(self._index, shifts)
        self.provenance = provenance or {}

    def __contains__(self, word: str) -> bool:
        terms = self._by_first.get(word[:1], ())
        return word.encode("utf-8", "replace") in self._index or word in dict(terms)

    def __len__(self) -> int:
        return len(self.vectors) - 1

    def find(self, raw: bytes) -> Found:
        """The runs of ASCII letters in the first 8,192 bytes; each known one has a row, once."""
        return self._find_few(raw) if len(raw) < _SHORT else self._find_many(raw[:_LONGEST])

    def _find_few(self, raw: bytes) -> Found:
        words = split_words(raw)
        distinct = dict.fromkeys(words)
        rows = b"".join(filter(None, map(self._index.get, distinct)))
        return Found(len(words), len(distinct), np.frombuffer(rows, dtype=np.uint16))

    def _find_many(self, raw: bytes) -> Found:
        hashes = _hashes(raw)
        total = len(hashes)
        hashes.sort()
        is_first = np.ones(total, dtype=np.bool_)
        np.not_equal(hashes[1:], hashes[:-1], out=is_first[1:])
        hashes = hashes[is_first]
        slots = _slots(hashes, self._shifts)
        rows = self._slots.take(slots)[self._hashes.take(slots) == hashes]
        return Found(total, len(hashes), rows)

    def find_terms(self, text: str) -> Rows:
        """The rows of the distinct Chinese terms of a text, the longest at each place."""
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
        found: dict[bytes, None] = {}
        end = 0
        for at in np.flatnonzero(self._begins.take(codes, mode="clip")).tolist():
            if at >= end:
                for term, row in self._by_first[text[at]]:
                    if text.startswith(term, at):
                        found[row] = None
                        end = at + len(term)
                        break
        return np.frombuffer(b"".join(found), dtype=np.uint16)

    def embed(self, rows: Rows) -> npt.NDArray[np.float32]:
        """The sum of the rows, of norm 1; zeros if it is nothing."""
        picked = self.vectors.take(rows, 0)
        few = len(rows) <= len(_ONES)  # a product is fast; a larger one would start threads
        total: npt.NDArray[np.float32] = (
            _ONES[: len(rows)].dot(picked) if few else np.einsum("ij->j", picked)
        )
        square = float(total.dot(total))
        return total * np.float32(1.0 / math.sqrt(square)) if square > 1e-12 else total * 0

    def groups(self, rows: Rows) -> npt.NDArray[np.uint32]:
        """1 for each group of `KEYWORDS` with a word among the rows, else 0."""
        seen: npt.NDArray[np.uint32] = np.bitwise_or.reduce(self._groups.take(rows)) >> _SHIFTS
        return seen & _ONE


def split_words(raw: bytes) -> list[bytes]:
    """The runs of ASCII letters, lower-case, in order."""
    return raw.translate(_LOWER).split()


def _hashes(raw: bytes) -> Hashes:
    codes = np.frombuffer(b"\0" + raw.translate(_CODES), dtype=np.uint8)
    is_letter = codes != 0
    before = np.flatnonzero(is_letter[1:] > is_letter[:-1])
    if not len(before):
        return np.empty(0, dtype=np.uint64)
    terms = codes.astype(np.uint64) * _POWERS[: len(codes)]
    hashes: Hashes = np.add.reduceat(terms, before + 1)
    hashes *= _INVERSES.take(before)
    return hashes


def _slots(hashes: Hashes, shifts: Rows) -> Hashes:
    """Where each hash is in the table: no two words' are at one place, thanks to the shifts."""
    return ((hashes ^ (shifts.take(hashes >> _TO_BUCKET) * np.uint64(_ODD))) * _MIX) >> _TO_SLOT


def _hash_table(index: dict[bytes, bytes], shifts: Rows | None) -> tuple[Rows, Hashes, Rows]:
    """Shifts, the hash at each slot, and its row."""
    hashes = _hashes_of_words(list(index))
    shifts = find_shifts(index) if shifts is None else shifts
    slots = _slots(hashes, shifts)
    at_slot = np.zeros(1 << _SLOT_BITS, dtype=np.uint64)
    rows = np.zeros(1 << _SLOT_BITS, dtype=np.uint16)
    at_slot[slots] = hashes
    rows[slots] = np.frombuffer(b"".join(index.values()), dtype=np.uint16)
    if not np.array_equal(at_slot[slots], hashes):
        raise ValueError("the shifts do not keep these words apart: build the table again")
    return shifts, at_slot, rows


def _hashes_of_words(words: list[bytes]) -> Hashes:
    padded = np.array(words, dtype=np.bytes_)
    letters = np.frombuffer(padded.tobytes().translate(_CODES), dtype=np.uint8)
    hashes = np.zeros(len(words), dtype=np.uint64)
    for column, power in zip(letters.reshape(len(words), -1).T, _POWERS, strict=False):
        hashes += column * power
    return hashes


def find_shifts(words: Iterable[bytes]) -> Rows:
    """A number per bucket of words that keeps each word's slot its own (hash and displace)."""
    buckets: dict[int, list[int]] = {}
    for key in _hashes_of_words(list(words)).tolist():
        buckets.setdefault(key >> int(_TO_BUCKET), []).append(key)
    shifts, taken = np.zeros(1 << _BUCKET_BITS, dtype=np.uint16), set[int]()
    for bucket in sorted(buckets, key=lambda bucket: (-len(buckets[bucket]), bucket)):
        hashes = np.array(buckets[bucket], dtype=np.uint64)
        for shift in range(1 << 16):
            shifts[bucket] = shift
            slots = set(_slots(hashes, shifts).tolist())
            if len(slots) == len(hashes) and taken.isdisjoint(slots):
                taken |= slots
                break
        else:
            raise ValueError("found no place for every word")
    return shifts


def load_words(source: Path | IO[bytes] | None = None) -> WordTable:
    """A table from a file, by default the one shipped with the package."""
    if source is None:
        with resources.files("classifiers").joinpath("data", WORDS_FILE).open("rb") as file:
            return load_words(file)
    with np.load(source, allow_pickle=False) as file:
        if (found := str(file["format"])) != FORMAT:
            raise ValueError(f"expected words of format {FORMAT!r}, got {found!r}")
        return WordTable(
            file["words"].tobytes().split(b"\n"),
            file["vectors"],
            file["aliases"].tobytes().decode().split("\n"),
            file["meanings"],
            file["scales"],
            file["shifts"],
            json.loads(str(file["provenance"])),
        )


def save_words(
    path: Path | IO[bytes],
    words: Sequence[bytes],
    vectors: npt.NDArray[np.float32],
    aliases: Sequence[str],
    meanings: Rows,
    provenance: dict[str, Any],
) -> None:
    """Write a table: `vectors` (words, N_WORDS) rounded to a byte with one scale per row."""
    scales = (np.maximum(np.abs(vectors).max(axis=1), 1e-12) / 127.0).astype(np.float32)
    latin = [alias.encode() for alias in aliases if alias.isascii()]
    np.savez(
        path,
        format=np.array(FORMAT),
        words=np.frombuffer(b"\n".join(words), dtype=np.uint8),
        vectors=np.rint(vectors / scales[:, None]).astype(np.int8),
        scales=scales,
        aliases=np.frombuffer("\n".join(aliases).encode(), dtype=np.uint8),
        meanings=meanings,
        shifts=find_shifts(dict.fromkeys([*words, *latin])),
        provenance=np.array(json.dumps(provenance, ensure_ascii=False, sort_keys=True)),
    )
