"""What a prompt looks like, as numbers: hand features, word vectors, structure. Numpy only.

Training and runtime call the same function, so they cannot disagree. One pass over a bounded
part of the text: a megabyte costs what four and a half thousand characters cost.
"""

from __future__ import annotations

import math
import re
import unicodedata
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from classifiers.prompt import Prompt
from classifiers.words import KEYWORDS, WordTable, split_words

HEAD_CHARS = 3000
TAIL_CHARS = 1500
CLIP = 4.0
"""Standardised hand features end here: a prompt unlike all others must not run away."""

_TERM_CHARS = 900, 300
"""Where Chinese terms are looked for: as many characters at either end."""
_OPTION = re.compile(r"\n[^\S\n]*\(?[A-P][.):]\s")
_LATEX = re.compile(r"\\[a-zA-Z]+")

# A character is one byte: ASCII itself, or what it stands for here, or a class.
_CJK, _CYRILLIC, _ARABIC, _SCRIPT, _MARK, _NOTHING = range(0x80, 0x86)
_N_CODES = 0x86
_CHARS = tuple("?!,.:;+-*/=<>([{$\\^_\"'`|#%&@~\n")
_CLASSES: dict[str, bytes] = {
    "digit": b"0123456789",
    "upper": bytes(range(ord("A"), ord("Z") + 1)),
    "lower": bytes(range(ord("a"), ord("z") + 1)),
    "space": b" \t\n\r\f\v",
    "cjk": bytes([_CJK]),
    "cyrillic": bytes([_CYRILLIC]),
    "arabic": bytes([_ARABIC]),
    "other_script": bytes([_SCRIPT]),
}
_SHAPE = (
    "chars", "words", "word_length", "distinct_share", "numbers", "number_digits_max",
    "number_digits_mean", "options", "latex", "paragraphs", "fences", "ends_with_question",
    "line_length",
)  # fmt: skip
DENSE_NAMES: tuple[str, ...] = (
    *_SHAPE,
    "share_non_ascii",
    *(f"share_{name}" for name in _CLASSES),
    *(f"char_{char!r}" for char in _CHARS),
    *(f"word_{name}" for name in KEYWORDS),
)
N_DENSE = len(DENSE_NAMES)
STRUCTURE_NAMES = ("turns", "system_chars", "tools", "schema_chars", "wants_json")
N_STRUCTURE = len(STRUCTURE_NAMES)
_TURNS, _SYSTEM_CHARS, _TOOLS, _SCHEMA_CHARS = 4, 500, 3, 500
"""Counts that are plainly there: a feature of `STRUCTURE_NAMES` is 1 at these."""

_N_SHAPE, _N_CLASSES = len(_SHAPE), len(_CLASSES)
_SHARES_AT = _N_SHAPE + 1
_CHARS_AT = _SHARES_AT + _N_CLASSES
_GROUPS_AT = _CHARS_AT + len(_CHARS)

