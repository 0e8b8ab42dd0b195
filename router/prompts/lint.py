"""Why a request is not read from the cache as the one before it would allow, and what to do.

Each cause is proved: with the earlier request as it would read without it, more of the later one
begins the same. Nothing that has to differ is found: another question, a longer history, another
conversation. Tokens are ours, under DeepSeek-V3.2's template, which writes tools behind the
system prompt; an image counts as a few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from router.prompts import causes
from router.prompts._lint.history import continues, differs, history_repair
from router.prompts._lint.repair import Repair, message_repair, place_of, texts_of
from router.prompts._lint.toolset import format_repair, tools_repair
from router.prompts._lint.view import Sent, View
from router.prompts.blocks import BLOCK
from router.prompts.rule import CAUTIOUS, CacheRule
from router.tokens import count, decode

__all__ = ["Finding", "Sent", "View", "compare", "explain"]

_TAIL = 3
"""A prompt's last tokens open the answer, and are written otherwise once there is one."""
_MOST = 6
_AROUND = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What keeps a request from being read from the cache: a cause of `causes.FIXES`, and where.

    `token` is the index of the first token that differs, `kept_tokens` what a host can read all
    the same, `lost_tokens` what it could read besides, with this cause (and those in `also`) out
    of the way. `fix` is a sentence. `shown` has a few tokens of the prompts, and only where asked
    for.
    """

    cause: str
    place: str
    token: int
    kept_tokens: int
    lost_tokens: int
    also: tuple[str, ...] = ()
    shown: str = field(default="", repr=False)

    @property
    def fix(self) -> str:
        """What to do."""
        return causes.FIXES[self.cause]


def compare(
    previous: Sent, current: Sent, rule: CacheRule = CAUTIOUS, *, show: bool = False
) -> Finding | None:
    """The first cause that costs `current` what a host of this rule would read of `previous`.

    None where nothing is lost that could be shared. With `show` the finding quotes both prompts.

    Raises:
        InvalidRequestError: a request that the template cannot express.
    """
    return next(explain(View(previous), View(current), rule, show=show), None)


def explain(
    previous: View,
    current: View,
    rule: CacheRule = CAUTIOUS,
    *,
    kept: int = 0,
    since: datetime | None = None,
    show: bool = False,
) -> Iterator[Finding]:
    """Every cause in turn, each with those before it out of the way.

    `kept` is what the host can read of other prompts, in tokens: only more than that is lost.
    `since` is when prompts like `previous` were first sent, if that was before it.
    """
    if not _in_time(previous.sent, current.sent, rule, since):
        return
    same = continues(previous, current)
    size, shared = len(current.ids), previous.shared(current)
    reached = max(kept, 0 if _apart(previous.sent, current.sent) else rule.hit(shared, size))
    switched = _switch(previous.sent, current.sent)
    if switched is not None:
        lost = rule.hit(shared, size) - reached
        if same and lost > 0:
            yield Finding(
                cause=switched[0], place=switched[1], token=0, kept_tokens=reached,
                lost_tokens=lost,
            )  # fmt: skip
        return
    found, new, waiting = False, 0, None
    least = max(rule.unit_tokens, BLOCK)
    for _ in range(_MOST):
        repair = first_cause(previous, current, same=same)
        if repair is None:
            break
        earlier, previous = previous, View(repair.before)
        token, shared = shared, previous.shared(current)
        if shared <= token:
            break  # the cause is not proved
        new += count(repair.new)
        finding = Finding(
            cause=repair.cause, place=repair.place, token=token, kept_tokens=reached,
            lost_tokens=0, also=repair.also,
            shown=_shown(earlier, current, token) if show else "",
        )  # fmt: skip
        waiting = finding if waiting is None else _both(waiting, finding)
        lost = rule.hit(shared - new, size) - reached
        if lost > 0 and shared - new - waiting.token >= least:
            found, reached = True, reached + lost
            yield replace(waiting, lost_tokens=lost)
            waiting = None
    if not found and not reached and rule.unit_tokens <= shared < rule.min_tokens:
        lost = shared // rule.unit_tokens * rule.unit_tokens
        yield Finding(
            cause=causes.MINIMUM, place="all", token=shared, kept_tokens=0, lost_tokens=lost
        )


def first_cause(p: View, c: View, *, same: bool) -> Repair | None:
    """Why two prompts part, and the earlier one without that; None where they should."""
    if p.shared(c) >= len(p.ids) - _TAIL:
        return None
    system = bool(p.lines and c.lines) and p.lines[0].role == c.lines[0].role == "system"
    if system and differs(p, 0, c, 0):
        return message_repair(p, 0, c, 0, continues=same)
    if p.head != c.head and (not p.head or not c.head):
        return _heads(p, c) if same else None
    if _order(p.sent.tools) != _order(c.sent.tools):
        return tools_repair(p, c, continues=same)
    if str(p.sent.response_format) != str(c.sent.response_format):
        return format_repair(p, c)
    if p.head != c.head:
        return _heads(p, c) if same else None
    for i in range(min(len(p.lines), len(c.lines))):
        if differs(p, i, c, i):
            if i < p.head:
                return message_repair(p, i, c, i, continues=same)
            return history_repair(p, c, i, same=same)
    if p.sent.thinking != c.sent.thinking:
        place = place_of(c, max(0, c.last_user))
        return Repair(causes.TEMPLATE, place, replace(p.sent, thinking=c.sent.thinking))
    return None


def _heads(p: View, c: View) -> Repair:
    """System messages came or went within a conversation."""
    head = c.sent.messages[: c.head]
    before = replace(p.sent, messages=(*head, *p.sent.messages[p.head :]))
    new = texts_of([line for line in c.lines[: c.head] if line not in p.lines[: p.head]])
    return Repair(causes.SYSTEM, place_of(c, 0), before, new)


def _order(tools: object) -> str:
    return repr(tools)


def _switch(p: Sent, c: Sent) -> tuple[str, str] | None:
    for cause, place, one, other in (
        (causes.MODEL, "model", p.model, c.model),
        (causes.HOST, "host", p.host, c.host),
        (causes.SALT, "salt", p.salt, c.salt),
    ):
        if one != other:
            return cause, place
    return None


def _apart(p: Sent, c: Sent) -> bool:
    return _switch(p, c) is not None


def _in_time(p: Sent, c: Sent, rule: CacheRule, since: datetime | None) -> bool:
    """Whether the earlier prompt can be in the cache, as far as times are known."""
    if p.at is None or c.at is None:
        return True
    idle, age = (c.at - p.at).total_seconds(), (c.at - (since or p.at)).total_seconds()
    return rule.builds_seconds <= age and (
        rule.lives_seconds is None or idle <= rule.lives_seconds
    )


def _both(first: Finding, then: Finding) -> Finding:
    also = dict.fromkeys((*first.also, then.cause, *then.also))
    return replace(first, also=tuple(cause for cause in also if cause != first.cause))


def _shown(p: View, c: View, token: int) -> str:
    """The tokens around the first that differs, of both prompts."""
    start = max(0, token - _AROUND)
    texts = [decode(view.ids[start : token + _AROUND].tolist()) for view in (p, c)]
    return f"{texts[0]!r} -> {texts[1]!r}"
