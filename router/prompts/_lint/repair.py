"""A cause, and the earlier request as it would read had the cause not been there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from router.prompts import causes
from router.prompts._lint.texts import (
    Change,
    Reordered,
    canonical_text,
    difference,
    reordered,
    rest_of,
    slid,
    squeezed,
)
from router.prompts._lint.view import Line, Sent, View, role_of
from router.prompts._lint.volatile import kind_of_change

_SUMMARY = re.compile(
    r"\W*(?:\w+\W+){0,4}?"
    r"(?:summary|conversation so far|earlier in (?:this|the) conversation|recap)\b",
    re.IGNORECASE,
)
_EXAMPLE = re.compile(
    r"\b(?:examples?|input|output|q|a|question|answer|user|assistant|human|ai|label)\s*\d*\s*:",
    re.IGNORECASE,
)
_NUMBERS = re.compile(r"\d+")
_MOVED = 0.2
"""Of a text that was put in another order, this share at least is blocks that moved."""
_LEAST = 200
"""Characters of them, where other text changed as well."""
_SIMILAR = 0.5
"""How much of a system prompt must be kept for two conversations to have the same one."""


@dataclass(frozen=True, slots=True)
class Repair:
    """Why two requests part, and where; `before` is the earlier one without that.

    `new` is text of the later one that no cache could hold all the same, `also` names causes that
    stand behind the first in the same place.
    """

    cause: str
    place: str
    before: Sent
    new: str = field(default="", repr=False)
    also: tuple[str, ...] = ()


def place_of(view: View, index: int) -> str:
    """A message's place in words: "messages[0] (system)"."""
    return f"messages[{index}] ({role_of(view.lines[index])})"


def with_message(view: View, index: int, other: View, there: int) -> Sent:
    """The request with one message out of another."""
    messages = list(view.sent.messages)
    messages[index] = other.sent.messages[there]
    return replace(view.sent, messages=tuple(messages))


def message_repair(p: View, i: int, c: View, j: int, *, continues: bool) -> Repair | None:
    """Why message `i` of the earlier request reads otherwise as message `j` of the later one.

    None where two conversations have different things to say.
    """
    one, other = p.lines[i], c.lines[j]
    before, place = with_message(p, i, c, j), place_of(c, j)
    if one.role != other.role:
        return Repair(causes.EDITED, place, before, other.whole) if continues else None
    if one.whole == other.whole:
        if one.content != other.content:
            last = i == len(p.lines) - 1 and j == len(c.lines) - 1
            return Repair(causes.QUESTION if last else causes.IMAGE, place, before)
        return Repair(causes.TEMPLATE, place, before)
    old, new = one.whole, other.whole
    if squeezed(old) == squeezed(new):
        return Repair(causes.WHITESPACE, place, before)
    if squeezed(canonical_text(old)) == squeezed(canonical_text(new)):
        return Repair(causes.SERIALISATION, place, before)
    return _changed(one, other, Repair("", place, before), head=j < c.head, continues=continues)


def _changed(
    one: Line, other: Line, found: Repair, *, head: bool, continues: bool
) -> Repair | None:
    """The cause of a text that changed in its words."""
    unlike = difference(one.whole, other.whole)
    kinds = [kind_of_change(change.before, change.after) for change in unlike.changes]
    first = kinds[0] if kinds else ""
    if first == causes.DATE and causes.TIMESTAMP in kinds:
        first = causes.TIMESTAMP
    if first == causes.COUNTER and not _alone(one.whole, unlike.changes, kinds):
        first = ""
    rest = _content(unlike.changes[0].around if kinds else "", head=head, continues=continues)
    if not first and slid(one.whole, other.whole):
        return replace(found, cause=causes.TRUNCATED, new=unlike.new)
    moved = None if first and first != causes.COUNTER else reordered(one.whole, other.whole)
    if moved is not None and _much(one, other, moved):
        rest = rest_of(other.whole, moved.blocks)
        if head and not continues and len(rest) > _SIMILAR * len(other.whole):
            return None
        examples = all(_EXAMPLE.search(block) for block in moved.moved)
        cause = causes.EXAMPLES if examples else causes.DOCUMENTS
        return replace(found, cause=cause, new=rest)
    if first:
        also = {kind or rest for kind in kinds} - {first, causes.DATE}
        return replace(found, cause=first, new=unlike.new, also=tuple(sorted(also)))
    asked_last = not continues and not head and not _ends_alike(one, other)
    if not continues and (head or asked_last) and unlike.kept < _SIMILAR:
        return None
    if asked_last:  # and what stands before the question is mostly the same, at another place
        rest = causes.DOCUMENTS
    return replace(found, cause=rest, new=unlike.new)


def _alone(old: str, changes: Sequence[Change], kinds: Sequence[str]) -> bool:
    """Whether a number is all that its line changed in: "Document 3" of other words is a label."""
    around = changes[0].around
    if all(kind for change, kind in zip(changes, kinds, strict=True) if change.around == around):
        return True
    line = _NUMBERS.sub("#", around)
    return any(_NUMBERS.sub("#", other.strip()) == line for other in old.splitlines())


def _ends_alike(one: Line, other: Line) -> bool:
    """Whether two texts end in the same line: what differs, a question, stands before it."""
    return one.whole.rstrip().rpartition("\n")[2] == other.whole.rstrip().rpartition("\n")[2]


def _much(one: Line, other: Line, moved: Reordered) -> bool:
    """Whether blocks in another order are most of what differs, not a few lines by accident."""
    if sum(map(len, moved.blocks)) < _MOVED * len(other.whole):
        return False
    rests = [squeezed(rest_of(line.whole, moved.blocks)) for line in (one, other)]
    return sum(map(len, moved.moved)) >= _LEAST or rests[0] == rests[1]


def _content(around: str, *, head: bool, continues: bool) -> str:
    """The name of a change that is none of form."""
    if _SUMMARY.match(around) and continues:
        return causes.SUMMARY
    if head:
        return causes.SYSTEM if continues else causes.USER_DATA
    return causes.EDITED if continues else causes.QUESTION


def is_summary(lines: Iterable[Line]) -> bool:
    """Whether one of these messages says that it sums up others."""
    return any(_SUMMARY.match(line.text) for line in lines)


def texts_of(lines: Sequence[Line]) -> str:
    """All that these messages say."""
    return "\n".join(line.whole for line in lines)
