"""What a prompt looks like, as numbers: hand features and hashed words, numpy only.

Training and runtime call the same function, so they cannot disagree. One pass over a bounded
part of the text: a megabyte costs what eight thousand characters cost.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import NamedTuple
from zlib import crc32

import numpy as np
import numpy.typing as npt

HEAD_CHARS = 6000
TAIL_CHARS = 2000
MAX_WORDS = 1200
BUCKETS = 8192
CLIP = 4.0
"""Standardised hand features end here: a prompt unlike all others must not run away."""

_TOKEN = re.compile(r"[a-z]+|[0-9]+|[^\sa-z0-9]")
_OPTION = re.compile(r"\n\s*\(?[A-P][.):]\s")
_LATEX = re.compile(r"\\[a-zA-Z]+")
_BIGRAM_LEFT = np.uint32(0x9E3779B1)
_BIGRAM_RIGHT = np.uint32(0x85EBCA6B)

_CHARS = tuple("?!,.:;+-*/=<>([{$\\^_\"'`|#%&@~\n")
_CLASSES: dict[str, bytes] = {
    "digit": b"0123456789",
    "upper": bytes(range(ord("A"), ord("Z") + 1)),
    "lower": bytes(range(ord("a"), ord("z") + 1)),
    "space": b" \t\n\r\f\v",
    "non_ascii": bytes(range(0xC0, 0x100)),  # lead bytes of UTF-8: one per character
    "cjk": bytes(range(0xE3, 0xEE)),  # lead bytes of U+3000 to U+DFFF
}
_KEYWORDS: dict[str, frozenset[str]] = {
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
_SHAPE = (
    "chars", "words", "word_length", "distinct_share", "numbers", "number_digits_max",
    "number_digits_mean", "options", "latex", "paragraphs", "fences", "ends_with_question",
    "line_length",
)  # fmt: skip
DENSE_NAMES: tuple[str, ...] = (
    *_SHAPE,
    *(f"share_{name}" for name in _CLASSES),
    *(f"char_{char!r}" for char in _CHARS),
    *(f"word_{name}" for name in _KEYWORDS),
)
N_DENSE = len(DENSE_NAMES)
N_FEATURES = N_DENSE + BUCKETS
_KEYWORD_SETS = tuple(_KEYWORDS.values())


def _byte_table() -> npt.NDArray[np.float64]:
    table = np.zeros((256, len(_CLASSES) + len(_CHARS)))
    for column, members in enumerate([*_CLASSES.values(), *(c.encode() for c in _CHARS)]):
        table[list(members), column] = 1.0
    return table


_BYTE_TABLE = _byte_table()


class Features(NamedTuple):
    """One prompt: `dense` (N_DENSE,) as `DENSE_NAMES`; `values` at hashed `buckets`, of norm 1."""

    dense: npt.NDArray[np.float32]
    buckets: npt.NDArray[np.int64]
    values: npt.NDArray[np.float32]


def featurize(text: str) -> Features:
    """The features of a prompt. Any string is fine: empty, huge, or with lone surrogates."""
    length = len(text)
    if length > HEAD_CHARS + TAIL_CHARS:
        text = f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"
    tokens: list[str] = _TOKEN.findall(text.lower())
    if len(tokens) > MAX_WORDS:
        tokens = tokens[: MAX_WORDS * 3 // 4] + tokens[-MAX_WORDS // 4 :]
    counts = Counter(tokens)
    dense = np.array(_dense(text, length, len(tokens), counts), dtype=np.float32)
    buckets, values = _hashed(tokens, counts)
    return Features(dense, buckets, values)


def _dense(text: str, length: int, n_words: int, counts: Counter[str]) -> list[float]:
    raw = text.encode("utf-8", "replace")
    histogram = np.bincount(np.frombuffer(raw, dtype=np.uint8), minlength=256)
    per_class = histogram @ _BYTE_TABLE
    shares = per_class[: len(_CLASSES)] / max(1, len(text))
    marks = np.log1p(per_class[len(_CLASSES) :])
    numbers = [(len(word), count) for word, count in counts.items() if "0" <= word[0] <= "9"]
    n_numbers = sum(count for _, count in numbers)
    letters = sum(len(word) * count for word, count in counts.items())
    lines = 1 + int(histogram[10])
    shape = [
        math.log1p(length),
        math.log1p(n_words),
        letters / max(1, n_words),
        len(counts) / max(1, n_words),
        math.log1p(n_numbers),
        math.log1p(max((size for size, _ in numbers), default=0)),
        sum(size * count for size, count in numbers) / max(1, n_numbers),
        float(min(16, len(_OPTION.findall(text)))),
        math.log1p(len(_LATEX.findall(text))) if "\\" in text else 0.0,
        math.log1p(text.count("\n\n")),
        math.log1p(text.count("```")),
        float(text.rstrip()[-1:] == "?"),
        math.log1p(len(text) / lines),
    ]
    keywords = [0.0 if group.isdisjoint(counts) else 1.0 for group in _KEYWORD_SETS]
    return [*shape, *shares.tolist(), *marks.tolist(), *keywords]


def _hashed(
    tokens: list[str], counts: Counter[str]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Words and pairs of words, counted in `BUCKETS` by hash, 1 + log(count), norm 1."""
    if not tokens:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    codes = {word: crc32(_shape_of(word).encode("utf-8", "replace")) for word in counts}
    words = np.fromiter(map(codes.__getitem__, tokens), dtype=np.uint32, count=len(tokens))
    left = np.concatenate((np.zeros(1, dtype=np.uint32), words[:-1]))
    pairs = (left * _BIGRAM_LEFT) ^ (words * _BIGRAM_RIGHT)
    pairs ^= pairs >> np.uint32(15)
    both = np.concatenate((words, pairs)) % np.uint32(BUCKETS)
    histogram = np.bincount(both.astype(np.int64), minlength=BUCKETS)
    buckets = np.flatnonzero(histogram)
    values = 1.0 + np.log(histogram[buckets])
    values /= math.sqrt(float(values @ values))
    return buckets, values.astype(np.float32)


def _shape_of(word: str) -> str:
    """A number stands for its count of digits (to four); a word for itself."""
    return "0000"[: len(word)] if "0" <= word[0] <= "9" else word
