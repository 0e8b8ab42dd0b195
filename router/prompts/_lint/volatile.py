"""What changes from call to call by its nature: times, dates, ids, numbers; told by their form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from router.prompts.causes import COUNTER, DATE, EPOCH, RANDOM_ID, TIMESTAMP, UUID

NUMBER = "number"

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sep(?:t(?:ember)?)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_WEEKDAY = r"(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?"
_ZONE = r"(?:Z\b|UTC|GMT|C?E[SD]?T\b|[MPW]E?[SD]?T\b|[BIJ]ST\b|[+-]\d{2}:?\d{2}\b)"
_TIME = (
    r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s?[AaPp]\.?[Mm]\b\.?)?"
    rf"(?:\s?{_ZONE})?(?:\s?\([A-Z]{{3,5}}\))?"
)
_DATE = (
    rf"(?:\d{{4}}-\d{{2}}-\d{{2}}|\d{{4}}/\d{{1,2}}/\d{{1,2}}|\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}|"
    rf"(?:{_WEEKDAY},?\s+)?(?:{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?\b(?:,?\s+\d{{4}})?|"
    rf"\d{{1,2}}(?:st|nd|rd|th)?\.?\s+{_MONTH}\.?(?:,?\s+\d{{4}})?)|"
    r"\d{4}年\d{1,2}月\d{1,2}日)"
)
_HEX = r"[0-9a-f]"
_ATOM = re.compile(
    "|".join(
        (
            rf"(?P<uuid>\b{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}\b)",
            (
                rf"(?P<timestamp>(?:{_WEEKDAY},?\s+)?{_DATE}(?:T|[\s,]+(?:at\s+)?){_TIME}"
                rf"|\b\d{{8}}T\d{{6}}Z?|\b(?:{_WEEKDAY},?\s+)?{_TIME})"
            ),
            rf"(?P<date>(?:{_WEEKDAY},?\s+)?{_DATE}|\b{_WEEKDAY}(?<=day)\b|星期[一二三四五六日天])",
            r"(?P<epoch>\b1[4-9]\d{8}(?:\d{3}|\d{6}|\.\d+)?\b)",
            (
                r"(?P<id>\b[A-Za-z]{1,10}[-_:#](?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{6,}\b"
                r"|\b(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{8,}(?:[-_][A-Za-z0-9]+)*\b"
                r"|\b\d{11,}\b|\b\d{1,3}(?:\.\d{1,3}){3}\b)"
            ),
            r"(?P<short>\b(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{4,7}\b)",
            r"(?P<number>\d+(?:[.,]\d+)*)",
            r"(?P<word>[^\W\d_]+|\s+|.)",
        )
    ),
    re.IGNORECASE | re.DOTALL,
)
_KINDS = {
    "uuid": UUID,
    "timestamp": TIMESTAMP,
    "date": DATE,
    "epoch": EPOCH,
    "id": RANDOM_ID,
    "short": RANDOM_ID,
    "number": NUMBER,
}
_SURE = frozenset({TIMESTAMP, DATE, UUID, EPOCH, RANDOM_ID})
_MASKED = frozenset({"timestamp", "date", "uuid", "epoch", "id"})
"""Short ids look like models' and versions' names: alone they may be what a text is about."""
_DIGIT = re.compile(r"\d")
_CLOSE = 100
"""Numbers of two consecutive requests that differ by no more are a counter's."""


def atoms(text: str) -> list[str]:
    """The text in pieces whose join is the text: each time, id, number or word is one."""
    return [match.group() for match in _ATOM.finditer(text)]


_KEPT = 500
"""Characters of a line that is kept for the next request that has it."""


def kind_of(atom: str) -> str:
    """What an atom is by its form, "" for a word, a space or a sign."""
    match = _ATOM.fullmatch(atom)
    return _KINDS.get(match.lastgroup or "", "") if match else ""


def masked(text: str) -> str:
    """The text without what changes by its nature: times, dates and ids become one sign.

    Numbers stay: alone they are too often what a text is about.
    """
    return "\n".join(map(_masked_line, text.split("\n")))


def _masked_line(line: str) -> str:
    return _masked(line) if len(line) > _KEPT else _masked_again(line)


@lru_cache(maxsize=1024)
def _masked_again(line: str) -> str:
    return _masked(line)


def _masked(line: str) -> str:
    return _ATOM.sub(_sign, line) if _DIGIT.search(line) else line


def _sign(match: re.Match[str]) -> str:
    return "\0" if match.lastgroup in _MASKED else match.group()


def kind_of_change(before: Sequence[str], after: Sequence[str]) -> str:
    """Why these atoms became those, where times, ids or counters account for all of it; else "".

    A region that has several kinds is named by the surest: a time of day goes before its date.
    """
    kinds = [kind_of(atom) for atom in (*before, *after) if not atom.isspace()]
    if not kinds or not before or not after:
        return _inserted(kinds)
    if not all(kinds):
        return ""
    if set(kinds) == {NUMBER}:
        return COUNTER if _counts(before, after) else ""
    for kind in (TIMESTAMP, UUID, DATE, RANDOM_ID, EPOCH):
        if kind in kinds:
            return kind
    return ""


def _inserted(kinds: list[str]) -> str:
    """The kind of what stands on one side only: all of it a time or an id."""
    return kinds[0] if kinds and set(kinds) <= _SURE else ""


def _counts(before: Sequence[str], after: Sequence[str]) -> bool:
    """Whether whole numbers went up or down a little, as counters do."""
    sides = [[a.replace(",", "") for a in side if not a.isspace()] for side in (before, after)]
    if len(sides[0]) != len(sides[1]) or not all(a.isdecimal() for side in sides for a in side):
        return False
    return all(abs(int(new) - int(old)) <= _CLOSE for old, new in zip(*sides, strict=True))