_PUNCTUATION = {
    ",": "\u060c\u3001\uff64",
    ".": "\u2026\u3002\u06d4\uff61\u0964",
    ";": "\u061b",
    "?": "\u061f",
    "'": "\u2018\u2019\u201b\u2032\u02bc",
    '"': "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb\u300c\u300d\u300e\u300f\u300a\u300b",
    "(": "\u3014\u3010",
    ")": "\u3015\u3011",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
    "*": "\u00d7\u22c5\u00b7",
    "/": "\u00f7\u2215\u2044",
    " ": "\u00a0\u1680\u2028\u2029\u202f\u205f\u3000",
    "s": "\u00df",
    "o": "\u00f8\u0153",
    "O": "\u00d8\u0152",
    "a": "\u00e6",
    "A": "\u00c6",
    "l": "\u0142",
    "L": "\u0141",
    "d": "\u0111\u00f0",
    "i": "\u0131",
}
_SCRIPTS: tuple[tuple[int, int, int], ...] = (
    (0x0300, 0x036F, _NOTHING),  # accents that stand alone
    (0x0400, 0x052F, _CYRILLIC),
    (0x0530, 0x05FF, _SCRIPT),  # Armenian, Hebrew
    (0x0600, 0x06FF, _ARABIC),
    (0x0700, 0x074F, _SCRIPT),
    (0x0750, 0x077F, _ARABIC),
    (0x0780, 0x089F, _SCRIPT),
    (0x08A0, 0x08FF, _ARABIC),
    (0x0900, 0x1C7F, _SCRIPT),  # India, Thailand, Georgia, Ethiopia
    (0x1C80, 0x1C8F, _CYRILLIC),
    (0x1C90, 0x1CFF, _SCRIPT),
    (0x2000, 0x200A, ord(" ")),
    (0x200B, 0x200F, _NOTHING),
    (0x2DE0, 0x2DFF, _CYRILLIC),
    (0x2E80, 0x9FFF, _CJK),
    (0xA000, 0xA63F, _SCRIPT),
    (0xA640, 0xA69F, _CYRILLIC),
    (0xA6A0, 0xABFF, _SCRIPT),
    (0xAC00, 0xD7FF, _CJK),
    (0xF900, 0xFAFF, _CJK),
    (0xFB50, 0xFDFF, _ARABIC),
    (0xFE00, 0xFE0F, _NOTHING),
    (0xFE70, 0xFEFE, _ARABIC),
    (0xFEFF, 0xFEFF, _NOTHING),
    (0xFF66, 0xFFDC, _CJK),
    (0x00AD, 0x00AD, _NOTHING),
)
_DIGIT_ZEROS = (0x0660, 0x06F0, 0x0966)


def _fold_table() -> npt.NDArray[np.uint8]:
    table = np.full(1 << 16, _MARK, dtype=np.uint8)
    table[:0x80] = np.arange(0x80)
    for first, last, what in _SCRIPTS:
        table[first : last + 1] = what
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00)):
        base = ord(unicodedata.normalize("NFD", chr(code))[0])
        if base < 0x80:
            table[code] = base
    table[0xFF01:0xFF5F] = np.arange(0x21, 0x7F)
    for zero in _DIGIT_ZEROS:
        table[zero : zero + 10] = np.arange(ord("0"), ord("9") + 1)
    for char, others in _PUNCTUATION.items():
        table[[ord(other) for other in others]] = ord(char)
    return table


def _byte_table() -> npt.NDArray[np.float64]:
    table = np.zeros((_N_CLASSES + len(_CHARS), _N_CODES))
    for row, members in enumerate([*_CLASSES.values(), *(c.encode() for c in _CHARS)]):
        table[row, list(members)] = 1.0
    return table


_FOLD = _fold_table()
_BYTE_TABLE = _byte_table()
_WORD_BYTES = b"".join(_CLASSES[name] for name in ("digit", "upper", "lower", "space"))
_ASCII_MARKS = np.array([code for code in range(0x80) if code not in _WORD_BYTES])
_IS_CLASS = (_FOLD >= _CJK) & (_FOLD <= _MARK)
_DROP = bytes([_NOTHING])
_DIGITS = bytes(c if c in _CLASSES["digit"] else 32 for c in range(256))


class Features(NamedTuple):
    """One prompt: `dense` (N_DENSE,) as `DENSE_NAMES`; `words` (N_WORDS,) of norm 1, or zeros;
    `structure` (N_STRUCTURE,) as `STRUCTURE_NAMES`.
    """

    dense: npt.NDArray[np.float32]
    words: npt.NDArray[np.float32]
    structure: npt.NDArray[np.float32]


