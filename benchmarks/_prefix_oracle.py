"""What a prefix cache could have given at best: with room for all, and with room for so much.

"Percent of achievable" is the cached tokens that a server reported, of one of these:

- `unbounded` over the prompts as they were sent: the longest prefix of anything sent before;
- `unbounded` over the same prompts laid out at their best: what the layout lost is the gap;
- `bounded`: the same with so many blocks of memory, every eviction made in knowledge of what
  comes (Belady's MIN over a tree of blocks). No way to evict keeps more.

Both read a rule (`router.prompts.rule.CacheRule`) and token ids, nothing of the index.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from router.prompts.rule import CacheRule

Link = tuple[int, int]
"""A block and all before it: its hash, and how many blocks they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request as its server saw it: token ids of prompt and answer, whose cache it may read
    (`salt`), and in seconds when it was sent (`at`) and when its first token came (`first`)."""

    prompt: Sequence[int]
    answer: Sequence[int] = ()
    salt: str = ""
    at: float = 0.0
    first: float = 0.0


def unbounded(sends: Iterable[Sent], rule: CacheRule) -> list[int]:
    """Tokens of each request that a cache without end would have read, in the order sent."""
    kept = _Units(rule) if rule.match == "units" else _Blocks(rule)
    return [kept.seen(sent) for sent in sends]


def bounded(sends: Sequence[Sent], rule: CacheRule, blocks: int) -> list[int]:
    """The same with `blocks` of `rule.unit_tokens`, in the best way to evict, one request at a
    time. A request has all of its own blocks while it runs.

    Raises:
        ValueError: a request needs more than all, or the rule's hits are no blocks.
    """
    if rule.match != "blocks" or rule.lives_seconds is not None or rule.builds_seconds:
        raise ValueError("bounded: expected a rule of blocks that are kept until evicted")
    paths = [_path(_kept(sent, rule), rule.unit_tokens, sent.salt) for sent in sends]
    readable = [rule.hit(len(sent.prompt), len(sent.prompt)) for sent in sends]
    uses = _next_uses(paths, [tokens // rule.unit_tokens for tokens in readable])
    resident: dict[Link, float] = {}
    found = []
    for sent, path, next_uses in zip(sends, paths, uses, strict=True):
        depth = 0
        while depth < len(path) and path[depth] in resident:
            depth += 1
        found.append(rule.hit(depth * rule.unit_tokens, len(sent.prompt)))
        own = -(-(len(sent.prompt) + len(sent.answer)) // rule.unit_tokens)
        if own > blocks:
            raise ValueError(f"bounded: a request needs {own} blocks, there are {blocks}")
        others = [link for link in resident if link not in set(path)]
        # The one needed last goes first; of two, the longer: nothing is kept without its prefix.
        others.sort(key=lambda link: (resident[link], link[1]), reverse=True)
        for link in others[: max(0, own + len(others) - blocks)]:
            del resident[link]
        resident |= dict(zip(path, next_uses, strict=True))
    return found


def _next_uses(paths: Sequence[Sequence[Link]], readable: Sequence[int]) -> list[list[float]]:
    """For each block of each request, the next request that could read it.

    Never, if the next that has it must compute it anyhow: it is there again then for nothing.
    """
    coming: dict[Link, float] = {}
    found = []
    for i in reversed(range(len(paths))):
        found.append([coming.get(link, math.inf) for link in paths[i]])
        coming |= {link: i if link[1] <= readable[i] else math.inf for link in paths[i]}
    return found[::-1]


def _kept(sent: Sent, rule: CacheRule) -> list[int]:
    """What is computed of a request. A server stops before it reads its own last token."""
    return [*sent.prompt, *(sent.answer[:-1] if rule.holds_output else ())]


def _path(tokens: Sequence[int], unit: int, salt: str) -> list[Link]:
    """The full blocks of these tokens, each with all before it."""
    links, running = [], hash(salt)
    for start in range(0, len(tokens) - unit + 1, unit):
        running = hash((running, *tokens[start : start + unit]))
        links.append((running, len(links) + 1))
    return links


class _Ages:
    """Since when each of some prefixes can be read, and when it last was."""

    def __init__(self, rule: CacheRule) -> None:
        self._lives = math.inf if rule.lives_seconds is None else rule.lives_seconds
        self._builds = rule.builds_seconds
        self._ages: dict[Link, tuple[float, float]] = {}

    def readable(self, link: Link, at: float) -> bool:
        ready, used = self._ages.get(link, (math.inf, -math.inf))
        return ready <= at and at - used <= self._lives

    def used(self, link: Link, at: float) -> None:
        self._ages[link] = (self._ages[link][0], at)

    def add(self, link: Link, sent: Sent) -> None:
        """It is there from its first token on, and stays if it was."""
        ready, used = self._ages.get(link, (math.inf, -math.inf))
        if sent.at - used > self._lives:
            ready = math.inf
        self._ages[link] = (min(ready, sent.first + self._builds), max(sent.first, used))


class _Blocks:
    """A hit ends at any block of anything that was sent before."""

    def __init__(self, rule: CacheRule) -> None:
        self._rule, self._ages = rule, _Ages(rule)

    def seen(self, sent: Sent) -> int:
        path = _path(_kept(sent, self._rule), self._rule.unit_tokens, sent.salt)
        depth = 0
        while depth < len(path) and self._ages.readable(path[depth], sent.at):
            self._ages.used(path[depth], sent.at)
            depth += 1
        for link in path:
            self._ages.add(link, sent)
        return self._rule.hit(depth * self._rule.unit_tokens, len(sent.prompt))


class _Units:
    """A hit ends where an earlier prompt or answer ended, or where two requests parted."""

    def __init__(self, rule: CacheRule) -> None:
        self._rule, self._ages = rule, _Ages(rule)
        self._known: set[Link] = set()

    def seen(self, sent: Sent) -> int:
        unit = self._rule.unit_tokens
        prompt = _path(sent.prompt, unit, sent.salt)
        whole = _path(_kept(sent, self._rule), unit, sent.salt)
        read = [link for link in prompt if self._ages.readable(link, sent.at)][-1:]
        for link in read:
            self._ages.used(link, sent.at)
        parted = [link for link in prompt if link in self._known][-1:]
        for link in {*prompt[-1:], *whole[-1:], *parted}:
            self._ages.add(link, sent)
        self._known.update(whole)
        return self._rule.hit(read[0][1] * unit if read else 0, len(sent.prompt))
