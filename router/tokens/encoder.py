"""Text to DeepSeek token ids and back, through tiktoken.

Equal to Hugging Face `tokenizers` on the same tokenizer.json wherever compared (figures:
`benchmarks/tokens.py`). Known exceptions:

- a lone surrogate, which is no text, counts as U+FFFD (`tokenizers` raises TypeError); a pair
  of surrogates counts as the character it stands for;
- a run of more than 499,968 characters without letter or digit (blanks, controls, signs) is
  cut, for the regular expression engine gives up at a million; a cut may shift a few tokens;
- code points assigned by a Unicode edition that one of the two engines does not know yet.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from router._locks import forkable
from router.errors import InvalidRequestError

if TYPE_CHECKING:
    import tiktoken

# Every added token holds one of the markers, and is found whole by the expression. A text without
# markers takes the faster way; else only the tokens it holds are passed on, not all 818.
MARKERS = ("<\uff5c", "think>", "<|EOT|>")
ADDED = re.compile("<\uff5c[^<\uff5c]*\uff5c>|</?think>|<\\|EOT\\|>")
# A multiple of 128, the longest token of spaces, so that cuts in spaces fall between tokens.
_LONGEST_RUN = 128 * 3906
_RUN = re.compile(r"\W+")
_lock = forkable(sys.modules[__name__])


@functools.cache
def _build() -> tiktoken.Encoding:
    import tiktoken

    from router.tokens.pattern import PATTERN
    from router.tokens.vocabulary import load

    vocabulary = load()
    return tiktoken.Encoding(
        "deepseek-v3",
        pat_str=PATTERN,
        mergeable_ranks=vocabulary.ranks,
        special_tokens=vocabulary.added,
    )


def encoding() -> tiktoken.Encoding:
    """The tiktoken encoding, built on first use and once, whatever the number of threads."""
    if not _build.cache_info().currsize:
        with _lock:
            return _build()
    return _build()


def encode(text: str) -> list[int]:
    """The ids of a text, added tokens such as `<think>` recognised; no BOS is put before it.

    Raises:
        InvalidRequestError: not a string.
    """
    if not isinstance(text, str):
        raise InvalidRequestError(
            f"expected the text to count as str, got {type(text).__name__}", param="text"
        )
    coder = encoding()
    if len(text) > _LONGEST_RUN:
        return [token for part in _parts(text) for token in _encode(coder, part)]
    return _encode(coder, text)


def count(text: str) -> int:
    """How many tokens a text is: `len(encode(text))`.

    >>> count("Hello")
    1
    """
    return len(encode(text))


def decode(ids: Sequence[int]) -> str:
    """The text of ids; bytes that are no UTF-8 become U+FFFD.

    Raises:
        InvalidRequestError: an id that the vocabulary does not have.
    """
    try:
        return encoding().decode(ids)
    except (KeyError, OverflowError, TypeError):
        raise InvalidRequestError(
            "expected token ids of DeepSeek V3: integers from 0 to 128814", param="ids"
        ) from None


def _encode(coder: tiktoken.Encoding, text: str) -> list[int]:
    for marker in MARKERS:
        if marker in text:
            return coder.encode(
                text, allowed_special=set(ADDED.findall(text)), disallowed_special=()
            )
    return coder.encode_ordinary(text)


def _parts(text: str) -> Iterator[str]:
    """The text, cut wherever a run without letter or digit is longer than `_LONGEST_RUN`."""
    start = 0
    for run in _RUN.finditer(text):
        for cut in range(run.start() + _LONGEST_RUN, run.end(), _LONGEST_RUN):
            yield text[start:cut]
            start = cut
    yield text[start:]