def featurize(prompt: Prompt | str, words: WordTable) -> Features:
    """The features of a prompt. Any text is fine: empty, huge, or with lone surrogates."""
    text = prompt if isinstance(prompt, str) else prompt.text
    length = len(text)
    text = _bounded(text)
    raw, non_ascii, distinct_others = _bytes_of(text)
    histogram = np.bincount(np.frombuffer(raw, dtype=np.uint8), minlength=_N_CODES)
    per_byte = _BYTE_TABLE.dot(histogram)
    digits, upper, lower, space, cjk = per_byte[:5].tolist()
    found = words.find(raw)
    rows = found.rows
    if cjk:
        rows = np.concatenate((rows, words.find_terms(_bounded(text, *_TERM_CHARS))))
    numbers = raw.translate(_DIGITS).split() if digits else []
    n_marks = len(raw) - digits - upper - lower - space
    n_tokens = found.total + len(numbers) + n_marks
    distinct_marks = int(np.count_nonzero(histogram.take(_ASCII_MARKS))) + distinct_others
    distinct = found.distinct + len(set(numbers)) + distinct_marks
    n_lines = int(histogram[10])
    size = len(text) or 1

    dense = np.empty(N_DENSE, dtype=np.float32)
    dense[:_SHARES_AT] = (
        math.log1p(length),
        math.log1p(n_tokens),
        (len(raw) - space) / (n_tokens or 1),
        distinct / (n_tokens or 1),
        math.log1p(len(numbers)),
        math.log1p(len(max(numbers, key=len))) if numbers else 0.0,
        digits / (len(numbers) or 1),
        min(16, len(_OPTION.findall(text))) if n_lines else 0.0,
        math.log1p(len(_LATEX.findall(text))) if histogram[92] else 0.0,
        math.log1p(raw.count(b"\n\n")) if n_lines else 0.0,
        math.log1p(raw.count(b"```")) if histogram[96] else 0.0,
        float(raw.rstrip().endswith(b"?")),
        math.log1p(len(text) / (1 + n_lines)),
        non_ascii / size,
    )
    dense[_SHARES_AT:_CHARS_AT] = per_byte[:_N_CLASSES] / size
    dense[_CHARS_AT:_GROUPS_AT] = np.log1p(per_byte[_N_CLASSES:])
    dense[_GROUPS_AT:] = words.groups(rows)
    return Features(dense, words.embed(rows), _structure(prompt))


def distinct_words(text: str) -> list[bytes]:
    """The words that `featurize` looks up: each once, in order."""
    return list(dict.fromkeys(split_words(_bytes_of(_bounded(text))[0])))


def _bounded(text: str, head: int = HEAD_CHARS, tail: int = TAIL_CHARS) -> str:
    return text if len(text) <= head + tail else f"{text[:head]}\n{text[-tail:]}"


def _bytes_of(text: str) -> tuple[bytes, int, int]:
    """A byte per character, the characters beyond ASCII, and the distinct ones of a class."""
    if text.isascii():
        return text.encode("ascii"), 0, 0
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    folded = _FOLD.take(codes, mode="clip")
    distinct = 0
    if folded.max() >= _CJK:
        seen = np.zeros(1 << 16, dtype=np.bool_)
        seen[np.minimum(codes, 0xFFFF)] = True
        distinct = int(np.count_nonzero(seen & _IS_CLASS))
    return folded.tobytes().translate(None, _DROP), int(np.count_nonzero(codes > 0x7F)), distinct


def _structure(prompt: Prompt | str) -> npt.NDArray[np.float32]:
    structure = np.zeros(N_STRUCTURE, dtype=np.float32)
    if not isinstance(prompt, str):
        structure[:] = (
            math.log1p(max(0, prompt.turns - 1)) / math.log(_TURNS),
            math.log1p(max(0, prompt.system_chars)) / math.log1p(_SYSTEM_CHARS),
            math.log1p(max(0, prompt.tools)) / math.log1p(_TOOLS),
            math.log1p(max(0, prompt.schema_chars)) / math.log1p(_SCHEMA_CHARS),
            float(prompt.wants_json),
        )
    return structure
