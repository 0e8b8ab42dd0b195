"""How two texts differ: what of the new one is kept, what changed, and what only moved."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from router.prompts._lint.volatile import atoms

_MOST_LINES, _MOST_CHARS, _MOST_ATOMS = 4000, 50_000, 800
"""Longer differences are taken as a whole: finding what they share takes time by the square."""
_TRIES = 200
"""Brackets that may turn out to open no JSON before the rest of a text is taken as it is."""
_RUN = 6
"""Words that must be equal in a row for a part of a changed line to count as kept."""
_MARGIN, _PROBE = 60, 80
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Change:
    """Pieces of a text that became others; `around` is the line of the new text, or the first."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    around: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """Changes in order, the new text's changed parts, and how much of it is kept (0 to 1)."""

    changes: tuple[Change, ...]
    new: str
    kept: float


def squeezed(text: str) -> str:
    """The text with single spaces, in Unicode's composed form."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def canonical_text(text: str) -> str:
    """The text with each JSON object or list in it in one form: keys sorted, no spare spaces."""
    out: list[str] = []
    at = tries = 0
    while True:
        start = (
            -1
            if tries > _TRIES
            else min((i for i in (text.find("{", at), text.find("[", at)) if i >= 0), default=-1)
        )
        if start < 0:
            return "".join((*out, text[at:]))
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            out.append(text[at : start + 1])
            at, tries = start + 1, tries + 1
            continue
        out += (text[at:start], json.dumps(value, sort_keys=True, separators=(",", ":")))
        at = end


def difference(before: str, after: str) -> Difference:
    """What changed between two texts: by lines first, then within those by words."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    front = _common(old, new)
    back = _common(old[front:][::-1], new[front:][::-1])
    old, new = old[front : len(old) - back], new[front : len(new) - back]
    changes: list[Change] = []
    changed: list[str] = []
    for tag, i1, i2, j1, j2 in _lines(old, new):
        if tag == "equal":
            if not any(line.strip() for line in new[j1:j2]):
                changed += new[j1:j2]
            continue
        found, rest = _within("".join(old[i1:i2]), "".join(new[j1:j2]))
        changes += found
        changed.append(rest)
    joined = "".join(changed)
    return Difference(tuple(changes), joined, 1 - len(joined) / max(1, len(after)))


@dataclass(frozen=True, slots=True)
class Reordered:
    """Blocks that two texts have in another order, as they stand in the new one; `moved` of them
    lie between the first and the last that changed places.
    """

    blocks: tuple[str, ...]
    moved: tuple[str, ...]


def reordered(before: str, after: str) -> Reordered | None:
    """What only changed places between two texts; None for nothing.

    Blocks are paragraphs, else lines, else the members of a JSON list; numbers at their front
    count as their labels.
    """
    for split in (_paragraphs, _split_lines, _members):
        old, new = split(before), split(after)
        if len(old) < 2 or len(new) < 2:
            continue
        here, there = Counter(map(_label, old)), Counter(map(_label, new))
        common = {label for label in here if here[label] == there[label] == 1}
        first = [label for block in old if (label := _label(block)) in common]
        then = [(label, block) for block in new if (label := _label(block)) in common]
        order = [label for label, _ in then]
        if len(common) >= 2 and first != order:
            blocks = tuple(block for _, block in then)
            start, end = _common(first, order), _common(first[::-1], order[::-1])
            return Reordered(blocks, blocks[start : len(blocks) - end])
    return None


def slid(before: str, after: str) -> bool:
    """Whether the new text is the old one without its beginning, and longer: a window moved on."""
    start = _same(before, after)
    probe = after[start : start + _PROBE]
    at = before.find(probe, start + 1) if len(probe) == _PROBE else -1
    if at < 0 or before[start : min(at, start + _PROBE)] in after:  # it stands behind now
        return False
    return _same(before[at:], after[start:]) >= len(after) // 2


def rest_of(text: str, blocks: Sequence[str]) -> str:
    """The text without these blocks of it."""
    for block in blocks:
        text = text.replace(block, "", 1)
    return text


def _lines(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    if max(len(old), len(new)) > _MOST_LINES:
        return [("replace", 0, len(old), 0, len(new))]
    return list(SequenceMatcher(None, old, new, autojunk=False).get_opcodes())


def _within(before: str, after: str) -> tuple[list[Change], str]:
    """Changes within a few lines, and what of the new ones is not kept."""
    around = after.strip().partition("\n")[0]
    start, end = _unlike(before, after)
    before, after = before[start : len(before) - end], after[start : len(after) - end]
    if max(len(before), len(after)) > _MOST_CHARS:
        return [Change((), (), around)], after
    old, new = atoms(before), atoms(after)
    front = _common(old, new)
    back = _common(old[front:][::-1], new[front:][::-1])
    old, new = old[front : len(old) - back], new[front : len(new) - back]
    if max(len(old), len(new)) > _MOST_ATOMS:
        return [Change(tuple(old), tuple(new), around)], "".join(new)
    changes, rest = [], []
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        piece = "".join(new[j1:j2])
        if tag != "equal":
            changes.append(Change(tuple(old[i1:i2]), tuple(new[j1:j2]), around))
            rest.append(piece)
        elif len(piece.split()) < _RUN:
            rest.append(piece)
    return changes, "".join(rest)


def _unlike(before: str, after: str) -> tuple[int, int]:
    """How many characters at the start and at the end can be left out of a comparison.

    A time of several words stays whole: cut is at a space, well before the first difference.
    """
    start = _cut(before, after)
    if not start:
        return 0, _cut(before[::-1], after[::-1])
    return start, _cut(before[start:][::-1], after[start:][::-1])


def _cut(before: str, after: str) -> int:
    return max(0, after.rfind(" ", 0, max(0, _same(before, after) - _MARGIN)))


def _same(before: str, after: str) -> int:
    """How many characters two texts have in common at their start."""
    low, high = 0, min(len(before), len(after))
    while low < high:  # the first `low` are equal
        middle = (low + high + 1) // 2
        if before[low:middle] == after[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    for i, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return i
    return min(len(one), len(other))


def _label(block: str) -> str:
    """A block without the number that it stands under."""
    return re.sub(r"\d+", "#", block[:24]) + block[24:]


def _paragraphs(text: str) -> list[str]:
    return [found for block in re.split(r"\n\s*\n", text) if (found := block.strip())]


def _split_lines(text: str) -> list[str]:
    return [found for line in text.splitlines() if (found := line.strip())]


def _members(text: str) -> list[str]:
    """The members of the longest JSON list in a text, as they are written there."""
    best: list[str] = []
    at, tries = text.find("["), 0
    while at >= 0 and tries <= _TRIES:
        found, end = _list_at(text, at)
        tries += not found
        if len(found) > len(best):
            best = found
        at = text.find("[", max(end, at + 1))
    return best


def _list_at(text: str, at: int) -> tuple[list[str], int]:
    found: list[str] = []
    i = at + 1
    while True:
        while i < len(text) and text[i] in " \t\r\n,":
            i += 1
        if i >= len(text) or text[i] == "]":
            return found, i
        try:
            _, end = _DECODER.raw_decode(text, i)
        except (ValueError, RecursionError):
            return [], i
        found.append(text[i:end])
        i = end
