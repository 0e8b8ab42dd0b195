"""The hand features of the baselines: 72 cheap numbers of a prompt.

A copy, kept as it was: what is judged may change its features, what it is judged by may not.
"""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np
import numpy.typing as npt

HEAD_CHARS = 6000
TAIL_CHARS = 2000
MAX_WORDS = 1200

_TOKEN = re.compile(r"[a-z]+|[0-9]+|[^\sa-z0-9]")
_OPTION = re.compile(r"\n\s*\(?[A-P][.):]\s")
_LATEX = re.compile(r"\\[a-zA-Z]+")

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
_KEYWORD_SETS = tuple(_KEYWORDS.values())


def _byte_table() -> npt.NDArray[np.float64]:
    table = np.zeros((256, len(_CLASSES) + len(_CHARS)))
    for column, members in enumerate([*_CLASSES.values(), *(c.encode() for c in _CHARS)]):
        table[list(members), column] = 1.0
    return table


_BYTE_TABLE = _byte_table()


def hand_features(text: str) -> npt.NDArray[np.float32]:
    """Length, shares of kinds of characters, marks and keywords of a prompt's ends."""
    length = len(text)
    if length > HEAD_CHARS + TAIL_CHARS:
        text = f"{text[:HEAD_CHARS]}\n{text[-TAIL_CHARS:]}"
    tokens: list[str] = _TOKEN.findall(text.lower())
    if len(tokens) > MAX_WORDS:
        tokens = tokens[: MAX_WORDS * 3 // 4] + tokens[-MAX_WORDS // 4 :]
    return np.array(_dense(text, length, len(tokens), Counter(tokens)), dtype=np.float32)


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
