"""Which prompts are trained on and which are kept for the test: a pure function of the text.

Two prompts with the same question never straddle the split, whatever source they come from:
GSM8K is in two of our sources, and MMLU-Pro asks MMLU's questions with more options.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

TEST_SHARE = 0.2
TEST_SHARE_REPLAYED = 0.5
"""Half of the questions of `REPLAYED_SOURCES` are test: the replay demo lives on them."""
REPLAYED_SOURCES = frozenset({"zeroeval"})
CALIBRATION_SHARE = 0.2

_OPTIONS = re.compile(r"\n\s*\(?A[.):]\s")
_NOT_WORD = re.compile(r"[\W_]+")
_SYMBOL = re.compile(r"[^\w\s]|_")
_CODE = ("def ", "\\", "[", "{", "=")
_MIN_STEM = 24
MAX_SYMBOLS = 0.08
"""More symbols than this share of the characters, and they are part of the question."""


def group_key(prompt: str) -> str:
    """The question of a prompt: options cut off, case, space and punctuation of words dropped.

    A stem too short to identify a question keeps its options. Code, mathematics and drawings keep
    their punctuation: two functions may differ by one operator only, two grids by one mark.
    """
    match = _OPTIONS.search(prompt)
    stem = prompt[: match.start()] if match else prompt
    words = _NOT_WORD.sub(" ", stem).strip().lower()
    if match and len(words) < _MIN_STEM:
        words = _NOT_WORD.sub(" ", prompt).strip().lower()
    if match is None:
        symbols = len(_SYMBOL.findall(prompt))
        if symbols > MAX_SYMBOLS * len(prompt) or any(mark in prompt for mark in _CODE):
            words = " ".join(prompt.split())
    return words


def unit(key: str, salt: str = "split") -> float:
    """A number in [0, 1) drawn by the key alone, the same on every machine."""
    digest = hashlib.sha256(f"{salt}\0{key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") / 2.0**56


def assign(rows: Iterable[tuple[str, str]]) -> list[str]:
    """The part, "train" or "test", of each (source, prompt), in order; needs all rows at once.

    A question that any replayed source asks is drawn at `TEST_SHARE_REPLAYED` everywhere.
    """
    keyed = [(source, group_key(prompt)) for source, prompt in rows]
    replayed = {key for source, key in keyed if source in REPLAYED_SOURCES}
    shares = ((key, TEST_SHARE_REPLAYED if key in replayed else TEST_SHARE) for _, key in keyed)
    return ["test" if unit(key) < share else "train" for key, share in shares]


def is_calibration(prompt: str) -> bool:
    """Whether a training prompt is kept from the fit, for calibration and conformal residuals."""
    return unit(group_key(prompt), "calibration") < CALIBRATION_SHARE
