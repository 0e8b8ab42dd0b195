"""How two histories differ: messages dropped, changed, moved, or summed up."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from difflib import SequenceMatcher

from router.prompts import causes
from router.prompts._lint.repair import (
    Repair,
    is_summary,
    message_repair,
    place_of,
    texts_of,
    with_message,
)
from router.prompts._lint.view import View

_FRONT = 2
"""A history loses its head if it loses messages at one of its first places."""


def continues(p: View, c: View) -> bool:
    """Whether the later request goes on with the earlier one's conversation.

    It has its last message, or the one before and something in its place; and half of all, or two
    in a row, for one alone may be a "yes".
    """
    old, new = p.loose[p.head :], c.loose[c.head :]
    if not old or not new:
        return False
    common = (Counter(old) & Counter(new)).total()
    if old[-1] in new:
        return old[-2:-1] == [] or old[-2] in new or 2 * common >= len(old)
    if len(old) < 3 or old[-2] not in new or 2 * common < len(old):
        return False
    if [key for key in old if key in new] != [key for key in new if key in old]:
        return False
    after = new.index(old[-2]) + 1  # its last message was written anew: more than that follows
    return after + 1 < len(new) and c.lines[c.head + after].role == p.lines[-1].role


def history_repair(p: View, c: View, at: int, *, same: bool) -> Repair | None:
    """Why the histories part at message `at`; `same` says that it is one conversation.

    None where they part as they should: another question, another conversation.
    """
    moved = _moved(p, c, same=same)
    if moved is not None:
        return moved
    if not same:
        return _opening(p, c, at) if at == p.head == c.head else None
    old, new = p.loose[p.head :], c.loose[c.head :]
    for tag, i1, i2, j1, j2 in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        i, j, size = p.head + i1, c.head + j1, i2 - i1
        if tag == "equal":
            pairs = [(i + n, j + n) for n in range(size)]
            unlike = [(a, b) for a, b in pairs if differs(p, a, c, b)]
            if unlike:
                return _paired(p, c, unlike)
        elif i2 < len(old):
            return _replaced(p, c, (i, p.head + i2), (j, c.head + j2))
    return None


def _opening(p: View, c: View, at: int) -> Repair | None:
    """Why two conversations open otherwise; what they say after that is no matter of layout."""
    found = message_repair(p, at, c, at, continues=False)
    if found is None:
        return None
    return replace(found, before=replace(found.before, messages=found.before.messages[: at + 1]))


def differs(p: View, i: int, c: View, j: int) -> bool:
    """Whether two messages are rendered otherwise; reasoning counts where both show it."""
    one, other = p.lines[i], c.lines[j]
    if one.rendered != other.rendered:
        return True
    return p.thought(i) and c.thought(j) and one.reasoning != other.reasoning


def _paired(p: View, c: View, pairs: list[tuple[int, int]]) -> Repair | None:
    """Messages that stand in for each other, one by one; the first names the cause."""
    found = message_repair(p, pairs[0][0], c, pairs[0][1], continues=True)
    if found is None:
        return None
    view, new = View(found.before), [found.new]
    for i, j in pairs[1:]:
        more = message_repair(view, i, c, j, continues=True)
        if more is not None and more.cause == found.cause:
            view = View(with_message(view, i, c, j))
            new.append(more.new)
    return replace(found, before=view.sent, new="\n".join(new))


def _replaced(p: View, c: View, old: tuple[int, int], new: tuple[int, int]) -> Repair | None:
    """Messages `old` (from, to) of the earlier request became messages `new` of the later one."""
    (i1, i2), (j1, j2) = old, new
    gone, added = i2 - i1, j2 - j1
    front = i1 - p.head < _FRONT
    if gone == added and not (front and is_summary(c.lines[j1:j2])):
        return _paired(p, c, list(zip(range(i1, i2), range(j1, j2), strict=True)))
    messages = (*p.sent.messages[:i1], *c.sent.messages[j1:j2], *p.sent.messages[i2:])
    before = replace(p.sent, messages=messages)
    new_text = texts_of(c.lines[j1:j2])
    if not added:
        cause = causes.TRUNCATED if front else causes.EDITED
    elif front and (gone > added or is_summary(c.lines[j1:j2])):
        cause = causes.SUMMARY
    else:
        cause = causes.EDITED
    return Repair(cause, place_of(c, j1), before, new_text)


def _moved(p: View, c: View, *, same: bool) -> Repair | None:
    """The same messages in another order; of two conversations only their examples can be that."""
    old, new = p.loose[p.head :], c.loose[c.head :]
    counts, others = Counter(old), Counter(new)
    common = {key for key in counts if counts[key] == others.get(key) == 1}
    first = [key for key in old if key in common]
    then = [key for key in new if key in common]
    needed = sum(times == 1 for times in counts.values()) - (0 if same else 1)
    if len(common) < max(2, needed) or first == then:
        return None
    last = max(i for i, key in enumerate(new) if key in common) + 1
    kept = c.sent.messages[: c.head + last]
    rest = () if same else p.sent.messages[-1:]
    before = replace(p.sent, messages=(*kept, *rest))
    new_lines = [c.lines[c.head + i] for i in range(last) if new[i] not in common]
    at = c.head + next(i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b)
    examples = not same or _in_pairs(p, old, new)
    cause = causes.EXAMPLES if examples else causes.REORDERED
    return Repair(cause, place_of(c, at), before, texts_of(new_lines))


def _in_pairs(p: View, old: list[str], new: list[str]) -> bool:
    """Whether only whole pairs of question and answer changed places, in front of the rest."""
    end = max(i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b) + 1
    if end % 2 or end > len(old) - 1:
        return False
    roles = [line.role for line in p.lines[p.head : p.head + end]]
    if roles != ["user", "assistant"] * (end // 2):
        return False
    pairs = [set(zip(side[:end:2], side[1:end:2], strict=True)) for side in (old, new)]
    return pairs[0] == pairs[1]
