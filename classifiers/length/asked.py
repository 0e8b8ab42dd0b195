"""How long an answer was asked to be: "in three sentences", "at most 50 words", "list 10".

The public outcomes that lengths are learned from hardly say such things, so this is a rule with
assumed widths, not a fit; a route's own history corrects it like any forecast. "Only the final
answer" and "yes or no" are left out on purpose: models that reason aloud took ten times as long
on such prompts.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from classifiers.prompt import Prompt

_EDGE = 400
"""Characters at either end of a prompt in which a length is looked for."""
_HINTS = (
    "word", "sentence", "paragraph", "bullet", "page", "example", "list ", "name ", "suggest ",
    "give ",
)  # fmt: skip
"""Without one of these nothing else is looked for."""
_ORDER = "zero one two three four five six seven eight nine ten"
_NUMBERS = {word: n for n, word in enumerate(_ORDER.split()) if n} | {
    "a": 1,
    "an": 1,
    "single": 1,
    "twelve": 12,
    "fifteen": 15,
    "twenty": 20,
    "thirty": 30,
    "fifty": 50,
}
_TIMES = {"hundred": 100, "thousand": 1000}
_NUMBER = (
    r"(?:\d{1,4}(?:-| to | or ))?(?<![\d,.])(?P<n>\d{1,3}(?:,\d{3})+|\d{1,5})(?![\d,.]\d)|"
    rf"(?P<w>{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})(?: (?P<t>hundred|thousand))?"
)
_THERE = (
    "the", "these", "those", "this", "that", "first", "last", "next", "my", "his", "her", "our",
    "their", "your", "following", "above", "below", "each of",
)  # fmt: skip
_KNOWN = "".join(rf"(?<!\b{word} )" for word in _THERE)
"""What is spoken of as being there is not asked for: "explain the 3 pages", "each of 5"."""
_UNITS: dict[str, tuple[float, float]] = {
    "word": (1.35, 0.35),
    "sentence": (26.0, 0.5),
    "bullet": (26.0, 0.5),
    "item": (14.0, 0.8),
    "example": (30.0, 0.8),
    "paragraph": (110.0, 0.5),
    "page": (650.0, 0.5),
}
"""Tokens of one, and the spread of log tokens. A word: measured with DeepSeek's vocabulary on
English prose; the others are usual lengths in words, assumed; so are all spreads."""
_MAKES = (
    "write|answer|respond|reply|tell|draft|compose|define|outline|give|create|generate|provide"
    "|introduce"
)
_TAKES = "summari[sz]e|explain|describe|translate|rewrite|shorten|discuss|compare"
_UNIT = (
    r"[- ](?:short |brief |key |bullet )?(?P<unit>word|sentence|bullet|example|paragraph|page)s?\b"
)
_MOST = r"(?P<most>at most|no more than|up to|under|less than|fewer than|within|maximum of|max)"
_MADE = re.compile(
    rf"\b(?:{_MAKES})\b[^.?!\n]{{0,160}}?\b"
    rf"(?:{_MOST}|in|with|using|exactly|about|around|roughly|of|as|a|an)? ?(?:just |only )?"
    rf"{_KNOWN}(?:{_NUMBER}){_UNIT}"
)
_TAKEN = re.compile(
    rf"\b(?:{_TAKES})\b[^.?!\n]{{0,160}}?\b"
    rf"(?:{_MOST}|in|with|using|to) (?:just |only |exactly |about |around |roughly )?{_KNOWN}"
    rf"(?:{_NUMBER}){_UNIT}"
)
"""What takes a text may speak of that text's length: "sum up a 300-page book in 5 sentences"."""
_FIRST = re.compile(
    rf"(?:^|[.?!:\n] ?)(?:{_MOST}|in|with|using) (?:{_NUMBER}){_UNIT}(?: or \w+)?,"
)
_LIST = re.compile(
    rf"(?:^|[.?!:\n] ?|please |can you |could you )(?:list|name|suggest|give me|give) "
    rf"(?:the |me )?(?:top )?(?:{_NUMBER}) "
)
_LONGEST, _LONG_SPREAD = 8000.0, 0.8
"""Tokens that an answer comes to at most without being asked again; assumed."""
_AT_MOST = 0.75
"""Of a limit this much is used, as a rule; assumed."""
_SCHEMA_SHARE = 0.2
"""Tokens of a JSON answer to a character of its schema: 0.5 token a character (DeepSeek's
vocabulary on JSON), and values as long as two fifths of what describes them; assumed."""


class Asked(NamedTuple):
    """What the prompt asks for: log1p of visible tokens, and how surely (a standard deviation)."""

    log_tokens: float
    spread: float


def asked_length(prompt: Prompt | str) -> Asked | None:
    """The visible length that a prompt asks for; None where it asks for none.

    >>> asked = asked_length("Explain entropy in three sentences.")
    >>> round(math.expm1(asked.log_tokens))
    78
    """
    text = prompt if isinstance(prompt, str) else prompt.text
    if len(text) > 2 * _EDGE:
        text = f"{text[:_EDGE]}\n{text[-_EDGE:]}"
    text = text.lower()
    found = _in_words(text) if any(hint in text for hint in _HINTS) else None
    if found is None and not isinstance(prompt, str) and prompt.schema_chars > 0:
        return _asked(max(8.0, _SCHEMA_SHARE * prompt.schema_chars), 0.8)
    return found


def _in_words(text: str) -> Asked | None:
    if match := _FIRST.search(text) or _TAKEN.search(text) or _MADE.search(text):
        per, spread = _UNITS[match["unit"]]
        share = _AT_MOST if match["most"] else 1.0
        tokens = _count(match) * per * share
        if tokens > _LONGEST:
            return _asked(_LONGEST, _LONG_SPREAD)
        return _asked(tokens, spread + (0.2 if match["most"] else 0.0))
    if match := _LIST.search(text):
        per, spread = _UNITS["item"]
        return _asked(min(_count(match) * per, _LONGEST), spread)
    return None


def _asked(tokens: float, spread: float) -> Asked:
    return Asked(math.log1p(tokens), spread)


def _count(match: re.Match[str]) -> int:
    if match["n"]:
        return max(1, int(match["n"].replace(",", "")))
    return _NUMBERS[match["w"]] * _TIMES.get(match["t"] or "", 1)
